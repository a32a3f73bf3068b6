/* Access: derives the role of a peer from the facts known about it. docs/access.md has the rules. */
#ifndef XTCP_SERVER_LISTEN_ACCESS_H
#define XTCP_SERVER_LISTEN_ACCESS_H

#include "config/config.h"
#include "lib/err.h"
#include "lib/linux/users.h"
#include "rpc/server/peer.h"
#include "rpc/server/server.h"
#include "server/listen/tokens.h"

/* The users that the configuration lists. */
struct access_users {
    struct users control;
    struct users read;
};

/* Looks them up. Returns 0 and them in |out|, or a code with |e|. */
int access_users_find(const struct config *c, struct access_users *out, struct err *e);
void access_users_clear(struct access_users *users);

/* The role of a connection from |peer|; |own| is the user that the daemon runs as. Any thread. */
enum rpc_role access_peer_role(const struct config *c, const struct access_users *users,
                               const struct rpc_peer *peer, uid_t own);

/* The role of a call that comes by TLS, brings a token, or both. Returns 0 and it in |out|, or
 * ERR_UNAUTHENTICATED with |e| when the token is none of ours. Any thread. */
int access_call_role(const struct config *c, struct tokens *tokens, const struct rpc_caller *caller,
                     struct rpc_grant *out, struct err *e);

#endif
