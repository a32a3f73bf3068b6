/* A subscriber: one FlatRecords or PollFlatRecords stream and its bounded queue.
 *
 * The hub puts shared batches and markers in; rpc takes messages out as fast as the client reads (`next`).
 * Rows that do not fit are left out and counted: nobody waits for a reader. */
#ifndef XTCP_SERVER_SUBSCRIBER_H
#define XTCP_SERVER_SUBSCRIBER_H

#include <grpc/slice.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "record/batch.h"
#include "rpc/msg_stream.h"
#include "rpc/server.h"

/* A batch on its way to all subscribers: its bytes as slices that messages are cut from without copying. */
struct fan_batch {
    _Atomic uint32_t refs;
    struct batch *batch;
    grpc_slice envelope; /* the batch itself: rows of an Envelope */
    grpc_slice
        single; /* the same rows, each tagged as the record of a response; empty until somebody wants it */
    bool has_single;
};

/* Takes over |b|'s reference. Returns NULL without memory (|b| is released then). Hub thread. */
struct fan_batch *fan_batch_new(struct batch *b);
/* Makes |single|. Hub thread, before the batch is offered. */
void fan_batch_want_single(struct fan_batch *f);
struct fan_batch *fan_batch_ref(struct fan_batch *f);
void fan_batch_unref(struct fan_batch *f);

/* The end of a poll as all subscribers share it; the two figures that are a subscriber's own are added when
 * it is sent. */
struct fan_end {
    _Atomic uint32_t refs;
    struct stream_end end; /* names and texts of the errors belong to this object */
};

struct fan_end *fan_end_new(const struct stream_end *end);
struct fan_end *fan_end_ref(struct fan_end *f);
void fan_end_unref(struct fan_end *f);

struct subscriber;

struct subscriber_options {
    uint64_t id;
    uint32_t batch_rows; /* 0: one record per message */
    bool markers;
    bool on_demand;      /* gets only the polls that it asked for (subscriber_want) */
    uint32_t queue_rows; /* bound of the queue */
};

/* One reference, the caller's. |call| is referenced. NULL without memory. */
struct subscriber *subscriber_new(struct rpc_call *call, const struct subscriber_options *options);
struct subscriber *subscriber_ref(struct subscriber *s);
void subscriber_unref(struct subscriber *s);

struct rpc_call *subscriber_call(const struct subscriber *s);
const struct subscriber_options *subscriber_options(const struct subscriber *s);

/* An on-demand subscriber wants poll |id| and has sent a request for it. */
void subscriber_want(struct subscriber *s, uint64_t id);

/* It will want no further polls. Returns true when it waits for none either: the stream can be finished. */
bool subscriber_half_closed(struct subscriber *s);

/* ---- The hub puts in; each returns whether there is something new to send. Hub thread. ---- */

bool subscriber_begin(struct subscriber *s, const struct stream_begin *begin);
bool subscriber_rows(struct subscriber *s, struct fan_batch *f);
/* Rows of the poll that never reached the hub's queue: lost by everybody. */
void subscriber_lost(struct subscriber *s, uint64_t rows);
/* |finished| is set when the stream has got all it asked for and wants nothing more. */
bool subscriber_end(struct subscriber *s, struct fan_end *f, bool *finished);

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
