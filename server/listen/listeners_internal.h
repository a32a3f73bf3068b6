/* The interface between the files of the listeners. Private to them; each calls those behind it only:
 *
 *     listeners.c          their life, and looking after them
 *     listeners_change.c   following the configuration
 *     listeners_accept.c   connections that come */
#ifndef XTCP_SERVER_LISTEN_LISTENERS_INTERNAL_H
#define XTCP_SERVER_LISTEN_LISTENERS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "rpc/server/peer.h"
#include "rpc/server/tls.h"
#include "server/listen/access.h"
#include "server/listen/listener.h"
#include "server/listen/listeners.h"
#include "server/listen/peer_rate.h"
#include "server/listen/tls_restart.h"
#include "server/listen/tokens.h"

#define LISTENERS_MAX (3 * CONFIG_LISTEN_MAX)

/* Before a listener is closed, the connections that wait at it are accepted, at most this many. */
#define LISTENERS_LAST_BUDGET 1024

struct listeners {
    int epoll;
    struct event_source on_restart; /* for |tls_restart| */
    struct rpc_server *server;
    struct peer_rate *rate;
    struct tokens *tokens;
    uid_t own;
    _Atomic uint16_t port; /* of the first TCP listener of grpc_listen */
    _Atomic uint64_t control_refused, tokens_refused;

    pthread_mutex_t lock; /* guards all below, and serialises the operations on the core servers */
    struct listener *list[LISTENERS_MAX];
    size_t n;
    struct listener_source
        sources[2 * LISTENERS_MAX]; /* a change opens listeners beside those that there are */
    const struct config *config;    /* what the listeners follow; NULL before the first */
    struct access_users users;      /* that it lists */
    struct rpc_tls *tls;            /* NULL until there is a listener with TLS, then to the end */
    struct tls_restart *tls_restart;
    struct rpc_peer_finder *finder;
    uint64_t no_descriptor;
    bool closed;   /* closed for good: nothing changes any more */
    bool changing; /* between prepare and its commit or abort */
    pthread_cond_t changed;
};

/* ---- listeners_accept.c ---- */

/* Makes all sources, before the loop knows of one: it may read them at any time, so they are written once. */
void listeners_init_sources(struct listeners *g);

/* Gives |d|, which is plaintext, a source, by which epoll can find it. The lock is held. */
void listeners_give_source(struct listeners *g, struct listener *d);

/* Accepts the connections that wait at |d|, at most |budget|. The lock is held. */
void listeners_let_in(struct listeners *g, const struct listener *d, const struct config *c, int budget);

/* ---- listeners_change.c ---- */

/* The mode that |c| wants of unix sockets' files. */
mode_t listeners_socket_mode(const struct config *c);

/* Reads the files that |c| names for TLS. Returns 0 and them in |out|, NULL where |c| has no listener with TLS, or a code with |e|. */
int listeners_read_tls(const struct config *c, struct rpc_tls **out, struct err *e);

#endif
