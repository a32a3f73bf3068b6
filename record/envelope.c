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
