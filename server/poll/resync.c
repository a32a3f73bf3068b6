#include "server/poll/resync.h"

#include "lib/clock.h"

bool resync_step(struct resync *r, int64_t every_ns, bool before_poll, bool poll_due, bool finished,
                 int64_t now_ns, bool *ask)
{
    bool waiting = r->until_ns != 0;
    *ask = every_ns && now_ns >= r->last_ns + every_ns;
    if (!before_poll || !poll_due) {
        r->until_ns = 0;
    } else if (!waiting) {
        *ask = true;
        r->until_ns = now_ns + RECONCILE_WAIT_NS;
    } else if (finished || now_ns >= r->until_ns) {
        r->until_ns = 0;
        *ask = false; /* a resync has just been done */
    } else {
        *ask = false;
    }
    if (*ask)
        r->last_ns = now_ns;
    return r->until_ns != 0;
}

int64_t resync_next(const struct resync *r, int64_t every_ns)
{
    int64_t next = every_ns ? r->last_ns + every_ns : INT64_MAX;
    return r->until_ns ? clock_earlier(r->until_ns, next) : next;
}
