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
    struct record_values values; /* of the record at hand */
    struct record_reader reader; /* of records that record_values_read leaves alone */
    bool started;                /* a record has been written */
    bool chosen;                 /* not all columns */
    struct format_column list[];
};

const char *format_content_type(const struct format *f)
{
    return f->content_type ? f->content_type : "application/octet-stream";
}

const struct format *format_by_name(const char *name)
{
    for (size_t i = 0; i < format_count; i++) {
        const char *alias = formats[i]->alias;
        if (strcmp(formats[i]->name, name) == 0 || (alias && strcmp(alias, name) == 0))
            return formats[i];
    }
    return NULL;
}

#define KEY_MARGIN 4 /* what a form puts around a name, at most */
#define RECORD_FIELD(number, name, ...)                                                                      \
    _Static_assert(sizeof(#name) - 1 + KEY_MARGIN <= FORMAT_KEY_MAX, #name ": the key fits");
#include "record/fields.def"

/* Fills the column of |field|. */
static void column_init(struct format_column *c, const struct format *f, const struct record_field *field)
{
    struct buf key;
    c->field = field;
    c->index = (uint8_t)record_field_index(field);
    c->type = field->type;
    c->print = field->print;
    buf_init_fixed(&key, c->key, sizeof(c->key));
    if (f->key)
        f->key(&key, field);
    c->key_len = (uint8_t)key.len;
}

static int by_key(const void *a, const void *b)
{
    const struct format_column *x = a, *y = b;
    return memcmp(x->key, y->key, FORMAT_KEY_MAX); /* filled up with zeros */
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
    for (size_t i = 0; i < count; i++)
        column_init(&w->list[i], f, columns ? columns[i] : &record_fields[i]);
    if (f->flags & FORMAT_SORTED)
        qsort(w->list, count, sizeof(w->list[0]), by_key);
    *out = w;
    return 0;
}

void format_writer_free(struct format_writer *w)
{
    if (!w)
        return;
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

void format_restart(struct format_writer *w)
{
    w->started = false;
}

size_t format_end_size(const struct format_writer *w)
{
    return (w->format->last ? strlen(w->format->last) : 0) + (w->format->end ? strlen(w->format->end) : 0);
}

void format_end(struct format_writer *w, struct buf *out)
{
    if (w->started && w->format->last)
        buf_str(out, w->format->last);
    if (w->format->end)
        buf_str(out, w->format->end);
}

/* The text in front of any record. */
static void begin_record(struct format_writer *w, struct buf *out)
{
    if (w->started && w->format->between)
        buf_str(out, w->format->between);
    w->started = true;
}

/* Whether a record is written as its bytes are. */
static bool takes_bytes(const struct format_writer *w)
{
    return w->format->serialized && !w->chosen;
}

static void put_values(struct format_writer *w, struct buf *out)
{
    begin_record(w, out);
    w->format->record(&w->columns, out, &w->values);
}

void format_message(struct format_writer *w, struct buf *out, const record_message *r)
{
    if (w->format->message) {
        begin_record(w, out);
        w->format->message(&w->columns, out, r);
    } else {
        record_values_of(&w->values, r);
        put_values(w, out);
    }
}

void format_both(struct format_writer *w, struct buf *out, const record_message *r, const uint8_t *bytes,
                 size_t n)
{
    if (takes_bytes(w))
        w->format->serialized(out, bytes, n);
    else if (!w->format->message && record_values_read(&w->values, bytes, n))
        put_values(w, out);
    else
        format_message(w, out, r);
}

/* A record is decoded only if it has to be: the form wants it, or record_values_read leaves it alone. */
int format_record(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n)
{
    const record_message *r = NULL;
    bool decode = (w->format->message && !takes_bytes(w)) || !record_values_read(&w->values, bytes, n);
    int rc = decode ? record_unpack(&w->reader, bytes, n, &r) : 0;
    if (rc < 0)
        return rc;
    if (takes_bytes(w))
        w->format->serialized(out, bytes, n);
    else if (decode)
        format_message(w, out, r);
    else
        put_values(w, out);
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
