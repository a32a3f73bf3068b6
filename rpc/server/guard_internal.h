/* Inside the guard: declarations that hook.c (the functions that gRPC calls), guard.c (connections and users),
 * guard_flow.c (budgets, pauses) and guard_state.c (the guard itself, its log lines) share. Each calls those
 * behind it only. */
#ifndef XTCP_RPC_SERVER_GUARD_INTERNAL_H
#define XTCP_RPC_SERVER_GUARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "lib/thread.h"
#include "rpc/server/budget.h"
#include "rpc/server/guard.h"
#include "rpc/server/h2_meter.h"

/* The beginning of a TLS record with a ServerHello: a record header (5 bytes), a handshake header (4), the
 * version (2), then 32 random bytes (RFC 8446, sections 5.1, 4 and 4.1.3). */
#define TLS_HEADER_SIZE 5
#define TLS_RANDOM_AT   11
#define TLS_RANDOM_SIZE 32
#define TLS_HELLO_SIZE  (TLS_RANDOM_AT + TLS_RANDOM_SIZE)

#define GUARD_BUCKETS 1024 /* of each hash table */

enum guard_class { GUARD_OTHERS, GUARD_CONTROL, GUARD_CLASSES };
enum guard_level { GUARD_OWN, GUARD_USER, GUARD_ALL, GUARD_LEVELS };

/* A user that has, or lately had, connections. */
struct guard_user {
    struct guard_user *next; /* of the same bucket */
    struct quota_user *quota;
    struct budget budget[GUARD_CLASSES];
    double reserved[GUARD_CLASSES]; /* taken from |budget| for its connections */
    double connects;                /* connections that may come at once */
    int64_t connects_ns;
    double stuck; /* sum over its connections */
    size_t connections;
    int64_t idle_ns; /* since when it has no connection */
    bool told;       /* the log has said that it is closed or turned away */
};

struct guard_conn {
    int fd;
    uint64_t cookie; /* SO_COOKIE; 0: unknown */
    struct guard_user *user;
    enum quota_rank rank;
    unsigned weight; /* in QUOTA_CONNECTIONS */
    bool tls;
    struct h2_meter meter;
    struct budget own;
    double resets;    /* resets that may come */
    double credit;    /* frames that follow from what was sent to it, and cost nothing */
    double stuck;     /* frames that ask for an answer, while answers cannot be written */
    int64_t stuck_ns; /* when something was written last, or the first such frame came */
    struct guard_conn *next_stuck, *previous_stuck; /* in a list while |stuck| is not 0 */
    int64_t hot_ns; /* since when it, or its user, has been over a budget; 0: it is not */
    uint64_t sent_seen;
    uint32_t turn; /* bytes read since others had a turn */
    bool dead;
    bool light; /* its user asks little */

    _Atomic uint64_t sent; /* bytes; by any thread, as is the next one */
    _Atomic bool blocked;  /* the socket takes no more at the moment */

    /* gRPC's registration with epoll. */
    int epoll; /* -1: none yet */
    struct epoll_event event;

    /* While it is not read. */
    bool paused;
    int64_t wake_ns;
    struct guard_conn *next_paused, *previous_paused;

    /* TLS. The daemon's side begins with records in the clear, until the ServerHello has been seen. */
    uint8_t hello[TLS_HELLO_SIZE]; /* the beginning of the record that is being sent */
    uint32_t record_at;            /* how much of it has been sent */
    _Atomic bool known; /* |hello| is the ServerHello, whose random bytes no other connection has */
    uint64_t hidden;    /* bytes that have come since the last decryption */
    double reserved;    /* calls that may be in them, taken from the budgets */
    struct guard_conn *next_random, *next_address;
    char address[RPC_ADDRESS_MAX];
};

struct guard {
    struct quota *quota;
    struct rpc_peer_finder *finder; /* under finder_lock */
    pthread_mutex_t finder_lock;
    struct thread thread;
    size_t n_fds;
    _Atomic bool works;
    struct err failure; /* of the proof */

    pthread_mutex_t lock; /* guards all below; a leaf but for the quota's */
    pthread_cond_t changed;
    struct rpc_guard_limits limits;
    struct budget_limit budgets[GUARD_LEVELS][GUARD_CLASSES][BUDGET_KINDS];
    struct budget all[GUARD_CLASSES];
    struct budget light; /* of all users without the role control that ask little */
    double stuck;
    struct guard_user *users[GUARD_BUCKETS];
    size_t n_idle;
    struct guard_conn *by_random[GUARD_BUCKETS];
    struct guard_conn *by_address[GUARD_BUCKETS];
    struct guard_conn *paused;
    struct guard_conn *stuck_conns; /* connections whose |stuck| is not 0 */
    uint64_t ended;                 /* connections */
    int64_t trim_ns;                /* when memory is to be given back; 0: not */
    struct rpc_guard_stats stats;
    bool stopping;
};

/* In guard_state.c, as is the next one. */
extern struct guard guard;

/* The connections under guard by their descriptors, |guard.n_fds| of them; NULL while there is no guard. */
extern _Atomic(struct guard_conn *) *_Atomic guard_conns;

/* The connection |fd|, NULL when it is none. Valid until |fd| is closed. Any thread, without a lock. */
static inline struct guard_conn *guard_find(int fd)
{
    _Atomic(struct guard_conn *) *conns = atomic_load_explicit(&guard_conns, memory_order_acquire);
    if (!conns || fd < 0 || (size_t)fd >= guard.n_fds)
        return NULL;
    return atomic_load_explicit(&conns[fd], memory_order_acquire);
}

/* ---- For hook.c; each on the thread that gRPC calls from ---- */

/* |fd| is about to be closed. */
void guard_closing(int fd);

/* gRPC has accepted |fd|. Returns whether gRPC may have it. */
bool guard_accepted(int fd);

/* gRPC registers |fd| with epoll. */
void guard_watched(struct guard_conn *c, int epoll, const struct epoll_event *event);

/* Whether |c| may be read now: returns 0 and in |*room| how many bytes; -EAGAIN: later; -ECONNRESET: never. */
int guard_before_read(struct guard_conn *c, size_t *room);

/* |n| bytes have been read into |iov|. Returns 0 or -ECONNRESET: they must not be looked at. */
int guard_after_read(struct guard_conn *c, const struct iovec *iov, size_t n);

/* Of |asked| bytes at |iov|, |sent| were taken (0: none). */
void guard_after_send(struct guard_conn *c, const struct iovec *iov, size_t asked, size_t sent);

/* |n| bytes of the TLS connection whose ServerHello had |random| have been decrypted. Returns false when
 * there is no such connection: nobody may have the bytes. */
bool guard_decrypted(const uint8_t random[TLS_RANDOM_SIZE], const uint8_t *plain, size_t n);

/* ---- Between guard.c and guard_flow.c; the lock is held ---- */

/* A log line about a connection, for guard_tell once the lock is released. */
struct guard_news {
    bool any;
    enum rpc_guard_reason reason;
    char user[64];
};
void guard_tell(const struct guard_news *news);

static inline enum guard_class guard_class_of(const struct guard_conn *c)
{
    return c->rank == QUOTA_CONTROL ? GUARD_CONTROL : GUARD_OTHERS;
}

/* Has memory given back when all has been quiet for a moment. */
void guard_trim_soon(void);

/* Sets all budgets by |guard.limits|. */
void guard_set_budgets(void);

/* Counts a connection of |u| that is closed or turned away for |reason|. */
void guard_blame(struct guard_user *u, enum rpc_guard_reason reason, struct guard_news *news);

/* Whether a further connection of |u| may come now. */
bool guard_may_connect(struct guard_user *u, enum quota_rank rank, int64_t now_ns);

/* Gives |c| full budgets of its rank. */
void guard_flow_begin(struct guard_conn *c, int64_t now_ns);

/* |c| goes: ends its pause, and takes its counts out of the sums for users. */
void guard_flow_end(struct guard_conn *c);

/* The calls that are reserved for records which have not been decrypted go back to the budgets that they came
 * from. */
void guard_give_back(struct guard_conn *c);

/* Stops counting the answers that |c| has not read. */
void guard_flow_unstick(struct guard_conn *c);

/* Ends the pause of |c| soon, if it is in one. */
void guard_resume(struct guard_conn *c);

/* The chain of guard.by_random for |random|. */
size_t guard_random_bucket(const uint8_t *random);

/* Whether |u| has been quiet for so long that it may be forgotten. */
bool guard_is_fresh(struct guard_user *u, int64_t now_ns);

/* The thread rpc/guard. */
void *guard_run(void *arg);

#endif
