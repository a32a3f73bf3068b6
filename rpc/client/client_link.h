/* The part that the two kinds of clients share, the blocking one (client.c) and the one with many channels
 * (many_stream.c): a channel of gRPC core with the metadata of its calls, and messages as bytes. Included by
 * rpc/ only. */
#ifndef XTCP_RPC_CLIENT_CLIENT_LINK_H
#define XTCP_RPC_CLIENT_CLIENT_LINK_H

#include <grpc/grpc.h>
#include <stddef.h>

#include "rpc/client/client.h"

struct client_link {
    grpc_channel *channel;
    grpc_metadata *metadata; /* sent with every call */
    size_t n_metadata;
};

/* Makes a channel to |target|; see rpc_channel_new. |options| may be NULL. |out| is empty after an error. */
int client_link_open(const char *target, const struct rpc_channel_options *options, struct client_link *out,
                     struct err *e);
void client_link_close(struct client_link *l);

/* Moves the link of |c|, which can only be freed from then on, to |out|. */
void client_link_take(struct rpc_channel *c, struct client_link *out);

/* |len| bytes at |data| as a buffer of gRPC, which the caller destroys. */
grpc_byte_buffer *client_buffer(const void *data, size_t len);

/* Copies |buffer| to |out|. Returns 0, -ENOMEM, or ERR_MALFORMED when it cannot be decompressed. */
int client_bytes(grpc_byte_buffer *buffer, struct rpc_bytes *out);

#endif
