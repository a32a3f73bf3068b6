/* A bound on the time that the stop takes. gRPC waits in places where nothing can hurry it: for seconds for
 * the thread of a connection which has just gone, for ever for a peer that does not read. */
#ifndef XTCP_SERVER_PROCESS_WATCHDOG_H
#define XTCP_SERVER_PROCESS_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/thread.h"

struct watchdog {
    struct thread thread;
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t changed;
    bool done;
    int64_t deadline_ns; /* INT64_MAX: no bound yet */
    int status;
    const char *_Atomic at; /* the part that is being ended */
};

/* Starts the thread, before there is anything whose end could need it. |w| is the caller's until
 * watchdog_stop. Returns 0 or -errno. */
int watchdog_start(struct watchdog *w);

/* From now on the process ends with exit status |status|, at once and without cleaning up, at |deadline_ns|
 * (monotonic). */
void watchdog_arm(struct watchdog *w, int64_t deadline_ns, int status);

/* |what| is about to be ended: the log names it when that takes too long. Lives as long as the program. */
void watchdog_at(struct watchdog *w, const char *what);

/* Disarms it and ends the thread. */
void watchdog_stop(struct watchdog *w);

#endif
