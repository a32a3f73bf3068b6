/* The walk over the fields of a record that the forms with names have in common. */
#include "outputs/format/format.h"

void format_put_fields(const struct format_columns *columns, struct buf *out, const struct record_values *r,
                       bool zeros, format_put_value *put_value, const char *behind)
{
    const struct record_set *shown = zeros ? &r->present : &r->in_record;
    const uint64_t family = record_values_number(r, FIELD_inet_diag_msg_family);
    for (size_t i = 0; i < columns->count; i++) {
        const struct format_column *c = &columns->list[i];
        if (!record_set_has(shown, c->index))
            continue;
        struct record_value v = record_value_of(r, c->field);
        char *at = buf_reserve(out, FORMAT_KEY_MAX);
        if (at)
            out->len = (size_t)(format_put_key(at, c) - out->data);
        put_value(out, family, c->field, &v);
        buf_str(out, behind);
    }
}

void format_put_members(const struct format_columns *columns, struct buf *out, const struct record_values *r,
                        bool zeros, format_put_value *put_value)
{
    format_put_fields(columns, out, r, zeros, put_value, ",");
    if (!out->failed && out->data[out->len - 1] == ',')
        out->len--;
    buf_char(out, '}');
}
