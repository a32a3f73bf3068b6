#include "record/envelope.h"

#define ENVELOPE_ROW 10 /* Envelope.row */

int envelope_next(struct wire *w, const uint8_t **record, size_t *n)
{
    struct wire_field f;
    int rc;
    while ((rc = wire_next(w, &f)) > 0) {
        if (f.number != ENVELOPE_ROW)
            continue;
        if (f.type != WIRE_LEN)
            return ERR_MALFORMED;
        *record = f.data;
        *n = f.len;
        return 1;
    }
    return rc;
}

int64_t envelope_count(const uint8_t *bytes, size_t n)
{
    struct wire w = wire_over(bytes, n);
    const uint8_t *record;
    size_t len;
    int64_t rows = 0;
    int rc;
    while ((rc = envelope_next(&w, &record, &len)) > 0)
        rows++;
    return rc < 0 ? rc : rows;
}

size_t envelope_row_size(size_t len)
{
    return varint_size(ENVELOPE_ROW_TAG) + varint_size(len) + len;
}

size_t envelope_put_row_head(uint8_t out[ENVELOPE_ROW_HEAD_MAX], size_t len)
{
    return (size_t)(varint_put(varint_put(out, ENVELOPE_ROW_TAG), len) - out);
}

void envelope_put_row(struct buf *out, const uint8_t *record, size_t len)
{
    uint8_t head[ENVELOPE_ROW_HEAD_MAX];
    buf_bytes(out, head, envelope_put_row_head(head, len));
    buf_bytes(out, record, len);
}
