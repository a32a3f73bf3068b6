/* Collectors, which find the TCP sockets of namespaces.
 *
 * A collector belongs to one namespace. For a poll it waits for a dump slot (there are few, so that only some
 * namespaces are dumped at a time), enters the namespace, opens a netlink socket there, checks by its cookie that it
 * is still the same namespace, and leaves at once: the answer is about the socket's namespace, wherever the thread is.
 * Then it asks for all TCP sockets, encodes the answers into batches and closes the socket. Between polls it holds
 * nothing: no descriptor, no socket, no buffer.
 *
 * It does so on a thread of its own, "col/NAME", parked in the daemon's own namespace between polls, or, when there are
 * more collectors than threads_max, on one of a few threads "col-worker" that those beyond it share. A collector stays
 * what it was when it was started; when one with a thread ends, the next one to be started gets a thread. The thread
 * "col-timer" watches over the slots during polls.
 *
 * A collector that takes long delays no other one: after a part of its time others go ahead as if it were not there,
 * and at its deadline it gives up. A collector whose turn did not come in time is first at the next poll; one that
 * used up its time is last.
 *
 * A namespace that had no sockets at its last poll is not dumped as long as the kernel's count of its sockets
 * (/proc/thread-self/net/sockstat) says that there are none, but for every 16th poll: connections that are still in
 * their handshake are not in that count.
 *
 * No function here calls gRPC. The sink's functions are called on these threads, in the daemon's own namespace (except
 * done() of a thread that cannot return there, see the log): they must only hand data over. */
#ifndef XTCP_COLLECTORS_COLLECTOR_H
#define XTCP_COLLECTORS_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "collectors/poll_request.h"
#include "inet_diag/enter.h"
#include "lib/err.h"
#include "record/batch.h"

struct collector;
struct
    collectors; /* shared by all collectors of a daemon: dump slots and their memory, workers, batch pool */

/* Collectors that wait for their turn or dump for |request| stop now and report ERR_CANCELLED. Not after
 * collectors_free. Any thread. */
void poll_request_cancel(struct poll_request *request);

/* The result of the dump of one namespace. */
struct collector_result {
    uint64_t poll_id;
    uint64_t netns_id;
    struct err err; /* code 0: complete. ERR_GONE, ERR_TIMEOUT, ERR_INTERRUPTED, ERR_TRUNCATED, ERR_CANCELLED,
                       -errno … */
    uint64_t sockets;    /* sockets in the kernel's answer: with |partial| not all that the namespace has */
    uint64_t rows;       /* rows passed to the sink */
    uint64_t duplicates; /* sockets the kernel sent twice (same cookie), left out */
    uint64_t malformed;  /* messages and attributes that did not parse, left out */
    uint64_t unknown_attrs; /* attributes of types this program does not know, skipped */
    uint32_t retries;    /* dumps repeated because of EBUSY, ENOBUFS or an interruption: the repetition adds
                            the sockets that were not passed on yet */
    bool interrupted;    /* NLM_F_DUMP_INTR was seen */
    bool partial;        /* the kernel was asked for a part of the sockets only, for the request's filters */
    bool empty;          /* not dumped: the kernel's count of sockets said that there are none */
    int64_t duration_ns; /* from the request to the end, waiting included */
    int64_t dump_ns;     /* of it: from entering the namespace to the last row */
    int64_t cpu_ns;      /* CPU time of the thread */
    int64_t kernel_ns;   /* of it, in the kernel: sampled, right on average only */
};

/* The destination of rows and results. Called on several threads at a time. */
struct collector_sink {
    /* A sealed batch; the reference becomes the sink's. */
    void (*batch)(void *arg, struct batch *b);
    /* The namespace is finished for this poll. Exactly once for each accepted request. */
    void (*done)(void *arg, const struct collector_result *result);
    void *arg;
};

struct collectors_options {
    unsigned dump_slots;  /* namespaces that dump at the same time; 0: min(CPUs, 4) */
    unsigned threads_max; /* collectors with a thread of their own; 0: COLLECTORS_THREADS_MAX */
    int64_t overdue_ns; /* time that others wait for one that dumps; 0: an eighth of its time, 10 to 250 ms */
    int64_t
        idle_check_ns; /* a dump without sockets that takes so much CPU time is worth avoiding; 0: 60 us */
    struct collector_sink sink;
    struct batch_pool *pool; /* the caller's, outlives the set */
};

#define COLLECTORS_THREADS_MAX 512

/* A set without collectors; its thread "col-timer" is started. Returns 0 and the set in |out|, or a negative code with
 * |e|. From a thread that is in the daemon's own namespace. */
int collectors_new(const struct collectors_options *options, struct collectors **out, struct err *e);

/* Another threads_max, for collectors that are started from now on. Any thread. */
void collectors_set_threads_max(struct collectors *set, unsigned threads_max);

/* After every collector is freed. */
void collectors_free(struct collectors *set);

/* Starts a collector of |ns|, whose texts are copied. Returns 0 and the collector in |out|, or a negative code with
 * |e|. From a thread that is in the daemon's own namespace. */
int collector_start(struct collectors *set, const struct netns_ref *ns, struct collector **out,
                    struct err *e);

/* New display name and path of the same namespace; valid from the next request on. Returns 0 or -ENOMEM. Any
 * thread. */
int collector_rename(struct collector *c, const char *name, const char *path);

/* Gives the collector |request| (a reference is taken). Returns 0: the sink's done() will be called; -EBUSY: it is
 * still at an earlier request, done() will not be called for this one; ERR_CANCELLED: it is stopping. Any thread. */
int collector_poll(struct collector *c, struct poll_request *request);

/* Asks the collector to end: a running dump is given up (its done() is still called). Does not wait. Any
 * thread. */
void collector_stop(struct collector *c);

/* Whether a stopped collector has come to its end, so that collector_join does not have to wait. Any thread. */
bool collector_ended(struct collector *c);

/* Waits for the end of a stopped collector and frees it. Not from the sink. */
void collector_join(struct collector *c);

#endif
