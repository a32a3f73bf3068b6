#include "client/top/top_model.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

#define MISSED_MAX 2  /* complete polls without a socket that end it */
#define ABSENT_MAX 10 /* polls of any kind */

const char *const top_sort_names[TOP_SORTS] = {
    [TOP_SORT_THROUGHPUT] = "throughput",
    [TOP_SORT_RETRANS] = "retrans",
    [TOP_SORT_RTT] = "rtt",
    [TOP_SORT_QUEUE] = "queue",
};

void top_model_init(struct top_model *m)
{
    *m = (struct top_model){.free_place = SOCKET_INDEX_NONE};
}

void top_model_free(struct top_model *m)
{
    free(m->items);
    free(m->netns);
    free(m->sums);
    free(m->order);
    free(m->sums_order);
    free(m->histories);
    socket_index_free(&m->by_key);
    top_model_init(m);
}

/* ---- Histories ---- */

static void history_push(struct top_history *h, const struct top_entry *e)
{
    size_t at = h->n++ % TOP_HISTORY_POINTS;
    h->points[TOP_SERIES_THROUGHPUT][at] = e->rates.sent + e->rates.received;
    h->points[TOP_SERIES_RTT][at] = (float)e->now.rtt_us;
    h->points[TOP_SERIES_CWND][at] = (float)e->now.cwnd;
    h->points[TOP_SERIES_RETRANS][at] = e->rates.retrans;
}

static void history_drop(struct top_model *m, struct top_entry *e)
{
    if (e->history != SOCKET_INDEX_NONE)
        m->histories[e->history].entry = SOCKET_INDEX_NONE;
    e->history = SOCKET_INDEX_NONE;
}

/* A new history; SOCKET_INDEX_NONE when there are enough, or without memory. */
static uint32_t history_new(struct top_model *m)
{
    if (m->n_histories == TOP_HISTORIES ||
        array_room(&m->histories, m->n_histories + 1, &m->room_histories, sizeof(*m->histories)) != 0)
        return SOCKET_INDEX_NONE;
    m->histories[m->n_histories].entry = SOCKET_INDEX_NONE;
    return (uint32_t)m->n_histories++;
}

/* A free history, a new one, or the one that was not shown for the longest time; SOCKET_INDEX_NONE when all are
 * on the screen. */
static uint32_t history_choose(struct top_model *m)
{
    uint32_t best = SOCKET_INDEX_NONE;
    uint64_t shown = m->n_polls;
    for (uint32_t i = 0; i < m->n_histories; i++) {
        const struct top_history *h = &m->histories[i];
        if (h->entry == SOCKET_INDEX_NONE)
            return i;
        if (h->shown < shown) {
            best = i;
            shown = h->shown;
        }
    }
    uint32_t fresh = history_new(m);
    return fresh == SOCKET_INDEX_NONE ? best : fresh;
}

static bool is_pinned(const struct top_model *m, const struct top_entry *e)
{
    return m->has_pinned && m->pinned.netns == e->now.key.netns && m->pinned.cookie == e->now.key.cookie;
}

void top_model_show(struct top_model *m, size_t i)
{
    uint32_t place = m->order[i].place;
    struct top_entry *e = &m->items[place];
    if (e->history == SOCKET_INDEX_NONE) {
        uint32_t chosen = history_choose(m);
        if (chosen == SOCKET_INDEX_NONE)
            return;
        struct top_history *h = &m->histories[chosen];
        if (h->entry != SOCKET_INDEX_NONE)
            m->items[h->entry].history = SOCKET_INDEX_NONE;
        h->entry = place;
        h->n = 0;
        e->history = chosen;
        history_push(h, e);
    }
    m->histories[e->history].shown = m->n_polls;
}

const struct top_history *top_model_history(const struct top_model *m, const struct top_entry *e)
{
    return e->history == SOCKET_INDEX_NONE ? NULL : &m->histories[e->history];
}

size_t top_history_length(const struct top_history *h)
{
    return h->n < TOP_HISTORY_POINTS ? h->n : TOP_HISTORY_POINTS;
}

float top_history_point(const struct top_history *h, enum top_series series, size_t back)
{
    return h->points[series][(h->n - 1 - back) % TOP_HISTORY_POINTS];
}

/* ---- Polls ---- */

/* A place for a new entry; SOCKET_INDEX_NONE without memory. */
static uint32_t take_place(struct top_model *m)
{
    uint32_t place = m->free_place;
    if (place != SOCKET_INDEX_NONE) {
        m->free_place = m->items[place].history;
        return place;
    }
    if (array_room(&m->items, m->n_items + 1, &m->room_items, sizeof(*m->items)) != 0)
        return SOCKET_INDEX_NONE;
    return (uint32_t)m->n_items++;
}

static void drop_place(struct top_model *m, uint32_t place)
{
    struct top_entry *e = &m->items[place];
    history_drop(m, e);
    socket_index_remove(&m->by_key, &e->now.key);
    *e = (struct top_entry){.history = m->free_place};
    m->free_place = place;
    m->n_used--;
}

static int add_entry(struct top_model *m, const struct socket_sample *s)
{
    uint32_t place = take_place(m);
    if (place == SOCKET_INDEX_NONE)
        return -ENOMEM;
    struct top_entry *e = &m->items[place];
    *e = (struct top_entry){.history = m->free_place};
    if (socket_index_add(&m->by_key, &s->key, place) != 0) {
        m->free_place = place;
        return -ENOMEM;
    }
    *e = (struct top_entry){.now = *s,
                            .rates = {.retrans_share = -1},
                            .used = true,
                            .seen = m->n_polls,
                            .history = SOCKET_INDEX_NONE};
    m->n_used++;
    return 0;
}

static int take_sample(struct top_model *m, const struct socket_sample *s)
{
    uint32_t place = socket_index_find(&m->by_key, &s->key);
    if (place == SOCKET_INDEX_NONE)
        return add_entry(m, s);
    struct top_entry *e = &m->items[place];
    if (e->seen == m->n_polls)
        return 0; /* twice in one poll: the first counts */
    struct socket_sample before = e->now;
    e->now = *s;
    e->has_rates = socket_rates_between(&before, s, &e->rates);
    e->seen = m->n_polls;
    e->missed = e->absent = 0;
    if (e->history != SOCKET_INDEX_NONE)
        history_push(&m->histories[e->history], e);
    return 0;
}

/* Sockets that this poll did not have. */
static void age(struct top_model *m)
{
    bool complete = !top_poll_incomplete(&m->head);
    for (uint32_t i = 0; i < m->n_items; i++) {
        struct top_entry *e = &m->items[i];
        if (!e->used || e->seen == m->n_polls)
            continue;
        e->missed = (uint8_t)(e->missed + (complete && e->missed < MISSED_MAX));
        e->absent = (uint8_t)(e->absent + (e->absent < ABSENT_MAX));
        if ((e->missed >= MISSED_MAX || e->absent >= ABSENT_MAX) && !is_pinned(m, e))
            drop_place(m, i);
    }
}

static void sum_entry(struct top_sums *s, const struct top_entry *e)
{
    s->sockets++;
    s->by_state[e->now.state < TOP_STATES ? e->now.state : 0]++;
    s->queue += e->now.state == TCP_LISTEN ? 0 : socket_sample_queue(&e->now);
    s->sent += (double)e->rates.sent;
    s->received += (double)e->rates.received;
    s->retrans += (double)e->rates.retrans;
}

/* Sums and the list of the sockets that are there, in no order yet. */
static int gather(struct top_model *m)
{
    if (array_room(&m->sums, m->n_netns, &m->room_sums, sizeof(*m->sums)) != 0 ||
        array_room(&m->sums_order, m->n_netns, &m->room_sums_order, sizeof(*m->sums_order)) != 0 ||
        array_room(&m->order, m->n_used, &m->room_order, sizeof(*m->order)) != 0) {
        m->n_netns = 0;
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < m->n_netns; i++) {
        m->sums[i] = (struct top_sums){.netns = i};
        m->sums_order[i] = (struct top_order){.place = i};
    }
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct top_entry *e = &m->items[i];
        if (!e->used || e->seen != m->n_polls)
            continue;
        sum_entry(&m->total, e);
        sum_entry(&m->sums[e->now.netns], e);
        m->order[m->n_order++].place = i;
    }
    return 0;
}

int top_model_apply(struct top_model *m, struct top_poll *p)
{
    struct top_netns *netns = m->netns;
    size_t room = m->room_netns;
    int rc = 0;

    m->head = p->head;
    m->rows_lost += p->head.rows_lost;
    m->n_polls++;
    m->netns = p->netns;
    m->n_netns = p->n_netns;
    m->room_netns = p->room_netns;
    p->netns = netns;
    p->room_netns = room;
    p->n_netns = 0;
    m->total = (struct top_sums){0};
    m->n_order = 0;
    for (size_t i = 0; i < p->n_samples && rc == 0; i++)
        rc = take_sample(m, &p->samples[i]);
    age(m);
    int gathered = gather(m);
    return rc ? rc : gathered;
}

/* ---- Order ---- */

static int compare_order(const void *a, const void *b)
{
    const struct top_order *x = a, *y = b;
    if (x->first != y->first)
        return x->first > y->first ? -1 : 1;
    if (x->second != y->second)
        return x->second > y->second ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void entry_order(const struct top_entry *e, enum top_sort by, struct top_order *o)
{
    double rate = (double)e->rates.sent + (double)e->rates.received;
    o->second = rate;
    switch (by) {
    case TOP_SORT_RETRANS:
        o->first = (double)e->rates.retrans;
        return;
    case TOP_SORT_RTT:
        o->first = e->now.flow ? (double)e->now.rtt_us : -1;
        return;
    case TOP_SORT_QUEUE:
        o->first = (double)socket_sample_queue(&e->now);
        return;
    case TOP_SORT_THROUGHPUT:
    case TOP_SORTS:
        break;
    }
    o->first = rate;
    /* Before there are rates, and among idle sockets: the most bytes moved so far come first. */
    o->second = (double)e->now.bytes_acked + (double)e->now.bytes_received;
}

static void sums_order(const struct top_sums *s, enum top_sort by, struct top_order *o)
{
    double rate = s->sent + s->received;
    o->first = by == TOP_SORT_RETRANS ? s->retrans : by == TOP_SORT_QUEUE ? (double)s->queue : rate;
    o->second = s->sockets;
}

void top_model_sort(struct top_model *m, enum top_sort by)
{
    for (size_t i = 0; i < m->n_order; i++)
        entry_order(&m->items[m->order[i].place], by, &m->order[i]);
    if (m->n_order)
        qsort(m->order, m->n_order, sizeof(*m->order), compare_order);
    for (size_t i = 0; i < m->n_netns; i++)
        sums_order(&m->sums[m->sums_order[i].place], by, &m->sums_order[i]);
    if (m->n_netns)
        qsort(m->sums_order, m->n_netns, sizeof(*m->sums_order), compare_order);
}

const struct top_entry *top_model_row(const struct top_model *m, size_t i)
{
    return &m->items[m->order[i].place];
}

const struct top_sums *top_model_netns(const struct top_model *m, size_t i)
{
    return &m->sums[m->sums_order[i].place];
}

size_t top_model_find(const struct top_model *m, const struct socket_key *key)
{
    uint32_t place = socket_index_find(&m->by_key, key);
    for (size_t i = 0; place != SOCKET_INDEX_NONE && i < m->n_order; i++)
        if (m->order[i].place == place)
            return i;
    return SIZE_MAX;
}

const struct top_entry *top_model_entry(const struct top_model *m, const struct socket_key *key)
{
    uint32_t place = socket_index_find(&m->by_key, key);
    return place == SOCKET_INDEX_NONE ? NULL : &m->items[place];
}

void top_model_pin(struct top_model *m, const struct socket_key *key)
{
    m->has_pinned = key != NULL;
    if (key)
        m->pinned = *key;
}
