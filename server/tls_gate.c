#include "server/tls_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/tls_listener.h"

/* A listener is made anew only when so many descriptors can be had, or it would stop as the last one did;
 * until then that is tried again and again. */
#define SPARE_DESCRIPTORS 8
#define REBUILD_NS        (200 * NS_PER_MS)

struct tls_door {
    struct rpc_tls_listener *listener;
    bool down; /* it has stopped accepting */
};

struct tls_gate {
    struct rpc_tls *tls;
    struct tls_door doors[CONFIG_LISTEN_MAX];
    size_t n;
    int timer;         /* timerfd: time to put right what has stopped */
    _Atomic bool lost; /* some listener has stopped */
};

int tls_gate_new(const struct config *c, struct tls_gate **out, struct err *e)
{
    const struct rpc_tls_files files = {
        .cert = c->tls_cert_file, .key = c->tls_key_file, .client_ca = c->tls_client_ca_file};
    if (c->grpc_tls_listen.n && (!*files.cert || !*files.key))
        return err_set(e, ERR_RANGE, "grpc_tls_listen needs tls_cert_file and tls_key_file");
    struct tls_gate *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, -ENOMEM, "out of memory");
    g->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int rc = g->timer < 0 ? err_set(e, -errno, "gate: %s", err_name(-errno)) : 0;
    if (rc == 0 && c->grpc_tls_listen.n)
        rc = rpc_tls_new(&files, &g->tls, e);
    if (rc) {
        tls_gate_free(g);
        return rc;
    }
    *out = g;
    return 0;
}

void tls_gate_free(struct tls_gate *g)
{
    if (!g)
        return;
    rpc_tls_on_loss(NULL, NULL);
    while (g->n > 0)
        rpc_tls_listener_free(g->doors[--g->n].listener);
    rpc_tls_free(g->tls);
    if (g->timer >= 0)
        close(g->timer);
    free(g);
}

static void serve_in(struct tls_gate *g, int64_t ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S}};
    timerfd_settime(g->timer, 0, &when, NULL);
}

/* On a thread of gRPC's. */
static void on_loss(void *arg)
{
    struct tls_gate *g = arg;
    atomic_store(&g->lost, true);
    serve_in(g, REBUILD_NS);
}

int tls_gate_start(struct tls_gate *g, const struct config *c, int epoll, struct rpc_server *server,
                   struct err *e)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = g};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, g->timer, &event) != 0)
        return err_set(e, -errno, "gate: %s", err_name(-errno));
    for (size_t i = 0; i < c->grpc_tls_listen.n; i++) {
        int rc = rpc_tls_listener_open(server, g->tls, c->grpc_tls_listen.items[i], &g->doors[i].listener, e);
        if (rc)
            return rc;
        g->n++;
    }
    if (g->n > 0)
        rpc_tls_on_loss(on_loss, g);
    return 0;
}

static bool has_room(void)
{
    int fds[SPARE_DESCRIPTORS];
    size_t n = 0;
    while (n < SPARE_DESCRIPTORS && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
    return n == SPARE_DESCRIPTORS;
}

static void rebuild(struct tls_gate *g, struct tls_door *door)
{
    struct err e;
    if (rpc_tls_listener_rebuild(door->listener, &e)) {
        log_limited(LOG_WARN, "gate", "%s: trying again", e.text);
        serve_in(g, REBUILD_NS);
        return;
    }
    door->down = false;
    log_info("gate", "listening again on %s (TLS)", rpc_tls_listener_text(door->listener));
}

void tls_gate_serve(struct tls_gate *g)
{
    uint64_t count;
    ssize_t n = read(g->timer, &count, sizeof(count));
    (void)n;
    if (atomic_exchange(&g->lost, false)) {
        log_limited(LOG_WARN, "gate",
                    "there was no descriptor for a connection by TLS: its listener is made anew");
        for (size_t i = 0; i < g->n; i++) /* gRPC does not tell which one it was */
            g->doors[i].down = true;
    }
    if (!has_room()) {
        serve_in(g, REBUILD_NS);
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        if (g->doors[i].down)
            rebuild(g, &g->doors[i]);
    }
}

void tls_gate_refresh(struct tls_gate *g)
{
    if (g->tls)
        rpc_tls_refresh(g->tls);
}

void tls_gate_log(const struct tls_gate *g)
{
    for (size_t i = 0; i < g->n; i++)
        log_info("gate", "listening on %s (TLS%s)", rpc_tls_listener_text(g->doors[i].listener),
                 rpc_tls_asks_clients(g->tls) ? ", client certificates" : "");
}
