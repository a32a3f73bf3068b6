/* The interface between the files of focus: the parts of a watch, and which thread may touch them. */
#ifndef XTCP_SERVER_WATCH_FOCUS_INTERNAL_H
#define XTCP_SERVER_WATCH_FOCUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "filter/filter.h"
#include "inet_diag/socket_lookup.h"
#include "lib/buf.h"
#include "lib/thread.h"
#include "lib/u64set.h"
#include "record/mask.h"
#include "server/watch/focus.h"

#define FOCUS_FINDERS 2

/* States of <netinet/tcp.h>, which cannot be included beside <linux/tcp.h>. */
enum { FOCUS_TIME_WAIT = 6, FOCUS_LISTEN = 10 };

/* ---- Selections ---- */

/* Immutable, shared by the threads. */
struct focus_selection {
    _Atomic uint32_t refs;
    struct focus_request request;
    struct filter *filter; /* NULL: only sockets that were named */
    struct record_mask mask;
    bool masked;
    bool time_wait;          /* the filter asks for TIME_WAIT: else a socket in that state has ended */
    groups_t columns_groups; /* the groups that the fields of |mask| belong to */
};

struct focus_selection *focus_selection_ref(struct focus_selection *s);
/* NULL is allowed. */
void focus_selection_unref(struct focus_selection *s);
/* Takes |request| over, in any case. */
int focus_selection_new(struct focus_request *request, struct focus_selection **out, struct err *e);

/* ---- Namespaces and their sockets ---- */

/* A namespace as the inventory told it, with copies of its texts. */
struct focus_ns {
    struct netns_ref ns;
    char *name;
    char *path;
};
int focus_ns_copy(struct focus_ns *to, const struct nswatch_ns *from);
void focus_ns_free(struct focus_ns *n);

/* Makes the error |e| of |where| into one that owns its texts, in |out|. Returns 0, or -ENOMEM with |out| all
 * zero. */
int focus_error_copy(const struct focus_ns *where, const struct err *e, struct poll_error *out);
/* An |error| that is all zero is allowed. */
void focus_error_free(struct poll_error *error);

/* The state of a watched socket, apart from its identity. */
struct focus_about {
    uint8_t state; /* when it was last seen; 0: never */
    bool named;    /* in the request */
    bool answered; /* to an exact request */
    bool twice;    /* another entry is the same socket: this one is removed silently */
    uint8_t ended; /* enum focus_end_reason: to be told and removed */
};

/* The watched sockets of one namespace. */
struct focus_place {
    struct focus_ns where;
    struct lookup_socket *ids; /* |n| of them, */
    struct focus_about *about; /* and as many of these */
    size_t n;
    size_t cap;
    int64_t missing_ns; /* when the namespace was first not found; 0: it is found */
    int told;           /* the error that was told last; 0: none */
};

/* ---- Results of a search ---- */

struct focus_hit {
    struct lookup_socket id;
    uint8_t state;
};

struct focus_found_ns {
    struct focus_ns where;
    size_t first; /* hit */
    size_t n;
};

struct focus_found {
    int64_t began_ns;
    uint32_t namespaces; /* that were searched */
    uint64_t matched;    /* includes those that there was no room for */
    struct focus_found_ns *where;
    size_t n_where;
    size_t cap_where;
    struct focus_hit *hits;
    size_t n_hits;
    size_t cap_hits;
    struct poll_error errors[POLL_ERRORS_MAX]; /* texts are owned */
    size_t n_errors;
};
void focus_found_free(struct focus_found *f);

/* When the next search may begin after one that took |cpu_ns| and ended at |now_ns|: for the same selection,
 * which wants one every |interval_ns|, or (0) for a new one. */
int64_t focus_search_rest(int64_t now_ns, int64_t cpu_ns, int64_t interval_ns);

/* The means of a finder. */
struct focus_finder {
    struct focus *focus;
    struct thread thread;
    struct u64set seen;
    uint8_t *buffer;
    int wake;  /* eventfd: the daemon stops */
    bool lost; /* the thread cannot come home: it must end */
};

/* Searches for |s|. Returns NULL without memory, or when the daemon stops. Thread focus/find. */
struct focus_found *focus_search(struct focus_finder *finder, const struct focus_selection *s,
                                 const struct config *config);

/* ---- The slot: messages that wait for the client ---- */

struct focus_slot {
    pthread_mutex_t lock; /* a leaf: nothing else is locked under it */
    struct buf info;      /* a whole response; empty: none */
    struct buf head;      /* of the response that is made */
    bool full;            /* a tick waits */
    struct focus_tick tick;
    struct buf rows;
    uint64_t n_rows;
    struct focus_ended *ended; /* since the last response; names are owned */
    size_t n_ended;
    size_t cap_ended;
    struct poll_error *errors; /* the same; texts are owned */
    size_t n_errors;
};

void focus_slot_init(struct focus_slot *s);
void focus_slot_fini(struct focus_slot *s);
/* Drops the messages of an earlier selection that wait. */
void focus_slot_drop(struct focus_slot *s);
/* Puts in the answer to a request for a new selection, sent before its first tick. |info| is copied. Returns 0 or
 * -ENOMEM. */
int focus_slot_info(struct focus_slot *s, const struct focus_info *info);
/* A tick's |rows| (exchanged with those of the slot) take the place of those that wait. */
void focus_slot_tick(struct focus_slot *s, const struct focus_tick *tick, struct buf *rows, uint64_t n_rows);
/* Put in messages that are kept until they are sent. |socket|'s addresses are those of |id|. Return 0,
 * ERR_LIMIT when too many wait, -ENOMEM. */
int focus_slot_ended(struct focus_slot *s, const struct focus_place *p, size_t i, int64_t timestamp_ns);
int focus_slot_error(struct focus_slot *s, const struct focus_place *p, const struct err *e);
bool focus_slot_next(struct focus_slot *s, struct rpc_message *out);

/* ---- A watch ---- */

/* A socket that has ended, while a search under way may still have seen it. */
struct focus_gone {
    uint64_t ns_id;
    uint32_t cookie[2];
    int64_t at_ns;
    bool ever; /* never to be watched again, however often it is found */
};

struct focus_watch {
    _Atomic uint32_t refs;
    struct focus *focus;
    struct focus_slot slot;
    struct quota_user *user; /* a reference: who pays for it */
    enum quota_rank rank;

    /* Under focus.lock. */
    struct rpc_call *call;         /* NULL once it is closed: no thread of ours lets the last reference go */
    struct focus_selection *asked; /* the newest */
    struct focus_found *found;     /* the result of a search for it, until the next tick takes it */
    bool searching;
    bool waiting; /* for the first search: no tick before it is over */
    bool closed;
    bool other_netns;  /* some of it is in other namespaces: which ticker it is for */
    int64_t due_ns;    /* the next tick; INT64_MAX: none */
    int64_t search_ns; /* the next search; INT64_MAX: none */
    int64_t rested_ns; /* no search before this time, whatever is asked for */
    uint64_t units;    /* of QUOTA_FOCUS_RATE, that it has */
    uint32_t sockets;  /* that are watched */

    /* Only the ticker that works on the watch touches these. */
    struct focus_selection *current;
    bool started; /* info has been sent */
    uint64_t tick;
    uint64_t left_out;
    struct focus_place *places;
    size_t n_places;
    size_t cap_places;
    size_t n_sockets;
    uint64_t errors; /* a sum over the errors of the last search, to tell them only when they change */
    struct focus_gone *gone;
    size_t n_gone;
    size_t cap_gone;
};

/* A maker of ticks. There are two, and at most one of them is at a watch at a time: the thread "focus", for
 * watches that are about the daemon's own namespace alone, never leaves it and sends by itself;
 * "focus/other", for the others, never calls gRPC. */
struct focus_ticker {
    struct focus *focus;
    struct thread thread;
    bool other_netns;
    struct socket_lookup *lookup;
    struct buf rows;
    uint8_t *row; /* RECORD_ROW_MAX bytes, for rows that are cut afterwards */
};

enum { FOCUS_OWN_NETNS, FOCUS_OTHER_NETNS, FOCUS_TICKERS };

struct focus_watch *focus_watch_ref(struct focus_watch *w);
void focus_watch_unref(struct focus_watch *w);

/* Begins with |s| (the reference becomes the watch's), which has just been asked for. */
void focus_watch_begin(struct focus_watch *w, struct focus_selection *s, struct inventory *inventory);
/* Takes over the result of a search. */
void focus_watch_merge(struct focus_watch *w, struct focus_found *found);
/* One tick. |late_ns| is the time by which it is late, |skipped| the number of ticks left out before it.
 * Returns 0, or ERR_CANCELLED: the thread is not at home any more. */
int focus_watch_tick(struct focus_watch *w, struct focus_ticker *t, struct inventory *inventory,
                     const struct config *config, int64_t late_ns, uint64_t skipped);
/* Sends the answer to the request; ticks may follow. */
void focus_watch_start(struct focus_watch *w, const struct focus_found *found);
/* Forgets all places and sockets; focus_watch_tidy only the places that have no sockets any more. */
void focus_watch_clear(struct focus_watch *w);
void focus_watch_tidy(struct focus_watch *w);
/* Whether some of its sockets are in other namespaces than the daemon's own. */
bool focus_watch_in_other_netns(const struct focus_watch *w);

/* ---- All of it ---- */

struct focus {
    struct focus_options options;
    int own_netns_fd; /* the daemon's own namespace */
    struct focus_ticker tickers[FOCUS_TICKERS];
    struct focus_finder finders[FOCUS_FINDERS];
    _Atomic bool stopping;
    _Atomic uint64_t lookups;
    _Atomic uint64_t ticks;
    _Atomic uint64_t skipped;
    _Atomic uint64_t searches;

    pthread_mutex_t lock;
    pthread_cond_t tick_changed;   /* for the tickers */
    pthread_cond_t search_changed; /* for the finders */
    struct focus_watch **watches;
    size_t n;
    size_t cap;
    bool lost; /* the thread focus/other could not come home and has ended */
};

#endif
