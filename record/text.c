#include "record/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/utf8.h"
#include "record/names.h"

bool record_was_sent(const record_message *r, const struct record_field *f)
{
    if (f->from < 0 || r->diag_attributes == 0)
        return false;
    if (f->from == PART_MSG)
        return true;
    if (!record_part_attributes[f->from] || !(r->diag_attributes >> record_part_attributes[f->from] & 1))
        return false;
    return f->from != PART_INFO || (uint32_t)f->offset + f->width <= r->tcp_info_len;
}

/* Whether a zero of |f| in |r| is a number that the kernel sent. */
static bool is_sent_zero(const record_message *r, const struct record_field *f)
{
    return (f->type == TYPE_U32 || f->type == TYPE_U64 || f->type == TYPE_I64) && record_was_sent(r, f);
}

struct record_value record_get(const record_message *r, const struct record_field *f)
{
    /* The descriptor has the same fields in the same order (a test compares the two). */
    const ProtobufCFieldDescriptor *d = &r->base.descriptor->fields[record_field_index(f)];
    const uint8_t *at = (const uint8_t *)r + d->offset;
    struct record_value v = {0};
    switch ((enum record_type)f->type) {
    case TYPE_U32: {
        uint32_t number;
        memcpy(&number, at, sizeof(number));
        v.number = number;
        break;
    }
    case TYPE_ENUM: {
        int32_t number;
        memcpy(&number, at, sizeof(number));
        v.number = (uint64_t)(int64_t)number;
        break;
    }
    case TYPE_U64:
    case TYPE_I64:
        memcpy(&v.number, at, sizeof(v.number));
        break;
    case TYPE_STRING: {
        const char *text;
        memcpy(&text, at, sizeof(text));
        v.data = (const uint8_t *)text;
        v.len = text ? strlen(text) : 0;
        break;
    }
    case TYPE_BYTES: {
        ProtobufCBinaryData bytes;
        memcpy(&bytes, at, sizeof(bytes));
        v.data = bytes.data;
        v.len = bytes.len;
        break;
    }
    }
    v.in_record = v.number != 0 || v.len != 0;
    v.present = v.in_record || is_sent_zero(r, f);
    return v;
}

const char *record_enum_name(const record_message *r, const struct record_field *f, uint64_t number)
{
    const ProtobufCFieldDescriptor *d = &r->base.descriptor->fields[record_field_index(f)];
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(d->descriptor, (int)number);
    return value ? value->name : NULL;
}

void record_address_text(const record_message *r, const uint8_t *data, size_t n, char out[RECORD_ADDRESS_MAX])
{
    static const char digits[] = "0123456789abcdef";
    if (n == 4 || (n == 16 && r->inet_diag_msg_family == AF_INET)) {
        inet_ntop(AF_INET, data, out, RECORD_ADDRESS_MAX);
    } else if (n == 16) {
        inet_ntop(AF_INET6, data, out, RECORD_ADDRESS_MAX);
    } else {
        size_t used = 0;
        for (size_t i = 0; i < n && used + 2 < RECORD_ADDRESS_MAX; i++) {
            out[used++] = digits[data[i] >> 4];
            out[used++] = digits[data[i] & 15];
        }
        out[used] = '\0';
    }
}

void record_put_clean(struct buf *out, const void *text, size_t n)
{
    const uint8_t *s = text;
    char escape[UTF8_ESCAPE_MAX];
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(s + i, n - i);
        if (len == 0)
            buf_str(out, UTF8_REPLACEMENT);
        else if (utf8_is_hidden(s + i, len))
            buf_bytes(out, escape, utf8_escape(s + i, len, escape));
        else
            buf_bytes(out, s + i, len);
        i += len ? len : 1;
    }
}

void record_print(struct buf *out, const record_message *r, const struct record_field *f)
{
    struct record_value v = record_get(r, f);
    char address[RECORD_ADDRESS_MAX];
    if (!v.present)
        return;
    const char *name = record_value_name(f, v.number);
    if (f->type == TYPE_STRING) {
        record_put_clean(out, v.data, v.len);
    } else if (f->type == TYPE_BYTES) {
        record_address_text(r, v.data, v.len, address);
        buf_str(out, address);
    } else if (name) {
        buf_str(out, name);
    } else if (f->type == TYPE_I64 || f->type == TYPE_ENUM) {
        buf_i64(out, (int64_t)v.number);
    } else {
        buf_u64(out, v.number);
    }
}
