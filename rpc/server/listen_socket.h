/* Listening sockets of ours: we accept, so that we decide on the peers, the number of connections and the
 * socket options; the connection is then handed to a gRPC server (rpc_server_adopt). One thread at a time. */
#ifndef XTCP_RPC_SERVER_LISTEN_SOCKET_H
#define XTCP_RPC_SERVER_LISTEN_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "lib/err.h"

struct listen_socket;

/* The right to connect to a unix socket, and whether a TCP socket may be there already. */
struct listen_socket_options {
    mode_t socket_mode;       /* of its file: 0660 */
    const char *socket_group; /* name or number of the file's group; "" for the process's own */
    bool beside; /* listeners of ours that listen_socket_share was called for may have the port */
};

/* Listens as |text| says (see config_listen_parse). A unix socket that a living process answers on is never
 * taken away from it; one that nobody answers on is replaced. Returns 0 and the listener in |out|, or a code
 * with the reason and the address in |e|. */
int listen_socket_open(const char *text, const struct listen_socket_options *options,
                       struct listen_socket **out, struct err *e);

/* Closes it and removes the file of a unix socket. NULL is allowed. */
void listen_socket_close(struct listen_socket *l);

/* Whether another listener of this process (options.beside) can have the same port from now on: for the
 * moment in which one takes the place of the other. Nothing for a unix socket. */
void listen_socket_share(struct listen_socket *l, bool on);

/* Gives the file of a unix socket mode and group of |options|. A peer that neither the old nor the new ones
 * let in does not get in meanwhile. Returns 0, or a code with the reason and the address in |e|; then some of
 * it may have been done. Nothing for other listeners. */
int listen_socket_permit(struct listen_socket *l, const struct listen_socket_options *options, struct err *e);

/* Whether clients still find it: the file of a unix socket may have been removed, or another one may be in
 * its place. True for other listeners. */
bool listen_socket_is_there(const struct listen_socket *l);

/* Makes the file of a unix socket again, with a new socket, after it was removed; connections that wait at
 * the old one are turned away, so accept them before. The descriptor is another one then. Returns 0, or a
 * code with the reason and the address in |e|: the old socket and the claim on the path stay, and it can be
 * tried again. For unix sockets alone. */
int listen_socket_restore(struct listen_socket *l, const struct listen_socket_options *options,
                          struct err *e);

/* For epoll: readable when somebody wants to connect. Stays the listener's. */
int listen_socket_fd(const struct listen_socket *l);

/* The address that it is really bound to, "127.0.0.1:8889", with the port that the system chose for port 0. */
const char *listen_socket_text(const struct listen_socket *l);

/* The TCP port that it is bound to, 0 for a unix socket. */
uint16_t listen_socket_port(const struct listen_socket *l);

/* Time to live and hop limit of the packets of connections that are accepted from now on, 0: the kernel's.
 * Nothing for a unix socket. Any thread. */
void listen_socket_set_hops(struct listen_socket *l, unsigned ipv4_ttl, unsigned ipv6_hop_limit);

/* Takes one waiting connection. Returns its descriptor (non-blocking, close-on-exec, the caller's), -EAGAIN
 * when there is none (any more), or another -errno when one had to be turned away (it has been closed, so the
 * next call makes progress). */
int listen_socket_accept(struct listen_socket *l);

#endif
