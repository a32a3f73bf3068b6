/* The status of the daemon. */
#ifndef XTCP_MODEL_STATUS_H
#define XTCP_MODEL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/poll.h"

struct status_poll {
    uint64_t poll_id;
    uint32_t trigger;     /* enum poll_trigger */
    int64_t timestamp_ns; /* wall clock at its start */
    uint64_t duration_ns;
    uint32_t namespaces;
    uint32_t namespaces_empty;
    uint32_t namespaces_failed;
    uint32_t namespaces_unseen;
    uint32_t dumps_interrupted;
    uint64_t sockets;
    const struct poll_error *errors; /* at most POLL_ERRORS_MAX are sent */
    size_t n_errors;
    const char *hint; /* "": none */
    bool partial;     /* of some sockets only: those that its readers wanted */
};

/* Times of the wall clock in ns. */
struct status_schedule {
    uint64_t frequency_ns;
    uint64_t interval_ns;
    int64_t next_poll_ns;     /* 0: none is due */
    uint64_t running_poll_id; /* 0: none */
    uint64_t late_polls;
    bool limited;
    uint32_t loops_left; /* when |limited| */
    uint32_t burst_polls;
    uint32_t burst_left; /* 0: no burst */
    uint64_t burst_interval_ns;
    int64_t burst_next_ns;
};

struct status_limit {
    const char *option;
    uint64_t max;
    uint64_t current;
    uint64_t refused;
};

struct status_error_count {
    const char *kind;
    uint64_t count;
};

struct status_subscriber {
    uint64_t id;
    const char *peer;
    const char *method;
    int64_t since_ns; /* wall clock */
    uint64_t rows_delivered;
    uint64_t rows_lost;
    uint64_t rows_queued;
};

struct status_gap {
    const char *capability; /* "CAP_SYS_ADMIN" */
    const char *effect;
};

/* The cost of the daemon; times in ns of CPU since its start, unless the name says otherwise. */
struct status_cost {
    uint64_t cpu_ns;
    uint64_t collect_cpu_ns;
    uint64_t collect_kernel_ns;
    uint64_t fan_out_cpu_ns;
    uint64_t last_poll_cpu_ns;
    uint64_t last_socket_cpu_ns;
    double cpu_percent; /* of one CPU, over the last polls */
    bool measured;      /* |cpu_percent| is known */
    uint32_t max_cpu_percent;
    uint64_t interval_ns; /* between regular polls */
    bool stretched;
    uint64_t rss_bytes;
    uint32_t threads;
    uint64_t batch_bytes;
    uint64_t late_polls;
    uint64_t deferred_polls;
};

/* Values as text, see config_option_print. */
struct status_option_change {
    const char *name;
    const char *before;
    const char *after;
};

/* A change of the configuration. */
struct status_change {
    uint64_t generation;  /* that it made */
    int64_t timestamp_ns; /* wall clock */
    const char *origin;   /* "Set", "SetPollFrequency", "reload" */
    const char *peer;     /* "" for a reload */
    const struct status_option_change *options;
    size_t n_options;
};

/* GetResponse. */
struct status_msg {
    const char *version;
    int64_t start_time_ns; /* wall clock */
    uint64_t uptime_ns;
    const char *kernel;
    const char *hostname;
    uint64_t polls;
    int64_t timestamp_ns;                     /* wall clock when this was told; 0: not told */
    const struct status_poll *last_poll;      /* NULL: none yet */
    const struct status_poll *last_full_poll; /* the last one that was not partial; NULL: none yet */
    uint32_t namespaces;
    uint32_t namespaces_excluded; /* of these, by netns_include and netns_exclude */
    uint64_t sockets;
    const struct status_error_count *errors;
    size_t n_errors;
    const struct status_subscriber *subscribers;
    size_t n_subscribers;
    const struct status_gap *gaps;
    size_t n_gaps;
    const struct status_schedule *schedule; /* NULL: not told */
    const struct status_limit *limits;
    size_t n_limits;
    const struct status_error_count *refusals;
    size_t n_refusals;
    const struct status_cost *cost;      /* NULL: not told */
    const struct status_change *changes; /* oldest first */
    size_t n_changes;
};

#endif
