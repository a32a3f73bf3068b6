/* How often one peer may call: a bucket for each, of as many calls as a second allows. Any thread. */
#ifndef XTCP_SERVER_LISTEN_PEER_RATE_H
#define XTCP_SERVER_LISTEN_PEER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct peer_rate;

/* Returns 0 or -ENOMEM. */
int peer_rate_new(struct peer_rate **out);
void peer_rate_free(struct peer_rate *r);

/* Whether a peer may call at |now_ns| (monotonic), |per_second| being allowed. |peer| is as rpc_call_peer
 * tells: all connections of one user of this machine, else those from one address, count as one peer. What is
 * remembered is bounded; peers that have not called for long are forgotten first. */
bool peer_rate_admit(struct peer_rate *r, const char *peer, uint32_t per_second, int64_t now_ns);

#endif
