/* Reads an Envelope from anybody: walks it, reads each record, in place and decoded, and writes it both times. The first byte
 * chooses the form, or that each field is printed by itself. */
#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"
#include "outputs/format/format.h"
#include "record/envelope.h"
#include "record/text.h"

/* Appends the envelope in the form |f|; returns the form's result. */
static int64_t write_form(const struct format *f, struct buf *out, const uint8_t *data, size_t size)
{
    struct format_writer *w;
    if (format_writer_new(f, NULL, 0, &w) < 0)
        return 0;
    format_begin(w, out, true);
    int64_t rows = format_envelope(w, out, data, size);
    format_end(w, out);
    format_writer_free(w);
    return rows;
}

/* Appends the same by way of decoded records. */
static void write_decoded(const struct format *f, struct buf *out, const uint8_t *data, size_t size)
{
    struct format_writer *w;
    struct record_reader reader = {0};
    struct wire rows = wire_over(data, size);
    const uint8_t *record;
    size_t n;
    const record_message *r;
    if (format_writer_new(f, NULL, 0, &w) < 0)
        return;
    format_begin(w, out, true);
    while (envelope_next(&rows, &record, &n) > 0 && record_unpack(&reader, record, n, &r) == 0)
        format_message(w, out, r);
    format_end(w, out);
    format_writer_free(w);
    record_reader_free(&reader);
}

/* What is read in place is a record, with the same values. */
static void check_values(const struct record_values *values, const uint8_t *record, size_t n)
{
    struct record_reader reader = {0};
    const record_message *r;
    if (record_unpack(&reader, record, n, &r) != 0)
        abort();
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        struct record_value a = record_get(r, &record_fields[i]),
                            b = record_value_of(values, &record_fields[i]);
        if (a.present != b.present || a.in_record != b.in_record || a.number != b.number || a.len != b.len ||
            (a.len && memcmp(a.data, b.data, a.len) != 0))
            abort();
    }
    record_reader_free(&reader);
}

#define ANY (-1)

/* The lines of |rows| records in |f|, or ANY. */
static int64_t lines_of(const struct format *f, int64_t rows)
{
    if (f == &format_protojson_envelope)
        return 1;
    if (f == &format_prototext)
        return ANY;
    return rows + (f->end ? 2 : f->flags & FORMAT_HEADER ? 1 : 0);
}

/* A text form has |lines|, unless that is ANY, and nothing that drives a terminal, |separator| excepted. */
static void check_text(const struct buf *out, int64_t lines, char separator)
{
    int64_t found = 0;
    for (size_t i = 0; i < out->len; i++) {
        uint8_t c = (uint8_t)out->data[i];
        if (c == '\n')
            found++;
        else if ((c < 0x20 || c == 0x7f) && c != (uint8_t)separator)
            abort();
    }
    if (lines != ANY && lines != found)
        abort();
}

static void check_form(const struct format *f, const uint8_t *data, size_t size)
{
    struct buf out, decoded;
    buf_init(&out);
    buf_init(&decoded);
    int64_t rows = write_form(f, &out, data, size);
    if (f->record && !f->envelope) { /* also when a row is broken: those before it are there */
        write_decoded(f, &decoded, data, size);
        if (out.len != decoded.len || (out.len && memcmp(out.data, decoded.data, out.len) != 0))
            abort();
    }
    if (rows >= 0 && out.len > 0 && !(f->flags & FORMAT_BINARY))
        check_text(&out, lines_of(f, rows), f == &format_tsv ? '\t' : 0);
    buf_free(&out);
    buf_free(&decoded);
}

static void print_fields(const uint8_t *data, size_t size)
{
    static struct record_values values;
    struct record_reader reader = {0};
    struct wire rows = wire_over(data, size);
    const uint8_t *record;
    size_t n;
    const record_message *r;
    while (envelope_next(&rows, &record, &n) > 0) {
        if (record_values_read(&values, record, n))
            check_values(&values, record, n);
        if (record_unpack(&reader, record, n, &r) < 0)
            continue;
        struct buf out;
        buf_init(&out);
        for (unsigned i = 0; i < FIELD_COUNT; i++) {
            struct record_value v = record_get(r, &record_fields[i]);
            record_print_value(&out, r->inet_diag_msg_family, &record_fields[i], &v);
        }
        check_text(&out, 0, 0);
        buf_free(&out);
    }
    record_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t chosen = data[0] % (format_count + 1);
    if (chosen < format_count)
        check_form(formats[chosen], data + 1, size - 1);
    else
        print_fields(data + 1, size - 1);
    return 0;
}
