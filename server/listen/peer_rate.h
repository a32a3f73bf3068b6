/* Limits how often one peer may call: a bucket for each, which holds the calls allowed in a second. Any
 * thread. */
#ifndef XTCP_SERVER_LISTEN_PEER_RATE_H
#define XTCP_SERVER_LISTEN_PEER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct peer_rate;

/* Returns 0 or -ENOMEM. */
int peer_rate_new(struct peer_rate **out);
void peer_rate_free(struct peer_rate *r);

/* Whether a peer may call at |now_ns| (monotonic), |per_second| being allowed. |peer| is as rpc_call_peer
 * tells: all connections of one user of this machine, else those from one address, count as one peer. The
 * number of remembered peers is bounded; those that have not called for longest are forgotten first. */
bool peer_rate_admit(struct peer_rate *r, const char *peer, uint32_t per_second, int64_t now_ns);

#endif
