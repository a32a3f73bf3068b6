/* The process that has an address which could not be bound, as far as this process may see. */
#ifndef XTCP_SERVER_LISTEN_ADDRESS_OWNER_H
#define XTCP_SERVER_LISTEN_ADDRESS_OWNER_H

#include <stdbool.h>

#include "config/config.h"

#define ADDRESS_OWNER_TEXT_MAX 64

/* Looks for the holder of |where|: "nginx (pid 12)", "this process", "a process of uid 33" when no more can
 * be seen of it. Of a unix socket it is the process that called listen(2), which is asked by connecting to
 * it; of a TCP port the owner of a socket in the way, in the network namespace of the calling thread. Reads
 * all of /proc for that, so use it for errors only. Returns false, with "" in |out|, when no holder can be
 * seen. Any thread. */
bool address_owner_find(const struct config_listen *where, char out[ADDRESS_OWNER_TEXT_MAX]);

#endif
