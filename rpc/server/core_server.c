/* A gRPC server on the queues of ours: its limits, its methods, its end. */
#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/tsan.h"
#include "rpc/server/server_internal.h"
#include "rpc/server/tls.h"

/* Requests posted for each method and queue; a call that comes when none is posted waits inside gRPC. */
#define POSTED 2

/* Bytes of the metadata before a request: path, deadline, a token. */
#define METADATA_MAX 8192

/* A silent peer is asked whether it lives, also when it has no call open: half-open connections, and those
 * that never begin to speak HTTP/2, end after the sum of both. A handshake has a time limit. */
#define KEEPALIVE_MS         30000
#define KEEPALIVE_TIMEOUT_MS 10000
#define HANDSHAKE_MS         10000

static grpc_server *make_grpc_server(const struct rpc_server_options *o, bool beside)
{
    const struct {
        const char *key;
        int value;
    } settings[] = {
        {GRPC_ARG_ALLOW_REUSEPORT, beside},
        {GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)o->streams_max},
        {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)o->request_max},
        {GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1},
        {GRPC_ARG_MAX_METADATA_SIZE, METADATA_MAX},
        {GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS},
        {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS},
        {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
        {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
        {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000},
        {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS},
        {GRPC_ARG_ENABLE_CHANNELZ, 0},                  /* nobody uses it */
        {GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0},   /* of answers; requests may be, */
        {GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0}, /* but see rpc/server/inflate.h */
        /* gRPC's own measure would close a connection at the third excess PING; a reconnection costs more
         * than the PINGs that the guard allows. */
        {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0},
    };
    enum { N = sizeof(settings) / sizeof(settings[0]) };
    grpc_arg args[N];
    for (size_t i = 0; i < N; i++)
        args[i] = (grpc_arg){.type = GRPC_ARG_INTEGER,
                             .key = (char *)(uintptr_t)settings[i].key,
                             .value.integer = settings[i].value};
    return grpc_server_create(&(grpc_channel_args){.num_args = N, .args = args}, NULL);
}

static void on_shutdown(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct core_server *f = (struct core_server *)((char *)event - offsetof(struct core_server, shut));
    struct rpc_server *s = f->server;
    pthread_mutex_lock(&s->lock);
    f->down = true;
    s->up--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int register_methods(struct core_server *f, struct err *e)
{
    const struct rpc_server_options *o = &f->server->options;
    f->slots[o->n_methods].core_server = f;
    for (size_t i = 0; i < o->n_methods; i++) {
        const struct rpc_method *m = &o->methods[i];
        /* A call is told before its request has come, so that forbidden calls do not wait inside gRPC. */
        void *registered = grpc_server_register_method(f->core, m->path, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
        if (!registered)
            return err_set(e, ERR_DUPLICATE, "gRPC method %s cannot be registered", m->path);
        f->slots[i] = (struct rpc_slot){.core_server = f, .spec = m, .registered = registered};
    }
    return 0;
}

int core_server_new(struct rpc_server *s, enum rpc_role role, bool beside, unsigned first,
                    struct core_server **out, struct err *e)
{
    struct core_server *f = calloc(1, sizeof(*f));
    if (!f)
        return err_set(e, -ENOMEM, "out of memory");
    *f = (struct core_server){.server = s, .role = role, .shut.fn = on_shutdown};
    f->slots = calloc(s->options.n_methods + 1, sizeof(*f->slots));
    if (!f->slots) {
        free(f);
        return err_set(e, -ENOMEM, "out of memory");
    }
    f->core = make_grpc_server(&s->options, beside);
    /* One queue with sockets, not more: with SO_REUSEPORT, gRPC opens the port once more for each further one
     * when it is started, and aborts the process where that fails (clone_port in its tcp_server_posix.cc):
     * without a descriptor, or because the port is no longer shared by then. */
    grpc_server_register_completion_queue(f->core, s->poller.cq, NULL);
    /* Of the other queues, a connection that was handed to gRPC prefers the one registered first. */
    for (unsigned i = 0; i < s->n_queues; i++)
        grpc_server_register_completion_queue(f->core, s->queues[(first + i) % s->n_queues].cq, NULL);
    int rc = register_methods(f, e);
    if (rc) {
        core_server_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

void core_server_start(struct core_server *f)
{
    struct rpc_server *s = f->server;
    grpc_server_start(f->core);
    pthread_mutex_lock(&s->lock);
    s->up++;
    pthread_mutex_unlock(&s->lock);
    f->next = s->core_servers;
    s->core_servers = f;
    for (unsigned i = 0; i < s->n_queues; i++) {
        for (size_t m = 0; m <= s->options.n_methods; m++) {
            for (int n = 0; n < POSTED; n++)
                rpc_call_post(s, &f->slots[m], &s->queues[i]);
        }
    }
}

void core_server_shutdown(struct core_server *f)
{
    if (f->closing)
        return;
    f->closing = true;
    tsan_release(&f->shut);
    grpc_server_shutdown_and_notify(f->core, f->server->queues[0].cq, &f->shut);
}

void core_server_free(struct core_server *f)
{
    rpc_server_forgive(f->server, f);
    grpc_server_destroy(f->core);
    rpc_tls_release(f->tls_state);
    free(f->slots);
    free(f);
}

void core_server_reap(struct rpc_server *s)
{
    struct core_server **at = &s->core_servers;
    while (*at) {
        struct core_server *f = *at;
        pthread_mutex_lock(&s->lock);
        bool down = f->down;
        pthread_mutex_unlock(&s->lock);
        if (down && atomic_load(&f->calls) == 0) {
            *at = f->next;
            core_server_free(f);
            log_debug("rpc", "a server that was replaced is gone");
        } else {
            at = &f->next;
        }
    }
}
