/* Comma-separated values (RFC 4180, lines end with a newline alone): a line with the names of the .proto,
 * then one for each record, with values as jsonl has them. What is not in the record is empty. */
#include <string.h>

#include "outputs/format.h"
#include "record/text.h"

static void csv_begin(const struct format_columns *columns, struct buf *out)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (i > 0)
            buf_char(out, ',');
        buf_bytes(out, columns->list[i].field->name, columns->list[i].field->name_len);
    }
    buf_char(out, '\n');
}

/* A string; control characters are made visible, so that a record stays on its line. */
static void put_string(struct buf *out, const char *text, size_t n)
{
    if (!memchr(text, ',', n) && !memchr(text, '"', n)) {
        record_put_clean(out, text, n);
        return;
    }
    const char *end = text + n;
    buf_char(out, '"');
    for (const char *quote; (quote = memchr(text, '"', (size_t)(end - text))); text = quote + 1) {
        record_put_clean(out, text, (size_t)(quote - text));
        buf_str(out, "\"\"");
    }
    record_put_clean(out, text, (size_t)(end - text));
    buf_char(out, '"');
}

static void csv_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    for (size_t i = 0; i < columns->count; i++) {
        const struct record_field *f = columns->list[i].field;
        if (i > 0)
            buf_char(out, ',');
        if (f->type == TYPE_STRING) {
            struct record_value v = record_get(r, f);
            if (v.present)
                put_string(out, (const char *)v.data, v.len);
        } else {
            record_print(out, r, f);
        }
    }
    buf_char(out, '\n');
}

const struct format format_csv = {
    .name = "csv",
    .doc = "comma-separated values with a header line",
    .flags = FORMAT_COLUMNS | FORMAT_HEADER,
    .begin = csv_begin,
    .record = csv_record,
};
