/* The hub: passes batches and poll markers from the collectors to the subscribers.
 *
 * A thread that has something (a collector's, main) puts it into the hub's queue and goes on; the thread
 * "hub", which has never been in another network namespace, offers it to every subscriber and starts the
 * sending. Order is kept: items put in between the begin and the end of a poll reach every subscriber between
 * them. */
#ifndef XTCP_SERVER_STREAM_HUB_H
#define XTCP_SERVER_STREAM_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "model/poll.h"
#include "record/batch.h"
#include "server/live/bounds.h"
#include "server/stream/plan.h"
#include "server/stream/subscriber.h"

struct hub;

/* |queue_bytes|: rows that may wait for the hub's thread; beyond it they are lost by all subscribers, and
 * counted. */
int hub_new(size_t queue_bytes, struct hub **out, struct err *e);
int hub_start(struct hub *h);

/* Passes on the items in the queue, then ends the thread and waits for it. */
void hub_stop(struct hub *h);

/* After hub_stop: empties the queue. Items put in from now on are dropped at once, so that no subscriber
 * outlives the owner of its sink. */
void hub_close(struct hub *h);
void hub_free(struct hub *h);

/* ---- In: any thread, never blocks ---- */

/* The plan of poll |poll_id|, which is about to start: those that are subscribers now take part. One reference,
 * the caller's, for hub_begin; NULL without memory. */
struct plan *hub_plan(struct hub *h, uint64_t poll_id);

/* The poll of |plan| begins: it is the current one until its end. The reference becomes the hub's. */
void hub_begin(struct hub *h, const struct poll_begin *begin, struct plan *plan);

/* Rows of the current poll; the reference becomes the hub's. Batches of a poll that has ended are dropped. */
void hub_batch(struct hub *h, struct batch *b);

/* The current poll is over; |end| is copied. */
void hub_end(struct hub *h, const struct poll_end *end);

/* Calls |fn| with |run| true on the hub's thread, after the items in the queue: for threads that have been in other
 * namespaces, and must not call gRPC. If that will not come about, calls it with |run| false, on any thread: |fn|
 * then only releases |arg|. */
void hub_run(struct hub *h, void (*fn)(void *arg, bool run), void *arg);

/* ---- Subscribers: any thread ---- */

/* Adds |s| (a reference is taken) from the next poll on. The stream, its filter and its columns are accounted
 * to the user of its sink until hub_unsubscribe. Returns 0; ERR_LIMIT when that user has its share within
 * |bounds| already, with |e| naming the share; or -ENOMEM, with |e|. */
int hub_subscribe(struct hub *h, struct subscriber *s, const struct bounds *bounds, struct err *e);
void hub_unsubscribe(struct hub *h, struct subscriber *s);

/* All subscribers of the moment, with a reference each, in an array that the caller frees; NULL and 0 when
 * there are none. */
struct subscriber **hub_subscribers(struct hub *h, size_t *n);

/* CPU time of the hub's thread, in ns. Main thread. */
int64_t hub_cpu_ns(const struct hub *h);

struct hub_stats {
    uint64_t rows_dropped; /* rows lost because the hub's own queue was full */
    uint64_t rows_late;    /* rows dropped because their poll had ended */
};
void hub_stats(struct hub *h, struct hub_stats *stats);

#endif
