/* A check that stands between bytes from outside and protobuf-c: it compares a whole message, level by level, with
 * its descriptor.
 *
 * protobuf-c takes strings that are not UTF-8 or hold a NUL (and so loses their end), keeps unknown fields
 * without a word, and merges messages that are given twice. A message that has passed this check has no such
 * fault. Included by rpc/ only. */
#ifndef XTCP_RPC_CODEC_MSG_CHECK_H
#define XTCP_RPC_CODEC_MSG_CHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define MSG_CHECK_FIELDS_MAX 4096 /* in a whole message, however nested */
#define MSG_CHECK_DEPTH_MAX  8

/* Unpacks the |len| bytes at |data| as a message of the type |type|. With |strict|, a field that |type| does
 * not have is ERR_UNSUPPORTED (for requests, of which nothing may be ignored); otherwise it is left out. Returns 0
 * and the message in |out|, for protobuf_c_message_free_unpacked(out, NULL), or with |e| naming the field:
 *   ERR_MALFORMED   no protobuf message of this type, or a text that is not UTF-8 or holds a NUL
 *   ERR_DUPLICATE   a field that is not repeated comes twice
 *   ERR_RANGE       too many fields or levels
 *   -ENOMEM
 * Any thread. */
int msg_check_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, bool strict,
                     ProtobufCMessage **out, struct err *e);

#endif
