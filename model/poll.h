/* A poll: its begin, its end and its result. */
#ifndef XTCP_MODEL_POLL_H
#define XTCP_MODEL_POLL_H

#include <stddef.h>
#include <stdint.h>

/* The reason for a poll; the values are those of PollTrigger in the contract. */
enum poll_trigger {
    POLL_TRIGGER_UNSPECIFIED,
    POLL_TRIGGER_SCHEDULE,
    POLL_TRIGGER_REQUEST,
    POLL_TRIGGER_BURST,
    POLL_TRIGGER_START,
};

/* "schedule", "request", …; "unknown" for a value that is none. */
const char *poll_trigger_name(uint32_t trigger);

struct poll_begin {
    uint64_t poll_id;
    int64_t timestamp_ns; /* wall clock */
    uint32_t trigger;     /* enum poll_trigger, or what a newer daemon has besides it */
    uint32_t namespaces;  /* about to be polled */
    uint64_t interval_ns; /* between regular polls */
    uint64_t deferred_ns; /* time for which max_cpu_percent held back a poll on request */
};

/* A namespace that a poll did not get completely. */
struct poll_error {
    const char *name;
    uint64_t inode;
    uint64_t cookie;
    int32_t code; /* -errno or enum err_code */
    const char *text;
};

#define POLL_ERRORS_MAX 100 /* that a poll_end carries */

struct poll_end {
    uint64_t poll_id;
    int64_t timestamp_ns; /* wall clock */
    uint64_t duration_ns;
    uint32_t namespaces;        /* polled completely */
    uint32_t namespaces_empty;  /* of these, skipped because they hold no TCP socket */
    uint32_t namespaces_failed; /* failed, vanished or timed out: see errors */
    uint32_t namespaces_unseen; /* known, but not to be entered: see errors, behind the failed ones */
    uint32_t dumps_interrupted;
    uint64_t sockets;
    uint64_t rows_sent; /* to this subscriber */
    uint64_t rows_lost; /* by this subscriber, since the last poll_end */
    uint64_t cpu_ns;    /* of the collectors */
    const struct poll_error *errors;
    size_t n_errors;
    const char *const *warnings; /* sentences about names in the filter that were not found */
    size_t n_warnings;
};

#endif
