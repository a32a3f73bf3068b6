/* Serialized Envelopes, each preceded by its length as a varint; and nothing at all. */
#include "lib/varint.h"
#include "outputs/format.h"

static void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    buf_bytes(out, bytes, (size_t)(varint_put(bytes, v) - bytes));
}

static void proto_envelope(struct buf *out, const uint8_t *bytes, size_t n)
{
    put_varint(out, n);
    buf_bytes(out, bytes, n);
}

/* One record is an Envelope of one row. */
static void proto_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    (void)columns;
    record_message *rows[] = {(record_message *)(uintptr_t)r};
    XtcpFlatRecord__V1__Envelope envelope = XTCP_FLAT_RECORD__V1__ENVELOPE__INIT;
    envelope.n_row = 1;
    envelope.row = rows;
    size_t n = xtcp_flat_record__v1__envelope__get_packed_size(&envelope);
    put_varint(out, n);
    char *to = buf_reserve(out, n);
    if (to)
        out->len += xtcp_flat_record__v1__envelope__pack(&envelope, (uint8_t *)to);
}

const struct format format_proto = {
    .name = "proto",
    .doc = "serialized Envelopes, each preceded by its length as a varint",
    .flags = FORMAT_BINARY,
    .record = proto_record,
    .envelope = proto_envelope,
};

static void null_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    (void)columns, (void)out, (void)r;
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
