#include "server/access.h"

_Static_assert((int)CONFIG_ROLE_HEALTH == (int)RPC_ROLE_HEALTH &&
                   (int)CONFIG_ROLE_READ == (int)RPC_ROLE_READ &&
                   (int)CONFIG_ROLE_CONTROL == (int)RPC_ROLE_CONTROL,
               "roles of the configuration and of rpc are the same");

enum rpc_role access_peer_role(const struct config *c, const struct rpc_peer *peer, uid_t own)
{
    switch (peer->kind) {
    case RPC_PEER_USER:
        /* Root and the daemon's own user could take the daemon's place anyway. */
        if (peer->uid == 0 || peer->uid == own || config_uids_have(&c->access_control_uids, peer->uid))
            return RPC_ROLE_CONTROL;
        return config_uids_have(&c->access_read_uids, peer->uid) ? RPC_ROLE_READ : RPC_ROLE_HEALTH;
    case RPC_PEER_REMOTE:
        return (enum rpc_role)c->access_anonymous_role;
    case RPC_PEER_NOBODY:
        break;
    }
    return RPC_ROLE_HEALTH;
}
