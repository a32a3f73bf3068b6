/* Watched sockets: requests, ticks and ends. */
#ifndef XTCP_MODEL_WATCH_H
#define XTCP_MODEL_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "model/poll.h"
#include "model/subscription.h"

/* ---- Sockets ---- */

/* SocketId. Ports in host order; addresses as on the wire, the first 4 bytes for AF_INET. */
struct focus_socket {
    uint64_t netns_cookie;
    const char *netns; /* NULL: none */
    uint32_t family;   /* AF_INET or AF_INET6 */
    uint8_t source[16];
    uint8_t destination[16];
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t interface;
    uint64_t cookie; /* 0: not known */
};

/* EndReason. */
enum focus_end_reason {
    FOCUS_END_UNSPECIFIED,
    FOCUS_END_CLOSED,
    FOCUS_END_TIME_WAIT,
    FOCUS_END_NAMESPACE,
    FOCUS_END_NOT_FOUND,
    FOCUS_END_UNREACHABLE,
};

/* "closed", "time-wait", "namespace gone", …; "unknown" for a value that is none. */
const char *focus_end_name(uint32_t reason);

struct focus_ended {
    struct focus_socket socket;
    uint32_t reason;      /* enum focus_end_reason, or what a newer daemon has besides it */
    int64_t timestamp_ns; /* wall clock */
    uint32_t state;       /* when it was last seen; 0: never */
};

/* ---- Requests ---- */

#define FOCUS_SOCKETS_MAX         4096 /* that a request may name */
#define FOCUS_INTERVAL_MIN_NS     10000000LL
#define FOCUS_INTERVAL_MAX_NS     10000000000LL
#define FOCUS_INTERVAL_DEFAULT_NS 100000000LL
#define FOCUS_LOOKUP_MIN_NS       100000000LL
#define FOCUS_LOOKUP_MAX_NS       3600000000000LL
#define FOCUS_LOOKUP_DEFAULT_NS   5000000000LL
#define FOCUS_WATCHED_DEFAULT     100 /* max_sockets */

/* WatchRequest. Strings are NUL-terminated and valid UTF-8. */
struct focus_request {
    const char *filter; /* NULL: none */
    const char *const *netns;
    size_t n_netns;
    const struct focus_socket *sockets;
    size_t n_sockets;
    int64_t interval_ns; /* never 0 once decoded */
    int64_t lookup_interval_ns;
    uint32_t max_sockets;
    const char *const *columns;
    size_t n_columns;
    void *memory; /* freed by focus_request_free */
};

/* ---- Answers ---- */

/* clang-format off */
/* WatchInfo. */
#define FOCUS_INFO_FIELDS(F, M) \
    F(M, TEXT, filter) \
    F(M, LIST, parts, filter_part, SIZE_MAX) \
    F(M, TEXTS, columns) \
    F(M, U64, interval_ns) \
    F(M, U64, lookup_interval_ns) \
    F(M, U32, max_sockets) \
    F(M, U32, namespaces) \
    F(M, U32, sockets) \
    F(M, U64, matched)
struct focus_info {
    FOCUS_INFO_FIELDS(FIELDS_MEMBER, )
};
/* clang-format on */

/* A tick without its rows. */
struct focus_tick {
    uint64_t tick;
    int64_t timestamp_ns;
    uint64_t late_ns;
    uint32_t sockets;
    uint64_t left_out;
    uint64_t ticks_skipped;
    uint64_t ticks_dropped;
    uint64_t rows_dropped;
    const struct focus_ended *ended;
    size_t n_ended;
    const struct poll_error *errors;
    size_t n_errors;
};

#endif
