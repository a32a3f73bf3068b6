/* The connection to one daemon as a command sees it: calls with one answer, and failures in words. For streams see
 * client/stream_engine.h. One thread. */
#ifndef XTCP_CLIENT_SESSION_H
#define XTCP_CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/output.h"
#include "client/stop.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "rpc/client/client.h"

/* Exit codes of the program. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME_FAILED = 3 /* of several targets */ };

/* The numbers of gRPC that matter here (grpc_status_code). */
enum {
    CODE_OK = 0,
    CODE_CANCELLED = 1,
    CODE_UNKNOWN = 2,
    CODE_INVALID_ARGUMENT = 3,
    CODE_DEADLINE_EXCEEDED = 4,
    CODE_PERMISSION_DENIED = 7,
    CODE_RESOURCE_EXHAUSTED = 8,
    CODE_ABORTED = 10,
    CODE_UNIMPLEMENTED = 12,
    CODE_INTERNAL = 13,
    CODE_UNAVAILABLE = 14,
    CODE_DATA_LOSS = 15,
    CODE_UNAUTHENTICATED = 16,
};

struct session {
    const struct options *options;
    struct output *out;
    struct stop *stop;
    struct rpc_channel *channel;
    int64_t deadline_ns; /* monotonic end of the whole run; 0: none */
};

/* The monotonic end of a run of |o| that begins now; 0: none. */
int64_t session_deadline(const struct options *o);

/* Makes a session for |options|, which the caller keeps, as |out| and |stop|; --timeout runs from now.
 * Nothing is connected yet. Returns 0, or ERR_USAGE with a text. */
int session_open(struct session *s, const struct options *options, struct output *out, struct stop *stop,
                 struct err *e);
void session_close(struct session *s);

/* The channel options of |o|; |out| points into |o|. session_address: the address for gRPC. */
void session_channel_options(const struct options *o, struct rpc_channel_options *out);
const char *session_address(const struct options *o);

#define SESSION_CALL_TIMEOUT_NS (10 * NS_PER_S) /* of a call without --timeout */

/* One request, one answer. Returns 0 and the answer in |reply| (for rpc_bytes_free; may be NULL), or
 * EXIT_FAILED when the call failed, which has been told on standard error then. */
int session_call(struct session *s, const char *method, const struct buf *request, struct rpc_bytes *reply);

/* The same for a call that may take |timeout_ns| without --timeout. */
int session_call_within(struct session *s, const char *method, const struct buf *request, int64_t timeout_ns,
                        struct rpc_bytes *reply);

/* Appends to |b| the meaning of the failure of a call to |method| at |target|, in words with a hint; |status|
 * is the call's. */
void session_explain(struct buf *b, const char *target, const char *method, const struct rpc_status *status);

/* The same for a daemon that is reached by |o|; where gRPC cannot tell why a connection failed, another one is
 * made to find out, which takes some seconds at most for all daemons together. Any thread. */
void session_why(struct buf *b, const struct options *o, const char *method, const struct rpc_status *status);

/* Tells the failure of a call on standard error, as session_why has it; nothing when it was stopped on
 * request. */
void session_tell_failure(struct session *s, const char *method, const struct rpc_status *status);

/* Whether a stream that ended with this code may succeed when opened again. */
bool session_may_retry(int grpc_code);

/* Waiting times between attempts: 1 s, doubling to 30 s, each a fifth more or less at random. */
struct backoff {
    int64_t base_ns; /* 0: before the first */
};

/* The next waiting time; |random| is any number. */
int64_t backoff_next(struct backoff *b, uint32_t random);

#endif
