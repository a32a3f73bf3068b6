#include "rpc/codec/msg_check.h"

#include <errno.h>
#include <string.h>

#include "lib/utf8.h"
#include "lib/wire.h"

#define TYPE_FIELDS_MAX 128 /* fields of one message type */

struct guard {
    bool strict;
    size_t fields; /* seen so far, on all levels */
    struct err *e;
};

/* The wire type that a field of |type| has; all integers and bools are varints, except the fixed ones. */
static enum wire_type wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_I32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_I64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_LEN;
    default:
        return WIRE_VARINT;
    }
}

static int check_text(const ProtobufCFieldDescriptor *f, const struct wire_field *field, struct err *e)
{
    for (size_t i = 0, n; i < field->len; i += n) {
        n = utf8_length(field->data + i, field->len - i);
        if (n == 0)
            return err_set(e, ERR_MALFORMED, "%s: the text is not UTF-8", f->name);
        if (field->data[i] == '\0')
            return err_set(e, ERR_MALFORMED, "%s: the text holds a NUL byte", f->name);
    }
    return 0;
}

static int check_message(struct guard *g, const ProtobufCMessageDescriptor *type, const uint8_t *data,
                         size_t len, unsigned depth);

static int check_field(struct guard *g, const ProtobufCFieldDescriptor *f, const struct wire_field *field,
                       bool *seen, unsigned depth)
{
    if (field->type != wire_type_of(f->type))
        return err_set(g->e, ERR_MALFORMED, "%s: sent as another type (wire type %d)", f->name,
                       (int)field->type);
    if (f->label != PROTOBUF_C_LABEL_REPEATED && *seen)
        return err_set(g->e, ERR_DUPLICATE, "%s: sent twice", f->name);
    *seen = true;
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return check_text(f, field, g->e);
    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return 0;
    int rc = check_message(g, f->descriptor, field->data, field->len, depth + 1);
    return rc < 0 ? (err_prefix(g->e, "%s", f->name), rc) : 0;
}

static int check_message(struct guard *g, const ProtobufCMessageDescriptor *type, const uint8_t *data,
                         size_t len, unsigned depth)
{
    bool seen[TYPE_FIELDS_MAX] = {false};
    struct wire w = wire_over(data, len);
    struct wire_field field;
    int rc;
    if (depth > MSG_CHECK_DEPTH_MAX)
        return err_set(g->e, ERR_RANGE, "nested more than %d levels deep", MSG_CHECK_DEPTH_MAX);
    while ((rc = wire_next(&w, &field)) > 0) {
        if (++g->fields > MSG_CHECK_FIELDS_MAX)
            return err_set(g->e, ERR_RANGE, "more than %d fields", MSG_CHECK_FIELDS_MAX);
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(type, field.number);
        if (f)
            rc = check_field(g, f, &field, &seen[f - type->fields], depth);
        else if (g->strict)
            rc = err_set(g->e, ERR_UNSUPPORTED, "%s has no field %u", type->name, field.number);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? err_set(g->e, ERR_MALFORMED, "not a protobuf message (%s)", type->name) : 0;
}

int msg_check_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, bool strict,
                     ProtobufCMessage **out, struct err *e)
{
    struct guard g = {.strict = strict, .e = e};
    *out = NULL;
    if (type->n_fields > TYPE_FIELDS_MAX)
        return err_set(e, ERR_UNSUPPORTED, "%s has more than %d fields", type->name, TYPE_FIELDS_MAX);
    int rc = check_message(&g, type, data, len, 0);
    if (rc < 0)
        return rc;
    *out = protobuf_c_message_unpack(type, NULL, len, data ? data : (const uint8_t *)"");
    /* After the check, only a lack of memory or an error known to protobuf-c alone can make this fail. */
    return *out ? 0 : err_set(e, ERR_MALFORMED, "%s: cannot be unpacked", type->name);
}
