/* What this process may not see for want of a capability. */
#ifndef XTCP_SERVER_PRIVILEGE_H
#define XTCP_SERVER_PRIVILEGE_H

#include <stddef.h>

#include "rpc/msg_status.h"

#define PRIVILEGE_GAPS_MAX 3

/* Fills |out| (PRIVILEGE_GAPS_MAX entries, constant strings) with the effective capabilities that this thread
 * lacks and what that hides. Returns how many. Any thread. */
size_t privilege_gaps(struct status_gap *out);

#endif
