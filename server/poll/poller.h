/* One poll after the other: gives the request to all collectors, gathers their results, tells the hub where a
 * poll begins and ends.
 *
 * main starts polls and looks after them (poller_check); collectors report on their own threads through the
 * sink. */
#ifndef XTCP_SERVER_POLL_POLLER_H
#define XTCP_SERVER_POLL_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "collectors/collector.h"
#include "config/config.h"
#include "model/status.h"
#include "server/poll/inventory.h"
#include "server/stream/plan.h"

struct poller;

/* Callbacks of a poller. |gone| may be NULL. */
struct poller_ops {
    /* Makes the plan of a poll that is about to start, with its subscribers; NULL without memory, and then there
     * is no poll. Main. */
    struct plan *(*plan)(void *arg, uint64_t poll_id);
    /* Takes the plan's reference. Main. */
    void (*begin)(void *arg, const struct poll_begin *begin, struct plan *plan);
    void (*batch)(void *arg, struct batch *b);          /* collectors; takes the reference */
    void (*end)(void *arg, const struct poll_end *end); /* main */
    void (*wake)(void *arg);                            /* any thread: poller_check has something to do */
    void (*gone)(void *arg); /* collectors: a path leads to another namespace than nswatch found there */
    void *arg;
};

int poller_new(const struct poller_ops *ops, struct poller **out, struct err *e);
void poller_free(struct poller *p);

/* The sink to make the collectors with. */
struct collector_sink poller_sink(struct poller *p);

/* The next |polls| polls are recorded in the directory that the configuration then in force names. Any
 * thread. */
void poller_capture(struct poller *p, uint32_t polls);

/* Begins the poll |begin|, whose time and number of namespaces are filled in here, of the namespaces in |r|:
 * of all of them, unless every subscriber that takes part wants only some. No poll may be running. Main
 * thread. Returns 0 or -ENOMEM (no poll then). */
int poller_start(struct poller *p, struct inventory *r, const struct poll_begin *begin,
                 const struct config *config);

/* Ends the running poll if all have reported, or if the time is up and a collector is stuck. Returns true
 * when it has ended a poll. Main thread. */
bool poller_check(struct poller *p, struct inventory *r);

/* When poller_check must be called at the latest (monotonic ns), INT64_MAX when no poll is running. */
int64_t poller_deadline(const struct poller *p);

/* Gives up the running poll: collectors that are still at it are told to stop. */
void poller_cancel(struct poller *p);

/* Figures of the polls so far, for the status. The strings and lists in |last| and |errors| belong to |memory|,
 * which the caller frees. */
struct poller_stats {
    uint64_t polls;
    uint64_t sockets;
    uint64_t cpu_ns;         /* of the collectors, in all polls */
    uint64_t kernel_ns;      /* of |cpu_ns|, in the kernel */
    uint64_t last_cpu_ns;    /* in the last poll */
    struct status_poll last; /* valid when polls > 0 */
    struct status_poll full; /* the last that was not partial, without errors and hint; poll_id 0: none */
    struct status_error_count *errors;
    size_t n_errors;
    void *memory;
};
int poller_stats(struct poller *p, struct poller_stats *out);

#endif
