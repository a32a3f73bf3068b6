/* One listener of the daemon: plaintext, where we accept, or TLS, where gRPC does. Under the gate's lock. */
#ifndef XTCP_SERVER_LISTEN_LISTENER_H
#define XTCP_SERVER_LISTEN_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/server/listen_socket.h"
#include "rpc/server/server.h"
#include "rpc/server/tls_listener.h"

enum door_kind {
    DOOR_PLAIN,
    DOOR_PROBE, /* plaintext, and only the health is to be had here */
    DOOR_TLS,
};

struct door {
    enum door_kind kind;
    struct config_listen where;   /* as configured: port 0 stays 0 */
    struct rpc_listener *plain;   /* of the two, the one that |kind| says */
    struct rpc_tls_listener *tls; /* owned by the door, as is that one */
    bool asks_clients;            /* TLS: they have to show a certificate */
    bool down;                    /* TLS: it has stopped accepting */
    bool lost;                    /* its file is gone, and that has been said */
    bool deaf;                    /* nothing tells when somebody wants to come in: epoll has refused it */
};

/* A listener that a configuration asks for. */
struct door_plan {
    const char *text;
    struct config_listen where;
    enum door_kind kind;
    bool asks_clients;
};

/* What opening one takes. */
struct door_means {
    struct rpc_server *server;
    struct rpc_tls *tls; /* NULL where there is no door with TLS */
    mode_t socket_mode;  /* as rpc_listener_options has them */
    const char *socket_group;
};

/* Opens what |plan| says without letting anybody in; |beside|: doors for which door_share was called may have
 * the same port. Returns 0 and the door in |out|, or a code with |e| naming the address. */
int door_open(const struct door_plan *plan, const struct door_means *means, bool beside, struct door **out,
              struct err *e);

/* Whether |d| serves |plan| as it is, but for being a probe's or not. */
bool door_serves(const struct door *d, const struct door_plan *plan);

/* Whether another door can be opened beside it. */
void door_share(struct door *d, bool on);

/* Logs what has become of it: "listening on" it. */
void door_log(const struct door *d, const char *what);

/* The TCP port that it has, 0 for a unix socket. */
uint16_t door_port(const struct door *d);

/* Closes it; connections live on, those by TLS until their last call ends. NULL is allowed. */
void door_close(struct door *d);

/* Frees it after the server has stopped, which has closed the ports of TLS. NULL is allowed. */
void door_free(struct door *d);

#endif
