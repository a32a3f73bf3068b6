/* Messages of OutputService (package xtcp_output.v1). The requests of List and Watch are empty: msg_empty_check. Those
 * of Pause, Resume, Flush and Test are a name; the answers of the first three are a state. Everything here is pure and may
 * be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_OUTPUT_H
#define XTCP_RPC_CODEC_MSG_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/output.h"

/* ---- The daemon's side ---- */

#define OUTPUT_MSG_NAME_MAX 64 /* bytes of a name with its NUL */

/* Reads a request that is a name into |name|; a longer name than any output has is cut. |message| is what errors call
 * it. Returns 0, or with |e| ERR_MALFORMED, ERR_RANGE (no name) or -ENOMEM. */
int output_msg_request_decode(const void *data, size_t len, const char *message,
                              char name[OUTPUT_MSG_NAME_MAX], struct err *e);

/* Append a ListResponse, an OutputEvent, the answer of Pause, Resume or Flush (|status| NULL: the output has gone
 * meanwhile), a TestResponse. Strings may be NULL (empty); bytes in them that are not valid UTF-8 are sent as U+FFFD.
 * Return 0 or -ENOMEM. */
int output_msg_list_encode(const struct output_status *list, size_t n, struct buf *out);
int output_msg_event_encode(const struct output_event *event, struct buf *out);
int output_msg_state_encode(const struct output_status *status, struct buf *out);
int output_msg_test_encode(const struct output_test *test, struct buf *out);

/* ---- The client's side ----
 *
 * Strings of what is read are NUL-terminated, never NULL; they and lists live in |*memory|, for output_msg_free. Each
 * returns 0, or with |e| ERR_MALFORMED or -ENOMEM; |out| is all zero and |*memory| NULL then. */

/* Appends a request that is a name. Returns 0 or -ENOMEM. */
int output_msg_request_encode(const char *name, struct buf *out);

struct output_msg_list {
    const struct output_status *items;
    size_t n;
};
int output_msg_list_decode(const void *data, size_t len, struct output_msg_list *out, void **memory,
                           struct err *e);

/* |out|->output is never NULL. */
int output_msg_event_decode(const void *data, size_t len, struct output_event *out, void **memory,
                            struct err *e);

/* The answer of Pause, Resume or Flush; |*out| is NULL when the output has gone. */
int output_msg_state_decode(const void *data, size_t len, const struct output_status **out, void **memory,
                            struct err *e);

int output_msg_test_decode(const void *data, size_t len, struct output_test *out, void **memory,
                           struct err *e);

/* NULL is allowed. */
void output_msg_free(void *memory);

#endif
