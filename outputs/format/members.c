/* The walk over the fields of a record that the forms with names have in common. */
#include "outputs/format/format.h"

void format_put_fields(const struct format_columns *columns, struct buf *out, const record_message *r,
                       bool zeros, format_put_value *put_value, const char *behind)
{
    for (size_t i = 0; i < columns->count; i++) {
        const struct format_column *c = &columns->list[i];
        struct record_value v = record_get(r, c->field);
        if (zeros ? !v.present : !v.in_record)
            continue;
        buf_bytes(out, c->key, c->key_len);
        put_value(out, r, c->field, &v);
        buf_str(out, behind);
    }
}

void format_put_members(const struct format_columns *columns, struct buf *out, const record_message *r,
                        bool zeros, format_put_value *put_value)
{
    format_put_fields(columns, out, r, zeros, put_value, ",");
    if (!out->failed && out->data[out->len - 1] == ',')
        out->len--;
    buf_char(out, '}');
}
