/* The text format of protobuf (https://protobuf.dev/reference/protobuf/textformat-spec/) of one Envelope: a block
 * for each record, a line for each field; fields with their default value are left out. */
#include "lib/utf8.h"
#include "outputs/format/escape.h"
#include "outputs/format/format.h"
#include "record/text.h"

static void prototext_key(struct buf *out, const struct record_field *f)
{
    buf_printf(out, "  %s: ", f->name);
}

static void put_octal(struct buf *out, uint8_t byte)
{
    buf_printf(out, "\\%03o", byte);
}

/* The escapes of C. A string with bytes that are not UTF-8 could not be read back. */
static const struct escape c_escape = {
    .letters = "\\\\\"\"\nn\rr\tt", .put_byte = put_octal, .invalid = UTF8_REPLACEMENT};

static void put_value(struct buf *out, uint64_t family, const struct record_field *f,
                      const struct record_value *v)
{
    (void)family;
    const char *name = f->type == TYPE_ENUM ? record_enum_name(f, v->number) : NULL;
    if (f->type == TYPE_STRING || f->type == TYPE_BYTES) {
        buf_char(out, '"');
        if (f->type == TYPE_STRING)
            escape_text(out, &c_escape, v->data, v->len);
        else
            escape_bytes(out, &c_escape, v->data, v->len);
        buf_char(out, '"');
    } else if (name) {
        buf_str(out, name);
    } else if (f->type == TYPE_I64 || f->type == TYPE_ENUM) {
        buf_i64(out, (int64_t)v->number);
    } else {
        buf_u64(out, v->number);
    }
}

static void prototext_record(const struct format_columns *columns, struct buf *out,
                             const struct record_values *r)
{
    buf_str(out, "row: {\n");
    format_put_fields(columns, out, r, false, put_value, "\n");
    buf_str(out, "}\n");
}

const struct format format_prototext = {
    .name = "prototext",
    .content_type = "text/plain; charset=utf-8",
    .doc = "protobuf's own text, a block per record and a line per field",
    .flags = FORMAT_COLUMNS,
    .key = prototext_key,
    .record = prototext_record,
};
