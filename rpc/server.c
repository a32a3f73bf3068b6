/* Life of a server: completion queues and their threads, registered methods, adoption of connections, the
 * stop. */
#include "rpc/server.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/tsan.h"
#include "rpc/server_int.h"

/* Requests posted for each method and queue; a call that comes when none is posted waits inside gRPC. */
#define POSTED 2

/* Between the end of the last call and the closing of connections. */
#define GOODBYE_NS (50 * NS_PER_MS)

void rpc_server_init(void)
{
    rpc_core_init();
}

void rpc_server_fini(void)
{
    rpc_core_fini();
}

static void *queue_run(void *arg)
{
    struct rpc_queue *q = arg;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(q->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
        tsan_acquire(event.tag);
        struct rpc_event *e = event.tag;
        e->fn(e, event.success != 0);
    }
}

static void on_shutdown(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct rpc_server *s = (struct rpc_server *)((char *)event - offsetof(struct rpc_server, shut));
    pthread_mutex_lock(&s->lock);
    s->down = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static grpc_server *core_server_new(const struct rpc_server_options *o)
{
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_CONCURRENT_STREAMS,
         .value.integer = (int)o->streams_max},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = (int)o->request_max},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, .value.integer = -1},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_KEEPALIVE_TIME_MS, .value.integer = 30000},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_KEEPALIVE_TIMEOUT_MS, .value.integer = 10000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
         .value.integer = 10000},
    };
    grpc_channel_args channel_args = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    return grpc_server_create(&channel_args, NULL);
}

static int register_methods(struct rpc_server *s, struct err *e)
{
    for (size_t i = 0; i < s->options.n_methods; i++) {
        const struct rpc_method *m = &s->options.methods[i];
        s->slots[i].spec = m;
        /* A bidirectional call may begin with silence; the others cannot do anything without their one
         * request. */
        s->slots[i].registered = grpc_server_register_method(
            s->server, m->path, NULL,
            m->kind == RPC_BIDI ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
        if (!s->slots[i].registered)
            return err_set(e, ERR_DUPLICATE, "gRPC method %s cannot be registered", m->path);
    }
    return 0;
}

int rpc_server_new(const struct rpc_server_options *options, struct rpc_server **out, struct err *e)
{
    struct rpc_server *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->options = *options;
    s->shut.fn = on_shutdown;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->slots = calloc(options->n_methods + 1, sizeof(*s->slots));
    s->queues = calloc(options->threads, sizeof(*s->queues));
    if (!s->slots || !s->queues) {
        free(s->slots);
        free(s->queues);
        free(s);
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->server = core_server_new(options);
    s->insecure = grpc_insecure_server_credentials_create();
    for (unsigned i = 0; i < options->threads; i++, s->n_queues++) {
        s->queues[i].server = s;
        s->queues[i].cq = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(s->server, s->queues[i].cq, NULL);
    }
    int rc = register_methods(s, e);
    if (rc)
        return rc; /* a mistake in our own table: the program ends */
    grpc_server_start(s->server);
    for (unsigned i = 0; i < s->n_queues; i++) {
        for (size_t m = 0; m <= options->n_methods; m++) {
            for (int n = 0; n < POSTED; n++)
                rpc_call_post(s, &s->slots[m], &s->queues[i]);
        }
        char name[16];
        snprintf(name, sizeof(name), "rpc/%u", i);
        rc = thread_start(&s->queues[i].thread, name, 0, queue_run, &s->queues[i]);
        if (rc)
            return err_set(e, rc, "thread %s: %s", name, err_name(rc));
    }
    *out = s;
    return 0;
}

void rpc_server_adopt(struct rpc_server *s, int fd)
{
    grpc_server_add_channel_from_fd(s->server, fd, s->insecure);
}

int64_t rpc_server_cpu_ns(const struct rpc_server *s)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < s->n_queues; i++)
        sum += thread_cpu_ns(&s->queues[i].thread);
    return sum;
}

bool rpc_server_stopping(const struct rpc_server *s)
{
    return atomic_load(&((struct rpc_server *)s)->stopping);
}

void rpc_server_count_call(struct rpc_server *s, int change)
{
    pthread_mutex_lock(&s->lock);
    s->calls += (size_t)change;
    if (s->calls == 0)
        pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Waits until the shutdown tag has come, or |idle| is set and no call is left, or |until_ns| (monotonic) is
 * reached. Returns whether the tag has come. */
static bool wait_down(struct rpc_server *s, bool idle, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    pthread_mutex_lock(&s->lock);
    while (!s->down && !(idle && s->calls == 0) &&
           pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
        continue;
    bool down = s->down;
    pthread_mutex_unlock(&s->lock);
    return down;
}

int rpc_server_stop(struct rpc_server *s, int64_t grace_ns, int64_t deadline_ns)
{
    int64_t now = clock_mono_ns();
    atomic_store(&s->stopping, true);
    tsan_release(&s->shut);
    grpc_server_shutdown_and_notify(s->server, s->queues[0].cq, &s->shut);
    /* Connections outlive their calls: a client closes its own only when it gets round to reading our
     * goodbye. So they have a moment for it once all calls are over, and are then closed from here. */
    bool down = wait_down(s, true, now + grace_ns / 2);
    if (!down && s->options.hurry)
        s->options.hurry(s->options.app);
    if (!down)
        down = wait_down(s, true, now + grace_ns);
    if (!down)
        down = wait_down(s, false, clock_mono_ns() + GOODBYE_NS);
    if (!down) {
        grpc_server_cancel_all_calls(s->server);
        if (!wait_down(s, false, now + deadline_ns))
            return ERR_TIMEOUT;
    }
    for (unsigned i = 0; i < s->n_queues; i++)
        grpc_completion_queue_shutdown(s->queues[i].cq);
    for (unsigned i = 0; i < s->n_queues; i++)
        thread_join(&s->queues[i].thread);
    grpc_server_destroy(s->server);
    for (unsigned i = 0; i < s->n_queues; i++)
        grpc_completion_queue_destroy(s->queues[i].cq);
    grpc_server_credentials_release(s->insecure);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->queues);
    free(s->slots);
    free(s);
    return 0;
}
