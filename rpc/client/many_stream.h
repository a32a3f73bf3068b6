/* Streams of many channels, read by one thread from one completion queue. For a single daemon see
 * rpc/client/client.h.
 *
 * One thread uses it; rpc_many_interrupt may come from any other. Each stream has one message at a time on
 * its way to the reader: if messages of a daemon are not fetched, only the flow control of its own connection
 * holds it up. */
#ifndef XTCP_RPC_CLIENT_MANY_STREAM_H
#define XTCP_RPC_CLIENT_MANY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/client/client.h"

struct rpc_many;
struct rpc_many_stream; /* one stream */

/* Returns 0 or -ENOMEM. rpc_client_init comes before it. */
int rpc_many_new(struct rpc_many **out);

/* Cancels pending operations, waits for their end and frees; all streams are gone then. */
void rpc_many_free(struct rpc_many *m);

/* Makes rpc_many_next return ERR_CANCELLED, now and later. Any thread. */
void rpc_many_interrupt(struct rpc_many *m);

/* A call to make. */
struct rpc_many_stream_call {
    struct rpc_many_stream *instead; /* one that has ended: it is closed, its channel used; NULL: none */
    struct rpc_channel *channel;     /* used otherwise, which makes no calls of its own; NULL: a new one */
    const char *target;              /* of a new channel, as is |options| */
    const struct rpc_channel_options *options;
    const char *method;
    const struct buf *request; /* its first message */
    bool half_close;           /* |request| is also the last message */
};

/* Makes |call|; |owner| comes back with each event. Does not wait. Returns 0 and the stream in |out|, or as
 * rpc_channel_new; |call|->instead is not closed then. */
int rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                         struct rpc_many_stream **out, struct err *e);

/* Sends one more message. Returns 0, or ERR_UNAVAILABLE when the one before it is still under way or the call
 * has ended, which an event tells. */
int rpc_many_stream_send(struct rpc_many_stream *s, const void *message, size_t len);

/* Whether the daemon has answered at all. */
bool rpc_many_stream_connected(const struct rpc_many_stream *s);

/* Cancels the stream and closes its channel; no event of it comes any more. NULL is allowed. */
void rpc_many_stream_close(struct rpc_many_stream *s);

struct rpc_many_event {
    void *owner;
    bool ended;               /* else |message| came */
    struct rpc_bytes message; /* for rpc_bytes_free */
    struct rpc_status status; /* how it ended */
};

/* Waits for the next event of any stream until |deadline_ns| (monotonic; 0: for ever). Returns 1 with |out|,
 * ERR_TIMEOUT, or ERR_CANCELLED after rpc_many_interrupt. A stream that has ended has no further events; close
 * it. */
int rpc_many_next(struct rpc_many *m, int64_t deadline_ns, struct rpc_many_event *out);

#endif
