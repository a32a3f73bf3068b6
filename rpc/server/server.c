/* Life of a server: completion queues and their threads, adoption of connections, the stop. */
#include "rpc/server/server.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/tsan.h"
#include "rpc/server/server_internal.h"

/* The time between the end of the last call and the closing of connections. */
#define GOODBYE_NS (50 * NS_PER_MS)

/* The time between two attempts to post requests that could not be posted. */
#define REPAY_MS 100

/* Interval between looks for calls whose request does not come. */
#define LOOK_NS (1 * NS_PER_S)

void rpc_server_init(void)
{
    rpc_core_init();
}

void rpc_server_fini(void)
{
    rpc_core_fini();
}

/* ---- Requests that could not be posted ---- */

/* Posts the owed requests, as far as there is memory. A server that stops owes nothing: under the lock, its
 * queues cannot be shut down meanwhile. */
static void repay(struct rpc_queue *q)
{
    struct rpc_server *s = q->server;
    pthread_mutex_lock(&s->lock);
    while (s->owed && !s->stopping) {
        struct rpc_slot *slot = s->owed;
        if (rpc_call_try_post(s, slot, q))
            break;
        if (--slot->owed == 0)
            rpc_server_settle(s, &s->owed);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- Requests that do not come ---- */

/* Ends calls whose request has not come in time; if there are very many, the rest at the next look. */
static void look_for_late(struct rpc_server *s)
{
    struct rpc_call *late[64];
    size_t n = 0;
    int64_t now = clock_mono_ns();
    int64_t due = atomic_load(&s->look_ns);
    if (now < due || !atomic_compare_exchange_strong(&s->look_ns, &due, now + LOOK_NS))
        return;
    pthread_mutex_lock(&s->lock);
    for (struct rpc_call *c = s->calls; c && n < sizeof(late) / sizeof(late[0]); c = c->next) {
        int64_t until = atomic_load(&c->due_ns);
        if (until && until < now)
            late[n++] = rpc_call_ref(c);
    }
    pthread_mutex_unlock(&s->lock);
    while (n > 0) {
        rpc_call_abort(late[--n], ERR_TIMEOUT, "the request did not come in time");
        rpc_call_unref(late[n]);
    }
}

/* The time until which a thread waits for events at most. */
static gpr_timespec wait_until(int64_t ms)
{
    return ms ? gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN))
              : gpr_inf_future(GPR_CLOCK_REALTIME);
}

static void *queue_run(void *arg)
{
    struct rpc_queue *q = arg;
    for (;;) {
        int64_t ms = 0;
        if (atomic_load(&q->server->expected)) {
            look_for_late(q->server);
            ms = LOOK_NS / NS_PER_MS;
        }
        if (atomic_load(&q->server->owing)) {
            repay(q);
            ms = REPAY_MS;
        }
        gpr_timespec until = wait_until(ms);
        grpc_event event = grpc_completion_queue_next(q->cq, until, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
        tsan_acquire(event.tag);
        struct rpc_event *e = event.tag;
        bool counted = e->call != NULL;
        e->fn(e, event.success != 0); /* which may free it */
        if (counted)
            rpc_server_operation_done(q->server);
    }
}

/* Lets gRPC read from the connections and write data that had to wait; this thread does nothing else. */
static void *poll_run(void *arg)
{
    struct rpc_queue *q = arg;
    while (grpc_completion_queue_next(q->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    return NULL;
}

static grpc_completion_queue *queue_new(grpc_cq_polling_type polling)
{
    const grpc_completion_queue_attributes a = {
        .version = GRPC_CQ_CURRENT_VERSION, .cq_completion_type = GRPC_CQ_NEXT, .cq_polling_type = polling};
    return grpc_completion_queue_create(grpc_completion_queue_factory_lookup(&a), &a, NULL);
}

static int start_thread(struct thread *t, const char *name, void *(*run)(void *arg), struct rpc_queue *q,
                        struct err *e)
{
    int rc = thread_start(t, name, 0, run, q);
    return rc ? err_set(e, rc, "thread %s: %s", name, thread_error(rc)) : 0;
}

int rpc_server_new(const struct rpc_server_options *options, struct rpc_server **out, struct err *e)
{
    struct rpc_server *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->options = *options;
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->changed);
    s->queues = calloc(options->threads, sizeof(*s->queues));
    s->plain = calloc((size_t)options->threads * RPC_PLAIN_SERVERS, sizeof(struct core_server *));
    if (!s->queues || !s->plain) {
        free(s->queues);
        free(s->plain);
        free(s);
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->insecure = grpc_insecure_server_credentials_create();
    for (unsigned i = 0; i < options->threads; i++, s->n_queues++) {
        s->queues[i].server = s;
        s->queues[i].cq = queue_new(GRPC_CQ_NON_POLLING);
    }
    s->poller = (struct rpc_queue){.server = s, .cq = queue_new(GRPC_CQ_DEFAULT_POLLING)};
    /* The first core server shows whether our own table is good; most clients that come have this role. */
    struct core_server **first = &s->plain[RPC_ROLE_CONTROL * s->n_queues];
    int rc = core_server_new(s, RPC_ROLE_CONTROL, false, 0, first, e);
    if (rc == 0)
        rc = rpc_callbacks_start(&s->callbacks, s, e);
    if (rc)
        return rc; /* a mistake in the table: the program ends */
    core_server_start(*first);
    rc = start_thread(&s->poller.thread, "rpc/read", poll_run, &s->poller, e);
    for (unsigned i = 0; i < s->n_queues && rc == 0; i++) {
        char name[16];
        snprintf(name, sizeof(name), "rpc/%u", i);
        rc = start_thread(&s->queues[i].thread, name, queue_run, &s->queues[i], e);
    }
    if (rc == 0)
        *out = s;
    return rc;
}

int rpc_server_poll_too(struct rpc_server *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = s->poller_too.running ? 0 : start_thread(&s->poller_too, "rpc/read+", poll_run, &s->poller, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

unsigned rpc_server_turn(struct rpc_server *s)
{
    return s->turn++ % s->n_queues;
}

static void adopt(struct rpc_server *s, int fd, unsigned plain, enum rpc_role role)
{
    struct err e;
    unsigned first = rpc_server_turn(s);
    struct core_server **at = &s->plain[plain * s->n_queues + first];
    struct core_server *f = *at;
    if (!f) {
        if (core_server_new(s, role, false, first, &f, &e)) {
            log_limited(LOG_ERROR, "rpc", "a connection is turned away: %s", e.text);
            close(fd);
            return;
        }
        f->fixed = plain == RPC_ROLES;
        *at = f;
        core_server_start(f);
    }
    grpc_server_add_channel_from_fd(f->core, fd, s->insecure);
}

void rpc_server_adopt(struct rpc_server *s, int fd, enum rpc_role role)
{
    adopt(s, fd, role, role);
}

void rpc_server_adopt_probe(struct rpc_server *s, int fd)
{
    adopt(s, fd, RPC_ROLES, RPC_ROLE_HEALTH);
}

uint64_t rpc_server_denied(const struct rpc_server *s)
{
    return atomic_load(&s->denied);
}

int64_t rpc_server_cpu_ns(struct rpc_server *s)
{
    int64_t sum = thread_cpu_ns(&s->callbacks.thread) + thread_cpu_ns(&s->poller.thread);
    for (unsigned i = 0; i < s->n_queues; i++)
        sum += thread_cpu_ns(&s->queues[i].thread);
    pthread_mutex_lock(&s->lock);
    sum += thread_cpu_ns(&s->poller_too);
    pthread_mutex_unlock(&s->lock);
    return sum;
}

/* Tells every stream that the server stops; a stream that opens later is told when it has opened. */
static void say_goodbye(struct rpc_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    for (struct rpc_call *c = s->calls; c; c = c->next)
        rpc_call_goodbye(c);
    pthread_mutex_unlock(&s->lock);
}

/* A core server is down before the last events of its calls have been handled, and a batch that is started on a
 * queue that has been shut down aborts the process: so both must have ended. The lock is held. */
static bool is_down(const struct rpc_server *s)
{
    return s->up == 0 && atomic_load(&s->operations) == 0;
}

/* Waits until all core servers are down and nothing is under way, or |idle| is set and no call is left, or
 * |until_ns| (monotonic) is reached. Returns whether they are down. */
static bool wait_down(struct rpc_server *s, bool idle, int64_t until_ns)
{
    pthread_mutex_lock(&s->lock);
    while (!is_down(s) && !(idle && !s->calls) && thread_cond_wait(&s->changed, &s->lock, until_ns))
        continue;
    bool down = is_down(s);
    pthread_mutex_unlock(&s->lock);
    return down;
}

int rpc_server_stop(struct rpc_server *s, int64_t grace_ns, int64_t deadline_ns)
{
    int64_t now = clock_mono_ns();
    for (struct core_server *f = s->core_servers; f; f = f->next)
        core_server_shutdown(f);
    say_goodbye(s);
    /* Connections outlive their calls: a client closes its connection only when it comes to read our goodbye.
     * So clients have a moment for that once all calls are over; then we close the connections. */
    bool down = wait_down(s, true, now + grace_ns / 2);
    if (!down && s->options.hurry)
        s->options.hurry(s->options.app);
    if (!down)
        down = wait_down(s, true, now + grace_ns);
    if (!down)
        down = wait_down(s, false, clock_mono_ns() + GOODBYE_NS);
    if (!down) {
        for (struct core_server *f = s->core_servers; f; f = f->next)
            grpc_server_cancel_all_calls(f->core);
        if (!wait_down(s, false, now + deadline_ns))
            return ERR_TIMEOUT;
    }
    for (unsigned i = 0; i < s->n_queues; i++)
        grpc_completion_queue_shutdown(s->queues[i].cq);
    for (unsigned i = 0; i < s->n_queues; i++)
        thread_join(&s->queues[i].thread);
    rpc_callbacks_stop(&s->callbacks);
    grpc_completion_queue_shutdown(s->poller.cq);
    thread_join(&s->poller.thread);
    thread_join(&s->poller_too);
    while (s->core_servers) {
        struct core_server *next = s->core_servers->next;
        core_server_free(s->core_servers);
        s->core_servers = next;
    }
    for (unsigned i = 0; i < s->n_queues; i++)
        grpc_completion_queue_destroy(s->queues[i].cq);
    grpc_completion_queue_destroy(s->poller.cq);
    grpc_server_credentials_release(s->insecure);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->queues);
    free(s->plain);
    free(s);
    return 0;
}
