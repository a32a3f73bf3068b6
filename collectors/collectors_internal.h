/* The collectors of a daemon and the things they share. Private to this folder.
 *
 * The life of a request, and the files that it goes through; each uses those below it only:
 *
 *     collector.c      collector_poll gives it to the collector; the collector's own thread waits here for a slot
 *     slot_timer.c     the collector gets no slot in time, or the request is cancelled before: that is reported
 *     workers.c        the threads that wait for slots of collectors without a thread of their own
 *     work.c           the collector has a slot: carries the request out, gives the slot back, reports
 *     dump_slots.c     the slots, and the collectors that wait for one
 *     collect.c        the poll of one namespace, from entering it to the last row
 *     poll_request.c   the request itself: data
 *
 * collectors.c makes and frees what they share.
 *
 * One lock, |lock| of struct collectors, guards everything here that is not said to be of one thread; it is the
 * innermost one: with it held, only functions of lib and the freeing of a filter are called in other
 * folders. */
#ifndef XTCP_COLLECTORS_COLLECTORS_INTERNAL_H
#define XTCP_COLLECTORS_COLLECTORS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "collectors/collector.h"
#include "lib/thread.h"
#include "lib/u64set.h"

/* The right to dump, and the memory that a dump needs, which only the thread of the slot's user touches. */
struct slot {
    struct slot *next;
    struct collector *user;
    int64_t overdue_ns; /* monotonic: when the user becomes overdue */
    bool overdue;    /* others do not wait for the user any more: a spare slot takes the place of this one */
    bool woken;      /* something was written to |wake_fd| */
    int wake_fd;     /* eventfd, to wake the user out of a wait */
    uint8_t *buffer; /* DUMP_BUFFER_SIZE bytes */
    struct u64set seen;
};

/* Collectors that wait for the same thing, in order. One collector is in one queue at most. */
struct queue {
    struct collector *first;
    struct collector *last;
};

/* The order in which collectors get slots, by the outcome of their last poll. */
enum rank {
    RANK_FIRST, /* its turn never came */
    RANK_USUAL,
    RANK_LAST, /* it was not done in time, and may be so again */
    RANKS,
};

struct collectors {
    struct collectors_options options;
    int own_netns_fd; /* the daemon's namespace */
    pthread_mutex_t lock;
    bool ending;
    _Atomic bool no_code;            /* the kernel takes no bytecode */
    _Atomic bool no_privileged_code; /* nor bytecode that needs CAP_NET_ADMIN */

    /* dump_slots.c */
    struct queue waiting[RANKS]; /* for a slot */
    struct slot *free;
    struct slot *busy;
    unsigned slot_limit;          /* how many may be busy without being overdue */
    unsigned slot_count;          /* all that there are */
    unsigned at_work;             /* busy and not overdue */
    unsigned overdue;             /* busy and overdue */
    struct queue dropped;         /* collectors whose request was given up before they had a slot */
    struct queue ready;           /* collectors that share, with a slot and without a thread */
    pthread_cond_t ready_changed; /* for workers: there is one more, or there is a slot less */

    /* workers.c: threads for the collectors that share */
    struct worker *workers;
    unsigned worker_count; /* that have not ended */
    unsigned own_count;    /* collectors with a thread of their own */
    unsigned shared_count; /* and without */

    /* slot_timer.c */
    struct thread slot_timer;
    pthread_cond_t slot_timer_wake;
    int64_t slot_timer_ns; /* when it looks next by itself, monotonic */
};

struct collector {
    struct collectors *set;
    bool own_thread;
    struct thread thread;  /* its own, if it has one */
    struct netns_ref ns;   /* name and path are its own; of the thread at work, changed with the lock */
    _Atomic bool stopping; /* set with the lock */

    pthread_cond_t wake; /* its own thread has something to do, or its end has come nearer */
    struct poll_request *request;
    int64_t accepted_ns; /* when the request came */
    char *new_name;      /* replace those in |ns| at the next request; both or none */
    char *new_path;
    struct slot *slot;
    unsigned users; /* threads that are at a request of it, or report one */
    int drop_code;  /* in the queue |dropped|: why */
    struct queue *queue;
    struct collector *next;
    struct collector *before;

    /* Of the last poll, for the next one. */
    enum rank rank;
    size_t sockets;        /* that it had, when all of them were asked for */
    bool was_empty;        /* complete, and no sockets */
    int64_t empty_cost_ns; /* CPU time of the last dump without sockets */
};

/* ---- Queues; with the lock ---- */

static inline void queue_append(struct queue *q, struct collector *c)
{
    c->next = NULL;
    c->before = q->last;
    c->queue = q;
    *(q->last ? &q->last->next : &q->first) = c;
    q->last = c;
}

static inline void queue_remove(struct collector *c)
{
    struct queue *q = c->queue;
    *(c->before ? &c->before->next : &q->first) = c->next;
    *(c->next ? &c->next->before : &q->last) = c->before;
    c->queue = NULL;
}

/* ---- work.c ---- */

/* The frame of a collect, error texts and a log line fit several times; untouched stack costs nothing. Sanitizers
 * blow frames up. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(UNDER_SANITIZER) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COLLECTOR_STACK (1024 * 1024)
#else
#define COLLECTOR_STACK (64 * 1024)
#endif

/* Carries the request of |c| out, which has a slot, gives the slot back and reports. With the lock, which it gives up
 * meanwhile; |c| may be freed once the lock is given up. Returns whether the calling thread is in the daemon's
 * namespace: otherwise it must end. */
bool work_carry_out(struct collector *c);

/* Reports |result|, of a request of |c| that is no longer c->request: |c| has been counted in |users| for it, and is
 * not any more on return. With the lock, which it gives up meanwhile. */
void work_report(struct collector *c, const struct collector_result *result);

/* ---- dump_slots.c ---- */

/* Makes the slots. Returns 0, -ENOMEM or -errno. */
int dump_slots_init(struct collectors *set);
void dump_slots_fini(struct collectors *set);

/* |c| has a request: gives it a slot or puts it into the queue. With the lock. */
void dump_slots_ask(struct collector *c);

/* Gives the slot of |c| to the next in the queue. On the thread that used it, with the lock. */
void dump_slots_leave(struct collector *c);

/* The request of |c| is given up: takes it out of the queue, or wakes its thread out of the dump. With the lock. */
void dump_slots_wake(struct collector *c);

/* Drops requests whose time is up before their turn has come, and stops waiting for overdue collectors. With the lock.
 * Returns when to look again, INT64_MAX when none waits. */
int64_t dump_slots_keep(struct collectors *set, int64_t now_ns);

/* Makes the slot timer look at everything at |at_ns| (monotonic; 0: now) at the latest. With the lock. */
void dump_slots_expect(struct collectors *set, int64_t at_ns);

/* ---- workers.c ---- */

/* Starts workers until there are as many as the collectors that share need, and joins those that have ended. In the
 * daemon's own namespace, with the lock. Returns 0, or -errno when there is not even one. */
int workers_adjust(struct collectors *set);

/* One collector less shares. With the lock. */
void workers_release(struct collectors *set);

/* Joins all of them. |ending| is set; without the lock. */
void workers_fini(struct collectors *set);

/* ---- slot_timer.c ---- */

/* Starts the thread. Returns 0 or -errno. */
int slot_timer_start(struct collectors *set);

/* Ends it: |ending| is set; without the lock. */
void slot_timer_join(struct collectors *set);

#endif
