/* Who may do what: from what is known of a peer to its role. docs/access.md has the rules. */
#ifndef XTCP_SERVER_ACCESS_H
#define XTCP_SERVER_ACCESS_H

#include "config/config.h"
#include "rpc/peer.h"
#include "rpc/role.h"

/* The role of a connection from |peer|; |own| is the user that the daemon runs as. Any thread. */
enum rpc_role access_peer_role(const struct config *c, const struct rpc_peer *peer, uid_t own);

#endif
