/* The completion queue of inline sends: its events, and the thread for those that no other thread waits for. */
#include <errno.h>

#include "lib/tsan.h"
#include "rpc/server/server_internal.h"

/* The events that this thread waits for inside a call of gRPC's. */
static _Thread_local struct {
    const struct rpc_event *event;
    bool arrived;
} expected;

void rpc_callbacks_expect(const struct rpc_event *event)
{
    expected.event = event;
    expected.arrived = false;
}

bool rpc_callbacks_arrived(void)
{
    bool arrived = expected.arrived;
    expected.arrived = false;
    return arrived;
}

static void put(struct rpc_callbacks *b, struct rpc_event *event)
{
    pthread_mutex_lock(&b->lock);
    event->next = NULL;
    *b->last = event;
    b->last = &event->next;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* The oldest event, waited for; NULL when the queue is down. */
static struct rpc_event *take(struct rpc_callbacks *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->first && !b->down)
        pthread_cond_wait(&b->changed, &b->lock);
    struct rpc_event *event = b->first;
    if (event) {
        b->first = event->next;
        if (!b->first)
            b->last = &b->first;
    }
    pthread_mutex_unlock(&b->lock);
    return event;
}

/* gRPC's call; |ok| is nonzero when the operation succeeded. */
static void on_event(grpc_completion_queue_functor *functor, int ok)
{
    struct rpc_event *event = (struct rpc_event *)functor;
    tsan_acquire(event);
    event->ok = ok != 0;
    if (expected.event == event)
        expected.arrived = true;
    else
        put(&event->call->server->callbacks, event);
}

static void on_down(grpc_completion_queue_functor *functor, int ok)
{
    (void)ok;
    struct rpc_callbacks *b =
        (struct rpc_callbacks *)((char *)functor - offsetof(struct rpc_callbacks, shut));
    pthread_mutex_lock(&b->lock);
    b->down = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void *callbacks_run(void *arg)
{
    struct rpc_callbacks *b = arg;
    for (struct rpc_event *event; (event = take(b));) {
        event->fn(event, event->ok); /* which may free it */
        rpc_server_operation_done(b->server);
    }
    return NULL;
}

struct rpc_event rpc_call_event(struct rpc_call *call, void (*fn)(struct rpc_event *event, bool ok))
{
    return (struct rpc_event){.functor = {.functor_run = on_event, .inlineable = 1}, .fn = fn, .call = call};
}

int rpc_callbacks_start(struct rpc_callbacks *b, struct rpc_server *s, struct err *e)
{
    *b = (struct rpc_callbacks){.server = s, .shut.functor_run = on_down};
    b->last = &b->first;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->cq = grpc_completion_queue_create_for_callback(&b->shut, NULL);
    int rc = thread_start(&b->thread, "rpc/callback", 0, callbacks_run, b);
    return rc ? err_set(e, rc, "thread rpc/callback: %s", thread_error(rc)) : 0;
}

void rpc_callbacks_stop(struct rpc_callbacks *b)
{
    grpc_completion_queue_shutdown(b->cq);
    thread_join(&b->thread);
    grpc_completion_queue_destroy(b->cq);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
}
