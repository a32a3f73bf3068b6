#include "server/stream/subscriber.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

/* Polls that an on-demand stream can wait for before they begin. All requests that come during a poll share
 * the next, so there is one, or two while that one is beginning. */
#define WANTED_MAX 4

/* Markers that wait for a reader who does not read; a poll whose marker would be one more is left out as a
 * whole. */
#define MARKS_MAX 1024

enum item_kind { ITEM_INFO, ITEM_BEGIN, ITEM_ROWS, ITEM_END };

struct item {
    enum item_kind kind;
    uint32_t row;     /* ITEM_ROWS: the next row to send */
    uint32_t row_end; /* ITEM_ROWS: behind the last one */
    union {
        grpc_slice info;
        struct stream_begin begin;
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
    struct rpc_call *call;
    struct subscriber_options options;
    int64_t since_ns;

    pthread_mutex_t lock;    /* a leaf: nothing else is locked under it */
    struct quota_user *user; /* the call's, that pays for what waits; NULL: nobody does */
    enum quota_rank rank;
    struct item *ring; /* a power of two of them */
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

struct subscriber *subscriber_new(struct rpc_call *call, const struct subscriber_options *options)
{
    struct subscriber *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->refs = 1;
    s->call = rpc_call_ref(call);
    s->user = options->queue_memory.max ? rpc_call_quota(call, &s->rank) : NULL;
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
    rpc_call_unref(s->call);
    selection_unref(s->options.selection);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct rpc_call *subscriber_call(const struct subscriber *s)
{
    return s->call;
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

/* Its user pays for |more| places, or does no longer. */
static bool pay_ring(struct subscriber *s, size_t more)
{
    uint64_t bytes = more * sizeof(struct item);
    return !s->user ||
           quota_take(s->user, s->rank, QUOTA_QUEUE_BYTES, bytes, bytes, &s->options.queue_memory, NULL) == 0;
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
    if (item->kind == ITEM_ROWS)
        shared_batch_unref(item->shared);
    else
        s->marks--;
    if (item->kind == ITEM_END)
        shared_end_unref(item->end.shared);
    if (item->kind == ITEM_INFO)
        grpc_slice_unref(item->info);
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
            s->n_wanted--; /* the request before this one has to do with the same poll */
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

bool subscriber_begin(struct subscriber *s, const struct stream_begin *begin, bool *news)
{
    *news = false;
    pthread_mutex_lock(&s->lock);
    bool active = !s->closed;
    s->active = active;
    s->left_out = false;
    s->poll_rows = 0;
    if (active && s->options.markers) {
        struct item *item = s->marks + 2 <= MARKS_MAX ? ring_push(s) : NULL; /* its end needs one as well */
        s->left_out = !item;
        if (item) {
            *item = (struct item){.kind = ITEM_BEGIN, .begin = *begin};
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
        bool paid = !s->user || shared_batch_hold(f, s->user, s->rank, &s->options.queue_memory);
        struct item *item = take && paid ? ring_push(s) : NULL;
        if (item)
            *item = (struct item){
                .kind = ITEM_ROWS, .row = row, .row_end = row + take, .shared = shared_batch_ref(f)};
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
            *item = (struct item){.kind = ITEM_END,
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
    pthread_mutex_lock(&s->lock);
    struct item *item = s->closed ? NULL : ring_push(s);
    if (item) {
        *item = (struct item){.kind = ITEM_INFO, .info = grpc_slice_from_copied_buffer(message, len)};
        s->marks++;
    }
    pthread_mutex_unlock(&s->lock);
    return item != NULL;
}

/* ---- rpc takes out ---- */

static struct rpc_message marker_message(const struct item *item, const struct selection *selection)
{
    if (item->kind == ITEM_INFO)
        return (struct rpc_message){.slices = {grpc_slice_ref(item->info)}, .n = 1};
    struct buf b;
    buf_init(&b);
    if (item->kind == ITEM_BEGIN) {
        stream_encode_begin(&b, &item->begin);
    } else {
        struct stream_end end = item->end.shared->end;
        end.rows_sent = item->end.rows_sent;
        end.rows_lost = item->end.rows_lost;
        char texts[SELECTION_WARNINGS_MAX][ERR_TEXT_MAX];
        const char *warnings[SELECTION_WARNINGS_MAX];
        end.warnings = warnings;
        end.n_warnings = selection_unfound(selection, texts);
        for (size_t i = 0; i < end.n_warnings; i++)
            warnings[i] = texts[i];
        stream_encode_end(&b, &end);
    }
    struct rpc_message m = rpc_message_copy(b.data, b.len, false);
    buf_free(&b);
    return m;
}

static uint32_t row_offset(const struct batch *b, uint32_t row)
{
    return row < b->rows ? b->index[row].offset : b->len;
}

/* The next row or rows of |item|, which moves behind them. Returns how many. */
static uint32_t rows_message(const struct subscriber *s, struct item *item, struct rpc_message *m)
{
    const struct shared_batch *f = item->shared;
    uint32_t left = item->row_end - item->row;
    uint32_t n = s->options.batch_rows == 0 ? 1 : left < s->options.batch_rows ? left : s->options.batch_rows;
    uint32_t from = row_offset(f->batch, item->row);
    uint32_t to = row_offset(f->batch, item->row + n);
    if (s->options.batch_rows == 0) {
        *m = (struct rpc_message){.slices = {grpc_slice_sub(f->single, from, to)}, .n = 1};
    } else {
        uint8_t prefix[STREAM_PREFIX_MAX];
        size_t len = stream_put_envelope(prefix, to - from);
        *m = (struct rpc_message){.slices = {grpc_slice_from_copied_buffer((const char *)prefix, len),
                                             grpc_slice_sub(f->envelope, from, to)},
                                  .n = 2};
    }
    item->row += n;
    return n;
}

bool subscriber_next(struct subscriber *s, struct rpc_message *out)
{
    pthread_mutex_lock(&s->lock);
    bool any = s->count > 0;
    if (any) {
        struct item *item = ring_at(s, 0);
        if (item->kind == ITEM_ROWS) {
            uint32_t n = rows_message(s, item, out);
            s->queued -= n;
            s->delivered += n;
        } else {
            *out = marker_message(item, s->options.selection);
        }
        if (item->kind != ITEM_ROWS || item->row == item->row_end)
            ring_pop(s);
        out->more = s->count > 0;
    }
    pthread_mutex_unlock(&s->lock);
    return any;
}

void subscriber_stats(struct subscriber *s, struct subscriber_stats *stats)
{
    pthread_mutex_lock(&s->lock);
    *stats = (struct subscriber_stats){
        .delivered = s->delivered, .lost = s->lost, .queued = s->queued, .since_ns = s->since_ns};
    pthread_mutex_unlock(&s->lock);
}
