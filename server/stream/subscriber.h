/* A subscriber, which gets polls through a bounded queue, and its sink, which takes them out.
 *
 * The hub puts shared batches and markers in and tells the sink; the sink takes out as fast as it can
 * (subscriber_next). Rows that do not fit are left out and counted: nobody waits for a sink. */
#ifndef XTCP_SERVER_STREAM_SUBSCRIBER_H
#define XTCP_SERVER_STREAM_SUBSCRIBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/poll.h"
#include "server/stream/selection.h"
#include "server/stream/shared_batch.h"

struct subscriber;

/* The destination of a subscriber's polls. A gRPC stream is one, standard output (--once) another. */
struct subscriber_sink {
    /* There is something to take. Must not take it at once when that may block. Hub thread. */
    void (*kick)(void *arg);
    /* Nothing more will come: an on-demand subscriber has got all that it asked for. May be NULL. Hub thread. */
    void (*finish)(void *arg);
    /* The subscriber is gone. May be NULL. Any thread. */
    void (*unref)(void *arg);
    void *arg;
    struct quota_user
        *user; /* that pays for what waits and what is asked for; lives as long as |arg|. NULL: nobody
                                does, and there is no bound but that of the queue */
    enum quota_rank rank; /* of that user */
    const char *peer;     /* for people: the receiver, and the kind of stream; both live as long as |arg| */
    const char *method;
};

struct subscriber_options {
    uint64_t id;
    uint32_t
        batch_rows; /* rows that its sink takes at a time; 0: one, in a copy, so they take twice the memory */
    bool markers;
    bool on_demand;                  /* gets only the polls that it asked for (subscriber_want) */
    bool held;                       /* these polls wait while max_cpu_percent is used up */
    uint32_t queue_rows;             /* bound of the queue */
    struct quota_bound queue_memory; /* bound of the memory that waits for all streams; a |max| of 0: none */
    struct selection *selection;
};

/* One reference, the caller's. The selection is referenced; |sink->arg| is the subscriber's from now on. NULL without
 * memory, and then |arg| is still the caller's. */
struct subscriber *subscriber_new(const struct subscriber_sink *sink,
                                  const struct subscriber_options *options);
struct subscriber *subscriber_ref(struct subscriber *s);
void subscriber_unref(struct subscriber *s);

const struct subscriber_sink *subscriber_sink(const struct subscriber *s);
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

/* Puts |message| in, for the sink alone to understand, before all that comes later; it is copied. Returns false without
 * memory. */
bool subscriber_tell(struct subscriber *s, const void *message, size_t len);

/* ---- The hub puts in, from polls that |s| has joined. Hub thread. ---- */

/* Returns false when the stream is over. |news|: there is something to send. To an on-demand subscriber whose
 * requests are not held back, |begin| tells no deferred_ns: that figure is about somebody else's request. */
bool subscriber_begin(struct subscriber *s, const struct poll_begin *begin, bool *news);
/* Rows |row| up to |row_end| of |f|. Returns whether there is something to send, as subscriber_end does. */
bool subscriber_rows(struct subscriber *s, struct shared_batch *f, uint32_t row, uint32_t row_end);
/* Rows of the poll that it should have got: they never reached the hub's queue. */
void subscriber_lost(struct subscriber *s, uint64_t rows);
/* |f| NULL: the marker is lost. |finished| is set when the stream has got all it asked for and wants nothing
 * more. */
bool subscriber_end(struct subscriber *s, uint64_t id, struct shared_end *f, bool *finished);

/* ---- The sink takes out; any thread ---- */

enum subscriber_item_kind {
    SUBSCRIBER_MESSAGE, /* of subscriber_tell */
    SUBSCRIBER_BEGIN,
    SUBSCRIBER_ROWS,
    SUBSCRIBER_END,
};

/* An item for the sink, in the order in which it happened. Valid during the call of subscriber_take_fn. */
struct subscriber_item {
    enum subscriber_item_kind kind;
    union {
        struct {
            const void *data;
            size_t len;
        } message;
        const struct poll_begin *begin;
        const struct poll_end *end; /* with the rows of this subscriber, and its warnings */
        struct {
            struct shared_batch *batch;
            uint32_t row; /* the first */
            uint32_t end; /* behind the last */
        } rows;
    };
};

/* Takes |item|; |more|: another one stands behind it. Returns false when it cannot, for want of memory: rows are counted as
 * lost then. Must not call subscriber_*. */
typedef bool subscriber_take_fn(void *arg, const struct subscriber_item *item, bool more);

/* Gives the next item to |fn|. Returns false when there is none. */
bool subscriber_next(struct subscriber *s, subscriber_take_fn *fn, void *arg);

/* The stream is over: the queue is emptied and stays empty. */
void subscriber_close(struct subscriber *s);

struct subscriber_stats {
    uint64_t delivered; /* rows that the sink has taken */
    uint64_t lost;      /* rows left out */
    uint64_t queued;    /* rows in the queue */
    int64_t since_ns;   /* wall clock when it came */
};
void subscriber_stats(struct subscriber *s, struct subscriber_stats *stats);

#endif
