/* Finds out why a connection fails: gRPC tells only that a handshake failed. */
#ifndef XTCP_RPC_CLIENT_CLIENT_PROBE_H
#define XTCP_RPC_CLIENT_CLIENT_PROBE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "rpc/client/client.h"

/* Connects to |address| once more, tries a TLS handshake as a channel with |options| would make it, and ends
 * it; |target| is its name in the sentence. Only the handshake is sent, and its result is used for the
 * sentence alone. Returns true and appends to |out| one sentence about the reason and the remedy; false when
 * none was found. Blocks for some seconds at most. */
bool rpc_client_probe(const char *target, const char *address, const struct rpc_channel_options *options,
                      struct buf *out);

#endif
