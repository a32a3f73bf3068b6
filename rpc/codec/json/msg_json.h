/* protojson (https://protobuf.dev/programming-guides/json/) of protobuf-c messages, by their descriptors: the
 * format that `xtcp2client get` prints and `apply` reads.
 *
 * For messages made of integers, bools, strings, other messages, repeated strings and messages, maps with
 * string keys, and google.protobuf.Duration; package xtcp_config.v1 has no others. Other kinds of fields are
 * ERR_UNSUPPORTED. Included by rpc/ and its tests only; any thread. */
#ifndef XTCP_RPC_CODEC_JSON_MSG_JSON_H
#define XTCP_RPC_CODEC_JSON_MSG_JSON_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"

/* Appends |m| as an object with an indent of two spaces and a newline at its end: fields in the order of
 * their numbers, lowerCamelCase names, zero values left out, 64-bit integers as strings. Returns 0,
 * ERR_UNSUPPORTED or -ENOMEM. */
int msg_json_write(const ProtobufCMessage *m, struct buf *out);

/* Makes a message of the type |type| of the |len| bytes of JSON at |text|, called |name| in errors. Both
 * forms of a name are accepted; null is the same as leaving out. Returns 0 and the message in |out|, for
 * protobuf_c_message_free_unpacked, or ERR_MALFORMED (no JSON), ERR_UNKNOWN (a field; |e| has the
 * nearest one), ERR_DUPLICATE, ERR_TYPE, ERR_RANGE, ERR_UNSUPPORTED, each with |e| that begins with
 * NAME:LINE:COLUMN; -ENOMEM. */
int msg_json_read(const ProtobufCMessageDescriptor *type, const char *text, size_t len, const char *name,
                  ProtobufCMessage **out, struct err *e);

/* ---- Shared by the two directions ---- */

#define MSG_JSON_NAME_MAX 64

/* The lowerCamelCase form of the proto name |name|, cut to fit. Returns |out|. */
const char *msg_json_name(const char *name, char out[MSG_JSON_NAME_MAX]);

/* Whether |f|, a field of |parent|, is a map, which protobuf-c represents as a list of entries. */
bool msg_json_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f);

#endif
