/* Decides when the namespaces are looked at again although no event has told of a change: at an interval, and
 * before a poll. Pure: no clock, no lock, no thread. */
#ifndef XTCP_SERVER_POLL_RESYNC_H
#define XTCP_SERVER_POLL_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

/* The longest time, in ns, that a poll waits for a resync. */
#define RECONCILE_WAIT_NS 500000000LL

/* Starts as all zero. */
struct resync {
    int64_t last_ns;  /* when a resync was asked for last */
    int64_t until_ns; /* when a waiting poll stops waiting; 0: none waits */
};

/* Decides what to do at |now_ns|, monotonic. |every_ns| 0: never by the clock. |poll_due|: a poll could begin
 * now; |before_poll|: polls wait for a resync. |finished|: the last resync asked for has been done. Sets
 * |*ask| when the caller is to ask for one now. Returns whether the poll still has to wait. */
bool resync_step(struct resync *r, int64_t every_ns, bool before_poll, bool poll_due, bool finished,
                 int64_t now_ns, bool *ask);

/* When to step again at the latest; INT64_MAX: whenever something else happens. */
int64_t resync_next(const struct resync *r, int64_t every_ns);

#endif
