/* The state of outputs, as OutputService tells it. Times are those of the wall clock in ns. */
#ifndef XTCP_MODEL_OUTPUT_H
#define XTCP_MODEL_OUTPUT_H

#include "model/fields.h"

/* As the contract has them. */
enum output_state {
    OUTPUT_STATE_UNSPECIFIED,
    OUTPUT_STATE_STARTING, /* it has not sent anything yet */
    OUTPUT_STATE_RUNNING,  /* the last attempt went well */
    OUTPUT_STATE_RETRYING, /* the last attempt failed; it is tried again */
    OUTPUT_STATE_PAUSED,   /* by request */
    OUTPUT_STATE_FAILED,   /* it cannot work as it is configured */
    OUTPUT_STATE_STOPPING,
    OUTPUT_STATES
};

/* "running", or "unknown". */
const char *output_state_name(uint32_t state);

/* Why rows are dropped. */
enum output_drop {
    OUTPUT_DROP_QUEUE,   /* the queue was full */
    OUTPUT_DROP_SPOOL,   /* the spool was full */
    OUTPUT_DROP_AGE,     /* they were in the spool for too long */
    OUTPUT_DROP_DAMAGED, /* the spool was damaged */
    OUTPUT_DROP_DISK,    /* the spool could not be written or read */
    OUTPUT_DROP_REFUSED, /* the destination refused them for good */
    OUTPUT_DROP_MEMORY,  /* out of memory */
    OUTPUT_DROP_STOP,    /* they were queued when the output ended */
    OUTPUT_DROPS
};

/* "queue_full", … */
const char *output_drop_name(enum output_drop reason);

/* clang-format off */

#define OUTPUT_DROPPED_FIELDS(F, M) \
    F(M, TEXT, reason) \
    F(M, U64, rows)
struct output_dropped {
    OUTPUT_DROPPED_FIELDS(FIELDS_MEMBER, )
};

/* rows_taken = rows_sent + all of |dropped| + rows_queued + rows_spooled, but for rows that were in the spool at the start. */
#define OUTPUT_STATUS_FIELDS(F, M) \
    F(M, TEXT, name) \
    F(M, TEXT, to)                                      /* without secrets */ \
    F(M, TEXT, format) \
    F(M, ENUM, state, "OUTPUT_STATE_", output_state_name) \
    F(M, TIME, since_ns)                                /* when it was made or changed */ \
    F(M, U64, rows_taken)                               /* that it was given since then */ \
    F(M, U64, rows_sent) \
    F(M, U64, bytes_sent) \
    F(M, U64, messages_sent) \
    F(M, U64, retries)                                  /* attempts that failed and were made again */ \
    F(M, U64, rows_resent)                              /* sent again after a connection broke: perhaps duplicates */ \
    F(M, LIST, dropped, output_dropped, OUTPUT_DROPS)   /* those that are not 0 */ \
    F(M, U64, rows_queued)                              /* in memory, those under way included */ \
    F(M, U64, bytes_queued) \
    F(M, U64, queue_bytes)                              /* the bound of that */ \
    F(M, TIME, oldest_ns)                               /* when the oldest of them came; 0: none */ \
    F(M, U64, rows_spooled)                             /* on disk */ \
    F(M, U64, bytes_spooled) \
    F(M, U64, spool_bytes)                              /* the bound of that; 0: there is no spool */ \
    F(M, TIME, oldest_spooled_ns) \
    F(M, U64, rows_found)                               /* in the spool at the start */ \
    F(M, TIME, last_success_ns)                         /* 0: never */ \
    F(M, TIME, last_failure_ns)                           /* 0: never */ \
    F(M, TEXT, last_error)                              /* "": none */ \
    F(M, TIME, next_attempt_ns)                         /* when RETRYING */
struct output_status {
    OUTPUT_STATUS_FIELDS(FIELDS_MEMBER, )
};

/* How a test went. */
#define OUTPUT_TEST_FIELDS(F, M) \
    F(M, BOOL, delivered) \
    F(M, TEXT, error)                                   /* "": none */ \
    F(M, U64, bytes) \
    F(M, U64, duration_ns)
struct output_test {
    OUTPUT_TEST_FIELDS(FIELDS_MEMBER, )
};

/* An output has come, changed its state, or gone. */
#define OUTPUT_EVENT_FIELDS(F, M) \
    F(M, ONE, output, output_status)                    /* of one that has gone the name alone */ \
    F(M, BOOL, removed) \
    F(M, BOOL, initial)                                 /* it was there when the watch began */
struct output_event {
    OUTPUT_EVENT_FIELDS(FIELDS_MEMBER, )
};
/* clang-format on */

#endif
