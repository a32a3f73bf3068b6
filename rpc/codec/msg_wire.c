#include "rpc/codec/msg_wire.h"

#include <string.h>

#define FIELD_NUMBER_MAX ((1u << 29) - 1) /* of the wire format */

/* Reads the value of |field|, whose tag has been read, from the |n| bytes at |at|. Returns its length, or
 * ERR_MALFORMED. */
static int64_t read_value(const uint8_t *at, size_t n, struct msg_field *field)
{
    uint32_t small;
    size_t used;
    switch (field->type) {
    case WIRE_VARINT:
        used = varint_get(at, n, &field->value);
        return used ? (int64_t)used : ERR_MALFORMED;
    case WIRE_I64:
        if (n < sizeof(field->value))
            return ERR_MALFORMED;
        memcpy(&field->value, at, sizeof(field->value));
        return sizeof(field->value);
    case WIRE_I32:
        if (n < sizeof(small))
            return ERR_MALFORMED;
        memcpy(&small, at, sizeof(small));
        field->value = small;
        return sizeof(small);
    case WIRE_LEN: {
        uint64_t len;
        used = varint_get(at, n, &len);
        if (used == 0 || len > n - used)
            return ERR_MALFORMED;
        field->bytes = at + used;
        field->len = (size_t)len;
        return (int64_t)(used + field->len);
    }
    }
    return ERR_MALFORMED; /* groups, and the two types that do not exist */
}

int msg_next_field(const uint8_t **data, size_t *len, struct msg_field *out)
{
    if (*len == 0)
        return 0;
    uint64_t tag;
    size_t used = varint_get(*data, *len, &tag);
    if (used == 0 || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return ERR_MALFORMED;
    *out = (struct msg_field){.number = (uint32_t)(tag >> 3), .type = (enum wire_type)(tag & 7)};
    int64_t value = read_value(*data + used, *len - used, out);
    if (value < 0)
        return (int)value;
    *data += used + (size_t)value;
    *len -= used + (size_t)value;
    return 1;
}

int msg_empty_check(const void *data, size_t len, const char *message, struct err *e)
{
    const uint8_t *at = data;
    struct msg_field field;
    int rc;
    while ((rc = msg_next_field(&at, &len, &field)) > 0) {
    }
    return rc < 0 ? err_set(e, ERR_MALFORMED, "%s: not a protobuf message", message) : 0;
}
