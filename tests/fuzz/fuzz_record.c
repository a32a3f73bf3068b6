/* The encoder on parts of any length and content: its row must be one that readers accept, of
 * both kinds. The input is, for
 * each part in turn, a length of two bytes and that many bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"
#include "record/envelope.h"
#include "record/record.h"
#include "record/unpack.h"
#include "record/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_context c = {.netns = "blue", .timestamp_ns = 1, .poll_id = 1, .groups = GROUPS_ALL};
    struct record_frame frame;
    struct record_source s = {0};
    if (record_frame_init(&frame, &c) < 0)
        abort();
    for (unsigned part = 0; part < PART_COUNT && size >= 2; part++) {
        size_t n = data[0] | (size_t)data[1] << 8;
        n = n < size - 2 ? n : size - 2;
        s.data[part] = data + 2;
        s.len[part] = (uint16_t)n;
        data += 2 + n;
        size -= 2 + n;
    }

    uint8_t *row = malloc(RECORD_ROW_MAX);
    if (!row)
        return 0;
    size_t len = record_encode(&frame, &s, 1, row);
    struct wire rows = wire_over(row, len);
    const uint8_t *record;
    size_t n;
    struct record_reader reader = {0};
    static struct record_values values;
    const record_message *r;
    if (envelope_next(&rows, &record, &n) != 1 || rows.at != rows.end ||
        record_unpack(&reader, record, n, &r) != 0 || r->base.n_unknown_fields != 0 ||
        !record_values_read(&values, record, n))
        abort();
    record_reader_free(&reader);
    free(row);
    return 0;
}
