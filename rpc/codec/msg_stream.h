/* Messages of XTCPFlatRecordService: the request of a stream, and the parts of its responses.
 *
 * FlatRecordsRequest and PollFlatRecordsRequest have the same fields, and so do the two responses: one codec
 * serves both methods. Rows are never encoded here: a response with rows is a prefix (stream_put_record,
 * stream_put_envelope) in front of bytes that exist already.
 *
 * Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_STREAM_H
#define XTCP_RPC_CODEC_MSG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

/* ---- Requests ---- */

#define STREAM_FILTER_MAX 16384 /* bytes of a filter */
#define STREAM_NAMES_MAX  256   /* entries of |columns|, and of |netns| */
#define STREAM_NAME_MAX   255   /* bytes of one of them */

/* What a client asks for. All zero: every record, one per message, nothing else. Strings are NUL-terminated
 * and valid UTF-8. */
struct stream_request {
    uint32_t batch_rows; /* 0: one record per message; N: up to N rows per message, in an envelope */
    bool markers;        /* send poll_begin and poll_end */
    bool events;         /* send close events */
    char *filter;        /* NULL: no filter */
    char **columns;      /* proto names of the fields to send; NULL: all */
    size_t n_columns;
    char **netns; /* names (globs) or inode numbers; NULL: all */
    size_t n_netns;
};

/* Reads the |len| bytes at |data|. Whether the daemon can do what is asked for is the caller's question.
 * Returns 0 and fills |out| (end with stream_request_free), or ERR_MALFORMED, ERR_RANGE (too long, too many),
 * -ENOMEM with |e| saying what is wrong; |out| is empty then. */
int stream_request_decode(const void *data, size_t len, struct stream_request *out, struct err *e);

/* Frees what stream_request_decode allocated and empties |r|. */
void stream_request_free(struct stream_request *r);

/* Appends |r| as a serialized request. Returns 0 or -ENOMEM. */
int stream_request_encode(const struct stream_request *r, struct buf *out);

/* ---- Responses: what the server writes ---- */

/* Field numbers of FlatRecordsResponse and PollFlatRecordsResponse. */
enum {
    STREAM_FIELD_RECORD = 1,
    STREAM_FIELD_ENVELOPE = 100,
    STREAM_FIELD_POLL_BEGIN = 101,
    STREAM_FIELD_POLL_END = 102,
    STREAM_FIELD_STREAM_INFO = 103,
};

#define STREAM_PREFIX_MAX 12 /* bytes that the prefix of a response can take */

/* Writes at |out| (STREAM_PREFIX_MAX bytes of room) what precedes a serialized XtcpFlatRecord of |len| bytes
 * in a response. Returns the bytes written. */
size_t stream_put_record(uint8_t *out, size_t len);

/* The same for a serialized Envelope of |len| bytes. */
size_t stream_put_envelope(uint8_t *out, size_t len);

/* PollTrigger. */
enum stream_trigger {
    STREAM_TRIGGER_UNSPECIFIED,
    STREAM_TRIGGER_SCHEDULE,
    STREAM_TRIGGER_REQUEST,
    STREAM_TRIGGER_BURST,
    STREAM_TRIGGER_START,
};

/* "schedule", "request", …; "unknown" for a value that is none. */
const char *stream_trigger_name(uint32_t trigger);

struct stream_begin {
    uint64_t poll_id;
    int64_t timestamp_ns; /* wall clock */
    uint32_t trigger;     /* enum stream_trigger, or what a newer daemon has besides it */
    uint32_t namespaces;  /* about to be polled */
    uint64_t interval_ns; /* between regular polls */
    uint64_t deferred_ns; /* how long a poll on request was held back by max_cpu_percent */
};

/* A namespace that a poll did not get completely. */
struct stream_error {
    const char *name;
    uint64_t inode;
    uint64_t cookie;
    int32_t code; /* -errno or enum err_code */
    const char *text;
};

#define STREAM_ERRORS_MAX 100 /* that a poll_end carries */

struct stream_end {
    uint64_t poll_id;
    int64_t timestamp_ns; /* wall clock */
    uint64_t duration_ns;
    uint32_t namespaces;        /* polled completely */
    uint32_t namespaces_empty;  /* of these, skipped since they hold no TCP socket */
    uint32_t namespaces_failed; /* failed, vanished or timed out: see errors */
    uint32_t namespaces_unseen; /* known, but not to be entered: see errors, behind the failed ones */
    uint32_t dumps_interrupted;
    uint64_t sockets;
    uint64_t rows_sent; /* to this subscriber */
    uint64_t rows_lost; /* by this subscriber, since the last poll_end */
    uint64_t cpu_ns;    /* of the collectors */
    const struct stream_error *errors;
    size_t n_errors;
    const char *const *warnings; /* sentences about names of the filter that nothing was found of */
    size_t n_warnings;
};

/* FilterPlace. */
enum stream_place {
    STREAM_PLACE_UNSPECIFIED,
    STREAM_PLACE_KERNEL,
    STREAM_PLACE_COLLECTOR,
    STREAM_PLACE_STREAM
};

struct stream_filter_part {
    const char *expression;
    uint32_t place; /* enum stream_place */
};

/* What the daemon made of a request. */
struct stream_info {
    const char *filter;
    const struct stream_filter_part *parts;
    size_t n_parts;
    const char *const *columns;
    size_t n_columns;
    const char *const *warnings; /* sentences about names that nothing had */
    size_t n_warnings;
};

/* Append a whole response with that one field. Strings may be NULL (empty); what is not valid UTF-8 in them
 * is sent as U+FFFD. Of the errors of |end|, the first STREAM_ERRORS_MAX are sent. Return 0 or -ENOMEM. */
int stream_encode_begin(struct buf *out, const struct stream_begin *begin);
int stream_encode_end(struct buf *out, const struct stream_end *end);
int stream_encode_info(struct buf *out, const struct stream_info *info);

/* ---- Responses: what the client reads ---- */

enum stream_event_kind {
    STREAM_EVENT_NONE,     /* nothing that this program knows: skip it */
    STREAM_EVENT_RECORD,   /* |bytes|: a serialized XtcpFlatRecord */
    STREAM_EVENT_ENVELOPE, /* |bytes|: a serialized Envelope */
    STREAM_EVENT_BEGIN,
    STREAM_EVENT_END,
    STREAM_EVENT_INFO,
};

struct stream_event {
    enum stream_event_kind kind;
    const uint8_t *bytes; /* in place, in the message that was decoded */
    size_t len;
    union {
        struct stream_begin begin;
        struct stream_end end;   /* lists and strings belong to the event */
        struct stream_info info; /* so do these */
    };
    void *memory; /* what stream_event_free frees */
};

/* Reads one response. Rows are not looked into: |bytes| points into |data|. Returns 0 (end with
 * stream_event_free), ERR_MALFORMED for what is no response or has two of the fields at once, -ENOMEM. |out|
 * is empty after an error. */
int stream_event_decode(const void *data, size_t len, struct stream_event *out, struct err *e);

void stream_event_free(struct stream_event *event);

/* The next row of the Envelope of |*len| bytes at |*data|, which move behind it. Returns 1 with the
 * serialized record in |row|, |row_len| (in place); 0 at the end; ERR_MALFORMED. Fields that are no row are
 * skipped. */
int stream_envelope_next(const uint8_t **data, size_t *len, const uint8_t **row, size_t *row_len);

#endif
