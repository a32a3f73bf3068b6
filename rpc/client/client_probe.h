/* Why a connection does not come about: gRPC tells only that a handshake failed. */
#ifndef XTCP_RPC_CLIENT_CLIENT_PROBE_H
#define XTCP_RPC_CLIENT_CLIENT_PROBE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "rpc/client/client.h"

/* Connects to |address| once more, tries a TLS handshake as a channel with |options| would make it, and ends
 * it; |target| is what the words call it. Nothing is sent but the handshake, and its result is trusted for
 * nothing but words. Returns true and appends to |out| one sentence about the reason and the remedy; false
 * when none was found. Takes some seconds at most. A thread that may wait. */
bool rpc_client_probe(const char *target, const char *address, const struct rpc_channel_options *options,
                      struct buf *out);

#endif
