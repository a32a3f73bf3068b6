#include "server/stream/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/log.h"
#include "lib/thread.h"

enum input_kind { INPUT_BEGIN, INPUT_BATCH, INPUT_LOST, INPUT_END, INPUT_LEAVE, INPUT_RUN };

struct input {
    struct input *next;
    enum input_kind kind;
    union {
        struct {
            struct poll_begin begin;
            struct plan *plan;
        } begin;
        struct batch *batch;
        struct shared_lost *lost;
        struct shared_end *end;
        struct subscriber *leave;
        struct {
            void (*fn)(void *arg, bool run);
            void *arg;
        } run;
    };
};

struct hub {
    struct thread thread;
    size_t queue_bytes;
    _Atomic uint64_t rows_dropped;
    _Atomic uint64_t rows_late;
    struct plan *plan;       /* of the current poll, NULL between polls; the hub thread's */
    _Atomic uint64_t unread; /* a poll that nobody takes part in: its rows have nowhere to go */

    pthread_mutex_t lock; /* guards the queue; a leaf */
    pthread_cond_t filled;
    struct input *first;
    struct input **last;
    size_t bytes; /* of the batches in the queue */
    bool stopping;
    bool closed;

    pthread_mutex_t list_lock; /* guards the list and the table; only the quota's is taken under it */
    struct selection_table table;
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

/* Releases everything that |in| refers to. */
static void release(const struct input *in)
{
    switch (in->kind) {
    case INPUT_BEGIN:
        plan_unref(in->begin.plan);
        break;
    case INPUT_BATCH:
        batch_unref(in->batch);
        break;
    case INPUT_LOST:
        free(in->lost);
        break;
    case INPUT_END:
        shared_end_unref(in->end);
        break;
    case INPUT_LEAVE:
        subscriber_unref(in->leave);
        break;
    case INPUT_RUN:
        if (in->run.fn)
            in->run.fn(in->run.arg, false);
        break;
    }
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

/* Returns false without memory, after it has released everything that |in| refers to. */
static bool put(struct hub *h, const struct input *in)
{
    struct input *copy = malloc(sizeof(*copy));
    if (!copy) {
        log_limited(LOG_ERROR, "hub", "out of memory: a message to the subscribers is lost");
        release(in);
        return false;
    }
    *copy = *in;
    pthread_mutex_lock(&h->lock);
    bool taken = append(h, copy);
    pthread_mutex_unlock(&h->lock);
    if (!taken)
        input_free(copy);
    return true;
}

void hub_begin(struct hub *h, const struct poll_begin *begin, struct plan *plan)
{
    if (plan->idle)
        atomic_store_explicit(&h->unread, begin->poll_id, memory_order_relaxed);
    const struct input in = {.kind = INPUT_BEGIN, .begin = {.begin = *begin, .plan = plan_ref(plan)}};
    if (!put(h, &in))
        plan_revoke(plan);
    plan_unref(plan);
}

/* Counts the rows of |b|, which found no place in the queue. */
static void lose(struct hub *h, struct batch *b)
{
    atomic_fetch_add(&h->rows_dropped, b->rows);
    log_limited(LOG_WARN, "hub", "rows come faster than they can be passed on: some are lost");
    struct shared_lost *lost = shared_lost_new(b);
    batch_unref(b);
    if (lost)
        put(h, &(struct input){.kind = INPUT_LOST, .lost = lost});
}

void hub_batch(struct hub *h, struct batch *b)
{
    if (atomic_load_explicit(&h->unread, memory_order_relaxed) == b->poll_id) {
        batch_unref(b); /* spares the collectors' CPUs a wake-up for each batch */
        return;
    }
    struct input *in = malloc(sizeof(*in));
    if (!in) {
        lose(h, b);
        return;
    }
    *in = (struct input){.kind = INPUT_BATCH, .batch = b};
    pthread_mutex_lock(&h->lock);
    bool fits = h->bytes + b->len <= h->queue_bytes;
    bool taken = fits && append(h, in);
    h->bytes += taken ? in->batch->len : 0;
    pthread_mutex_unlock(&h->lock);
    if (taken)
        return;
    if (fits) {
        input_free(in);
    } else {
        free(in);
        lose(h, b);
    }
}

void hub_end(struct hub *h, const struct poll_end *end)
{
    struct shared_end *f = shared_end_new(end);
    if (f)
        put(h, &(struct input){.kind = INPUT_END, .end = f});
}

void hub_run(struct hub *h, void (*fn)(void *arg, bool run), void *arg)
{
    put(h, &(struct input){.kind = INPUT_RUN, .run = {.fn = fn, .arg = arg}});
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

/* A new place at the end of the list. The list's lock is held. */
static struct subscriber **list_push(struct hub *h)
{
    return array_room(&h->list, h->n + 1, &h->size, sizeof(struct subscriber *)) ? NULL : &h->list[h->n++];
}

/* Enters |s| for |owner| and accounts for it; the list's lock is held, as in the functions below. */
static int enter(struct hub *h, struct subscriber *s, const struct selection_owner *owner, struct err *e)
{
    int rc = quota_take(owner->user, owner->rank, QUOTA_SUBSCRIBERS, 1, 1,
                        &owner->bounds->of[QUOTA_SUBSCRIBERS], e);
    if (rc)
        return rc;
    rc = selection_enter(&h->table, subscriber_options(s)->selection, owner, e);
    if (rc)
        quota_give(owner->user, QUOTA_SUBSCRIBERS, 1, 1);
    return rc;
}

static void leave(struct hub *h, struct subscriber *s)
{
    struct quota_user *user = subscriber_sink(s)->user;
    selection_leave(&h->table, subscriber_options(s)->selection, user);
    quota_give(user, QUOTA_SUBSCRIBERS, 1, 1);
}

int hub_subscribe(struct hub *h, struct subscriber *s, const struct bounds *bounds, struct err *e)
{
    const struct subscriber_sink *sink = subscriber_sink(s);
    const struct selection_owner owner = {.user = sink->user, .rank = sink->rank, .bounds = bounds};
    pthread_mutex_lock(&h->list_lock);
    int rc = enter(h, s, &owner, e);
    struct subscriber **place = rc == 0 ? list_push(h) : NULL;
    if (place) {
        *place = subscriber_ref(s);
    } else if (rc == 0) {
        leave(h, s);
        rc = err_set(e, -ENOMEM, "out of memory");
    }
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
            leave(h, s);
            found = true;
        }
    }
    pthread_mutex_unlock(&h->list_lock);
    if (found) /* the list's reference goes with it */
        put(h, &(struct input){.kind = INPUT_LEAVE, .leave = s});
}

struct plan *hub_plan(struct hub *h, uint64_t poll_id)
{
    pthread_mutex_lock(&h->list_lock);
    size_t n = h->n;
    struct plan_candidate *list = malloc((n ? n : 1) * sizeof(*list));
    for (size_t i = 0; list && i < n; i++) {
        const struct selection *selection = subscriber_options(h->list[i])->selection;
        list[i] = (struct plan_candidate){.subscriber = subscriber_ref(h->list[i]),
                                          .filter_place = selection->filter_place,
                                          .mask_place = selection->mask_place};
    }
    pthread_mutex_unlock(&h->list_lock);
    struct plan *plan = list ? plan_new(poll_id, list, n) : NULL;
    for (size_t i = 0; list && i < n; i++)
        subscriber_unref(list[i].subscriber);
    free(list);
    return plan;
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

/* A poll begins; the one before has no end when that was lost for want of memory. */
static void begin(struct hub *h, struct input *in)
{
    if (h->plan)
        plan_end(h->plan, NULL);
    plan_unref(h->plan);
    h->plan = in->begin.plan;
    in->begin.plan = NULL;
    plan_begin(h->plan, &in->begin.begin);
}

/* Whether |poll_id| is the current poll; else |rows| of it come too late. */
static bool is_current(struct hub *h, uint64_t poll_id, uint32_t rows)
{
    bool current = h->plan && h->plan->poll_id == poll_id;
    if (!current)
        atomic_fetch_add(&h->rows_late, rows);
    return current;
}

static void pass_on(struct hub *h, struct input *in)
{
    switch (in->kind) {
    case INPUT_BEGIN:
        begin(h, in);
        break;
    case INPUT_BATCH:
        if (is_current(h, in->batch->poll_id, in->batch->rows))
            plan_rows(h->plan, in->batch);
        break;
    case INPUT_LOST:
        if (is_current(h, in->lost->poll_id, in->lost->rows))
            plan_lost(h->plan, in->lost);
        break;
    case INPUT_END:
        if (h->plan)
            plan_end(h->plan, in->end);
        plan_unref(h->plan);
        h->plan = NULL;
        break;
    case INPUT_LEAVE:
        if (h->plan)
            plan_drop(h->plan, in->leave);
        break;
    case INPUT_RUN:
        in->run.fn(in->run.arg, true);
        in->run.fn = NULL; /* the function has given back everything that it held */
        break;
    }
}

static void *hub_main(void *arg)
{
    struct hub *h = arg;
    for (struct input *in; (in = take(h));) {
        pass_on(h, in);
        input_free(in);
    }
    return NULL;
}

int hub_start(struct hub *h)
{
    h->stopping = false;
    return thread_start(&h->thread, "hub", 0, hub_main, h);
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
    plan_unref(h->plan);
    h->plan = NULL;
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    hub_close(h);
    while (h->n) {
        struct subscriber *s = h->list[--h->n];
        leave(h, s);
        subscriber_unref(s);
    }
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
