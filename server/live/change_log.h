/* The change log of the configuration: the last hundred changes, for StatusService. Any thread. */
#ifndef XTCP_SERVER_LIVE_CHANGE_LOG_H
#define XTCP_SERVER_LIVE_CHANGE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "model/status.h"

#define CHANGE_LOG_CHANGES 100
#define CHANGE_LOG_VALUE   200 /* bytes kept of a value: of longer ones the part that differs, between "..." */

struct change_log;

/* NULL when out of memory. */
struct change_log *change_log_new(void);
void change_log_free(struct change_log *h);

/* Notes that |to| has taken the place of |from|: at |timestamp_ns| (wall clock), by |origin| ("Set",
 * "reload"), on behalf of |peer| ("" where there is none). The oldest of CHANGE_LOG_CHANGES goes. Without memory
 * the change is noted without its options. */
void change_log_add(struct change_log *h, const struct config *from, const struct config *to,
                    int64_t timestamp_ns, const char *origin, const char *peer);

/* The changes, oldest first: |*n| of them, in one piece of memory for free(3). NULL when out of memory. */
struct status_change *change_log_list(struct change_log *h, size_t *n);

#endif
