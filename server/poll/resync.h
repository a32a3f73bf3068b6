/* When the namespaces are looked at again although nothing has told of a change: every so often, and before a
 * poll. Pure: no clock, no lock, no thread. */
#ifndef XTCP_SERVER_POLL_RESYNC_H
#define XTCP_SERVER_POLL_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

/* How long a poll waits for it at most. */
#define RECONCILE_WAIT_NS 500000000LL

/* Starts as all zero. */
struct resync {
    int64_t last_ns;  /* when it was asked for last */
    int64_t until_ns; /* a poll waits so long at most; 0: none waits */
};

/* What there is to do at |now_ns|, monotonic. |every_ns| 0: never by the clock. |poll_due|: a poll could
 * begin now; |before_poll|: it is to wait. |finished|: what was asked for last has been done. Sets |*ask|
 * when it is to be asked for now. Returns whether the poll still has to wait. */
bool resync_step(struct resync *r, int64_t every_ns, bool before_poll, bool poll_due, bool finished,
                 int64_t now_ns, bool *ask);

/* When to step again at the latest; INT64_MAX: whenever something else happens. */
int64_t resync_next(const struct resync *r, int64_t every_ns);

#endif
