/* A bound on the stop. gRPC waits in places where nothing can hurry it: for seconds for a thread that looks
 * after a connection which has just gone, for ever for a peer that does not read. */
#ifndef XTCP_SERVER_WATCHDOG_H
#define XTCP_SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/thread.h"

struct watchdog {
    struct thread thread;
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t changed;
    bool done;
    int64_t deadline_ns;
    int status;
};

/* From now on the process ends with exit status |status|, at once and without cleaning up, at |deadline_ns|
 * (monotonic). |w| is the caller's until watchdog_stop. Returns 0, or -errno and then there is no bound. */
int watchdog_start(struct watchdog *w, int64_t deadline_ns, int status);

/* Takes it back. */
void watchdog_stop(struct watchdog *w);

#endif
