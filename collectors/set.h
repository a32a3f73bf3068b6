/* What the collectors of a daemon share, and what a collector is. Private to this folder.
 *
 * One lock, |lock| of struct collectors, guards everything here that says so; it is the innermost one: nobody
 * calls out of this folder while holding it. */
#ifndef XTCP_COLLECTORS_SET_H
#define XTCP_COLLECTORS_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "collectors/collector.h"
#include "lib/thread.h"
#include "lib/u64set.h"

/* A place in the turnstile and the memory that a dump needs: whoever has the slot may use it. */
struct slot {
    struct collector *user; /* NULL: free. Under the lock */
    uint8_t *buffer;        /* DUMP_BUFFER_SIZE bytes */
    struct u64set seen;
    int wake_fd; /* eventfd, written under the lock to wake the user out of a wait, emptied when it leaves */
};

struct collectors {
    struct collectors_options options;
    int home_fd; /* the daemon's namespace */
    pthread_mutex_t lock;
    struct collector *waiting; /* for a slot, first come first served. Under the lock */
    struct collector *waiting_last;
    unsigned slot_count;
    struct slot slots[];
};

struct collector {
    struct collectors *set;
    struct thread thread;
    struct collector_ns ns; /* name and path are its own; the thread's */
    _Atomic bool stopping;  /* set under the lock */

    /* under the lock */
    pthread_cond_t wake; /* an order, a slot or the end has come */
    struct collector_order *order;
    int64_t accepted_ns; /* when the order came */
    char *new_name;      /* replace those in |ns| at the next order; both or none */
    char *new_path;
    struct slot *slot;
    struct collector *waiting_next;
    struct collector *waiting_before;
};

/* Takes the set's slots and queue into and out of life. */
int turnstile_init(struct collectors *set, struct err *e);
void turnstile_fini(struct collectors *set);

/* Waits until the collector |c| has a slot, for |order|'s sake. Returns 0, ERR_TIMEOUT at the order's
 * deadline or ERR_CANCELLED. On the collector's thread, without the lock. */
int turnstile_enter(struct collector *c, const struct collector_order *order, struct err *e);

/* Gives the slot back, to the next in the queue. On the collector's thread, without the lock. */
void turnstile_leave(struct collector *c);

/* Wakes whoever waits or receives for |order|, to look at its flags again. Any thread, without the lock. */
void turnstile_wake(struct collectors *set, const struct collector_order *order);

/* Wakes the collector |c| wherever it waits. With the lock. */
void turnstile_wake_one(struct collector *c);

#endif
