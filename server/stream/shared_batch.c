#include "server/stream/shared_batch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"
#include "record/envelope.h"

/* ---- Rows ---- */

struct shared_batch *shared_batch_new(struct batch *b)
{
    struct shared_batch *f = calloc(1, sizeof(*f));
    if (!f) {
        batch_unref(b);
        return NULL;
    }
    f->refs = 1;
    f->batch = b;
    return f;
}

struct shared_batch *shared_batch_ref(struct shared_batch *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

struct shared_view *shared_batch_view(struct shared_batch *f, enum shared_view_kind kind,
                                      struct shared_view *(*make)(struct batch *b))
{
    struct shared_view *view = atomic_load_explicit(&f->views[kind], memory_order_acquire);
    if (view)
        return view;
    struct shared_view *made = make(f->batch);
    if (!made || atomic_compare_exchange_strong(&f->views[kind], &view, made))
        return made;
    made->free(made); /* another thread was faster: |view| is the one it made */
    return view;
}

/* ---- Users that pay for it ---- */

struct shared_holder {
    struct shared_holder *next;
    struct quota_user *user;
};

static uint64_t size_of(const struct shared_batch *f)
{
    const struct batch *b = f->batch;
    return sizeof(*f) + sizeof(*b) + (uint64_t)b->len * (f->copied ? 2 : 1) + b->rows * sizeof(*b->index);
}

bool shared_batch_hold(struct shared_batch *f, struct quota_user *user, enum quota_rank rank,
                       const struct quota_bound *bound)
{
    for (const struct shared_holder *h = f->holders; h; h = h->next) {
        if (h->user == user)
            return true;
    }
    if (!f->holders)
        f->bytes = size_of(f);
    struct shared_holder *holder = malloc(sizeof(*holder));
    if (!holder)
        return false;
    if (quota_take(user, rank, QUOTA_QUEUE_BYTES, f->bytes, f->holders ? 0 : f->bytes, bound, NULL)) {
        free(holder);
        return false;
    }
    *holder = (struct shared_holder){.next = f->holders, .user = quota_user_ref(user)};
    f->holders = holder;
    return true;
}

static void let_go(struct shared_batch *f)
{
    while (f->holders) {
        struct shared_holder *h = f->holders;
        f->holders = h->next;
        quota_give(h->user, QUOTA_QUEUE_BYTES, f->bytes, f->holders ? 0 : f->bytes);
        quota_user_unref(h->user);
        free(h);
    }
}

void shared_batch_unref(struct shared_batch *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    let_go(f);
    for (size_t i = 0; i < SHARED_VIEWS; i++) {
        struct shared_view *view = atomic_load_explicit(&f->views[i], memory_order_acquire);
        if (view)
            view->free(view);
    }
    batch_unref(f->batch);
    free(f);
}

/* ---- The end of a poll ---- */

struct shared_end *shared_end_new(const struct poll_end *end)
{
    size_t n = end->n_errors < POLL_ERRORS_MAX ? end->n_errors : POLL_ERRORS_MAX;
    size_t text = 0;
    for (size_t i = 0; i < n; i++)
        text += strlen(end->errors[i].name) + strlen(end->errors[i].text) + 2;
    struct shared_end *f = calloc(1, sizeof(*f) + n * sizeof(struct poll_error) + text);
    if (!f)
        return NULL;
    f->refs = 1;
    f->end = *end;
    struct poll_error *errors = (struct poll_error *)(f + 1);
    char *at = (char *)(errors + n);
    for (size_t i = 0; i < n; i++) {
        errors[i] = end->errors[i];
        errors[i].name = at;
        at = stpcpy(at, end->errors[i].name) + 1;
        errors[i].text = at;
        at = stpcpy(at, end->errors[i].text) + 1;
    }
    f->end.errors = errors;
    f->end.n_errors = n;
    return f;
}

struct shared_end *shared_end_ref(struct shared_end *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void shared_end_unref(struct shared_end *f)
{
    if (atomic_fetch_sub(&f->refs, 1) == 1)
        free(f);
}

/* ---- Rows that are lost ---- */

struct shared_lost *shared_lost_new(const struct batch *b)
{
    struct shared_lost *lost = calloc(1, sizeof(*lost));
    if (!lost)
        return NULL;
    lost->poll_id = b->poll_id;
    lost->rows = b->rows;
    shared_netns(b, &lost->netns);
    for (uint32_t i = 0; i < b->rows; i++) {
        for (uint64_t match = b->index[i].match; match; match &= match - 1)
            lost->matching[__builtin_ctzll(match)]++;
    }
    return lost;
}

/* ---- The namespace of a batch ---- */

void shared_netns(const struct batch *b, struct shared_netns *out)
{
    *out = (struct shared_netns){0};
    const uint8_t *record;
    size_t n;
    struct wire row = wire_over(b->bytes, b->len);
    if (envelope_next(&row, &record, &n) <= 0)
        return;
    struct wire w = wire_over(record, n);
    struct wire_field f;
    const uint32_t name = record_fields[FIELD_netns].number;
    const uint32_t inode = record_fields[FIELD_netns_inode].number;
    while (wire_next(&w, &f) > 0 && f.number <= inode) {
        if (f.number == name && f.type == WIRE_LEN && f.len < sizeof(out->name))
            memcpy(out->name, f.data, f.len);
        else if (f.number == inode && f.type == WIRE_VARINT)
            out->inode = f.value;
    }
}
