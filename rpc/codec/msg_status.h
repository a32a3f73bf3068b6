/* Messages of StatusService (package xtcp_status.v1). Its request is empty: msg_empty_check. Everything here
 * is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_STATUS_H
#define XTCP_RPC_CODEC_MSG_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/status.h"

/* Appends a GetResponse. Strings may be NULL (empty); bytes in them that are not valid UTF-8 are sent as
 * U+FFFD. Returns 0 or -ENOMEM. */
int status_msg_encode(const struct status_msg *status, struct buf *out);

/* Reads a GetResponse, whose strings (NUL-terminated, never NULL) and lists live in |*memory|, for
 * status_msg_free. Returns 0, ERR_MALFORMED or -ENOMEM. */
int status_msg_decode(const void *data, size_t len, struct status_msg *out, void **memory, struct err *e);
void status_msg_free(void *memory);

#endif
