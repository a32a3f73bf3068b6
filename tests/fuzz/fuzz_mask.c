/* Cutting rows: of whatever bytes, what comes out is what a plain walk over the fields picks. The input is a
 * number of fields, that many bytes that choose them, and rows. */
#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"
#include "record/mask.h"

/* The row that begins with |tag| and holds the fields of the message that stay, one after the other. */
static size_t expect(const struct record_mask *m, uint8_t tag, const uint8_t *record, size_t len,
                     uint8_t *out)
{
    uint8_t *kept = malloc(len + 1);
    size_t n = 0;
    struct wire w = wire_over(record, len);
    struct wire_field f;
    if (!kept)
        abort();
    for (const uint8_t *at = w.at; wire_next(&w, &f) > 0 && f.number <= m->last; at = w.at) {
        if (m->numbers[f.number / 64] >> f.number % 64 & 1) {
            memcpy(kept + n, at, (size_t)(w.at - at));
            n += (size_t)(w.at - at);
        }
    }
    *out = tag;
    uint8_t *end = varint_put(out + 1, n);
    memcpy(end, kept, n);
    free(kept);
    return (size_t)(end - out) + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_mask m = {0};
    size_t names = size ? data[0] : 0;
    if (size < 1 + names)
        return 0;
    for (size_t i = 0; i < names; i++) {
        if (record_mask_add(&m, record_fields[data[1 + i] % FIELD_COUNT].name, NULL) != 0)
            abort();
    }
    data += 1 + names;
    size -= 1 + names;
    while (size > 0) {
        size_t n = size;
        uint8_t *out = malloc(size); /* of exactly the size that is promised to be enough */
        uint8_t *expected = malloc(size + VARINT_MAX + 1);
        if (!out || !expected)
            abort();
        int64_t len = record_mask_row(&m, data, &n, out);
        if (len >= 0) {
            uint64_t message = 0;
            size_t head = 1 + varint_get(data + 1, size - 1, &message);
            if (n > size || n != head + message)
                abort();
            size_t want = expect(&m, data[0], data + head, (size_t)message, expected);
            if ((size_t)len != want || memcmp(out, expected, want) != 0)
                abort();
        }
        free(out);
        free(expected);
        if (len < 0)
            break;
        data += n;
        size -= n;
    }
    return 0;
}
