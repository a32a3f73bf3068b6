#include "server/stream/subscriber.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

/* Polls that an on-demand stream can wait for before they begin. All requests that come during a poll share
 * the next, so there is one, or two while that one is beginning. */
#define WANTED_MAX 4

/* Markers that wait for a reader who does not read; a poll whose marker would exceed this is left out as a
 * whole. */
#define MARKS_MAX 1024

struct item {
    enum subscriber_item_kind kind;
    uint32_t row;     /* SUBSCRIBER_ROWS: the next row to take */
    uint32_t row_end; /* SUBSCRIBER_ROWS: behind the last one */
    union {
        struct {
            void *data;
            size_t len;
        } message;
        struct poll_begin begin;
        struct shared_batch *shared;
        struct {
            struct shared_end *shared;
            uint64_t rows_sent;
            uint64_t rows_lost;
        } end;
    };
};

struct subscriber {
    _Atomic uint32_t refs;
    struct subscriber_sink sink;
    struct subscriber_options options;
    int64_t since_ns;

    pthread_mutex_t lock;    /* a leaf: only those of the quota and of the batch pool are taken under it */
    struct quota_user *user; /* the sink's, that pays for the items that wait; NULL: nobody does */
    struct item *ring;       /* a power of two of them */
    size_t ring_size;
    size_t first;
    size_t count;
    size_t marks;    /* items that are no rows */
    uint64_t queued; /* rows in the ring */
    uint64_t delivered;
    uint64_t lost;
    bool closed;
    bool half_closed;
    uint64_t wanted[WANTED_MAX]; /* ids of polls to come, ascending */
    unsigned n_wanted;
    uint64_t joined;    /* the last poll that it was taken into */
    uint64_t ended;     /* and the last one that is over for it */
    bool active;        /* it takes part in the poll that the hub is passing on */
    bool left_out;      /* but its marker found no place in the queue, so nothing of the poll has one */
    uint64_t poll_rows; /* rows of that poll put into the queue */
    uint64_t lost_since_end;
};

/* ---- Life ---- */

struct subscriber *subscriber_new(const struct subscriber_sink *sink,
                                  const struct subscriber_options *options)
{
    struct subscriber *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->refs = 1;
    s->sink = *sink;
    s->user = options->queue_memory.max ? sink->user : NULL;
    s->options = *options;
    selection_ref(s->options.selection);
    s->since_ns = clock_wall_ns();
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct subscriber *subscriber_ref(struct subscriber *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void subscriber_unref(struct subscriber *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    subscriber_close(s);
    if (s->sink.unref)
        s->sink.unref(s->sink.arg);
    selection_unref(s->options.selection);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const struct subscriber_sink *subscriber_sink(const struct subscriber *s)
{
    return &s->sink;
}

const struct subscriber_options *subscriber_options(const struct subscriber *s)
{
    return &s->options;
}

/* ---- The ring; the lock is held ---- */

static struct item *ring_at(struct subscriber *s, size_t i)
{
    return &s->ring[(s->first + i) & (s->ring_size - 1)];
}

/* Accounts |more| places to its user, or gives them back. */
static bool pay_ring(struct subscriber *s, size_t more)
{
    uint64_t bytes = more * sizeof(struct item);
    return !s->user || quota_take(s->user, s->sink.rank, QUOTA_QUEUE_BYTES, bytes, bytes,
                                  &s->options.queue_memory, NULL) == 0;
}

static void unpay_ring(struct subscriber *s, size_t places)
{
    uint64_t bytes = places * sizeof(struct item);
    if (s->user)
        quota_give(s->user, QUOTA_QUEUE_BYTES, bytes, bytes);
}

static bool ring_grow(struct subscriber *s)
{
    size_t size = s->ring_size ? 2 * s->ring_size : 16;
    if (!pay_ring(s, size - s->ring_size))
        return false;
    struct item *ring = malloc(size * sizeof(*ring));
    if (!ring) {
        unpay_ring(s, size - s->ring_size);
        return false;
    }
    for (size_t i = 0; i < s->count; i++)
        ring[i] = *ring_at(s, i);
    free(s->ring);
    s->ring = ring;
    s->ring_size = size;
    s->first = 0;
    return true;
}

/* A place behind the last item, or NULL without memory. */
static struct item *ring_push(struct subscriber *s)
{
    if (s->count == s->ring_size && !ring_grow(s))
        return NULL;
    s->count++;
    return ring_at(s, s->count - 1);
}

static void ring_pop(struct subscriber *s)
{
    struct item *item = ring_at(s, 0);
    if (item->kind == SUBSCRIBER_ROWS)
        shared_batch_unref(item->shared);
    else
        s->marks--;
    if (item->kind == SUBSCRIBER_END)
        shared_end_unref(item->end.shared);
    if (item->kind == SUBSCRIBER_MESSAGE)
        free(item->message.data);
    s->first = (s->first + 1) & (s->ring_size - 1);
    s->count--;
}

void subscriber_close(struct subscriber *s)
{
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    s->lost += s->queued; /* it will not get them any more */
    s->queued = 0;
    while (s->count)
        ring_pop(s);
    free(s->ring);
    unpay_ring(s, s->ring_size);
    s->ring = NULL;
    s->ring_size = 0;
    pthread_mutex_unlock(&s->lock);
}

/* ---- Which polls ---- */

/* It waits for no poll: neither for one to begin nor for one to end. The lock is held. */
static bool is_idle(const struct subscriber *s)
{
    return s->n_wanted == 0 && s->ended >= s->joined;
}

void subscriber_want(struct subscriber *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    if (s->n_wanted == 0 || s->wanted[s->n_wanted - 1] < id) {
        if (s->n_wanted == WANTED_MAX)
            s->n_wanted--; /* the request before this one is served by the same poll */
        s->wanted[s->n_wanted++] = id;
    }
    pthread_mutex_unlock(&s->lock);
}

bool subscriber_join(struct subscriber *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    unsigned asked = 0; /* a poll that did not come about is made up for by the next one */
    while (asked < s->n_wanted && s->wanted[asked] <= id)
        asked++;
    bool joins = !s->closed && (asked || !s->options.on_demand);
    if (joins) {
        s->n_wanted -= asked;
        memmove(s->wanted, s->wanted + asked, s->n_wanted * sizeof(s->wanted[0]));
        s->joined = id;
    }
    pthread_mutex_unlock(&s->lock);
    return joins;
}

void subscriber_revoke(struct subscriber *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    if (s->options.on_demand) {
        s->n_wanted -= s->n_wanted == WANTED_MAX;
        memmove(s->wanted + 1, s->wanted, s->n_wanted * sizeof(s->wanted[0]));
        s->wanted[0] = id;
        s->n_wanted++;
    }
    s->ended = id;
    pthread_mutex_unlock(&s->lock);
}

bool subscriber_half_closed(struct subscriber *s)
{
    pthread_mutex_lock(&s->lock);
    s->half_closed = true;
    bool idle = is_idle(s);
    pthread_mutex_unlock(&s->lock);
    return idle;
}

/* ---- The hub puts in ---- */

bool subscriber_begin(struct subscriber *s, const struct poll_begin *begin, bool *news)
{
    *news = false;
    pthread_mutex_lock(&s->lock);
    bool active = !s->closed;
    s->active = active;
    s->left_out = false;
    s->poll_rows = 0;
    if (active && s->options.markers) {
        struct item *item = s->marks + 2 <= MARKS_MAX ? ring_push(s) : NULL; /* its end needs one, too */
        s->left_out = !item;
        if (item) {
            *item = (struct item){.kind = SUBSCRIBER_BEGIN, .begin = *begin};
            if (s->options.on_demand && !s->options.held)
                item->begin.deferred_ns = 0;
            s->marks++;
            *news = true;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return active;
}

bool subscriber_rows(struct subscriber *s, struct shared_batch *f, uint32_t row, uint32_t row_end)
{
    uint32_t take = 0;
    pthread_mutex_lock(&s->lock);
    if (s->active && !s->closed) {
        uint32_t rows = row_end - row;
        uint64_t room = s->left_out ? 0 : s->options.queue_rows - s->queued;
        take = rows < room ? rows : (uint32_t)room;
        bool paid = !s->user || shared_batch_hold(f, s->user, s->sink.rank, &s->options.queue_memory);
        struct item *item = take && paid ? ring_push(s) : NULL;
        if (item)
            *item = (struct item){
                .kind = SUBSCRIBER_ROWS, .row = row, .row_end = row + take, .shared = shared_batch_ref(f)};
        else
            take = 0;
        s->queued += take;
        s->poll_rows += take;
        s->lost += rows - take;
        s->lost_since_end += rows - take;
    }
    pthread_mutex_unlock(&s->lock);
    return take > 0;
}

void subscriber_lost(struct subscriber *s, uint64_t rows)
{
    pthread_mutex_lock(&s->lock);
    if (s->active && !s->closed) {
        s->lost += rows;
        s->lost_since_end += rows;
    }
    pthread_mutex_unlock(&s->lock);
}

bool subscriber_end(struct subscriber *s, uint64_t id, struct shared_end *f, bool *finished)
{
    bool news = false;
    *finished = false;
    pthread_mutex_lock(&s->lock);
    if (s->active && !s->closed) {
        struct item *item = f && s->options.markers && !s->left_out ? ring_push(s) : NULL;
        if (item) {
            *item = (struct item){.kind = SUBSCRIBER_END,
                                  .end = {.shared = shared_end_ref(f),
                                          .rows_sent = s->poll_rows,
                                          .rows_lost = s->lost_since_end}};
            s->lost_since_end = 0;
            s->marks++;
            news = true;
        }
        s->active = false;
        s->ended = id;
        *finished = s->options.on_demand && s->half_closed && is_idle(s);
    }
    pthread_mutex_unlock(&s->lock);
    return news;
}

bool subscriber_tell(struct subscriber *s, const void *message, size_t len)
{
    void *copy = malloc(len ? len : 1);
    if (!copy)
        return false;
    memcpy(copy, message, len);
    pthread_mutex_lock(&s->lock);
    struct item *item = s->closed ? NULL : ring_push(s);
    if (item) {
        *item = (struct item){.kind = SUBSCRIBER_MESSAGE, .message = {.data = copy, .len = len}};
        s->marks++;
    }
    pthread_mutex_unlock(&s->lock);
    if (!item)
        free(copy);
    return item != NULL;
}

/* ---- The sink takes out; the lock is held ---- */

static bool take_rows(struct subscriber *s, struct item *item, uint32_t n, subscriber_take_fn *fn, void *arg,
                      bool more)
{
    struct subscriber_item rows = {.kind = SUBSCRIBER_ROWS,
                                   .rows = {.batch = item->shared, .row = item->row, .end = item->row + n}};
    bool taken = fn(arg, &rows, more);
    item->row += n;
    s->queued -= n;
    *(taken ? &s->delivered : &s->lost) += n;
    if (!taken)
        s->lost_since_end += n;
    return taken;
}

static bool take_end(const struct subscriber *s, const struct item *item, subscriber_take_fn *fn, void *arg,
                     bool more)
{
    char texts[SELECTION_WARNINGS_MAX][ERR_TEXT_MAX];
    const char *warnings[SELECTION_WARNINGS_MAX];
    struct poll_end end = item->end.shared->end;
    end.rows_sent = item->end.rows_sent;
    end.rows_lost = item->end.rows_lost;
    end.warnings = warnings;
    end.n_warnings = selection_unfound(s->options.selection, texts);
    for (size_t i = 0; i < end.n_warnings; i++)
        warnings[i] = texts[i];
    return fn(arg, &(struct subscriber_item){.kind = SUBSCRIBER_END, .end = &end}, more);
}

static bool take(struct subscriber *s, struct item *item, uint32_t rows, subscriber_take_fn *fn, void *arg,
                 bool more)
{
    struct subscriber_item out = {.kind = item->kind};
    switch (item->kind) {
    case SUBSCRIBER_ROWS:
        return take_rows(s, item, rows, fn, arg, more);
    case SUBSCRIBER_END:
        return take_end(s, item, fn, arg, more);
    case SUBSCRIBER_BEGIN:
        out.begin = &item->begin;
        break;
    case SUBSCRIBER_MESSAGE:
        out.message.data = item->message.data;
        out.message.len = item->message.len;
        break;
    }
    return fn(arg, &out, more);
}

bool subscriber_next(struct subscriber *s, subscriber_take_fn *fn, void *arg)
{
    uint32_t rows_max = s->options.batch_rows ? s->options.batch_rows : 1;
    bool taken = false;
    pthread_mutex_lock(&s->lock);
    while (s->count > 0 && !taken) {
        struct item *item = ring_at(s, 0);
        uint32_t left = item->kind == SUBSCRIBER_ROWS ? item->row_end - item->row : 0;
        uint32_t rows = left < rows_max ? left : rows_max;
        bool done = rows == left;
        taken = take(s, item, rows, fn, arg, s->count > 1 || !done);
        if (done)
            ring_pop(s);
    }
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void subscriber_stats(struct subscriber *s, struct subscriber_stats *stats)
{
    pthread_mutex_lock(&s->lock);
    *stats = (struct subscriber_stats){
        .delivered = s->delivered, .lost = s->lost, .queued = s->queued, .since_ns = s->since_ns};
    pthread_mutex_unlock(&s->lock);
}
