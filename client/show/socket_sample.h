/* A socket at one poll as top keeps it, and the difference of two polls: its rates and the limits of its sending.
 * Pure; any thread. */
#ifndef XTCP_CLIENT_SHOW_SOCKET_SAMPLE_H
#define XTCP_CLIENT_SHOW_SOCKET_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/show/address.h"
#include "record/unpack.h"

/* The identity of a socket: cookies are not used twice while the kernel runs. */
struct socket_key {
    uint64_t netns;  /* netns_cookie, the inode number where the daemon tells none */
    uint64_t cookie; /* of the socket; made of its addresses and ports where the daemon tells none */
};

#define SOCKET_ALGORITHM_MAX 16 /* bytes of a congestion control's name with its NUL, as TCP_CA_NAME_MAX */

/* One socket at one poll: numbers as in the record, times in microseconds. */
struct socket_sample {
    struct socket_key key;
    int64_t timestamp_ns;
    uint64_t bytes_acked;
    uint64_t bytes_received;
    uint64_t bytes_retrans;
    uint64_t busy_us;
    uint64_t rwnd_us;
    uint64_t sndbuf_us;
    uint32_t total_retrans;
    uint32_t data_segs_out;
    uint32_t rtt_us;
    uint32_t min_rtt_us;
    uint32_t cwnd;
    uint32_t unacked;
    uint32_t rqueue;
    uint32_t wqueue;
    uint32_t notsent;
    uint32_t mss;
    uint32_t uid;
    uint32_t netns; /* index of the namespace in its poll */
    uint16_t local_port;
    uint16_t peer_port;
    uint8_t family;
    uint8_t state;
    uint8_t ca_state;
    bool app_limited;
    bool flow; /* it has a connection's counters: neither LISTEN nor without a struct tcp_info */
    struct address_scope scope;
    uint8_t local[16];
    uint8_t peer[16];
    char algorithm[SOCKET_ALGORITHM_MAX];
};

/* Names of the fields that a sample is made of: the columns that top asks for. */
extern const char *const socket_sample_fields[];
extern const size_t n_socket_sample_fields;

/* The sample of |r|, whose contents may be anything; |netns| stays 0. */
void socket_sample_from(const record_message *r, struct socket_sample *out);

/* Bytes that wait to be read by the application, to be sent or to be acknowledged; for a listener, the
 * connections that wait to be accepted. */
uint64_t socket_sample_queue(const struct socket_sample *s);

/* The reasons why sending was held back between two polls. */
enum socket_limit {
    SOCKET_LIMIT_UNKNOWN, /* seen once, or not a connection */
    SOCKET_LIMIT_IDLE,
    SOCKET_LIMIT_RECEIVING, /* little to send: the other end determines the rate */
    SOCKET_LIMIT_APPLICATION,
    SOCKET_LIMIT_RECEIVE_WINDOW,
    SOCKET_LIMIT_SEND_BUFFER,
    SOCKET_LIMIT_CONGESTION_WINDOW,
    SOCKET_LIMIT_RETRANSMISSION,
    SOCKET_LIMITS
};

/* "-", "idle", "receiving", "application", … */
extern const char *const socket_limit_names[SOCKET_LIMITS];

/* The difference of two polls, with the state at the second. */
struct socket_interval {
    uint64_t length_us; /* between the polls */
    uint64_t busy_us;   /* part of it with data to send; contains the two below */
    uint64_t rwnd_us;
    uint64_t sndbuf_us;
    uint64_t acked;    /* bytes */
    uint64_t received; /* bytes */
    uint32_t retrans;  /* segments */
    uint32_t sent;     /* segments with data, retransmissions included */
    uint32_t unacked;
    uint32_t cwnd;
    uint8_t ca_state;
    bool app_limited;
};

/* The rule of the column LIMITED BY; docs/client.md has it in words. */
enum socket_limit socket_limit_of(const struct socket_interval *i);

struct socket_rates {
    float sent;          /* bytes/s, acknowledged by the peer */
    float received;      /* bytes/s */
    float retrans;       /* segments/s */
    float retrans_bytes; /* bytes/s */
    float retrans_share; /* of the segments sent, 0 to 1; negative: none were sent */
    enum socket_limit limit;
};

/* The rates from |before| to |now|, two samples of the same key. Returns false, with all rates 0, when there
 * are none: no time between the polls, no connection at either end, or a counter that went back, so that it
 * is another socket after all. */
bool socket_rates_between(const struct socket_sample *before, const struct socket_sample *now,
                          struct socket_rates *out);

#endif
