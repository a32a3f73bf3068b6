/* How often one peer may call: a bucket for each, of as many calls as a second allows. Any thread. */
#ifndef XTCP_SERVER_LISTEN_PEER_RATE_H
#define XTCP_SERVER_LISTEN_PEER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate;

/* Returns 0 or -ENOMEM. */
int rate_new(struct rate **out);
void rate_free(struct rate *r);

/* Whether a peer may call at |now_ns| (monotonic), |per_second| being allowed. |peer| is as rpc_call_peer
 * tells: all connections of one user of this machine, else those from one address, count as one peer. What is
 * remembered is bounded; peers that have not called for long are forgotten first. */
bool rate_admit(struct rate *r, const char *peer, uint32_t per_second, int64_t now_ns);

#endif
