/* Quotas: count how much of the daemon's resources each user has, so that none gets all of them.
 *
 * A resource has a bound for all together. One user gets at most a share of it, and a part is kept for
 * callers that must never be locked out: twice |reserved_percent| is out of reach of remote users, once of
 * users on the unix socket, nothing of the role control. The role control is bounded only by the whole: it
 * could lift the bounds anyway.
 *
 * Any thread; the lock in here is a leaf. */
#ifndef XTCP_LIB_QUOTA_H
#define XTCP_LIB_QUOTA_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* The resources. Each has its option, which refusals name. */
enum quota_kind {
    QUOTA_CONNECTIONS,   /* connections_max */
    QUOTA_CALLS,         /* calls_max: calls under way */
    QUOTA_SUBSCRIBERS,   /* subscribers_max */
    QUOTA_FILTERS,       /* different filters in use */
    QUOTA_FILTER_BYTES,  /* the length of all of them */
    QUOTA_COLUMNS,       /* different sets of columns in use */
    QUOTA_NETNS_BYTES,   /* the length of the patterns of namespaces of all streams */
    QUOTA_QUEUE_BYTES,   /* queue_memory_max: memory of messages that wait for readers */
    QUOTA_FOCUS_STREAMS, /* focus_streams_max */
    QUOTA_FOCUS_RATE,    /* focus_rate_max */
    QUOTA_KINDS
};

/* The rank of a user, which decides its part of the reserve. */
enum quota_rank { QUOTA_REMOTE, QUOTA_LOCAL, QUOTA_CONTROL };

/* Bounds of one resource, as configured. */
struct quota_bound {
    uint64_t max;              /* for all users together, at least 1 */
    unsigned user_percent;     /* of |max|, for one user: 1 to 100 */
    unsigned reserved_percent; /* of |max|, for each of the two upper ranks: 0 to 40 */
};

struct quota;
struct quota_user;

/* A table without users. NULL without memory. */
struct quota *quota_new(void);

/* After the last reference to a user. NULL is allowed. */
void quota_free(struct quota *q);

/* The user called |name| ("uid 1000", "address 192.0.2.7"), which is made if nobody refers to it. One
 * reference, the caller's; NULL without memory. */
struct quota_user *quota_user(struct quota *q, const char *name);
struct quota_user *quota_user_ref(struct quota_user *u);
/* The last reference frees it; it must have given back what it took. NULL is allowed. */
void quota_user_unref(struct quota_user *u);
const char *quota_user_name(const struct quota_user *u);

/* Takes |amount| of |kind| for |u|. |anew| (0 to |amount|) is the part that counts for all users together; the rest is
 * shared with others that have taken it already. Returns 0; or ERR_LIMIT with |e| naming the share and its option, and
 * nothing has been taken. Without a user (NULL) there is no bound, and nothing is counted. */
int quota_take(struct quota_user *u, enum quota_rank rank, enum quota_kind kind, uint64_t amount,
               uint64_t anew, const struct quota_bound *bound, struct err *e);

/* Gives back what quota_take has given: |anew| is the part that no user has any more. */
void quota_give(struct quota_user *u, enum quota_kind kind, uint64_t amount, uint64_t anew);

/* The use of |kind| by all users together, and how often some of it was refused. */
uint64_t quota_total(struct quota *q, enum quota_kind kind);
uint64_t quota_refused(struct quota *q, enum quota_kind kind);

/* The amount of |kind| that |u| has. */
uint64_t quota_used(struct quota_user *u, enum quota_kind kind);

/* The most of |max| that a user of |rank| can have when nobody else has any: at least 1. */
uint64_t quota_share(const struct quota_bound *bound, enum quota_rank rank);

#endif
