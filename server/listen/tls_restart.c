#include "server/listen/tls_restart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/server/tls_listener.h"

/* A listener is made anew only when this many descriptors are free; otherwise it would stop as the last one
 * did. Until then it is tried again and again. */
#define SPARE_DESCRIPTORS 8
#define REBUILD_NS        (200 * NS_PER_MS)

struct tls_restart {
    int timer;         /* timerfd: time to look */
    _Atomic bool lost; /* some listener has stopped */
};

static void serve_in(struct tls_restart *g, int64_t ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S}};
    timerfd_settime(g->timer, 0, &when, NULL);
}

/* Called on a thread of gRPC. */
static void on_loss(void *arg)
{
    struct tls_restart *g = arg;
    atomic_store(&g->lost, true);
    serve_in(g, REBUILD_NS);
}

int tls_restart_new(int epoll, const struct event_source *source, struct tls_restart **out, struct err *e)
{
    struct tls_restart *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, -ENOMEM, "out of memory");
    g->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int rc = g->timer < 0 ? -errno : event_source_add(epoll, g->timer, EPOLLIN, source);
    if (rc) {
        err_set(e, rc, "listeners: %s", err_name(rc));
        tls_restart_free(g);
        return rc;
    }
    rpc_tls_on_loss(on_loss, g);
    *out = g;
    return 0;
}

void tls_restart_free(struct tls_restart *g)
{
    if (!g)
        return;
    rpc_tls_on_loss(NULL, NULL);
    if (g->timer >= 0)
        close(g->timer);
    free(g);
}

/* ---- Listeners that have stopped ---- */

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

/* Returns whether to try again later. */
static bool rebuild(struct listener *listener)
{
    struct err e;
    if (rpc_tls_listener_rebuild(listener->tls, &e)) {
        log_limited(LOG_WARN, "listen", "%s: trying again", e.text);
        return true;
    }
    listener->down = false;
    listener_log(listener, "listening again on");
    return false;
}

static void mend(struct tls_restart *g, struct listener *const list[], size_t n)
{
    size_t down = 0;
    bool lost = atomic_exchange(&g->lost, false);
    if (lost)
        log_limited(LOG_WARN, "listen",
                    "there was no descriptor for a connection by TLS: its listener is made anew");
    for (size_t i = 0; i < n; i++) {
        if (list[i]->tls && lost)
            list[i]->down = true; /* gRPC does not tell which one it was */
        down += list[i]->down;
    }
    if (down == 0)
        return;
    bool again = !has_room();
    for (size_t i = 0; i < n && !again; i++)
        again = list[i]->down && rebuild(list[i]);
    if (again)
        serve_in(g, REBUILD_NS);
}

void tls_restart_serve(struct tls_restart *g, struct listener *const list[], size_t n)
{
    uint64_t count;
    ssize_t got = read(g->timer, &count, sizeof(count));
    (void)got;
    mend(g, list, n);
}
