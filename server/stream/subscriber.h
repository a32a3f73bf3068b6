/* A subscriber: one FlatRecords or PollFlatRecords stream and its bounded queue.
 *
 * The hub puts shared batches and markers in; rpc takes messages out as fast as the client reads (`next`).
 * Rows that do not fit are left out and counted: nobody waits for a reader. */
#ifndef XTCP_SERVER_STREAM_SUBSCRIBER_H
#define XTCP_SERVER_STREAM_SUBSCRIBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rpc/codec/msg_stream.h"
#include "rpc/server/server.h"
#include "server/stream/selection.h"
#include "server/stream/shared_batch.h"

struct subscriber;

struct subscriber_options {
    uint64_t id;
    uint32_t batch_rows; /* 0: one record per message */
    bool markers;
    bool on_demand;                  /* gets only the polls that it asked for (subscriber_want) */
    bool held;                       /* these wait while max_cpu_percent is used up */
    uint32_t queue_rows;             /* bound of the queue */
    struct quota_bound queue_memory; /* of what waits for all streams; a |max| of 0: none */
    struct selection *selection;
};

/* One reference, the caller's. |call| and the selection are referenced. NULL without memory. */
struct subscriber *subscriber_new(struct rpc_call *call, const struct subscriber_options *options);
struct subscriber *subscriber_ref(struct subscriber *s);
void subscriber_unref(struct subscriber *s);

struct rpc_call *subscriber_call(const struct subscriber *s);
const struct subscriber_options *subscriber_options(const struct subscriber *s);

/* ---- Which polls; any thread ---- */

/* An on-demand subscriber wants poll |id| and has sent a request for it. */
void subscriber_want(struct subscriber *s, uint64_t id);

/* Poll |id| starts: returns whether |s| takes part in it. */
bool subscriber_join(struct subscriber *s, uint64_t id);

/* It will get nothing of poll |id|, which it has joined, and wants the next one instead. */
void subscriber_revoke(struct subscriber *s, uint64_t id);

/* It will want no further polls. Returns true when it waits for none either: the stream can be finished. */
bool subscriber_half_closed(struct subscriber *s);

/* Puts a response in, for the client to see before all that comes later. Returns false without memory. */
bool subscriber_tell(struct subscriber *s, const void *message, size_t len);

/* ---- The hub puts in, from polls that |s| has joined. Hub thread. ---- */

/* Returns false when the stream is over. |news|: there is something to send. To an on-demand subscriber whose
 * requests are not held back, |begin| tells no deferred_ns: that is of somebody else's request. */
bool subscriber_begin(struct subscriber *s, const struct stream_begin *begin, bool *news);
/* Rows |row| up to |row_end| of |f|. Returns whether there is something to send, as subscriber_end does. */
bool subscriber_rows(struct subscriber *s, struct shared_batch *f, uint32_t row, uint32_t row_end);
/* Rows of the poll that it should have got: they never reached the hub's queue. */
void subscriber_lost(struct subscriber *s, uint64_t rows);
/* |f| NULL: the marker is lost. |finished| is set when the stream has got all it asked for and wants nothing
 * more. */
bool subscriber_end(struct subscriber *s, uint64_t id, struct shared_end *f, bool *finished);

/* ---- rpc takes out ---- */

/* For rpc_stream_ops.next. */
bool subscriber_next(struct subscriber *s, struct rpc_message *out);

/* The stream is over: the queue is emptied and stays empty. */
void subscriber_close(struct subscriber *s);

struct subscriber_stats {
    uint64_t delivered; /* rows handed to the connection */
    uint64_t lost;      /* rows left out */
    uint64_t queued;    /* rows in the queue */
    int64_t since_ns;   /* wall clock when it came */
};
void subscriber_stats(struct subscriber *s, struct subscriber_stats *stats);

#endif
