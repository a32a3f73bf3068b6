#include "server/stream/plan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

_Static_assert(SELECTION_FILTERS_MAX <= SHARED_FILTERS_MAX, "a filter has its bit in the match of a row");

#define NO_FILTER (-1)

struct plan_member {
    struct subscriber *subscriber;
    const struct selection *selection; /* the subscriber's */
    size_t cut;
    uint64_t netns_id; /* of the last batch, and whether it was wanted: a namespace's batches come together */
    bool netns_known;
    bool netns_wanted;
};

/* The rows of all members that want the same ones with the same fields. */
struct plan_cut {
    int filter; /* bit of the filter, or NO_FILTER */
    int mask_place;
    const struct record_mask *mask; /* NULL: whole records */
    bool copied;                    /* a sink makes a copy of it */

    /* Of the batch that is being passed on. */
    bool made;
    struct shared_batch *shared; /* NULL when |rows| is 0 or there was no memory */
    uint32_t row;
    uint32_t row_end;
    uint32_t rows; /* that should be in it */
};

static void kick(const struct subscriber *s)
{
    const struct subscriber_sink *sink = subscriber_sink(s);
    sink->kick(sink->arg);
}

static void finish(const struct subscriber *s)
{
    const struct subscriber_sink *sink = subscriber_sink(s);
    if (sink->finish)
        sink->finish(sink->arg);
}

/* ---- Members ---- */

static size_t find_cut(struct plan *p, int filter, int mask_place, const struct record_mask *mask)
{
    for (size_t i = 0; i < p->n_cuts; i++) {
        if (p->cuts[i].filter == filter && p->cuts[i].mask_place == mask_place)
            return i;
    }
    p->cuts[p->n_cuts] = (struct plan_cut){.filter = filter, .mask_place = mask_place, .mask = mask};
    return p->n_cuts++;
}

/* The bit of the filter of |c| in the poll request. |bits| are those of the places that have been met. */
static int filter_bit(struct plan *p, const struct plan_candidate *c, int8_t *bits)
{
    if (c->filter_place == SELECTION_NO_PLACE)
        return NO_FILTER;
    int8_t *bit = &bits[c->filter_place];
    if (*bit == NO_FILTER) {
        *bit = (int8_t)p->n_filters;
        p->filters[p->n_filters++] = filter_ref(subscriber_options(c->subscriber)->selection->filter);
    }
    return *bit;
}

static void add_member(struct plan *p, const struct plan_candidate *c, int8_t *bits)
{
    const struct subscriber_options *o = subscriber_options(c->subscriber);
    const struct selection *selection = o->selection;
    int filter = filter_bit(p, c, bits);
    size_t cut = find_cut(p, filter, c->mask_place, selection->has_columns ? &selection->columns : NULL);
    p->want_all |= filter == NO_FILTER;
    p->cuts[cut].copied |= o->batch_rows == 0;
    p->members[p->n++] =
        (struct plan_member){.subscriber = subscriber_ref(c->subscriber), .selection = selection, .cut = cut};
}

/* Limits the poll to some namespaces if every member is limited. */
static void find_scope(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->members[i].selection->n_netns == 0)
            return;
    }
    for (size_t i = 0; i < p->n; i++)
        p->scope[p->n_scope++] = selection_ref(subscriber_options(p->members[i].subscriber)->selection);
}

struct plan *plan_new(uint64_t poll_id, const struct plan_candidate *list, size_t n)
{
    struct plan *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    p->poll_id = poll_id;
    size_t room = n ? n : 1;
    p->members = calloc(room, sizeof(*p->members));
    p->cuts = calloc(room, sizeof(*p->cuts));
    p->scope = calloc(room, sizeof(struct selection *));
    if (!p->members || !p->cuts || !p->scope) {
        plan_unref(p);
        return NULL;
    }
    int8_t bits[SELECTION_FILTERS_MAX];
    memset(bits, NO_FILTER, sizeof(bits));
    for (size_t i = 0; i < n; i++) {
        if (subscriber_join(list[i].subscriber, poll_id))
            add_member(p, &list[i], bits);
    }
    p->idle = p->n == 0;
    p->want_all |= p->idle;
    find_scope(p);
    return p;
}

struct plan *plan_ref(struct plan *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void plan_unref(struct plan *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (size_t i = 0; i < p->n; i++)
        subscriber_unref(p->members[i].subscriber);
    for (size_t i = 0; i < p->n_scope; i++)
        selection_unref(p->scope[i]);
    for (unsigned i = 0; i < p->n_filters; i++)
        filter_unref(p->filters[i]);
    free(p->scope);
    free(p->cuts);
    free(p->members);
    free(p);
}

bool plan_wants_netns(const struct plan *p, const char *name, uint64_t inode)
{
    for (size_t i = 0; i < p->n_scope; i++) {
        if (selection_wants_netns(p->scope[i], name, inode))
            return true;
    }
    return p->n_scope == 0;
}

void plan_revoke(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        subscriber_revoke(p->members[i].subscriber, p->poll_id);
}

void plan_drop(struct plan *p, const struct subscriber *s)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->members[i].subscriber == s) {
            subscriber_unref(p->members[i].subscriber);
            p->members[i] = p->members[--p->n];
            return;
        }
    }
}

/* ---- Rows ---- */

/* A batch while it is being passed on. */
struct passing {
    struct batch *batch;
    struct shared_batch *whole; /* made when a member wants it */
    bool netns_read;
    struct shared_netns netns;
};

static bool wants_batch(struct plan_member *m, struct passing *at)
{
    if (m->selection->n_netns == 0)
        return true;
    if (!m->netns_known || m->netns_id != at->batch->netns_id) {
        if (!at->netns_read)
            shared_netns(at->batch, &at->netns);
        at->netns_read = true;
        m->netns_id = at->batch->netns_id;
        m->netns_known = true;
        m->netns_wanted = selection_wants_netns(m->selection, at->netns.name, at->netns.inode);
    }
    return m->netns_wanted;
}

struct choice {
    uint64_t rows[(BATCH_ROWS + 63) / 64]; /* a bit for each */
    uint32_t count;
    uint32_t first;
    uint32_t last;
};

static void choose(const struct batch *b, int filter, struct choice *c)
{
    memset(c, 0, sizeof(*c));
    for (uint32_t i = 0; i < b->rows; i++) {
        if (filter != NO_FILTER && !(b->index[i].match >> filter & 1))
            continue;
        c->rows[i / 64] |= UINT64_C(1) << i % 64;
        c->first = c->count++ ? c->first : i;
        c->last = i;
    }
}

/* Whether the rows of |c| can be sent from where they are: they stand together, and are not so few that they
 * would keep a large batch in memory for little. */
static bool is_slice(const struct batch *b, const struct choice *c)
{
    uint32_t end = batch_offset(b, c->last + 1);
    return c->last - c->first + 1 == c->count && (end - b->index[c->first].offset) >= b->len / 4;
}

static void make_cut(struct plan_cut *cut, struct passing *at)
{
    struct batch *b = at->batch;
    struct choice c = {.count = b->rows, .last = b->rows - 1};
    if (cut->filter != NO_FILTER)
        choose(b, cut->filter, &c);
    cut->made = true;
    cut->rows = c.count;
    cut->row = 0;
    cut->row_end = c.count;
    cut->shared = NULL;
    if (c.count == 0)
        return;
    if (!cut->mask && is_slice(b, &c)) {
        if (!at->whole)
            at->whole = shared_batch_new(batch_ref(b));
        cut->shared = at->whole ? shared_batch_ref(at->whole) : NULL;
        cut->row = c.first;
        cut->row_end = c.last + 1;
    } else {
        struct batch *less = batch_cut(b, c.count < b->rows ? c.rows : NULL, cut->mask);
        cut->shared = less ? shared_batch_new(less) : NULL;
    }
    if (cut->shared)
        cut->shared->copied |= cut->copied;
    if (!cut->shared)
        log_limited(LOG_ERROR, "hub", "out of memory: rows are lost");
}

static void release_cuts(struct plan *p)
{
    for (size_t i = 0; i < p->n_cuts; i++) {
        if (p->cuts[i].made && p->cuts[i].shared)
            shared_batch_unref(p->cuts[i].shared);
        p->cuts[i].made = false;
    }
}

void plan_rows(struct plan *p, struct batch *b)
{
    struct passing at = {.batch = b};
    for (size_t i = 0; i < p->n && b->rows > 0; i++) {
        struct plan_member *m = &p->members[i];
        struct plan_cut *cut = &p->cuts[m->cut];
        if (!wants_batch(m, &at))
            continue;
        if (!cut->made)
            make_cut(cut, &at);
        if (!cut->shared)
            subscriber_lost(m->subscriber, cut->rows);
        else if (subscriber_rows(m->subscriber, cut->shared, cut->row, cut->row_end))
            kick(m->subscriber);
    }
    release_cuts(p);
    if (at.whole)
        shared_batch_unref(at.whole);
}

void plan_lost(struct plan *p, const struct shared_lost *lost)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_member *m = &p->members[i];
        int filter = p->cuts[m->cut].filter;
        if (selection_wants_netns(m->selection, lost->netns.name, lost->netns.inode))
            subscriber_lost(m->subscriber, filter == NO_FILTER ? lost->rows : lost->matching[filter]);
    }
}

/* ---- Edges ---- */

void plan_begin(struct plan *p, const struct poll_begin *begin)
{
    for (size_t i = 0; i < p->n;) {
        struct subscriber *s = p->members[i].subscriber;
        bool news;
        if (!subscriber_begin(s, begin, &news)) {
            plan_drop(p, s); /* another one is in its place */
            continue;
        }
        if (news)
            kick(s);
        i++;
    }
}

void plan_end(struct plan *p, struct shared_end *end)
{
    for (size_t i = 0; i < p->n; i++) {
        struct subscriber *s = p->members[i].subscriber;
        bool finished;
        if (subscriber_end(s, p->poll_id, end, &finished))
            kick(s);
        if (finished)
            finish(s);
    }
}
