/* Incoming connections: the functions that main's loop calls, and the decision to keep a connection. */
#include <errno.h>
#include <unistd.h>

#include "lib/log.h"
#include "rpc/server/guard.h"
#include "server/listen/listeners_internal.h"

/* Connections taken before the loop looks at other things. */
#define BUDGET 64

/* ---- Connections ---- */

static enum quota_rank rank_of(const struct rpc_peer *peer, enum rpc_role role)
{
    if (role == RPC_ROLE_CONTROL)
        return QUOTA_CONTROL;
    return peer->local ? QUOTA_LOCAL : QUOTA_REMOTE;
}

/* Admits the connection |fd| or closes it. */
static void let_in(struct listeners *g, const struct listener *listener, int fd, const struct config *c)
{
    struct rpc_peer peer;
    struct err e;
    rpc_peer_find(g->finder, fd, &peer);
    bool probe = listener->kind == LISTENER_PROBE;
    enum rpc_role role = probe ? RPC_ROLE_HEALTH : access_peer_role(c, &g->users, &peer, g->own);
    if (rpc_guard_open(fd, &peer, rank_of(&peer, role), &e)) {
        log_limited(LOG_WARN, "listen", "listener %s: a connection is turned away: %s",
                    listen_socket_text(listener->plain), e.text);
        close(fd);
        return;
    }
    log_debug("listen", "%s: connection from %s: role %s", listen_socket_text(listener->plain), peer.text,
              rpc_role_names[role]);
    if (probe)
        rpc_server_adopt_probe(g->server, fd);
    else
        rpc_server_adopt(g->server, fd, role);
}

void listeners_let_in(struct listeners *g, const struct listener *d, const struct config *c, int budget)
{
    for (; budget > 0; budget--) {
        int fd = listen_socket_accept(d->plain);
        g->no_descriptor += fd == -EMFILE || fd == -ENFILE;
        if (fd < 0)
            return;
        let_in(g, d, fd, c);
    }
}

/* ---- Event sources ---- */

/* Connections wait at the listener of a source, unless they have been accepted or the listener has been closed
 * meanwhile. The source may have another listener by now, which is not open yet or has no connections waiting. */
static void serve_plain(void *arg, uint32_t events)
{
    (void)events;
    const struct listener_source *source = arg;
    struct listeners *g = source->set;
    pthread_mutex_lock(&g->lock);
    if (source->listener && source->listener->open)
        listeners_let_in(g, source->listener, g->config, BUDGET);
    pthread_mutex_unlock(&g->lock);
}

static void serve_tls(void *arg, uint32_t events)
{
    (void)events;
    struct listeners *g = arg;
    pthread_mutex_lock(&g->lock);
    tls_restart_serve(g->tls_restart, g->list, g->n);
    pthread_mutex_unlock(&g->lock);
}

void listeners_init_sources(struct listeners *g)
{
    g->on_restart = (struct event_source){serve_tls, g};
    for (size_t i = 0; i < sizeof(g->sources) / sizeof(g->sources[0]); i++) {
        struct listener_source *source = &g->sources[i];
        *source = (struct listener_source){.event = {serve_plain, source}, .set = g};
    }
}

void listeners_give_source(struct listeners *g, struct listener *d)
{
    struct listener_source *source = g->sources;
    while (source->listener) /* there is a free one */
        source++;
    source->listener = d;
    d->source = source;
}
