/* The requests of methods that take an empty message. Any thread. */
#ifndef XTCP_RPC_CODEC_MSG_EMPTY_H
#define XTCP_RPC_CODEC_MSG_EMPTY_H

#include <stddef.h>

#include "lib/err.h"

/* Checks such a request. Fields that a newer client sends are passed over. Returns 0, or ERR_MALFORMED with |e| naming
 * |message|. */
int msg_empty_check(const void *data, size_t len, const char *message, struct err *e);

#endif
