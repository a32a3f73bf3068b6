/* Messages of FocusService (package xtcp_focus.v1): requests for sockets to watch, and responses with their
 * rows.
 *
 * Rows are never encoded here: a response with rows consists of the bytes that focus_tick_encode writes, the
 * prefix of focus_put_rows, and the rows themselves. Everything here is pure and may be called from any
 * thread. */
#ifndef XTCP_RPC_CODEC_MSG_FOCUS_H
#define XTCP_RPC_CODEC_MSG_FOCUS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/watch.h"

/* Reads the |len| bytes at |data|, fills in the values that are left to the daemon, and checks everything
 * that does not depend on its configuration. Returns 0 (end with focus_request_free), or ERR_MALFORMED,
 * ERR_RANGE, ERR_PRECONDITION (nothing to watch), -ENOMEM with |e| naming field and range; |out| is empty
 * then. */
int focus_request_decode(const void *data, size_t len, struct focus_request *out, struct err *e);
void focus_request_free(struct focus_request *r);

/* Appends |r| as a serialized request. Returns 0 or -ENOMEM. */
int focus_request_encode(const struct focus_request *r, struct buf *out);

/* ---- Responses ---- */

/* Append a whole response with that one field. Return 0 or -ENOMEM. */
int focus_info_encode(struct buf *out, const struct focus_info *info);
int focus_tick_encode(struct buf *out, const struct focus_tick *tick);

/* Appends the prefix of |len| bytes of rows (a serialized Envelope) in a response. */
void focus_put_rows(struct buf *out, size_t len);

/* A response as a client reads it. */
struct focus_event {
    const struct focus_info *info; /* NULL: none; strings are never NULL */
    struct focus_tick tick;        /* all zero when it is none */
    const uint8_t *rows;           /* a serialized Envelope, in place */
    size_t rows_len;
    void *memory; /* freed by focus_event_free */
};

/* Reads one response; rows are not looked into. Returns 0 (end with focus_event_free), ERR_MALFORMED,
 * -ENOMEM; |out| is empty after an error. */
int focus_event_decode(const void *data, size_t len, struct focus_event *out, struct err *e);
void focus_event_free(struct focus_event *event);

#endif
