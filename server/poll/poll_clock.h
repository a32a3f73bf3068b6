/* The clock of polls: decides when they happen and measures their cost. The schedule, the governor and the
 * figures of the cost behind locks, so that services may ask and change while main keeps time. */
#ifndef XTCP_SERVER_POLL_POLL_CLOCK_H
#define XTCP_SERVER_POLL_POLL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "model/poll.h"
#include "model/status.h"

struct poll_clock;
struct subscriber;

/* Made from the options of |config|, which is not kept. |now_ns|: monotonic. NULL without memory. */
struct poll_clock *poll_clock_new(const struct config *config, int64_t now_ns);
/* NULL is allowed. */
void poll_clock_free(struct poll_clock *p);

/* ---- Asking for polls; any thread. Main must look at the schedule afterwards. ---- */

/* Asks for a poll as soon as possible. |s|, unless NULL, wants its records: that poll cannot begin before
 * |s| knows its number. If the requests of |s| are held back, the poll waits while |max_cpu_percent| is used
 * up. */
void poll_clock_request(struct poll_clock *p, struct subscriber *s);

/* Starts a burst of |count| polls |interval_ns| apart. Returns 0, or ERR_LIMIT when one is running and
 * |replace| is not set. */
int poll_clock_burst(struct poll_clock *p, uint32_t count, int64_t interval_ns, bool replace, struct err *e);

/* Ends a burst; returns how many polls of it will not happen. */
uint32_t poll_clock_cancel_burst(struct poll_clock *p);

/* Another configuration is in force. */
void poll_clock_change(struct poll_clock *p, const struct config *old, const struct config *new);

/* ---- Keeping time; main thread ---- */

/* The first poll may happen. */
void poll_clock_open(struct poll_clock *p, int64_t now_ns);

/* When the next poll is due, monotonic; INT64_MAX while one is running, when none is due ever, or before
 * poll_clock_open. */
int64_t poll_clock_next(struct poll_clock *p);

/* Begins a poll if one is due and none is running: returns true and fills |begin|, without the time and the
 * namespaces. */
bool poll_clock_begin(struct poll_clock *p, int64_t now_ns, struct poll_begin *begin);

/* The poll could not be started after all. */
void poll_clock_abandon(struct poll_clock *p, int64_t now_ns);

/* The poll is over. |cpu_ns| is the CPU time of the process so far, |fan_out_ns| the part of it spent on
 * passing records on. Notes the cost, and stretches the interval when it exceeds |max_cpu_percent| of a CPU
 * (0: no limit). */
void poll_clock_end(struct poll_clock *p, int64_t now_ns, int64_t cpu_ns, int64_t fan_out_ns);

/* ---- The figures; any thread ---- */

/* When polls happen, as of now. */
void poll_clock_schedule(struct poll_clock *p, struct status_schedule *out);

/* The cost of the daemon, as of the end of the last poll; without memory and threads. */
void poll_clock_cost(struct poll_clock *p, struct status_cost *cost);

#endif
