/* A poll and its subscribers: which of them take part, and which rows each of them gets.
 *
 * A plan is made when a poll starts, before its request is given out: a later subscriber takes part in the
 * next poll. So the request to the collectors and the rows for the subscribers follow from the same list. The
 * request is made from the constant part; the rest belongs to the hub's thread. */
#ifndef XTCP_SERVER_STREAM_PLAN_H
#define XTCP_SERVER_STREAM_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/poll.h"
#include "record/batch.h"
#include "server/stream/selection.h"
#include "server/stream/shared_batch.h"
#include "server/stream/subscriber.h"

struct plan_member;
struct plan_cut;

struct plan {
    _Atomic uint32_t refs;

    /* Constant; any thread. */
    uint64_t poll_id;
    bool idle;          /* nobody takes part */
    bool want_all;      /* a member wants every socket, or there is none */
    unsigned n_filters; /* of all members, each once: for poll_request_filters */
    struct filter *filters[SELECTION_FILTERS_MAX];
    struct selection **scope; /* the poll covers the namespaces that one of them wants */
    size_t n_scope;           /* 0: all */

    /* The hub thread's. */
    struct plan_member *members;
    size_t n;
    struct plan_cut *cuts;
    size_t n_cuts;
};

/* A subscriber that may want to take part, and the places of its selection in the table of those in force. */
struct plan_candidate {
    struct subscriber *subscriber;
    int filter_place;
    int mask_place;
};

/* The plan of poll |poll_id| with those of |list| that want it. One reference, the caller's; NULL without
 * memory, then nobody has joined. Any thread. */
struct plan *plan_new(uint64_t poll_id, const struct plan_candidate *list, size_t n);
struct plan *plan_ref(struct plan *p);
/* NULL is allowed. */
void plan_unref(struct plan *p);

/* Whether the poll covers this namespace too. Any thread. */
bool plan_wants_netns(const struct plan *p, const char *name, uint64_t inode);

/* The poll never reaches the hub: subscribers that asked for it get the next one. */
void plan_revoke(struct plan *p);

/* ---- Hub thread: each function passes something on to all members, and starts the sending ---- */

void plan_begin(struct plan *p, const struct poll_begin *begin);
void plan_rows(struct plan *p, struct batch *b);
void plan_lost(struct plan *p, const struct shared_lost *lost);
/* |end| NULL: it was lost on the way. */
void plan_end(struct plan *p, struct shared_end *end);

/* |s| takes part no longer. */
void plan_drop(struct plan *p, const struct subscriber *s);

#endif
