/* One listener of the daemon: plaintext, where we accept, or TLS, where gRPC does. Under the lock of the listeners. */
#ifndef XTCP_SERVER_LISTEN_LISTENER_H
#define XTCP_SERVER_LISTEN_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "lib/linux/event_source.h"
#include "rpc/server/listen_socket.h"
#include "rpc/server/server.h"
#include "rpc/server/tls_listener.h"

enum listener_kind {
    LISTENER_PLAIN,
    LISTENER_PROBE, /* plaintext, and serves only the health */
    LISTENER_TLS,
};

struct listener;
struct listeners;

/* The event source of a plaintext listener, as epoll knows it. It outlives the listener, so an event that comes
 * late does no harm. */
struct listener_source {
    struct event_source event; /* its |arg| is this struct */
    struct listeners *set;
    struct listener *listener; /* NULL: none, or it has been closed */
};

struct listener {
    enum listener_kind kind;
    struct config_listen where;     /* as configured: port 0 stays 0 */
    struct listen_socket *plain;    /* |kind| says which of the two is used */
    struct rpc_tls_listener *tls;   /* both are owned by the listener */
    struct listener_source *source; /* NULL: none; emptied when the listener is closed */
    bool open;                      /* plaintext: connections are accepted */
    bool asks_clients;              /* TLS: they have to show a certificate */
    bool down;                      /* TLS: it has stopped accepting */
    bool lost;                      /* its file is gone, and that has been said */
    bool deaf;                      /* epoll has refused it: nothing tells of connections that wait */
};

/* A listener that a configuration asks for. */
struct listener_plan {
    const char *text;
    struct config_listen where;
    enum listener_kind kind;
    bool asks_clients;
};

/* The means to open one. */
struct listener_means {
    struct rpc_server *server;
    struct rpc_tls *tls; /* NULL where there is no listener with TLS */
    mode_t socket_mode;  /* as listen_socket_options has them */
    const char *socket_group;
};

/* Opens what |plan| says without letting anybody in; |beside|: listeners for which listener_share was called may
 * have the same port. Returns 0 and the listener in |out|, or a code with |e| naming the address. */
int listener_open(const struct listener_plan *plan, const struct listener_means *means, bool beside,
                  struct listener **out, struct err *e);

/* Whether |d| serves |plan| as it is, apart from being for probes or not. */
bool listener_serves(const struct listener *d, const struct listener_plan *plan);

/* Whether another listener can be opened beside it. */
void listener_share(struct listener *d, bool on);

/* Logs a line about it: |what|, such as "listening on", and its address. */
void listener_log(const struct listener *d, const char *what);

/* The TCP port that it has, 0 for a unix socket. */
uint16_t listener_port(const struct listener *d);

/* Closes it; connections live on, those by TLS until their last call ends. NULL is allowed. */
void listener_close(struct listener *d);

/* Frees it after the server has stopped, which has closed the ports of TLS. NULL is allowed. */
void listener_free(struct listener *d);

#endif
