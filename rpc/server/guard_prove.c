/* Finds out whether gRPC reads through the guard in this process, by a connection of our own. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/server/guard_internal.h"
#include "rpc/server/server.h"

#define WAIT_NS  (2 * NS_PER_S)
#define PAUSE_NS (10 * NS_PER_MS)
#define TRIES    3

/* The beginning of a client (RFC 9113, section 3.4), and a PING. */
static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                            "\0\0\0\4\0\0\0\0\0";
static const char ping[] = "\0\0\10\6\0\0\0\0\0xtcp2xtc";

/* Reads frames at |fd| until the acknowledgement of a PING is among them. |meter| keeps the state of the
 * reading. */
static int wait_for_pong(int fd, struct h2_meter *meter, int64_t until_ns)
{
    for (;;) {
        uint8_t byte;
        struct h2_count found = {0};
        int64_t left = until_ns - clock_mono_ns();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&wait, 1, (int)(left / NS_PER_MS) + 1) < 0)
            return ERR_TIMEOUT;
        if (!wait.revents)
            continue;
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return ERR_GONE;
        if (n > 0)
            h2_meter_read(meter, &byte, 1, &found);
        if (found.answers && meter->type == H2_PING)
            return 0;
    }
}

static int say(int fd, const char *what, size_t n)
{
    return send(fd, what, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EPIPE;
}

/* Whether the guard knows what gRPC has read at |fd|. */
static bool was_counted(int fd)
{
    pthread_mutex_lock(&guard.lock);
    const struct guard_conn *c = guard_find(fd);
    bool ok = c && c->meter.preface == H2_PREFACE_SIZE && c->meter.type == H2_PING && c->epoll >= 0 &&
              atomic_load(&c->sent) > 0;
    pthread_mutex_unlock(&guard.lock);
    return ok;
}

/* Uses up a budget, so that the next read at |fd| is put off for a moment. */
static void use_up(int fd)
{
    pthread_mutex_lock(&guard.lock);
    struct guard_conn *c = guard_find(fd);
    if (c) {
        const struct budget_limit *limit = &guard.budgets[GUARD_OWN][guard_class_of(c)][BUDGET_CALLS];
        budget_refill(&c->own, guard.budgets[GUARD_OWN][guard_class_of(c)], clock_mono_ns());
        c->own.have[BUDGET_CALLS] = -limit->rate * (double)PAUSE_NS / (double)NS_PER_S;
    }
    pthread_mutex_unlock(&guard.lock);
}

/* Makes the proof with the pair |fds|, whose second end is gRPC's. */
static int prove(const int fds[2], struct err *e)
{
    struct h2_meter meter = {.preface = H2_PREFACE_SIZE}; /* a server sends none */
    int64_t until = clock_mono_ns() + WAIT_NS;
    int rc = say(fds[0], hello, sizeof(hello) - 1);
    if (rc == 0)
        rc = say(fds[0], ping, sizeof(ping) - 1);
    if (rc == 0)
        rc = wait_for_pong(fds[0], &meter, until);
    if (rc)
        return err_set(e, rc, "gRPC does not answer a connection of our own: %s", err_name(rc));
    if (!was_counted(fds[1]))
        return err_set(e, ERR_UNSUPPORTED,
                       "gRPC does not read by the program's recvmsg, sendmsg and epoll_ctl");
    int64_t began = clock_mono_ns();
    use_up(fds[1]);
    rc = say(fds[0], ping, sizeof(ping) - 1);
    if (rc == 0)
        rc = wait_for_pong(fds[0], &meter, until);
    if (rc)
        return err_set(e, rc, "gRPC does not go on after a pause: %s", err_name(rc));
    if (clock_mono_ns() - began < PAUSE_NS)
        return err_set(e, ERR_UNSUPPORTED, "gRPC does not pause");
    return 0;
}

/* Waits until the guard has heard that |fd| is closed. */
static int wait_closed(int fd, struct err *e)
{
    int64_t until = clock_mono_ns() + WAIT_NS;
    while (guard_find(fd)) {
        if (clock_mono_ns() > until)
            return err_set(e, ERR_UNSUPPORTED, "gRPC does not close by the program's close");
        poll(NULL, 0, 1);
    }
    return 0;
}

static int try_to_prove(struct rpc_server *s, struct err *e)
{
    static const struct rpc_peer peer = {.user = "the daemon itself", .text = "the daemon itself"};
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return err_set(e, -errno, "socketpair: %s", err_name(-errno));
    int rc = rpc_guard_open(fds[1], &peer, QUOTA_CONTROL, e);
    if (rc == 0) {
        rpc_server_adopt(s, fds[1], RPC_ROLE_CONTROL);
        rc = prove(fds, e);
    } else {
        close(fds[1]);
    }
    close(fds[0]);
    return rc ? rc : wait_closed(fds[1], e);
}

int rpc_guard_prove(struct rpc_server *s, struct err *e)
{
    /* A very busy machine may take the CPU away in the middle; such a failure proves nothing. */
    int rc = try_to_prove(s, e);
    for (int i = 1; i < TRIES && rc; i++)
        rc = try_to_prove(s, e);
    if (rc)
        guard.failure = *e;
    pthread_mutex_lock(&guard.lock);
    guard.stats = (struct rpc_guard_stats){0}; /* the pause of the proof does not count */
    pthread_mutex_unlock(&guard.lock);
    atomic_store(&guard.works, rc == 0);
    return rc;
}
