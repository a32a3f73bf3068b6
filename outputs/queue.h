/* The queue of an output in memory: parts of batches and the ends of polls, in the order in which they came.
 *
 * It is bounded in bytes. A part costs the memory of its whole batch, since a reference pins all of it; the end of a poll costs
 * nothing. What has no room is dropped by one of two rules, and its rows are counted:
 *
 * - drop oldest: the oldest parts make room. The ends that follow a part go with it, unless rows of their poll were taken:
 *   then whoever took them has to be told that no more come.
 * - drop newest: the part that comes is refused.
 *
 * Of ends that follow each other without rows between them, the first few are kept and the last one, so there are no more
 * than a few for each part. Any thread, with one lock, which is a leaf. */
#ifndef XTCP_OUTPUTS_QUEUE_H
#define XTCP_OUTPUTS_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/batch.h"

struct output_queue;

/* An item that is taken out of a queue. */
struct queue_item {
    struct batch *batch; /* rows |row| up to |end| of it, and a reference; NULL: the poll |poll_id| is over */
    uint32_t row;
    uint32_t end;
    uint64_t poll_id;
    int64_t time_ns; /* wall clock, when it was put in */
};

/* Makes a queue that holds |bytes_max|. Returns 0 and |out|, or -ENOMEM. */
int output_queue_new(uint64_t bytes_max, bool drop_newest, struct output_queue **out);

/* Frees it with all that is in it. NULL is allowed. */
void output_queue_free(struct output_queue *q);

/* Another bound and rule, from the next part on; what is there may stay until then. */
void output_queue_set_bounds(struct output_queue *q, uint64_t bytes_max, bool drop_newest);

/* Puts in the rows |row| up to |end| of |b|, which is sealed and referenced. Returns whether they are in the queue; when not,
 * they are counted as dropped: by the rule, when it is larger than the queue, or without memory. No rows: nothing is put in. */
bool output_queue_put_rows(struct output_queue *q, struct batch *b, uint32_t row, uint32_t end);

/* The poll is over. Without memory the mark is left out; the next rows tell by their poll that there was one. */
void output_queue_put_end(struct output_queue *q, uint64_t poll_id);

/* Takes the oldest item out; its reference is the caller's. Returns false when the queue is empty, and |out| has no batch. */
bool output_queue_take(struct output_queue *q, struct queue_item *out);

struct output_queue_stats {
    uint64_t rows;
    uint64_t bytes;        /* as they count for the bound */
    int64_t oldest_ns;     /* wall clock, when the oldest item was put in; 0: empty */
    uint64_t rows_dropped; /* since the queue was made */
};
void output_queue_stats(struct output_queue *q, struct output_queue_stats *out);

#endif
