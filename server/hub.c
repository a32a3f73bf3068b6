#include "server/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/thread.h"

enum input_kind { INPUT_BEGIN, INPUT_BATCH, INPUT_LOST, INPUT_END, INPUT_KICK, INPUT_ABORT };

struct input {
    struct input *next;
    enum input_kind kind;
    union {
        struct stream_begin begin;
        struct batch *batch;
        struct {
            uint64_t poll_id;
            uint64_t rows;
        } lost;
        struct fan_end *end;
        struct rpc_call *call;
        struct {
            struct rpc_call *call;
            int code;
            const char *text;
        } abort;
    };
};

struct hub {
    struct thread thread;
    size_t queue_bytes;
    _Atomic uint64_t rows_dropped;
    _Atomic uint64_t rows_late;
    uint64_t poll_id;        /* of the current poll, 0 between polls; the hub thread's */
    _Atomic uint64_t unread; /* a poll whose beginning nobody saw: its rows have nowhere to go */

    pthread_mutex_t lock; /* guards the queue; a leaf */
    pthread_cond_t filled;
    struct input *first;
    struct input **last;
    size_t bytes; /* of the batches in the queue */
    bool stopping;
    bool closed;

    pthread_mutex_t list_lock; /* guards the list; a leaf */
    struct subscriber **list;
    size_t n;
    size_t size;
};

int hub_new(size_t queue_bytes, struct hub **out, struct err *e)
{
    struct hub *h = calloc(1, sizeof(*h));
    if (!h)
        return err_set(e, -ENOMEM, "out of memory");
    h->queue_bytes = queue_bytes;
    h->last = &h->first;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->list_lock, NULL);
    pthread_cond_init(&h->filled, NULL);
    *out = h;
    return 0;
}

/* ---- The queue ---- */

/* Gives back what |in| refers to. */
static void release(const struct input *in)
{
    if (in->kind == INPUT_BATCH)
        batch_unref(in->batch);
    else if (in->kind == INPUT_END)
        fan_end_unref(in->end);
    else if (in->kind == INPUT_KICK)
        rpc_call_unref(in->call);
    else if (in->kind == INPUT_ABORT)
        rpc_call_unref(in->abort.call);
}

static void input_free(struct input *in)
{
    release(in);
    free(in);
}

/* The lock is held. Returns whether |in| is the queue's now; else it is still the caller's, to be freed
 * without the lock. */
static bool append(struct hub *h, struct input *in)
{
    if (h->closed)
        return false;
    in->next = NULL;
    *h->last = in;
    h->last = &in->next;
    pthread_cond_signal(&h->filled);
    return true;
}

static void put(struct hub *h, const struct input *in)
{
    struct input *copy = malloc(sizeof(*copy));
    if (!copy) {
        log_limited(LOG_ERROR, "hub", "out of memory: a message to the subscribers is lost");
        release(in);
        return;
    }
    *copy = *in;
    pthread_mutex_lock(&h->lock);
    bool taken = append(h, copy);
    pthread_mutex_unlock(&h->lock);
    if (!taken)
        input_free(copy);
}

void hub_begin(struct hub *h, const struct stream_begin *begin)
{
    put(h, &(struct input){.kind = INPUT_BEGIN, .begin = *begin});
}

void hub_batch(struct hub *h, struct batch *b)
{
    if (atomic_load_explicit(&h->unread, memory_order_relaxed) == b->poll_id) {
        batch_unref(b); /* spares the collectors' CPUs a wake-up for each batch */
        return;
    }
    struct input *in = malloc(sizeof(*in));
    struct batch *refused = in ? NULL : b;
    if (in) {
        *in = (struct input){.kind = INPUT_BATCH, .batch = b};
        pthread_mutex_lock(&h->lock);
        if (h->bytes + b->len > h->queue_bytes) {
            refused = b;
            *in = (struct input){.kind = INPUT_LOST, .lost = {.poll_id = b->poll_id, .rows = b->rows}};
        } else {
            h->bytes += b->len;
        }
        bool taken = append(h, in);
        pthread_mutex_unlock(&h->lock);
        if (!taken)
            input_free(in);
    }
    if (refused) {
        atomic_fetch_add(&h->rows_dropped, refused->rows);
        log_limited(LOG_WARN, "hub", "rows come faster than they can be passed on: some are lost");
        batch_unref(refused);
    }
}

void hub_end(struct hub *h, const struct stream_end *end)
{
    struct fan_end *f = fan_end_new(end);
    if (f)
        put(h, &(struct input){.kind = INPUT_END, .end = f});
}

void hub_kick(struct hub *h, struct rpc_call *call)
{
    put(h, &(struct input){.kind = INPUT_KICK, .call = rpc_call_ref(call)});
}

void hub_abort(struct hub *h, struct rpc_call *call, int code, const char *text)
{
    put(h, &(struct input){.kind = INPUT_ABORT,
                           .abort = {.call = rpc_call_ref(call), .code = code, .text = text}});
}

/* The next input; NULL when the queue is empty and the hub is to stop. */
static struct input *take(struct hub *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->first && !h->stopping)
        pthread_cond_wait(&h->filled, &h->lock);
    struct input *in = h->first;
    if (!in) {
        pthread_mutex_unlock(&h->lock);
        return NULL;
    }
    h->first = in->next;
    if (!h->first)
        h->last = &h->first;
    if (in->kind == INPUT_BATCH)
        h->bytes -= in->batch->len;
    pthread_mutex_unlock(&h->lock);
    return in;
}

/* ---- The list of subscribers ---- */

int hub_subscribe(struct hub *h, struct subscriber *s, size_t max)
{
    int rc = 0;
    pthread_mutex_lock(&h->list_lock);
    if (h->n >= max) {
        rc = ERR_LIMIT;
    } else if (h->n == h->size) {
        size_t size = h->size ? 2 * h->size : 16;
        struct subscriber **list = realloc(h->list, size * sizeof(struct subscriber *));
        if (list) {
            h->list = list;
            h->size = size;
        } else {
            rc = -ENOMEM;
        }
    }
    if (rc == 0)
        h->list[h->n++] = subscriber_ref(s);
    pthread_mutex_unlock(&h->list_lock);
    return rc;
}

void hub_unsubscribe(struct hub *h, struct subscriber *s)
{
    bool found = false;
    pthread_mutex_lock(&h->list_lock);
    for (size_t i = 0; i < h->n && !found; i++) {
        if (h->list[i] == s) {
            h->list[i] = h->list[--h->n];
            found = true;
        }
    }
    pthread_mutex_unlock(&h->list_lock);
    if (found)
        subscriber_unref(s);
}

struct subscriber **hub_subscribers(struct hub *h, size_t *n)
{
    struct subscriber **copy = NULL;
    *n = 0;
    pthread_mutex_lock(&h->list_lock);
    if (h->n)
        copy = malloc(h->n * sizeof(struct subscriber *));
    for (size_t i = 0; copy && i < h->n; i++)
        copy[i] = subscriber_ref(h->list[i]);
    if (copy)
        *n = h->n;
    pthread_mutex_unlock(&h->list_lock);
    return copy;
}

/* ---- Passing on; the hub thread ---- */

/* Puts |in| into the queue of |s|. Returns whether there is something to send. */
static bool offer(const struct input *in, struct fan_batch *fan, struct subscriber *s, bool *finished)
{
    *finished = false;
    switch (in->kind) {
    case INPUT_BEGIN:
        return subscriber_begin(s, &in->begin);
    case INPUT_BATCH:
        return subscriber_rows(s, fan);
    case INPUT_LOST:
        subscriber_lost(s, in->lost.rows);
        return false;
    case INPUT_END:
        return subscriber_end(s, in->end, finished);
    default:
        return false;
    }
}

/* The batch in a form that messages can be cut from, made only when somebody listens. Takes over the batch's
 * reference. */
static struct fan_batch *make_fan(struct input *in, struct subscriber *const *list, size_t n)
{
    struct batch *b = in->batch;
    in->kind = INPUT_LOST; /* its reference is gone */
    in->lost.rows = b->rows;
    in->lost.poll_id = b->poll_id;
    if (n == 0) {
        batch_unref(b);
        return NULL;
    }
    struct fan_batch *fan = fan_batch_new(b);
    if (!fan)
        return NULL;
    in->kind = INPUT_BATCH;
    for (size_t i = 0; i < n && !fan->has_single; i++) {
        if (subscriber_options(list[i])->batch_rows == 0)
            fan_batch_want_single(fan);
    }
    return fan;
}

static void pass_on(struct hub *h, struct input *in)
{
    size_t n;
    struct subscriber **list = hub_subscribers(h, &n);
    if (in->kind == INPUT_BEGIN && n == 0)
        atomic_store_explicit(&h->unread, in->begin.poll_id, memory_order_relaxed);
    struct fan_batch *fan = in->kind == INPUT_BATCH ? make_fan(in, list, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        bool finished;
        if (offer(in, fan, list[i], &finished))
            rpc_call_kick(subscriber_call(list[i]));
        if (finished)
            rpc_call_finish(subscriber_call(list[i]), 0, "");
        subscriber_unref(list[i]);
    }
    free(list);
    if (fan) {
        in->kind = INPUT_LOST; /* the batch went with the fan */
        fan_batch_unref(fan);
    }
}

/* Whether |in| belongs to a poll that is not the current one (any more). */
static bool is_late(const struct hub *h, const struct input *in)
{
    uint64_t id = in->kind == INPUT_BATCH  ? in->batch->poll_id
                  : in->kind == INPUT_LOST ? in->lost.poll_id
                                           : h->poll_id;
    return id != h->poll_id;
}

static void *hub_run(void *arg)
{
    struct hub *h = arg;
    for (struct input *in; (in = take(h));) {
        if (in->kind == INPUT_BEGIN)
            h->poll_id = in->begin.poll_id;
        if (in->kind == INPUT_KICK)
            rpc_call_kick(in->call);
        else if (in->kind == INPUT_ABORT)
            rpc_call_abort(in->abort.call, in->abort.code, in->abort.text);
        else if (is_late(h, in))
            atomic_fetch_add(&h->rows_late, in->kind == INPUT_BATCH ? in->batch->rows : in->lost.rows);
        else
            pass_on(h, in);
        if (in->kind == INPUT_END)
            h->poll_id = 0;
        input_free(in);
    }
    return NULL;
}

int hub_start(struct hub *h)
{
    h->stopping = false;
    return thread_start(&h->thread, "hub", 0, hub_run, h);
}

void hub_stop(struct hub *h)
{
    if (!h->thread.running)
        return;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_signal(&h->filled);
    pthread_mutex_unlock(&h->lock);
    thread_join(&h->thread);
}

void hub_close(struct hub *h)
{
    pthread_mutex_lock(&h->lock);
    h->closed = true;
    struct input *first = h->first;
    h->first = NULL;
    h->last = &h->first;
    pthread_mutex_unlock(&h->lock);
    for (struct input *in = first, *next; in; in = next) {
        next = in->next;
        input_free(in);
    }
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    hub_close(h);
    for (size_t i = 0; i < h->n; i++)
        subscriber_unref(h->list[i]);
    free(h->list);
    pthread_cond_destroy(&h->filled);
    pthread_mutex_destroy(&h->list_lock);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void hub_stats(struct hub *h, struct hub_stats *stats)
{
    stats->rows_dropped = atomic_load(&h->rows_dropped);
    stats->rows_late = atomic_load(&h->rows_late);
}

int64_t hub_cpu_ns(const struct hub *h)
{
    return thread_cpu_ns(&h->thread);
}
