/* The credentials of a client, and the certificates that it expects. Included by rpc/ only. */
#ifndef XTCP_RPC_CLIENT_CLIENT_AUTH_H
#define XTCP_RPC_CLIENT_CLIENT_AUTH_H

#include <grpc/grpc_security.h>

#include "rpc/client/client.h"

/* Credentials for a channel with |options|. Returns 0 and them in |out|, or a code with |e|. */
int rpc_client_credentials(const struct rpc_channel_options *options, grpc_channel_credentials **out,
                           struct err *e);

/* "Bearer TOKEN" with the token in the first line of the file |path|, in |*out|; the caller frees it with
 * file_forget. Returns 0, or a code with |e|. */
int rpc_client_authorization(const char *path, char **out, struct err *e);

#endif
