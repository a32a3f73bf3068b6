/* MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): a map for each record, one behind the other,
 * with the names of the .proto and the fields that jsonl has; addresses are bytes, states and algorithms numbers. Everything
 * is in its shortest form. */
#include <string.h>

#include "outputs/format/format.h"
#include "record/text.h"

/* The first byte of a value, MessagePack's "formats"; those of a kind are followed by lengths or numbers of 1, 2, 4 and 8
 * bytes. */
enum msgpack {
    MSGPACK_FIXMAP = 0x80, /* to 0x8f */
    MSGPACK_FIXSTR = 0xa0, /* to 0xbf */
    MSGPACK_BIN = 0xc4,
    MSGPACK_UINT = 0xcc,
    MSGPACK_INT = 0xd0,
    MSGPACK_STR = 0xd9,
    MSGPACK_MAP16 = 0xde,
};

#define FIXMAP_MAX 15
#define FIXSTR_MAX 31
#define FIXINT_MAX 127
#define FIXINT_MIN (-32)

/* |first| and the lowest 1 << |log| bytes of |number|, most significant one first. */
static void put_head(struct buf *out, unsigned first, unsigned log, uint64_t number)
{
    uint8_t bytes[9] = {(uint8_t)first};
    unsigned n = 1U << log;
    for (unsigned i = 0; i < n; i++)
        bytes[1 + i] = (uint8_t)(number >> 8 * (n - 1 - i));
    buf_bytes(out, bytes, 1 + n);
}

/* The binary logarithm of the bytes that |number| needs: 1, 2, 4 or 8. */
static unsigned width_of(uint64_t number)
{
    return number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
}

/* |number|, or its length, behind the first byte of |kind| that fits. */
static void put_number(struct buf *out, unsigned kind, uint64_t number)
{
    unsigned log = width_of(number);
    put_head(out, kind + log, log, number);
}

static void put_unsigned(struct buf *out, uint64_t number)
{
    if (number <= FIXINT_MAX)
        buf_char(out, (char)number);
    else
        put_number(out, MSGPACK_UINT, number);
}

static void put_signed(struct buf *out, int64_t number)
{
    if (number >= 0) {
        put_unsigned(out, (uint64_t)number);
    } else if (number >= FIXINT_MIN) {
        buf_char(out, (char)number);
    } else {
        unsigned log = number >= INT8_MIN ? 0 : number >= INT16_MIN ? 1 : number >= INT32_MIN ? 2 : 3;
        put_head(out, MSGPACK_INT + log, log, (uint64_t)number);
    }
}

static void put_text(struct buf *out, const void *text, size_t n)
{
    if (n <= FIXSTR_MAX)
        buf_char(out, (char)(MSGPACK_FIXSTR | n));
    else
        put_number(out, MSGPACK_STR, n);
    buf_bytes(out, text, n);
}

static void put_value(struct buf *out, uint64_t family, const struct record_field *f,
                      const struct record_value *v)
{
    (void)family;
    switch ((enum record_type)f->type) {
    case TYPE_U32:
    case TYPE_U64:
        put_unsigned(out, v->number);
        break;
    case TYPE_I64:
    case TYPE_ENUM:
        put_signed(out, (int64_t)v->number);
        break;
    case TYPE_STRING:
        put_text(out, v->data, v->len);
        break;
    case TYPE_BYTES:
        put_number(out, MSGPACK_BIN, v->len);
        buf_bytes(out, v->data, v->len);
        break;
    }
}

/* The pairs that the map of |r| has. */
static size_t count_pairs(const struct format_columns *columns, const struct record_values *r)
{
    size_t n = 0;
    for (size_t i = 0; i < columns->labels.count; i++)
        n += columns->labels.list[i].value != NULL;
    for (size_t i = 0; i < columns->count; i++)
        n += record_set_has(&r->present, columns->list[i].index);
    return n;
}

static void put_labels(const struct format_labels *labels, struct buf *out)
{
    for (size_t i = 0; i < labels->count; i++) {
        const struct format_label *label = &labels->list[i];
        if (!label->value)
            continue;
        put_text(out, label->name, strlen(label->name));
        put_text(out, label->value, label->len);
    }
}

static void msgpack_key(struct buf *out, const struct record_field *f)
{
    put_text(out, f->name, f->name_len);
}

static void msgpack_record(const struct format_columns *columns, struct buf *out,
                           const struct record_values *r)
{
    size_t n = count_pairs(columns, r);
    if (n <= FIXMAP_MAX)
        buf_char(out, (char)(MSGPACK_FIXMAP | n));
    else
        put_head(out, MSGPACK_MAP16, 1, n);
    put_labels(&columns->labels, out);
    format_put_fields(columns, out, r, true, put_value, "");
}

const struct format format_msgpack = {
    .name = "msgpack",
    .doc = "MessagePack: a map of proto names for each record",
    .flags = FORMAT_BINARY | FORMAT_COLUMNS,
    .key = msgpack_key,
    .record = msgpack_record,
};
