#include "client/show/sorter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "record/text.h"

/* A value to compare: a number, or bytes in |order.bytes|. */
struct value {
    uint64_t number;
    size_t at;
    size_t len;
    bool present;
};

struct entry {
    size_t order; /* of its coming */
    size_t at;    /* of the record in |order.bytes| */
    size_t len;
    const char *node;
};

struct sorter {
    const struct view *view;
    const struct measured_rate *measured; /* NULL: nothing is */
    struct buf bytes;
    struct entry *entries;
    struct value *values; /* n_keys for each entry, in the order of their coming */
    size_t n;
    size_t cap;
};

struct sorter *sorter_new(const struct view *v)
{
    struct sorter *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->view = v;
    buf_init(&o->bytes);
    return o;
}

void sorter_measure(struct sorter *o, const struct measured_rate *m)
{
    o->measured = m;
}

void sorter_free(struct sorter *o)
{
    if (!o)
        return;
    buf_free(&o->bytes);
    free(o->entries);
    free(o->values);
    free(o);
}

/* Appends |n| bytes and returns their place. */
static size_t keep(struct sorter *o, const void *data, size_t n)
{
    size_t at = o->bytes.len;
    if (n)
        buf_bytes(&o->bytes, data, n);
    return at;
}

/* The row that was kept at |at|. When all rows were empty there is no memory, and nothing to add an offset
 * to. */
static const uint8_t *kept(const struct sorter *o, size_t at)
{
    return o->bytes.data ? (const uint8_t *)o->bytes.data + at : (const uint8_t *)"";
}

int sorter_add(struct sorter *o, const uint8_t *row, size_t len, const record_message *r, const char *node)
{
    size_t before = o->bytes.len;
    if (o->n && before + len > SORTER_BYTES_MAX)
        return ERR_LIMIT;
    size_t cap = o->cap; /* of both */
    if (array_room(&o->entries, o->n + 1, &cap, sizeof(*o->entries)) ||
        array_room(&o->values, o->n + 1, &o->cap, o->view->n_keys * sizeof(*o->values)))
        return -ENOMEM;
    o->entries[o->n] = (struct entry){.order = o->n, .at = keep(o, row, len), .len = len, .node = node};
    for (size_t i = 0; i < o->view->n_keys; i++) {
        const struct view_key *key = &o->view->keys[i];
        struct record_value v = {0};
        if (key->own && key->own->rank)
            v.present = key->own->rank(r, &v.number);
        else
            v = record_get(r, key->field);
        if (key->own && key->own->measured && o->measured && measured_rate(o->measured, r, node, &v.number))
            v.present = true;
        if (!v.present)
            v.number = 0;
        o->values[o->n * o->view->n_keys + i] = (struct value){
            .number = v.number, .at = keep(o, v.data, v.len), .len = v.len, .present = v.present};
    }
    if (o->bytes.failed) {
        o->bytes.failed = false;
        o->bytes.len = before;
        return -ENOMEM;
    }
    o->n++;
    return 0;
}

static int compare_values(const struct sorter *o, const struct record_field *f, const struct value *a,
                          const struct value *b)
{
    if (f->type == TYPE_I64 || f->type == TYPE_ENUM)
        return ((int64_t)a->number > (int64_t)b->number) - ((int64_t)a->number < (int64_t)b->number);
    if (f->type != TYPE_STRING && f->type != TYPE_BYTES && a->number == b->number)
        return a->present - b->present; /* a missing value is before zero */
    if (f->type != TYPE_STRING && f->type != TYPE_BYTES)
        return (a->number > b->number) - (a->number < b->number);
    size_t least = a->len < b->len ? a->len : b->len;
    int c = memcmp(kept(o, a->at), kept(o, b->at), least);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static int compare(const void *a, const void *b, void *context)
{
    const struct sorter *o = context;
    const struct entry *x = a, *y = b;
    size_t n = o->view->n_keys;
    for (size_t i = 0; i < n; i++) {
        const struct view_key *key = &o->view->keys[i];
        int c = compare_values(o, key->field, &o->values[x->order * n + i], &o->values[y->order * n + i]);
        if (c)
            return key->descending ? -c : c;
    }
    return (x->order > y->order) - (x->order < y->order);
}

int sorter_give(struct sorter *o,
                int (*take)(void *context, const uint8_t *row, size_t len, const char *node), void *context)
{
    int rc = 0;
    if (o->n)
        qsort_r(o->entries, o->n, sizeof(*o->entries), compare, o);
    for (size_t i = 0; i < o->n && rc == 0; i++) {
        const struct entry *x = &o->entries[i];
        rc = take(context, kept(o, x->at), x->len, x->node);
    }
    o->n = 0;
    buf_reset(&o->bytes);
    return rc;
}
