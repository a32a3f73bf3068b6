/* The status of the daemon, as StatusService tells it. Times are those of the wall clock in ns, durations in ns. */
#ifndef XTCP_MODEL_STATUS_H
#define XTCP_MODEL_STATUS_H

#include "model/fields.h"
#include "model/poll.h"

/* clang-format off */

#define STATUS_POLL_FIELDS(F, M) \
    F(M, U64, poll_id) \
    F(M, ENUM, trigger, "POLL_TRIGGER_", poll_trigger_name) \
    F(M, TIME, timestamp_ns)                            /* at its start */ \
    F(M, U64, duration_ns) \
    F(M, U32, namespaces) \
    F(M, U32, namespaces_empty) \
    F(M, U32, namespaces_failed) \
    F(M, U32, namespaces_unseen) \
    F(M, U64, sockets) \
    F(M, U32, dumps_interrupted) \
    F(M, LIST, errors, poll_error, POLL_ERRORS_MAX) \
    F(M, TEXT, hint)                                    /* "": none */ \
    F(M, BOOL, partial)                                 /* of some sockets only: those that its readers wanted */
struct status_poll {
    STATUS_POLL_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_BURST_FIELDS(F, M) \
    F(M, U32, polls) \
    F(M, U32, left) \
    F(M, U64, interval_ns) \
    F(M, TIME, next_poll_ns)
struct status_burst {
    STATUS_BURST_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_SCHEDULE_FIELDS(F, M) \
    F(M, U64, frequency_ns) \
    F(M, U64, interval_ns) \
    F(M, TIME, next_poll_ns)                            /* 0: none is due */ \
    F(M, U64, running_poll_id)                          /* 0: none */ \
    F(M, U64, late_polls) \
    F(M, BOOL, limited) \
    F(M, U32, loops_left)                               /* when |limited| */ \
    F(M, PART, burst, status_burst, left)
struct status_schedule {
    STATUS_SCHEDULE_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_LIMIT_FIELDS(F, M) \
    F(M, TEXT, option) \
    F(M, U64, max) \
    F(M, U64, current) \
    F(M, U64, refused)
struct status_limit {
    STATUS_LIMIT_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_ERROR_COUNT_FIELDS(F, M) \
    F(M, TEXT, kind) \
    F(M, U64, count)
struct status_error_count {
    STATUS_ERROR_COUNT_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_SUBSCRIBER_FIELDS(F, M) \
    F(M, U64, id) \
    F(M, TEXT, peer) \
    F(M, TEXT, method) \
    F(M, TIME, since_ns) \
    F(M, U64, rows_delivered) \
    F(M, U64, rows_lost) \
    F(M, U64, rows_queued)
struct status_subscriber {
    STATUS_SUBSCRIBER_FIELDS(FIELDS_MEMBER, )
};

#define STATUS_GAP_FIELDS(F, M) \
    F(M, TEXT, capability)                              /* "CAP_SYS_ADMIN" */ \
    F(M, TEXT, effect)
struct status_gap {
    STATUS_GAP_FIELDS(FIELDS_MEMBER, )
};

/* The cost of the daemon; times in ns of CPU since its start, unless the name says otherwise. */
#define STATUS_COST_FIELDS(F, M) \
    F(M, U64, cpu_ns) \
    F(M, U64, collect_cpu_ns) \
    F(M, U64, collect_kernel_ns) \
    F(M, U64, fan_out_cpu_ns) \
    F(M, U64, last_poll_cpu_ns) \
    F(M, U64, last_socket_cpu_ns) \
    F(M, DOUBLE, cpu_percent, status_cost_measured)     /* of one CPU, over the last polls */ \
    F(M, U32, max_cpu_percent) \
    F(M, U64, interval_ns)                              /* between regular polls */ \
    F(M, BOOL, stretched) \
    F(M, U64, rss_bytes) \
    F(M, U32, threads) \
    F(M, U64, batch_bytes) \
    F(M, U64, late_polls) \
    F(M, U64, deferred_polls) \
    F(M, BOOL, measured)                                /* |cpu_percent| is known */
struct status_cost {
    STATUS_COST_FIELDS(FIELDS_MEMBER, )
};

/* Whether |cpu_percent| is known; it is when a daemon does not tell whether, but tells a share. */
static inline bool status_cost_measured(const struct status_cost *c)
{
    return c->measured || c->cpu_percent > 0;
}

/* Values as text, see config_option_print. */
#define STATUS_OPTION_CHANGE_FIELDS(F, M) \
    F(M, TEXT, name) \
    F(M, TEXT, before) \
    F(M, TEXT, after)
struct status_option_change {
    STATUS_OPTION_CHANGE_FIELDS(FIELDS_MEMBER, )
};

/* A change of the configuration. */
#define STATUS_CHANGE_FIELDS(F, M) \
    F(M, U64, generation)                               /* that it made */ \
    F(M, TIME, timestamp_ns) \
    F(M, TEXT, origin)                                  /* "Set", "SetPollFrequency", "reload" */ \
    F(M, TEXT, peer)                                    /* "" for a reload */ \
    F(M, LIST, options, status_option_change, SIZE_MAX)
struct status_change {
    STATUS_CHANGE_FIELDS(FIELDS_MEMBER, )
};

/* GetResponse. */
#define STATUS_MSG_FIELDS(F, M) \
    F(M, TEXT, version) \
    F(M, TIME, start_time_ns) \
    F(M, U64, uptime_ns) \
    F(M, TEXT, kernel) \
    F(M, TEXT, hostname) \
    F(M, U64, polls) \
    F(M, ONE, last_poll, status_poll)                   /* NULL: none yet */ \
    F(M, U32, namespaces) \
    F(M, U64, sockets) \
    F(M, LIST, errors, status_error_count, SIZE_MAX) \
    F(M, LIST, subscribers, status_subscriber, SIZE_MAX) \
    F(M, LIST, gaps, status_gap, SIZE_MAX) \
    F(M, ONE, cost, status_cost)                        /* NULL: not told */ \
    F(M, LIST, changes, status_change, SIZE_MAX)        /* oldest first */ \
    F(M, U32, namespaces_excluded)                      /* of |namespaces|, by netns_include and netns_exclude */ \
    F(M, ONE, schedule, status_schedule)                /* NULL: not told */ \
    F(M, LIST, limits, status_limit, SIZE_MAX) \
    F(M, LIST, refusals, status_error_count, SIZE_MAX) \
    F(M, TIME, timestamp_ns)                            /* when this was told; 0: not told */ \
    F(M, ONE, last_full_poll, status_poll)              /* the last one that was not partial; NULL: none yet */ \
    F(M, U64, rows_dropped)                             /* for want of room in the hub's own queue */ \
    F(M, U64, rows_late)                                /* after the end of their poll */
struct status_msg {
    STATUS_MSG_FIELDS(FIELDS_MEMBER, )
};

/* clang-format on */

#endif
