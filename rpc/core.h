/* The gRPC core API, as far as the server's and the client's side share it. Included by rpc/ only. */
#ifndef XTCP_RPC_CORE_H
#define XTCP_RPC_CORE_H

#include <grpc/grpc.h>
#include <stdint.h>

/* Starts gRPC with its own log lines going to lib/log. Call it in main before any thread enters a namespace, with
 * every signal blocked and in the host's network namespace: gRPC's threads inherit all of that. Calls nest. */
void rpc_core_init(void);
void rpc_core_fini(void);

/* Calls |fn| when a listener of gRPC's own has failed to accept, after which it never accepts again; NULL
 * ends that. |fn| runs on any thread and must not call gRPC. */
void rpc_core_on_accept_failure(void (*fn)(void *arg), void *arg);

/* |monotonic_ns| (0: never) as gRPC's type. */
gpr_timespec rpc_core_deadline(int64_t monotonic_ns);

/* A copy of |slice| as a NUL-terminated string in |out| of |size| bytes, cut, with control characters
 * replaced. */
void rpc_core_slice_text(grpc_slice slice, char *out, size_t size);

#endif
