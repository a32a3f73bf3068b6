/* The guard: bounds what clients may send, and measures it as gRPC reads it.
 *
 * gRPC 1.51 has no bound on what strangers make it do: calls that no posted request takes up yet wait in it
 * at 18 KB each, it answers every PING and SETTINGS, and it does not leave a connection whose socket is never
 * empty. So the program defines the functions of the C library by which gRPC accepts, reads, writes and
 * closes (rpc/server/hook.c), and the guard counts the HTTP/2 frames of each connection as they are read. A
 * connection that has used up a budget is not read for a while: gRPC is told that there is nothing to read,
 * and later that there is. A connection that exceeds its budget for long is closed. Nothing is copied or
 * kept.
 *
 * Budgets hold on three levels: for the connection, for its user, and for all users together. The role
 * control has budgets of its own, which are wide, and is never closed.
 *
 * There is one guard in a process, since there is one C library. Any thread, unless said otherwise; the
 * guard's lock is taken under gRPC's own, so nothing under it may block. */
#ifndef XTCP_RPC_SERVER_GUARD_H
#define XTCP_RPC_SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/quota.h"
#include "rpc/server/peer.h"

struct rpc_server;

struct rpc_guard_limits {
    struct quota_bound connections; /* QUOTA_CONNECTIONS */
    uint32_t calls_rate; /* calls that one user may begin in a second; the other budgets follow from it */
};

/* Reasons to close a connection or to turn it away. */
enum rpc_guard_reason {
    RPC_GUARD_CALLS,    /* more calls than the budget, for long */
    RPC_GUARD_FRAMES,   /* the same with frames */
    RPC_GUARD_BYTES,    /* the same with bytes */
    RPC_GUARD_RESETS,   /* calls that were begun only to be reset */
    RPC_GUARD_HEADERS,  /* a header block that does not end */
    RPC_GUARD_UNREAD,   /* answers that are not read */
    RPC_GUARD_CONNECTS, /* connections that came too fast: turned away */
    RPC_GUARD_BLIND,    /* TLS that cannot be looked into */
    RPC_GUARD_REASONS
};

struct rpc_guard_stats {
    uint64_t throttled; /* how often the reading of a connection was put off */
    uint64_t closed[RPC_GUARD_REASONS];
};

/* The name of |reason| in the status. */
const char *rpc_guard_reason_text(enum rpc_guard_reason reason);

/* Makes the guard ready and starts its thread "rpc/guard". Users are those of |quota|, which lives longer.
 * Main thread, before the first server. Returns 0, or a code with |e|. */
int rpc_guard_start(struct quota *quota, const struct rpc_guard_limits *limits, struct err *e);

/* Ends it, after the last server. Main thread. */
void rpc_guard_stop(void);

/* Puts |limits| in force. */
void rpc_guard_set(const struct rpc_guard_limits *limits);

/* Whether gRPC really reads through the guard in this process: gives |s| a connection of its own and watches
 * it (some ten milliseconds). Returns 0, or a code with |e| saying what does not work. Main thread, once,
 * before anybody is let in. */
int rpc_guard_prove(struct rpc_server *s, struct err *e);

/* Whether that was proved; and the reason why not, "" when it was. */
bool rpc_guard_works(void);
const char *rpc_guard_failure(void);

/* Takes the connection |fd| of |peer| under guard, for its life. Returns 0; ERR_LIMIT when its user has its
 * share of connections already, or they come too fast; -ENOMEM; with |e|. */
int rpc_guard_open(int fd, const struct rpc_peer *peer, enum quota_rank rank, struct err *e);

/* The user and the rank of the connection |fd|. A reference, or NULL when it is not under guard. */
struct quota_user *rpc_guard_user(int fd, enum quota_rank *rank);

/* The same for the TLS connection from |address| ("127.0.0.1:4711", "[::1]:4711"). */
struct quota_user *rpc_guard_tls_user(const char *address, enum quota_rank *rank);

/* A call with the role control has come by that connection (|address| NULL: by |fd|): the connection gets the
 * budgets of that role. */
void rpc_guard_promote(int fd, const char *address);

/* Much memory has been freed: it is given back to the system in a moment. */
void rpc_guard_trim(void);

void rpc_guard_stats(struct rpc_guard_stats *out);

#endif
