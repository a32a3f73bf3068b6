/* Both ends of connections: which two of the sockets of several nodes and namespaces are one connection.
 * Pure; one owner at a time.
 *
 * Two sockets can be the ends of one connection when each has the other's addresses, an IPv4 address and the
 * same one mapped into IPv6 being equal. That is not enough where addresses are used more than once,
 * as 10.0.0.1 in many namespaces is. So:
 *  - two of one namespace belong together before any others, and loopback addresses only so;
 *  - the options agreed upon at the handshake must fit: timestamps, SACK, and the window scales, mirrored;
 *  - when both have been silent for a while, the bytes that each has had acknowledged must be those that the
 *    other has received;
 *  - when more than one candidate is left, counters that are equal on both ends decide, if they are so for
 * one candidate only; otherwise the connection is shown as ambiguous. */
#ifndef XTCP_CLIENT_FLEET_CONNECTION_JOIN_H
#define XTCP_CLIENT_FLEET_CONNECTION_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/unpack.h"

#define JOIN_ENDS_MAX 4000000 /* of one poll of all nodes; further ones are counted as left out */

/* One socket. */
struct join_end {
    size_t node;       /* its number */
    uint64_t netns_id; /* cookie, or inode where there is none */
    const char *netns; /* its name */
    uint64_t netns_inode;
    uint8_t local[16]; /* IPv4 addresses as ::ffff:a.b.c.d */
    uint8_t peer[16];
    uint16_t local_port;
    uint16_t peer_port;
    uint8_t state;
    bool info;             /* it has a tcp_info, the source of the rest */
    uint8_t options;       /* TCPI_OPT_… */
    uint8_t send_scale;    /* of the peer */
    uint8_t receive_scale; /* its own */
    uint32_t rtt_us;
    uint32_t cwnd;
    uint32_t retrans;
    uint32_t total_retrans;
    uint32_t recv_queue;
    uint32_t send_queue;
    uint32_t idle_ms; /* since data went either way */
    uint64_t acked;   /* bytes that the peer has acknowledged */
    uint64_t received;
    uint64_t rate;      /* bytes per second that are delivered: the kernel's sample */
    uint64_t send_rate; /* bytes per second that were acknowledged since the poll before, when |measured| */
    bool measured;
};

enum join_kind {
    JOIN_PAIR,        /* |a| and |b| */
    JOIN_BY_COUNTERS, /* the same; of several candidates |b| is the one whose counters fit */
    JOIN_AMBIGUOUS,   /* the other end of |a| is one of |candidates|, or of a node that is not watched */
    JOIN_ONE_END,     /* the other end of |a| is not here */
};

#define JOIN_NONE ((size_t)-1)

struct join_row {
    enum join_kind kind;
    size_t a;               /* numbers of ends */
    size_t b;               /* JOIN_NONE: there is none */
    size_t first_candidate; /* in |candidates| of the join */
    size_t n_candidates;
};

struct join {
    struct join_end *ends;
    size_t n_ends, cap_ends;
    char **names; /* of namespaces */
    size_t n_names;
    size_t left_out;
    struct join_row *rows; /* of join_match */
    size_t n_rows, cap_rows;
    size_t *candidates;
    size_t n_candidates, cap_candidates;
    size_t counts[JOIN_ONE_END + 1]; /* rows of each kind */
};

/* Makes it empty and frees its memory. A zeroed struct is empty, too. */
void join_reset(struct join *j);

/* Adds the socket |r| of node |node|; listeners are left out. Returns 0 or -ENOMEM. */
int join_add(struct join *j, size_t node, const record_message *r);

/* Finds the ends that belong together and makes |rows|. Returns 0 or -ENOMEM. */
int join_match(struct join *j);

#endif
