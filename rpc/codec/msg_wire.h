/* The wire format of protobuf, field by field, where decoding the whole message is not wanted: messages whose
 * rows stay where they are, messages without fields, and the check that precedes protobuf-c
 * (rpc/codec/msg_check.h). Any thread. */
#ifndef XTCP_RPC_CODEC_MSG_WIRE_H
#define XTCP_RPC_CODEC_MSG_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/varint.h"

/* One field as it stands in a message. */
struct msg_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;       /* WIRE_VARINT, WIRE_I64, WIRE_I32 */
    const uint8_t *bytes; /* WIRE_LEN: |len| bytes in place */
    size_t len;
};

/* Takes the first field off the |*len| bytes at |*data|, which move behind it. Returns 1 and fills |out|, 0
 * at the end, ERR_MALFORMED (also for groups, which proto3 does not have). */
int msg_next_field(const uint8_t **data, size_t *len, struct msg_field *out);

/* Checks the request of a method that takes an empty message. Fields that a newer client sends are passed
 * over. Returns 0, or ERR_MALFORMED with |e| naming |message|. */
int msg_empty_check(const void *data, size_t len, const char *message, struct err *e);

#endif
