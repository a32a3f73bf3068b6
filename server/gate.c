#include "server/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/listener.h"
#include "rpc/peer.h"
#include "server/access.h"
#include "server/connections.h"
#include "server/rate.h"
#include "server/tls_gate.h"
#include "server/tokens.h"

/* Connections taken before the loop looks at other things. */
#define BUDGET 64

/* A place to come in. */
struct door {
    struct rpc_listener *listener;
    bool probe; /* only the health is to be had here */
};

struct gate {
    struct door doors[2 * CONFIG_LISTEN_MAX];
    size_t n;
    struct tls_gate *tls;
    struct tokens *tokens;
    struct rpc_server *server;
    struct rpc_peer_finder *finder;
    struct connections *connections;
    struct rate *rate;
    uid_t own;
    uint16_t port; /* of the first TCP listener that is not for probes */
    uint32_t ipv4_ttl, ipv6_hop_limit;
};

/* ---- Opening ---- */

static mode_t socket_mode(const struct config *c)
{
    static const mode_t modes[] = {
        [CONFIG_SOCKET_0600] = 0600, [CONFIG_SOCKET_0660] = 0660, [CONFIG_SOCKET_0666] = 0666};
    return modes[c->unix_socket_mode];
}

static int open_door(struct gate *g, const struct config *c, const char *where, bool probe, struct err *e)
{
    struct rpc_listener_options options = {.socket_mode = socket_mode(c),
                                           .socket_group = c->unix_socket_group};
    int rc = rpc_listener_open(where, &options, &g->doors[g->n].listener, e);
    if (rc)
        return rc;
    if (!probe && g->port == 0)
        g->port = rpc_listener_port(g->doors[g->n].listener);
    g->doors[g->n++].probe = probe;
    return 0;
}

/* Whether |c| has the listeners that nobody has asked for. */
static bool is_default(const struct config *c)
{
    struct buf text;
    const struct config_option *o = config_option_find("grpc_listen");
    buf_init(&text);
    config_option_print(o, c, &text);
    bool same = !text.failed && strcmp(buf_cstr(&text), o->default_value) == 0;
    buf_free(&text);
    return same;
}

static int open_doors(struct gate *g, const struct config *c, struct err *e)
{
    int rc = 0;
    bool optional = is_default(c);
    for (size_t i = 0; i < c->grpc_listen.n; i++) {
        rc = open_door(g, c, c->grpc_listen.items[i], false, e);
        if (rc && !optional)
            return rc;
        if (rc)
            log_warn("gate", "%s: going on without it", e->text);
    }
    if (g->n == 0)
        return rc;
    rc = 0;
    for (size_t i = 0; i < c->grpc_health_listen.n && rc == 0; i++)
        rc = open_door(g, c, c->grpc_health_listen.items[i], true, e);
    return rc;
}

int gate_check(const struct config *c, struct err *e)
{
    struct tls_gate *tls = NULL;
    struct tokens *tokens = NULL;
    int rc = tls_gate_new(c, &tls, e);
    if (rc == 0)
        rc = tokens_new(c->token_file, &tokens, e);
    tokens_free(tokens);
    tls_gate_free(tls);
    return rc;
}

int gate_open(const struct config *c, struct gate **out, struct err *e)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, -ENOMEM, "out of memory");
    g->own = geteuid();
    int rc = connections_new(&g->connections);
    if (rc == 0)
        rc = rate_new(&g->rate);
    if (rc == 0)
        rc = rpc_peer_finder_new(&g->finder);
    if (rc)
        err_set(e, rc, "gate: %s", err_name(rc));
    if (rc == 0)
        rc = tls_gate_new(c, &g->tls, e);
    if (rc == 0)
        rc = tokens_new(c->token_file, &g->tokens, e);
    if (rc == 0)
        rc = open_doors(g, c, e);
    if (rc) {
        gate_free(g);
        return rc;
    }
    gate_apply(g, c);
    *out = g;
    return 0;
}

int gate_start(struct gate *g, const struct config *c, int epoll, struct rpc_server *server, struct err *e)
{
    g->server = server;
    int rc = tls_gate_start(g->tls, c, epoll, server, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < g->n; i++) {
        const struct rpc_listener *l = g->doors[i].listener;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &g->doors[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, rpc_listener_fd(l), &event) != 0)
            return err_set(e, -errno, "listener %s: %s", rpc_listener_text(l), err_name(-errno));
    }
    return 0;
}

void gate_log(const struct gate *g)
{
    for (size_t i = 0; i < g->n; i++)
        log_info("gate", "listening on %s%s", rpc_listener_text(g->doors[i].listener),
                 g->doors[i].probe ? " (health only)" : "");
    tls_gate_log(g->tls);
}

uint16_t gate_port(const struct gate *g)
{
    return g->port;
}

/* ---- Closing ---- */

void gate_close(struct gate *g)
{
    if (!g)
        return;
    while (g->n > 0)
        rpc_listener_close(g->doors[--g->n].listener);
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    gate_close(g);
    tls_gate_free(g->tls);
    tokens_free(g->tokens);
    rpc_peer_finder_free(g->finder);
    connections_free(g->connections);
    rate_free(g->rate);
    free(g);
}

/* ---- Those who come ---- */

/* Lets the connection |fd| in, or shows it out. */
static void let_in(struct gate *g, const struct door *door, int fd, const struct config *c)
{
    struct rpc_peer peer;
    if (!connections_add(g->connections, fd, c->connections_max)) {
        log_limited(LOG_WARN, "gate",
                    "listener %s: a connection is turned away: there are %u of them, which is "
                    "connections_max",
                    rpc_listener_text(door->listener), c->connections_max);
        close(fd);
        return;
    }
    if (door->probe) {
        rpc_server_adopt_probe(g->server, fd);
        return;
    }
    rpc_peer_find(g->finder, fd, &peer);
    enum rpc_role role = access_peer_role(c, &peer, g->own);
    log_debug("gate", "%s: connection from %s: role %s", rpc_listener_text(door->listener), peer.text,
              rpc_role_names[role]);
    rpc_server_adopt(g->server, fd, role);
}

void gate_serve(struct gate *g, void *source, const struct config *c)
{
    if (source == g->tls) {
        tls_gate_serve(g->tls);
        return;
    }
    const struct door *door = source;
    for (int budget = BUDGET; budget > 0; budget--) {
        int fd = rpc_listener_accept(door->listener);
        if (fd < 0)
            return;
        let_in(g, door, fd, c);
    }
}

int gate_call_role(struct gate *g, const struct config *c, const struct rpc_caller *caller,
                   enum rpc_role *out, struct err *e)
{
    return access_call_role(c, g->tokens, caller, out, e);
}

int gate_admit(struct gate *g, const struct config *c, const char *peer, struct err *e)
{
    if (rate_admit(g->rate, peer, c->control_calls_max, clock_mono_ns()))
        return 0;
    return err_set(e, ERR_LIMIT,
                   "more than %u calls that change something came within a second from this peer "
                   "(control_calls_max)",
                   c->control_calls_max);
}

void gate_refresh(struct gate *g)
{
    tls_gate_refresh(g->tls);
}

void gate_apply(struct gate *g, const struct config *c)
{
    if (g->ipv4_ttl == c->ipv4_ttl && g->ipv6_hop_limit == c->ipv6_hop_limit)
        return;
    g->ipv4_ttl = c->ipv4_ttl;
    g->ipv6_hop_limit = c->ipv6_hop_limit;
    for (size_t i = 0; i < g->n; i++)
        rpc_listener_set_hops(g->doors[i].listener, c->ipv4_ttl, c->ipv6_hop_limit);
}
