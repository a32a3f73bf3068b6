/* Compressed requests. gRPC inflates a message before it looks at the bound of its size, so it is told not
 * to, and we do it ourselves, with room for the allowed size and no more. */
#ifndef XTCP_RPC_SERVER_INFLATE_H
#define XTCP_RPC_SERVER_INFLATE_H

#include <grpc/byte_buffer.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* Whether the message in |b| is compressed. */
bool rpc_is_compressed(const grpc_byte_buffer *b);

/* Inflates |in|, which rpc_is_compressed says of |b| (gzip, RFC 1952, or deflate, RFC 1950), to at most |max|
 * bytes. Returns 0 and in |out| a slice with a reference, the caller's; ERR_LIMIT when the message is longer,
 * ERR_MALFORMED or -ENOMEM; with |e|. Any thread. */
int rpc_inflate(const grpc_byte_buffer *b, grpc_slice in, size_t max, grpc_slice *out, struct err *e);

#endif
