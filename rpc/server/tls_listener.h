/* Listeners with TLS. gRPC accepts here itself, on a core server for each: it takes TLS in no other way. When
 * no descriptor is left at that moment, its listener never accepts again; then another one takes its place,
 * and existing connections go on. One thread at a time. */
#ifndef XTCP_RPC_SERVER_TLS_LISTENER_H
#define XTCP_RPC_SERVER_TLS_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc/server/server.h"
#include "rpc/server/tls.h"

struct rpc_tls_listener;

struct rpc_tls_listener_options {
    struct rpc_tls *tls; /* takes a reference */
    bool ask_clients;    /* clients must show a certificate that a CA in client_ca has signed */
    bool beside; /* listeners of ours that were shared may have the port: see rpc/server/listen_socket.h */
};

/* Binds |where| (see config_listen_parse; TCP only) for |s|, which must exist until the end of the listener.
 * Clients that connect wait until rpc_tls_listener_start. Returns 0 and it in |out|, or a code with |e|
 * naming the address. */
int rpc_tls_listener_open(struct rpc_server *s, const char *where,
                          const struct rpc_tls_listener_options *options, struct rpc_tls_listener **out,
                          struct err *e);

/* Lets clients in. Once. */
void rpc_tls_listener_start(struct rpc_tls_listener *l);

/* As listen_socket_share. */
void rpc_tls_listener_share(struct rpc_tls_listener *l, bool on);

/* Closes it, started or not: calls that are under way go on, their connections take no further ones and end
 * with the last of them. NULL is allowed. */
void rpc_tls_listener_close(struct rpc_tls_listener *l);

/* Frees it without closing the port, which the server does when it stops. NULL is allowed. */
void rpc_tls_listener_free(struct rpc_tls_listener *l);

/* As listen_socket_text and listen_socket_port. */
const char *rpc_tls_listener_text(const struct rpc_tls_listener *l);
uint16_t rpc_tls_listener_port(const struct rpc_tls_listener *l);

/* Replaces the core server, which has stopped accepting. Returns 0, or a code with |e|: to be tried again
 * later. */
int rpc_tls_listener_rebuild(struct rpc_tls_listener *l, struct err *e);

/* Calls |fn| when some listener of gRPC's has stopped accepting; NULL ends that. |fn| runs on any thread and
 * must not call gRPC. */
void rpc_tls_on_loss(void (*fn)(void *arg), void *arg);

#endif
