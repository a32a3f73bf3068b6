/* The canonical JSON mapping of protobuf (https://protobuf.dev/programming-guides/json/), one compact object
 * per line: lowerCamelCase names, 64-bit integers as strings, bytes as base64, enums by the names of their
 * values; fields with their default value are left out. protojson-envelope has all of them in one Envelope;
 * humanize is what the Go daemon calls so: keys in the order of their bytes, and some values for people. */
#include <string.h>
#include <sys/socket.h>

#include "lib/ascii.h"
#include "lib/clock.h"
#include "outputs/format/format.h"
#include "record/names.h"
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

static void put_enum(struct buf *out, const struct record_field *f, uint64_t number)
{
    const char *name = record_enum_name(f, number);
    if (name)
        buf_printf(out, "\"%s\"", name);
    else
        buf_i64(out, (int64_t)number);
}

static void put_value(struct buf *out, uint64_t family, const struct record_field *f,
                      const struct record_value *v)
{
    (void)family;
    switch ((enum record_type)f->type) {
    case TYPE_U32:
        buf_u64(out, v->number);
        break;
    case TYPE_U64:
        buf_char(out, '"');
        buf_u64(out, v->number);
        buf_char(out, '"');
        break;
    case TYPE_I64:
        buf_char(out, '"');
        buf_i64(out, (int64_t)v->number);
        buf_char(out, '"');
        break;
    case TYPE_ENUM:
        put_enum(out, f, v->number);
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

static void put_object(const struct format_columns *columns, struct buf *out, const struct record_values *r)
{
    buf_char(out, '{');
    format_put_members(columns, out, r, false, put_value);
}

static void protojson_record(const struct format_columns *columns, struct buf *out,
                             const struct record_values *r)
{
    put_object(columns, out, r);
    buf_char(out, '\n');
}

static void envelope_begin(const struct format_columns *columns, struct buf *out)
{
    (void)columns;
    buf_str(out, "{\"row\":[");
}

/* ---- humanize ---- */

/* A string that can stand in HTML. */
static void put_html_safe(struct buf *out, const char *text, size_t n)
{
    const char *end = text + n;
    buf_char(out, '"');
    while (text < end) {
        const char *special = text;
        while (special < end && *special != '<' && *special != '>' && *special != '&')
            special++;
        buf_json_text(out, text, (size_t)(special - text));
        if (special < end)
            buf_printf(out, "\\u%04x", (unsigned)*special++);
        text = special;
    }
    buf_char(out, '"');
}

/* An address; of an IPv4 one that is mapped into IPv6 the IPv4 one. */
static void put_address(struct buf *out, uint64_t family, const struct record_value *v)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char address[RECORD_ADDRESS_MAX];
    bool is_mapped = v->len == 16 && family != AF_INET && memcmp(v->data, mapped, sizeof(mapped)) == 0;
    size_t cut = is_mapped ? sizeof(mapped) : 0;
    record_put_address(family, v->data + cut, v->len - cut, address);
    buf_printf(out, "\"%s\"", address);
}

/* RFC 3339 without the zeros at the end of a fraction. */
static void put_time(struct buf *out, int64_t ns)
{
    char time[CLOCK_TEXT_MAX];
    clock_format(ns, 9, time);
    size_t n = strlen(time) - 1; /* without the Z */
    while (time[n - 1] == '0')
        n--;
    if (time[n - 1] == '.')
        n--;
    buf_printf(out, "\"%.*sZ\"", (int)n, time);
}

static void put_algorithm(struct buf *out, const struct record_field *f, uint64_t number)
{
    static const char prefix[] = "CONGESTION_ALGORITHM_";
    const char *name = record_enum_name(f, number);
    if (name)
        buf_printf(out, "\"%s\"", name + sizeof(prefix) - 1);
    else
        buf_i64(out, (int64_t)number);
}

static void put_human_value(struct buf *out, uint64_t family, const struct record_field *f,
                            const struct record_value *v)
{
    const char *state = f->print == PRINT_STATE ? record_state_name(v->number) : NULL;
    if (state)
        buf_printf(out, "\"%s\"", state);
    else if (f->type == TYPE_STRING)
        put_html_safe(out, (const char *)v->data, v->len);
    else if (f->type == TYPE_BYTES)
        put_address(out, family, v);
    else if (f->print == PRINT_ALGORITHM)
        put_algorithm(out, f, v->number);
    else if (f == &record_fields[FIELD_timestamp_ns])
        put_time(out, (int64_t)v->number);
    else
        put_value(out, family, f, v);
}

static void humanize_record(const struct format_columns *columns, struct buf *out,
                            const struct record_values *r)
{
    buf_char(out, '{');
    format_put_members(columns, out, r, false, put_human_value);
    buf_char(out, '\n');
}

const struct format format_protojson = {
    .name = "protojson",
    .content_type = "application/x-ndjson",
    .doc = "protobuf's own JSON, one object per line",
    .flags = FORMAT_COLUMNS,
    .key = protojson_key,
    .record = protojson_record,
};

const struct format format_protojson_envelope = {
    .name = "protojson-envelope",
    .content_type = "application/json",
    .doc = "protobuf's own JSON, one Envelope of all records",
    .flags = FORMAT_COLUMNS,
    .key = protojson_key,
    .begin = envelope_begin,
    .record = put_object,
    .between = ",",
    .end = "]}\n",
};

const struct format format_humanize = {
    .name = "humanize",
    .doc = "protobuf's own JSON with addresses, states and times for people",
    .flags = FORMAT_COLUMNS | FORMAT_SORTED,
    .key = protojson_key,
    .record = humanize_record,
};
