/* Serialized messages, each preceded by its length as a varint: Envelopes, or the records alone; and the form
 * that writes nothing. */
#include <string.h>

#include "lib/varint.h"
#include "outputs/format/format.h"
#include "record/envelope.h"
#include "record/mask.h"

static void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    buf_bytes(out, bytes, (size_t)(varint_put(bytes, v) - bytes));
}

static void put_delimited(struct buf *out, const uint8_t *bytes, size_t n)
{
    put_varint(out, n);
    buf_bytes(out, bytes, n);
}

/* One record is an Envelope of one row. */
static void list_serialized(struct buf *out, const uint8_t *bytes, size_t n)
{
    put_varint(out, envelope_row_size(n));
    envelope_put_row(out, bytes, n);
}

/* Takes the field |f| out of |r|, which shares its texts with another record. */
static void blank(record_message *r, const struct record_field *f)
{
    static const size_t sizes[] = {[TYPE_U32] = sizeof(uint32_t), [TYPE_U64] = sizeof(uint64_t),
                                   [TYPE_I64] = sizeof(int64_t),  [TYPE_BYTES] = sizeof(ProtobufCBinaryData),
                                   [TYPE_ENUM] = sizeof(int32_t), [TYPE_STRING] = sizeof(char *)};
    char *at = (char *)r + r->base.descriptor->fields[record_field_index(f)].offset;
    const char *empty = protobuf_c_empty_string;
    memset(at, 0, sizes[f->type]);
    if (f->type == TYPE_STRING)
        memcpy(at, &empty, sizeof(empty));
}

/* |r| with |columns| alone; it shares the texts of |r|. */
static record_message cut_record(const struct format_columns *columns, const record_message *r)
{
    record_message cut = *r;
    struct record_mask stays = {0};
    cut.base.n_unknown_fields = 0;
    for (size_t i = 0; i < columns->count; i++)
        record_mask_add_whole(&stays, columns->list[i].field);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (!record_mask_has(&stays, record_fields[i].number))
            blank(&cut, &record_fields[i]);
    return cut;
}

static void list_message(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    record_message cut = cut_record(columns, r), *rows[] = {&cut};
    XtcpFlatRecord__V1__Envelope envelope = XTCP_FLAT_RECORD__V1__ENVELOPE__INIT;
    envelope.n_row = 1;
    envelope.row = rows;
    size_t n = xtcp_flat_record__v1__envelope__get_packed_size(&envelope);
    put_varint(out, n);
    char *to = buf_reserve(out, n);
    if (to)
        out->len += xtcp_flat_record__v1__envelope__pack(&envelope, (uint8_t *)to);
}

const struct format format_protobuf_list = {
    .name = "protobuf-list",
    .alias = "proto",
    .doc = "serialized Envelopes, each preceded by its length as a varint",
    .flags = FORMAT_BINARY | FORMAT_COLUMNS,
    .message = list_message,
    .serialized = list_serialized,
    .envelope = put_delimited,
};

static void delimited_message(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    record_message cut = cut_record(columns, r);
    size_t n = xtcp_flat_record__v1__xtcp_flat_record__get_packed_size(&cut);
    put_varint(out, n);
    char *to = buf_reserve(out, n);
    if (to)
        out->len += xtcp_flat_record__v1__xtcp_flat_record__pack(&cut, (uint8_t *)to);
}

const struct format format_protobuf_delimited = {
    .name = "protobuf-delimited",
    .doc = "serialized records, each preceded by its length as a varint",
    .flags = FORMAT_BINARY | FORMAT_COLUMNS,
    .message = delimited_message,
    .serialized = put_delimited,
};

static void null_record(const struct format_columns *columns, struct buf *out, const struct record_values *v)
{
    (void)columns, (void)out, (void)v;
}

static void null_envelope(struct buf *out, const uint8_t *bytes, size_t n)
{
    (void)out, (void)bytes, (void)n;
}

const struct format format_null = {
    .name = "null",
    .doc = "nothing: records are received and dropped",
    .record = null_record,
    .envelope = null_envelope,
};
