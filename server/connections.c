#include "server/connections.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "rpc/own_sockets.h"

/* A look at all connections is followed by so many times its duration without one. */
#define REST 16

/* Those at ports of TLS, at most. */
#define TLS_PORTS_MAX 16

struct connection {
    uint64_t cookie; /* SO_COOKIE */
    int fd;
};

/* Cookies of connections by TLS, sorted. */
struct cookies {
    uint64_t *items;
    size_t n;
    size_t room;
    bool failed; /* no memory was left for some */
};

struct connections {
    struct connection *items; /* plaintext */
    size_t n;
    size_t room;
    struct cookies secure;  /* by TLS, at the last look */
    _Atomic size_t arrived; /* by TLS, since then */
    uint16_t ports[TLS_PORTS_MAX];
    size_t n_ports;
    int64_t next_look_ns;
};

int connections_new(struct connections **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : -ENOMEM;
}

void connections_free(struct connections *c)
{
    if (!c)
        return;
    free(c->items);
    free(c->secure.items);
    free(c);
}

/* How many there are by what is known: there may be fewer. */
static size_t known(struct connections *c)
{
    return c->n + c->secure.n + atomic_load(&c->arrived);
}

/* ---- Plaintext ---- */

/* The cookie of the socket |fd|; 0 when it is none. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

size_t connections_count(struct connections *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (cookie_of(c->items[i].fd) == c->items[i].cookie)
            c->items[n++] = c->items[i];
    }
    c->n = n;
    return n;
}

/* Makes room for one more: by forgetting those that are gone, or by growing, so that it is done rarely. */
static bool make_room(struct connections *c)
{
    if (c->n < c->room || connections_count(c) < c->room / 2)
        return true;
    size_t room = c->room ? 2 * c->room : 64;
    struct connection *items = reallocarray(c->items, room, sizeof(*items));
    if (!items)
        return c->n < c->room;
    c->items = items;
    c->room = room;
    return true;
}

/* ---- TLS ---- */

void connections_tls_ports(struct connections *c, const uint16_t *ports, size_t n)
{
    c->n_ports = n < TLS_PORTS_MAX ? n : TLS_PORTS_MAX;
    memcpy(c->ports, ports, c->n_ports * sizeof(*ports));
}

void connections_expect_tls(struct connections *c)
{
    atomic_fetch_add(&c->arrived, 1);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int compare_connections(const void *a, const void *b)
{
    const struct connection *x = a;
    const struct connection *y = b;
    return compare(&x->cookie, &y->cookie);
}

/* Whether |s| came by TLS. Another address may have a plaintext listener at the same port. The plaintext ones
 * are sorted. */
static bool is_secure(const struct connections *c, const struct rpc_own_socket *s)
{
    const struct connection key = {.cookie = s->cookie};
    bool at_port = false;
    for (size_t i = 0; i < c->n_ports && !s->listens && !at_port; i++)
        at_port = c->ports[i] == s->port;
    return at_port && !(c->n > 0 && bsearch(&key, c->items, c->n, sizeof(*c->items), compare_connections));
}

static bool have(const struct cookies *list, uint64_t cookie)
{
    return list->n > 0 && bsearch(&cookie, list->items, list->n, sizeof(cookie), compare);
}

struct visit {
    struct connections *c;
    struct cookies found;
    size_t excess; /* to be closed */
};

static void collect(void *arg, const struct rpc_own_socket *s)
{
    struct visit *v = arg;
    struct cookies *f = &v->found;
    if (!is_secure(v->c, s))
        return;
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        uint64_t *items = reallocarray(f->items, room, sizeof(*items));
        f->failed = f->failed || !items;
        if (!items)
            return;
        f->items = items;
        f->room = room;
    }
    f->items[f->n++] = s->cookie;
}

/* gRPC takes it for a peer that has gone. */
static void close_new(void *arg, const struct rpc_own_socket *s)
{
    struct visit *v = arg;
    if (v->excess == 0 || !is_secure(v->c, s) || have(&v->c->secure, s->cookie))
        return;
    if (shutdown(s->fd, SHUT_RDWR) == 0)
        v->excess--;
}

/* Counts all of them, and closes those beyond |max| that were not there at the last look. Returns how many
 * these are. */
static size_t look(struct connections *c, size_t max)
{
    int64_t began = clock_mono_ns();
    struct visit v = {.c = c};
    size_t closed = 0;
    if (connections_count(c) > 0)
        qsort(c->items, c->n, sizeof(*c->items), compare_connections);
    atomic_store(&c->arrived, 0);
    int rc = c->n_ports ? rpc_own_sockets(collect, &v) : 0;
    if (rc || v.found.failed)
        log_limited(LOG_WARN, "gate", "connections by TLS are not counted: %s", err_name(rc ? rc : -ENOMEM));
    if (v.found.n)
        qsort(v.found.items, v.found.n, sizeof(*v.found.items), compare);
    if (c->n + v.found.n > max) {
        size_t excess = c->n + v.found.n - max;
        v.excess = excess;
        rpc_own_sockets(close_new, &v);
        closed = excess - v.excess;
    }
    free(c->secure.items);
    c->secure = v.found;
    int64_t now = clock_mono_ns();
    c->next_look_ns = now + REST * (now - began);
    return closed;
}

int64_t connections_bound_tls(struct connections *c, size_t max, int64_t now_ns, size_t *closed)
{
    *closed = 0;
    if (atomic_load(&c->arrived) == 0)
        return 0;
    if (now_ns < c->next_look_ns)
        return c->next_look_ns - now_ns;
    *closed = look(c, max);
    return 0;
}

/* ---- Both ---- */

bool connections_add(struct connections *c, int fd, size_t max, int64_t now_ns)
{
    if (known(c) >= max && now_ns >= c->next_look_ns)
        look(c, max);
    if (known(c) >= max || !make_room(c))
        return false;
    c->items[c->n++] = (struct connection){.fd = fd, .cookie = cookie_of(fd)};
    return true;
}
