/* The canonical JSON mapping of protobuf (https://protobuf.dev/programming-guides/json/), one compact object
 * per line: lowerCamelCase names, 64-bit integers as strings, bytes as base64, enums by the names of their
 * values; fields with their default value are left out. protojson-envelope has all of them in one Envelope. */
#include <inttypes.h>

#include "lib/ascii.h"
#include "outputs/format/format.h"
#include "record/text.h"

/* json_name of a field: each letter behind an underscore in upper case, underscores dropped. */
static void protojson_key(struct buf *out, const struct record_field *f)
{
    buf_char(out, '"');
    for (const char *p = f->name; *p; p++) {
        if (*p != '_')
            buf_char(out, *p);
        else if (ascii_is_lower(p[1]))
            buf_char(out, ascii_upper(*++p));
    }
    buf_str(out, "\":");
}

static void put_enum(struct buf *out, const record_message *r, const struct record_field *f, int32_t number)
{
    const char *name = record_enum_name(r, f, (uint64_t)(int64_t)number);
    if (name)
        buf_printf(out, "\"%s\"", name);
    else
        buf_i64(out, number);
}

static void put_value(struct buf *out, const record_message *r, const struct record_field *f,
                      const struct record_value *v)
{
    switch ((enum record_type)f->type) {
    case TYPE_U32:
        buf_u64(out, v->number);
        break;
    case TYPE_U64:
        buf_printf(out, "\"%" PRIu64 "\"", v->number);
        break;
    case TYPE_I64:
        buf_printf(out, "\"%" PRId64 "\"", (int64_t)v->number);
        break;
    case TYPE_ENUM:
        put_enum(out, r, f, (int32_t)v->number);
        break;
    case TYPE_STRING:
        buf_json_string(out, (const char *)v->data, v->len);
        break;
    case TYPE_BYTES:
        buf_char(out, '"');
        buf_base64(out, v->data, v->len);
        buf_char(out, '"');
        break;
    }
}

static void put_object(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    buf_char(out, '{');
    format_put_members(columns, out, r, false, put_value);
}

static void protojson_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    put_object(columns, out, r);
    buf_char(out, '\n');
}

static void envelope_begin(const struct format_columns *columns, const struct format_labels *labels,
                           struct buf *out)
{
    (void)columns, (void)labels;
    buf_str(out, "{\"row\":[");
}

const struct format format_protojson = {
    .name = "protojson",
    .doc = "protobuf's own JSON, one object per line",
    .flags = FORMAT_COLUMNS,
    .key = protojson_key,
    .record = protojson_record,
};

const struct format format_protojson_envelope = {
    .name = "protojson-envelope",
    .doc = "protobuf's own JSON, one Envelope of all records",
    .flags = FORMAT_COLUMNS,
    .key = protojson_key,
    .begin = envelope_begin,
    .record = put_object,
    .between = ",",
    .end = "]}\n",
};
