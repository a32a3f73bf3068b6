/* The data of top: the sockets of the last poll with their rates, sums, an order, and the history of those
 * that were looked at. Pure: it neither listens nor draws. One thread. */
#ifndef XTCP_CLIENT_TOP_TOP_MODEL_H
#define XTCP_CLIENT_TOP_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/show/socket_sample.h"
#include "client/top/top_poll.h"

enum top_sort { TOP_SORT_THROUGHPUT, TOP_SORT_RETRANS, TOP_SORT_RTT, TOP_SORT_QUEUE, TOP_SORTS };

/* "throughput", "retrans", "rtt", "queue". */
extern const char *const top_sort_names[TOP_SORTS];

enum top_series { TOP_SERIES_THROUGHPUT, TOP_SERIES_RTT, TOP_SERIES_CWND, TOP_SERIES_RETRANS, TOP_SERIES };

#define TOP_HISTORY_POINTS 256  /* polls that a history goes back */
#define TOP_HISTORIES      1024 /* sockets whose history is kept */

/* The last polls of one socket: bytes/s, microseconds, segments, segments/s. */
struct top_history {
    float points[TOP_SERIES][TOP_HISTORY_POINTS]; /* a ring */
    uint32_t n;                                   /* points ever written */
    uint32_t entry;                               /* the entry that it belongs to; SOCKET_INDEX_NONE: free */
    uint64_t shown;                               /* number of the poll when it was shown last */
};

/* A socket. */
struct top_entry {
    struct socket_sample now;
    struct socket_rates rates; /* zero without |has_rates| */
    bool used;
    bool has_rates;
    uint8_t missed;   /* complete polls in a row without it */
    uint8_t absent;   /* polls in a row without it, complete or not */
    uint64_t seen;    /* number of the poll it was in last */
    uint32_t history; /* index of its history; SOCKET_INDEX_NONE: none */
};

#define TOP_STATES 16

/* Sums of one poll: of all sockets, or of those of a namespace. */
struct top_sums {
    uint32_t netns; /* index in |netns| of the model */
    uint32_t sockets;
    uint32_t by_state[TOP_STATES]; /* by TCP state; 0: one that has no name */
    uint64_t queue;
    double sent; /* bytes/s */
    double received;
    double retrans; /* segments/s */
};

struct top_order {
    double first;
    double second;
    uint32_t place; /* of an entry, or in |sums| */
};

struct top_model {
    struct top_poll_head head; /* of the last poll */
    uint64_t n_polls;
    uint64_t rows_lost;      /* in all */
    struct top_entry *items; /* used or free */
    size_t n_items, room_items;
    size_t n_used;
    uint32_t free_place; /* chain of free ones through |history|; SOCKET_INDEX_NONE: its end */
    struct socket_index by_key;
    struct top_netns *netns; /* of the last poll */
    size_t n_netns, room_netns;
    struct top_sums total;
    struct top_sums *sums; /* one for each of |netns| */
    size_t room_sums;
    struct top_order *order; /* the sockets of the last poll as top_model_sort left them */
    size_t n_order, room_order;
    struct top_order *sums_order; /* the same for |sums| */
    size_t room_sums_order;
    struct top_history *histories; /* at most TOP_HISTORIES; they move when one is added */
    size_t n_histories, room_histories;
    struct socket_key pinned;
    bool has_pinned;
};

/* An empty model. */
void top_model_init(struct top_model *m);
void top_model_free(struct top_model *m);

/* Takes in a poll: its contents are the caller's again afterwards, and of no meaning. Sockets that were
 * absent from two complete polls in a row are dropped (from ten, when the polls were not complete). Returns 0
 * or -ENOMEM, with which the model lacks some sockets. */
int top_model_apply(struct top_model *m, struct top_poll *p);

/* Puts the sockets of the last poll, and its namespaces, into the order |by|, greatest first. */
void top_model_sort(struct top_model *m, enum top_sort by);

/* The sockets of the last poll: n_order of them; |i| below that. Valid until the next poll. */
const struct top_entry *top_model_row(const struct top_model *m, size_t i);

/* The row of |key|, SIZE_MAX when it is not in the last poll. */
size_t top_model_find(const struct top_model *m, const struct socket_key *key);

/* The namespaces of the last poll: n_netns of them. */
const struct top_sums *top_model_netns(const struct top_model *m, size_t i);

/* The socket of |key| as it was seen last, or NULL when it is not known (any more). */
const struct top_entry *top_model_entry(const struct top_model *m, const struct socket_key *key);

/* Row |i| is on the screen: its history is kept from now on, in place of that of the one that was not shown
 * for the longest time. Without memory there is none. */
void top_model_show(struct top_model *m, size_t i);

/* The socket of |key| stays known when it is gone (NULL: none does). */
void top_model_pin(struct top_model *m, const struct socket_key *key);

/* The history of |e|, or NULL. */
const struct top_history *top_model_history(const struct top_model *m, const struct top_entry *e);

/* Point |back| of |h|, 0 being the newest; |back| < top_history_length. */
float top_history_point(const struct top_history *h, enum top_series series, size_t back);
size_t top_history_length(const struct top_history *h);

#endif
