/* The daemon's pace: when polls happen, and what they cost. The schedule, the governor and the figures of the
 * cost behind locks, so that services may ask and change while main keeps time. */
#ifndef XTCP_SERVER_POLL_POLL_CLOCK_H
#define XTCP_SERVER_POLL_POLL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/codec/msg_status.h"
#include "rpc/codec/msg_stream.h"

struct pace;
struct subscriber;

/* By the options of |config|, which is not kept. |now_ns|: monotonic. NULL without memory. */
struct pace *pace_new(const struct config *config, int64_t now_ns);
/* NULL is allowed. */
void pace_free(struct pace *p);

/* ---- Asking for polls; any thread. Main must look at the schedule afterwards. ---- */

/* Asks for a poll as soon as possible. |s|, unless NULL, wants its records: that poll cannot begin before
 * |s| knows its number. If the requests of |s| are held back, the poll waits while |max_cpu_percent| is used
 * up. */
void pace_request(struct pace *p, struct subscriber *s);

/* Starts a burst of |count| polls |interval_ns| apart. Returns 0, or ERR_LIMIT when one is running and
 * |replace| is not set. */
int pace_burst(struct pace *p, uint32_t count, int64_t interval_ns, bool replace, struct err *e);

/* Ends a burst; returns how many polls of it will not happen. */
uint32_t pace_cancel_burst(struct pace *p);

/* Another configuration is in force. */
void pace_change(struct pace *p, const struct config *old, const struct config *new);

/* ---- Keeping time; main thread ---- */

/* The first poll may happen. */
void pace_open(struct pace *p, int64_t now_ns);

/* When the next poll is due, monotonic; INT64_MAX while one is running, when none is due ever, or before
 * pace_open. */
int64_t pace_next(struct pace *p);

/* Begins a poll if one is due and none is running: returns true and fills |begin|, without the time and the
 * namespaces. */
bool pace_begin(struct pace *p, int64_t now_ns, struct stream_begin *begin);

/* The poll could not be started after all. */
void pace_abandon(struct pace *p, int64_t now_ns);

/* The poll is over. |cpu_ns|: CPU time of the process so far, |fan_out_ns|: of it, for passing records on.
 * Notes the cost, and stretches the interval when it exceeds |max_cpu_percent| of a CPU (0: no limit). */
void pace_end(struct pace *p, int64_t now_ns, int64_t cpu_ns, int64_t fan_out_ns);

/* ---- The figures; any thread ---- */

/* When polls happen, as of now. */
void pace_schedule(struct pace *p, struct status_schedule *out);

/* What the daemon uses, as of the end of the last poll; without memory and threads. */
void pace_cost(struct pace *p, struct status_cost *cost);

#endif
