/* Objects that the subscribers of a poll share: its rows, its end, and the rows that never came through. */
#ifndef XTCP_SERVER_STREAM_SHARED_BATCH_H
#define XTCP_SERVER_STREAM_SHARED_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/quota.h"
#include "model/poll.h"
#include "record/batch.h"
#include "record/fields.h"

/* ---- Rows ---- */

/* The form in which one kind of sink sends a batch, for all subscribers with such a sink: made when the first of them
 * sends it, freed with the batch. It is the first member of the sink's own struct. */
struct shared_view {
    void (*free)(struct shared_view *v);
};

/* One for each kind that there is. */
enum shared_view_kind {
    SHARED_VIEW_ENVELOPE, /* gRPC: the bytes as they are */
    SHARED_VIEW_SINGLE,   /* gRPC: a copy, for one record per message */
    SHARED_VIEWS
};

/* A batch on its way to subscribers. */
struct shared_batch {
    _Atomic uint32_t refs;
    struct batch *batch;
    struct shared_view *_Atomic views[SHARED_VIEWS];
    bool copied;                   /* a sink makes a copy of it: so it takes twice the memory */
    struct shared_holder *holders; /* users that pay for it; the hub thread's until the last reference goes */
    uint64_t bytes;                /* that each of them pays for */
};

/* Takes over |b|'s reference. Returns NULL without memory (|b| is released then). Hub thread. */
struct shared_batch *shared_batch_new(struct batch *b);
struct shared_batch *shared_batch_ref(struct shared_batch *f);
void shared_batch_unref(struct shared_batch *f);

/* The view of |kind|, which |make| makes if there is none yet; NULL without memory. Any thread. */
struct shared_view *shared_batch_view(struct shared_batch *f, enum shared_view_kind kind,
                                      struct shared_view *(*make)(struct batch *b));

/* The namespace of a batch, as its records tell it. */
struct shared_netns {
    char name[256];
    uint64_t inode;
};
void shared_netns(const struct batch *b, struct shared_netns *out);

/* Has |user|, one of whose streams is about to wait for rows of |f|, pay for the memory (QUOTA_QUEUE_BYTES of
 * |bound|): once, however many of its streams do. Returns false when it has its share already. Hub thread. */
bool shared_batch_hold(struct shared_batch *f, struct quota_user *user, enum quota_rank rank,
                       const struct quota_bound *bound);

/* ---- The end of a poll ---- */

/* The end of a poll as all subscribers share it; the two figures of the subscriber itself are added when it
 * is sent. */
struct shared_end {
    _Atomic uint32_t refs;
    struct poll_end end; /* names and texts of the errors belong to this object */
};

struct shared_end *shared_end_new(const struct poll_end *end);
struct shared_end *shared_end_ref(struct shared_end *f);
void shared_end_unref(struct shared_end *f);

/* ---- Rows that are lost ---- */

#define SHARED_FILTERS_MAX 64 /* of one poll */

/* The counts of a batch that no subscriber gets: enough to tell each subscriber how many of its rows were in it. */
struct shared_lost {
    uint64_t poll_id;
    uint32_t rows;
    uint32_t matching[SHARED_FILTERS_MAX]; /* of them, those that pass each filter */
    struct shared_netns netns;
};

/* NULL without memory; freed with free(). Any thread. */
struct shared_lost *shared_lost_new(const struct batch *b);

#endif
