#include "record/text.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/ip_text.h"
#include "lib/utf8.h"
#include "record/names.h"

bool record_was_sent(const record_message *r, const struct record_field *f)
{
    return record_sends(r->diag_attributes, r->tcp_info_len, f);
}

/* Whether a zero of |f| in |r| is a number that the kernel sent. */
static bool is_sent_zero(const record_message *r, const struct record_field *f)
{
    return record_is_number(f) && record_was_sent(r, f);
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

struct record_value record_value_of(const struct record_values *values, const struct record_field *f)
{
    const unsigned i = record_field_index(f);
    const struct record_slot *slot = &values->slots[i];
    struct record_value v = {.present = record_set_has(&values->present, i),
                             .in_record = record_set_has(&values->in_record, i)};
    if (!v.present)
        return v;
    if (f->type == TYPE_STRING || f->type == TYPE_BYTES) {
        v.data = slot->data;
        v.len = slot->len;
    } else {
        v.number = slot->number;
    }
    return v;
}

void record_values_of(struct record_values *out, const record_message *r)
{
    out->in_record = (struct record_set){0};
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        struct record_value v = record_get(r, &record_fields[i]);
        if (!v.in_record)
            continue;
        record_set_add(&out->in_record, i);
        if (v.len)
            out->slots[i] = (struct record_slot){.data = v.data, .len = v.len};
        else
            out->slots[i] = (struct record_slot){.number = v.number};
    }
    record_values_find_zeros(out);
}

const char *record_enum_name(const struct record_field *f, uint64_t number)
{
    const ProtobufCFieldDescriptor *d =
        &xtcp_flat_record__v1__xtcp_flat_record__descriptor.fields[record_field_index(f)];
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(d->descriptor, (int)number);
    return value ? value->name : NULL;
}

char *record_put_address(uint64_t family, const uint8_t *data, size_t n, char out[RECORD_ADDRESS_MAX])
{
    static const char digits[] = "0123456789abcdef";
    if (n == 4 || (n == 16 && family == AF_INET))
        return ip4_text(data, out);
    if (n == 16)
        return ip6_text(data, out);
    for (size_t i = 0; i < n && i < (RECORD_ADDRESS_MAX - 1) / 2; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
    return out;
}

void record_address_text(const record_message *r, const uint8_t *data, size_t n, char out[RECORD_ADDRESS_MAX])
{
    record_put_address(r->inet_diag_msg_family, data, n, out);
}

void record_put_clean(struct buf *out, const void *text, size_t n)
{
    const uint8_t *s = text;
    char escape[UTF8_ESCAPE_MAX];
    for (size_t i = 0; i < n;) {
        size_t plain = i;
        while (plain < n && s[plain] >= 0x20 && s[plain] < 0x7f)
            plain++;
        buf_bytes(out, s + i, plain - i);
        i = plain;
        if (i == n)
            break;
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

void record_print_value(struct buf *out, uint64_t family, const struct record_field *f,
                        const struct record_value *v)
{
    char address[RECORD_ADDRESS_MAX];
    if (!v->present)
        return;
    const char *name = record_value_name(f, v->number);
    if (f->type == TYPE_STRING) {
        record_put_clean(out, v->data, v->len);
    } else if (f->type == TYPE_BYTES) {
        buf_bytes(out, address, (size_t)(record_put_address(family, v->data, v->len, address) - address));
    } else if (name) {
        buf_str(out, name);
    } else if (f->type == TYPE_I64 || f->type == TYPE_ENUM) {
        buf_i64(out, (int64_t)v->number);
    } else {
        buf_u64(out, v->number);
    }
}
