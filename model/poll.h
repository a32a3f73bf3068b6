/* A poll: its begin, its end and its result. */
#ifndef XTCP_MODEL_POLL_H
#define XTCP_MODEL_POLL_H

#include "model/fields.h"

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

/* clang-format off */

#define POLL_BEGIN_FIELDS(F, M) \
    F(M, U64, poll_id) \
    F(M, TIME, timestamp_ns) \
    F(M, ENUM, trigger, "POLL_TRIGGER_", poll_trigger_name) \
    F(M, U32, namespaces)                /* about to be polled */ \
    F(M, U64, interval_ns)               /* between regular polls */ \
    F(M, U64, deferred_ns)               /* time for which max_cpu_percent held back a poll on request */
struct poll_begin {
    POLL_BEGIN_FIELDS(FIELDS_MEMBER, )
};

/* A namespace that a poll did not get completely. */
#define POLL_ERROR_FIELDS(F, M) \
    F(M, TEXT, name) \
    F(M, U64, inode) \
    F(M, U64, cookie) \
    F(M, I32, code)                      /* -errno or enum err_code */ \
    F(M, TEXT, text)
struct poll_error {
    POLL_ERROR_FIELDS(FIELDS_MEMBER, )
};

#define POLL_ERRORS_MAX 100 /* that a poll_end carries */

#define POLL_END_FIELDS(F, M) \
    F(M, U64, poll_id) \
    F(M, TIME, timestamp_ns) \
    F(M, U64, duration_ns) \
    F(M, U32, namespaces)                /* polled completely */ \
    F(M, U32, namespaces_empty)          /* of these, skipped because they hold no TCP socket */ \
    F(M, U32, namespaces_failed)         /* failed, vanished or timed out: see errors */ \
    F(M, U64, sockets) \
    F(M, U64, rows_sent)                 /* to this subscriber */ \
    F(M, U64, rows_lost)                 /* by this subscriber, since the last poll_end */ \
    F(M, U32, dumps_interrupted) \
    F(M, LIST, errors, poll_error, POLL_ERRORS_MAX) \
    F(M, U64, cpu_ns)                    /* of the collectors */ \
    F(M, U32, namespaces_unseen)         /* known, but cannot be entered: see errors, behind the failed ones */ \
    F(M, TEXTS, warnings)                /* sentences about names in the filter that were not found */
struct poll_end {
    POLL_END_FIELDS(FIELDS_MEMBER, )
};

/* clang-format on */

#endif
