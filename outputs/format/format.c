#include "outputs/format/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/wire.h"
#include "record/envelope.h"

const struct format *const formats[] = {
#define FORMAT(id, name) &format_##name,
#include "outputs/format/formats.def"
#undef FORMAT
};
const size_t format_count = sizeof(formats) / sizeof(formats[0]);

struct format_writer {
    const struct format *format;
    struct format_columns columns;
    struct record_reader reader;
    bool started; /* a record has been written */
    bool chosen;  /* not all columns */
    struct format_column list[];
};

const struct format *format_by_name(const char *name)
{
    for (size_t i = 0; i < format_count; i++) {
        const char *alias = formats[i]->alias;
        if (strcmp(formats[i]->name, name) == 0 || (alias && strcmp(alias, name) == 0))
            return formats[i];
    }
    return NULL;
}

/* Fills the column of |field|. */
static int column_init(struct format_column *c, const struct format *f, const struct record_field *field)
{
    struct buf key;
    c->field = field;
    if (!f->key)
        return 0;
    buf_init(&key);
    f->key(&key, field);
    if (key.failed) {
        buf_free(&key);
        return -ENOMEM;
    }
    c->key = key.data; /* the column's from here on */
    c->key_len = key.len;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct format_column *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->key_len < y->key_len ? x->key_len : y->key_len);
    return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

int format_writer_new(const struct format *f, const struct record_field *const *columns, size_t n,
                      struct format_writer **out)
{
    *out = NULL;
    if (columns && !(f->flags & FORMAT_COLUMNS))
        return ERR_UNSUPPORTED;
    size_t count = columns ? n : FIELD_COUNT;
    struct format_writer *w = calloc(1, sizeof(*w) + count * sizeof(w->list[0]));
    if (!w)
        return -ENOMEM;
    w->format = f;
    w->chosen = columns != NULL;
    w->columns = (struct format_columns){.count = count, .list = w->list};
    for (size_t i = 0; i < count; i++) {
        int rc = column_init(&w->list[i], f, columns ? columns[i] : &record_fields[i]);
        if (rc < 0) {
            format_writer_free(w);
            return rc;
        }
    }
    if (f->flags & FORMAT_SORTED)
        qsort(w->list, count, sizeof(w->list[0]), by_key);
    *out = w;
    return 0;
}

void format_writer_free(struct format_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->columns.count; i++)
        free(w->list[i].key);
    record_reader_free(&w->reader);
    free(w);
}

void format_add_label(struct format_writer *w, const char *name)
{
    if (w->columns.labels.count < FORMAT_LABELS_MAX)
        w->columns.labels.list[w->columns.labels.count++].name = name;
}

void format_set_label(struct format_writer *w, size_t i, const char *value, size_t n)
{
    if (i >= w->columns.labels.count)
        return;
    w->columns.labels.list[i].value = value;
    w->columns.labels.list[i].len = n;
}

void format_begin(struct format_writer *w, struct buf *out, bool header)
{
    if (w->format->begin && (header || !(w->format->flags & FORMAT_HEADER)))
        w->format->begin(&w->columns, out);
}

void format_end(struct format_writer *w, struct buf *out)
{
    if (w->started && w->format->last)
        buf_str(out, w->format->last);
    if (w->format->end)
        buf_str(out, w->format->end);
}

void format_message(struct format_writer *w, struct buf *out, const record_message *r)
{
    const struct format *f = w->format;
    if (w->started && f->between)
        buf_str(out, f->between);
    w->started = true;
    f->record(&w->columns, out, r);
}

void format_both(struct format_writer *w, struct buf *out, const record_message *r, const uint8_t *bytes,
                 size_t n)
{
    if (w->format->serialized && !w->chosen)
        w->format->serialized(out, bytes, n);
    else
        format_message(w, out, r);
}

int format_record(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n)
{
    const record_message *r;
    int rc = record_unpack(&w->reader, bytes, n, &r);
    if (rc < 0)
        return rc;
    format_both(w, out, r, bytes, n);
    return 0;
}

int64_t format_envelope(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n)
{
    if (w->format->envelope && !w->chosen) {
        int64_t count = envelope_count(bytes, n);
        if (count >= 0)
            w->format->envelope(out, bytes, n);
        return count;
    }
    struct wire rows = wire_over(bytes, n);
    const uint8_t *record;
    size_t len;
    int64_t count = 0;
    int rc;
    while ((rc = envelope_next(&rows, &record, &len)) > 0) {
        rc = format_record(w, out, record, len);
        if (rc < 0)
            return rc;
        count++;
    }
    return rc < 0 ? rc : count;
}
