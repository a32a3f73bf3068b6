#include "model/role.h"

const char *const rpc_role_names[RPC_ROLES] = {
    [RPC_ROLE_HEALTH] = "health",
    [RPC_ROLE_READ] = "read",
    [RPC_ROLE_CONTROL] = "control",
};
