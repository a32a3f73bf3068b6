/* The rights of a peer. Each role includes the ones before it. */
#ifndef XTCP_MODEL_ROLE_H
#define XTCP_MODEL_ROLE_H

enum rpc_role {
    RPC_ROLE_HEALTH,  /* ask whether the daemon serves, nothing else: an unknown peer has this one */
    RPC_ROLE_READ,    /* everything that reads and changes nothing */
    RPC_ROLE_CONTROL, /* all */
    RPC_ROLES,
};

/* "health", "read", "control"; indexed by the enum. */
extern const char *const rpc_role_names[RPC_ROLES];

#endif
