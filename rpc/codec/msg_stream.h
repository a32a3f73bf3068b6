/* Messages of XTCPFlatRecordService: the request of a stream, and the parts of its responses.
 *
 * FlatRecordsRequest and PollFlatRecordsRequest have the same fields, and so do the two responses: one codec
 * serves both methods. Rows are never encoded here: a response with rows is a prefix (stream_put_envelope)
 * in front of bytes that exist already.
 *
 * Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_STREAM_H
#define XTCP_RPC_CODEC_MSG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/poll.h"
#include "model/subscription.h"

/* ---- Requests ---- */

/* Reads the |len| bytes at |data|. The caller decides whether the daemon can serve the request. Returns 0 and
 * fills |out| (end with subscription_free), or ERR_MALFORMED, ERR_RANGE (too long, too many), -ENOMEM with
 * |e| saying what is wrong; |out| is empty then. */
int stream_request_decode(const void *data, size_t len, struct subscription *out, struct err *e);

/* Appends |r| as a serialized request. Returns 0 or -ENOMEM. */
int stream_request_encode(const struct subscription *r, struct buf *out);

/* ---- Responses as the server writes them ---- */

/* Field numbers of FlatRecordsResponse and PollFlatRecordsResponse. */
enum {
    STREAM_FIELD_RECORD = 1,
    STREAM_FIELD_ENVELOPE = 100,
    STREAM_FIELD_POLL_BEGIN = 101,
    STREAM_FIELD_POLL_END = 102,
    STREAM_FIELD_STREAM_INFO = 103,
};

#define STREAM_PREFIX_MAX 12 /* bytes that the prefix of a response can take */

/* Writes at |out| (STREAM_PREFIX_MAX bytes of room) the prefix of a serialized Envelope of |len| bytes in a response.
 * Returns the bytes written. A serialized record needs no more than the tag of STREAM_FIELD_RECORD in place of its
 * row's. */
size_t stream_put_envelope(uint8_t *out, size_t len);

/* Append a whole response with that one field. Strings may be NULL (empty); bytes in them that are not valid
 * UTF-8 are sent as U+FFFD. Of the errors of |end|, the first POLL_ERRORS_MAX are sent. Return 0 or
 * -ENOMEM. */
int stream_encode_begin(struct buf *out, const struct poll_begin *begin);
int stream_encode_end(struct buf *out, const struct poll_end *end);
int stream_encode_info(struct buf *out, const struct subscription_info *info);

/* ---- Responses as the client reads them ---- */

enum stream_event_kind {
    STREAM_EVENT_NONE,     /* a field that this program does not know: skip it */
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
        struct poll_begin begin;
        struct poll_end end;           /* lists and strings belong to the event */
        struct subscription_info info; /* so do these */
    };
    void *memory; /* freed by stream_event_free */
};

/* Reads one response. Rows are not looked into: |bytes| points into |data|. Returns 0 (end with
 * stream_event_free), ERR_MALFORMED for bytes that are no response or have two of the fields at once,
 * -ENOMEM. |out| is empty after an error. */
int stream_event_decode(const void *data, size_t len, struct stream_event *out, struct err *e);

void stream_event_free(struct stream_event *event);

#endif
