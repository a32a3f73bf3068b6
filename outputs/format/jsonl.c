/* JSON for people and scripts, a line or an element of a list for each record: one object for each record,
 * the names of the .proto, addresses as text, states and algorithms by name, numbers as numbers. A field
 * without a value is not in the object; a zero that the kernel sent is 0 where the record tells that. */
#include "lib/clock.h"
#include "outputs/format/format.h"
#include "record/names.h"
#include "record/text.h"

static void jsonl_key(struct buf *out, const struct record_field *f)
{
    buf_printf(out, "\"%s\":", f->name);
}

/* RFC 3339 beside the nanoseconds, and before everything else, so that a person sees it. */
static void put_timestamp(struct buf *out, const struct format_columns *columns, const record_message *r)
{
    char time[CLOCK_TEXT_MAX];
    for (size_t i = 0; i < columns->count; i++) {
        if (columns->list[i].field != &record_fields[FIELD_timestamp_ns] || r->timestamp_ns == 0)
            continue;
        clock_format(r->timestamp_ns, 9, time);
        buf_printf(out, "\"timestamp\":\"%s\",", time);
        return;
    }
}

static void put_value(struct buf *out, const record_message *r, const struct record_field *f,
                      const struct record_value *v)
{
    char address[RECORD_ADDRESS_MAX];
    const char *name = record_value_name(f, v->number);
    if (f->type == TYPE_STRING) {
        buf_json_string(out, (const char *)v->data, v->len);
    } else if (f->type == TYPE_BYTES) {
        record_address_text(r, v->data, v->len, address);
        buf_printf(out, "\"%s\"", address);
    } else if (name) {
        buf_printf(out, "\"%s\"", name);
    } else if (f->type == TYPE_I64 || f->type == TYPE_ENUM) {
        buf_i64(out, (int64_t)v->number);
    } else {
        buf_u64(out, v->number);
    }
}

/* The members that stand before everything else. */
static void put_labels(const struct format_labels *labels, struct buf *out)
{
    for (size_t i = 0; i < labels->count; i++) {
        const struct format_label *label = &labels->list[i];
        if (!label->value)
            continue;
        buf_printf(out, "\"%s\":", label->name);
        buf_json_string(out, label->value, label->len);
        buf_char(out, ',');
    }
}

static void json_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    buf_char(out, '{');
    put_labels(&columns->labels, out);
    put_timestamp(out, columns, r);
    format_put_members(columns, out, r, true, put_value);
}

static void jsonl_record(const struct format_columns *columns, struct buf *out, const record_message *r)
{
    json_record(columns, out, r);
    buf_char(out, '\n');
}

static void json_begin(const struct format_columns *columns, struct buf *out)
{
    (void)columns;
    buf_str(out, "[\n");
}

const struct format format_jsonl = {
    .name = "jsonl",
    .doc = "one JSON object per line: proto names, addresses as text, states by name",
    .flags = FORMAT_COLUMNS,
    .key = jsonl_key,
    .record = jsonl_record,
};

const struct format format_json = {
    .name = "json",
    .doc = "one JSON list of all records, each as jsonl has it",
    .flags = FORMAT_COLUMNS,
    .key = jsonl_key,
    .begin = json_begin,
    .record = json_record,
    .between = ",\n",
    .last = "\n",
    .end = "]\n",
};
