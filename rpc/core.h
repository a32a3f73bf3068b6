/* What the server's and the client's side of the gRPC core API share. Included by rpc/ only. */
#ifndef XTCP_RPC_CORE_H
#define XTCP_RPC_CORE_H

#include <grpc/grpc.h>
#include <stdint.h>

/* Starts gRPC with its own log lines going to lib/log. Call it in main before any other thread exists, with
 * every signal blocked and in the host's network namespace: gRPC's threads inherit all of that. Calls nest.
 */
void rpc_core_init(void);
void rpc_core_fini(void);

/* |monotonic_ns| (0: never) as gRPC's type. */
gpr_timespec rpc_core_deadline(int64_t monotonic_ns);

/* A copy of |slice| as a NUL-terminated string in |out| of |size| bytes, cut, with control characters
 * replaced. */
void rpc_core_slice_text(grpc_slice slice, char *out, size_t size);

/* ThreadSanitizer does not see that gRPC (not instrumented) hands a tag from the thread that starts a batch
 * to the one that takes its event off the queue. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define rpc_core_tag_out(tag) __tsan_release(tag)
#define rpc_core_tag_in(tag)  __tsan_acquire(tag)
#else
#define rpc_core_tag_out(tag) ((void)(tag))
#define rpc_core_tag_in(tag)  ((void)(tag))
#endif

#endif
