/* The change log of the configuration: the last hundred changes, for StatusService. Any thread. */
#ifndef XTCP_SERVER_LIVE_CHANGE_LOG_H
#define XTCP_SERVER_LIVE_CHANGE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "rpc/codec/msg_status.h"

#define HISTORY_CHANGES 100
#define HISTORY_VALUE   200 /* bytes that are kept of a value: of longer ones what differs, between "..." */

struct history;

/* NULL when out of memory. */
struct history *history_new(void);
void history_free(struct history *h);

/* Notes that |to| has taken the place of |from|: at |timestamp_ns| (wall clock), by |origin| ("Set",
 * "reload"), on behalf of |peer| ("" where there is none). The oldest of HISTORY_CHANGES goes. Without memory
 * the change is noted without its options. */
void history_add(struct history *h, const struct config *from, const struct config *to, int64_t timestamp_ns,
                 const char *origin, const char *peer);

/* The changes, oldest first: |*n| of them, in one piece of memory for free(3). NULL when out of memory. */
struct status_change *history_list(struct history *h, size_t *n);

#endif
