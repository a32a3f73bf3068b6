/* Finds the peer at the other end of a connection when it is accepted: the one moment at which that can be
 * known for sure. One thread at a time. */
#ifndef XTCP_RPC_SERVER_PEER_H
#define XTCP_RPC_SERVER_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/* "[2001:db8::1]:4711" */
#define RPC_ADDRESS_MAX 64

struct rpc_peer_finder;

enum rpc_peer_kind {
    RPC_PEER_NOBODY, /* cannot be known */
    RPC_PEER_USER,   /* a user of this machine: |uid| */
    RPC_PEER_REMOTE, /* comes from an address beyond loopback */
};

struct rpc_peer {
    enum rpc_peer_kind kind;
    uid_t uid;
    bool local;                    /* by a unix socket */
    char text[80];                 /* for people: "127.0.0.1:4711 uid=1000", "unix pid=12 uid=0" */
    char address[RPC_ADDRESS_MAX]; /* "127.0.0.1:4711", "[::1]:4711"; "" for a unix socket */
    char user[64]; /* the user that it is accounted to: see rpc_call_quota; "unknown" for NOBODY */
};

/* Returns 0 and the finder in |out|, or -errno. It works for connections of the namespace that the calling
 * thread is in. */
int rpc_peer_finder_new(struct rpc_peer_finder **out);
void rpc_peer_finder_free(struct rpc_peer_finder *f);

/* Fills |out| with the peer of the connection |fd|, which has just been accepted. When called later, only
 * |out->text| is of use: it tells as much as can still be known. |f| NULL: the kernel is not asked for the
 * owners of TCP sockets.
 *
 * A unix socket: the user who called connect(2) (SO_PEERCRED). TCP from a loopback address: the owner of the
 * peer's own socket, of which the kernel is asked by its four-tuple; only a socket that is ESTABLISHED and
 * has an inode counts, and only while our end is ESTABLISHED as well. A peer that has closed or reset the
 * connection by then is unknown, whatever it has sent before: that four-tuple may soon be another user's. */
void rpc_peer_find(struct rpc_peer_finder *f, int fd, struct rpc_peer *out);

#endif
