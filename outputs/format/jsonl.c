/* JSON for people and scripts, a line or an element of a list for each record: one object for each record,
 * the names of the .proto, addresses as text, states and algorithms by name, numbers as numbers. A field
 * without a value is not in the object; a zero that the kernel sent is 0 where the record tells that. */
#include <string.h>

#include "lib/clock.h"
#include "lib/digits.h"
#include "outputs/format/format.h"
#include "record/names.h"
#include "record/text.h"

static void jsonl_key(struct buf *out, const struct record_field *f)
{
    buf_printf(out, "\"%s\":", f->name);
}

/* ---- Members ---- */

/* Members are written at a place that has room for all of them, whatever they are; texts that may be longer than TEXT_ROOM go
 * through the buffer. */
#define TEXT_ROOM   64 /* also for an address, a number, a name */
#define MEMBER_ROOM (FORMAT_KEY_MAX + sizeof("\"\",") - 1 + TEXT_ROOM)
#define TIME_ROOM   (sizeof("\"timestamp\":\"\",") - 1 + CLOCK_TEXT_MAX)
_Static_assert(TEXT_ROOM >= RECORD_ADDRESS_MAX && TEXT_ROOM >= DIGITS_MAX + 1, "they fit");

static char *put_text(char *at, const char *text, size_t n)
{
    *at++ = '"';
    memcpy(at, text, n);
    at += n;
    *at++ = '"';
    return at;
}

static char *put_signed(char *at, int64_t number)
{
    if (number >= 0)
        return digits_put(at, (uint64_t)number);
    *at = '-';
    return digits_put(at + 1, 0 - (uint64_t)number);
}

/* A number, or the name of what it stands for. */
static char *put_number(char *at, const struct format_column *c, uint64_t number)
{
    const char *name = record_value_name(c->field, number);
    if (name)
        return put_text(at, name, strnlen(name, TEXT_ROOM));
    bool is_signed = c->type == TYPE_I64 || c->type == TYPE_ENUM;
    return is_signed ? put_signed(at, (int64_t)number) : digits_put(at, number);
}

/* Whether the values of |c| are numbers without a sign or a name, as nearly all are. */
static inline bool is_plain_number(const struct format_column *c)
{
    return c->type <= TYPE_U64 && (c->print < PRINT_STATE || c->print > PRINT_EVENT);
}

static char *put_address(char *at, uint64_t family, const struct record_slot *slot)
{
    *at++ = '"';
    at = record_put_address(family, slot->data, slot->len, at);
    *at++ = '"';
    return at;
}

/* Whether JSON has the bytes as they are. */
static bool is_plain(const uint8_t *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] >= 0x7f || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

/* Writes a text at |at|, the end of |out|, where there is |room| again behind it. Returns that place, or NULL without memory. */
static char *put_string(struct buf *out, char *at, const struct record_slot *slot, size_t room)
{
    if (slot->len <= TEXT_ROOM && is_plain(slot->data, slot->len))
        return put_text(at, (const char *)slot->data, slot->len);
    out->len = (size_t)(at - out->data);
    buf_json_string(out, (const char *)slot->data, slot->len);
    return buf_reserve(out, room);
}

static bool has_column(const struct format_columns *columns, enum record_field_id field)
{
    for (size_t i = 0; i < columns->count; i++)
        if (columns->list[i].index == field)
            return true;
    return false;
}

/* RFC 3339 beside the nanoseconds, and before everything else, so that a person sees it. */
static char *put_timestamp(char *at, const struct format_columns *columns, const struct record_values *v)
{
    static const char key[] = "\"timestamp\":\"";
    int64_t ns = (int64_t)record_values_number(v, FIELD_timestamp_ns);
    if (ns == 0 || !has_column(columns, FIELD_timestamp_ns))
        return at;
    memcpy(at, key, sizeof(key) - 1);
    at = clock_put(at + sizeof(key) - 1, ns, 9);
    *at++ = '"';
    *at++ = ',';
    return at;
}

/* All members, and the end of the object. */
static void put_members(const struct format_columns *columns, struct buf *out, const struct record_values *v)
{
    const size_t room = TIME_ROOM + columns->count * MEMBER_ROOM + 1;
    const uint64_t family = record_values_number(v, FIELD_inet_diag_msg_family);
    const struct record_set present = v->present; /* a copy that no store below can change */
    char *at = buf_reserve(out, room);
    if (at)
        at = put_timestamp(at, columns, v);
    for (const struct format_column *c = columns->list, *end = c + columns->count; at && c < end; c++) {
        const struct record_slot *slot = &v->slots[c->index];
        if (!record_set_has(&present, c->index))
            continue;
        at = format_put_key(at, c);
        if (is_plain_number(c))
            at = digits_put(at, slot->number);
        else if (c->type == TYPE_STRING)
            at = put_string(out, at, slot, room);
        else if (c->type == TYPE_BYTES)
            at = put_address(at, family, slot);
        else
            at = put_number(at, c, slot->number);
        if (at)
            *at++ = ',';
    }
    if (!at)
        return;
    if (at[-1] == ',')
        at--;
    *at++ = '}';
    out->len = (size_t)(at - out->data);
}

/* ---- Objects ---- */

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

static void json_record(const struct format_columns *columns, struct buf *out, const struct record_values *v)
{
    buf_char(out, '{');
    put_labels(&columns->labels, out);
    put_members(columns, out, v);
}

static void jsonl_record(const struct format_columns *columns, struct buf *out, const struct record_values *v)
{
    json_record(columns, out, v);
    buf_char(out, '\n');
}

static void json_begin(const struct format_columns *columns, struct buf *out)
{
    (void)columns;
    buf_str(out, "[\n");
}

const struct format format_jsonl = {
    .name = "jsonl",
    .content_type = "application/x-ndjson",
    .doc = "one JSON object per line: proto names, addresses as text, states by name",
    .flags = FORMAT_COLUMNS,
    .key = jsonl_key,
    .record = jsonl_record,
};

const struct format format_json = {
    .name = "json",
    .content_type = "application/json",
    .doc = "one JSON list of all records, each as jsonl has it",
    .flags = FORMAT_COLUMNS,
    .key = jsonl_key,
    .begin = json_begin,
    .record = json_record,
    .between = ",\n",
    .last = "\n",
    .end = "]\n",
};
