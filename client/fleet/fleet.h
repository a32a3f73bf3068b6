/* The environment of a command that reads streams of one daemon or of several. */
#ifndef XTCP_CLIENT_FLEET_FLEET_H
#define XTCP_CLIENT_FLEET_FLEET_H

#include <stdint.h>

#include "client/fleet/nodes.h"
#include "client/options.h"
#include "client/output.h"
#include "client/stop.h"
#include "rpc/client/client.h"

struct fleet {
    const struct options *options; /* of the command; with one node those of the node */
    const struct nodes *nodes;     /* one at least */
    struct rpc_channel *channel;   /* to the only node, for its first stream; NULL: there is none yet */
    struct output *out;
    struct stop *stop;
    int64_t deadline_ns; /* monotonic end of the whole run; 0: none */
};

#endif
