/* Values in columns: a line with the names of the .proto, then one for each record, with values as jsonl has
 * them. A column without a value is empty; a zero that the kernel sent is 0 where the record tells that.
 * Lines end with a newline alone.
 *
 * csv is RFC 4180: separated by commas, texts in quotes where they need it. tsv is separated by tabs and has
 * no quotes: a backslash escapes what could not stand in a text, as the TSV of ClickHouse has it. */
#include <string.h>

#include "outputs/format/escape.h"
#include "outputs/format/format.h"
#include "record/text.h"

/* A text of csv; hidden characters are made visible (record_put_clean), so that a record stays on its line. */
static void put_quoted(struct buf *out, const char *text, size_t n)
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

static void put_hex(struct buf *out, uint8_t byte)
{
    buf_printf(out, "\\x%02X", byte);
}

/* A text of tsv. */
static void put_escaped(struct buf *out, const char *text, size_t n)
{
    static const struct escape escape = {.letters = "\\\\\tt\nn\rr", .put_byte = put_hex};
    escape_text(out, &escape, text, n);
}

/* The differences between the two forms. */
struct style {
    char separator;
    void (*put_text)(struct buf *out, const char *text, size_t n);
};

static const struct style csv = {',', put_quoted}, tsv = {'\t', put_escaped};

static void put_titles(const struct style *style, const struct format_columns *columns, struct buf *out)
{
    const struct format_labels *labels = &columns->labels;
    for (size_t i = 0; i < labels->count; i++) {
        buf_str(out, labels->list[i].name);
        buf_char(out, style->separator);
    }
    for (size_t i = 0; i < columns->count; i++) {
        if (i > 0)
            buf_char(out, style->separator);
        buf_bytes(out, columns->list[i].field->name, columns->list[i].field->name_len);
    }
    buf_char(out, '\n');
}

static void put_labels(const struct style *style, const struct format_labels *labels, struct buf *out)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->list[i].value)
            style->put_text(out, labels->list[i].value, labels->list[i].len);
        buf_char(out, style->separator);
    }
}

static void put_record(const struct style *style, const struct format_columns *columns, struct buf *out,
                       const struct record_values *r)
{
    const uint64_t family = record_values_number(r, FIELD_inet_diag_msg_family);
    put_labels(style, &columns->labels, out);
    for (size_t i = 0; i < columns->count; i++) {
        const struct format_column *c = &columns->list[i];
        if (i > 0)
            buf_char(out, style->separator);
        if (!record_set_has(&r->present, c->index))
            continue;
        struct record_value v = record_value_of(r, c->field);
        if (c->field->type == TYPE_STRING)
            style->put_text(out, (const char *)v.data, v.len);
        else
            record_print_value(out, family, c->field, &v);
    }
    buf_char(out, '\n');
}

static void csv_begin(const struct format_columns *columns, struct buf *out)
{
    put_titles(&csv, columns, out);
}

static void csv_record(const struct format_columns *columns, struct buf *out, const struct record_values *r)
{
    put_record(&csv, columns, out, r);
}

static void tsv_begin(const struct format_columns *columns, struct buf *out)
{
    put_titles(&tsv, columns, out);
}

static void tsv_record(const struct format_columns *columns, struct buf *out, const struct record_values *r)
{
    put_record(&tsv, columns, out, r);
}

const struct format format_csv = {
    .name = "csv",
    .content_type = "text/csv",
    .doc = "comma-separated values with a header line",
    .flags = FORMAT_COLUMNS | FORMAT_HEADER,
    .begin = csv_begin,
    .record = csv_record,
};

const struct format format_tsv = {
    .name = "tsv",
    .content_type = "text/tab-separated-values",
    .doc = "values separated by tabs, with a header line",
    .flags = FORMAT_COLUMNS | FORMAT_HEADER,
    .begin = tsv_begin,
    .record = tsv_record,
};
