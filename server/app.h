/* The running daemon: joins the modules, which do not know each other.
 *
 * Main owns it. The functions here that the gRPC services call may come from any thread; docs/architecture.md
 * has the table of threads and the order of locks. */
#ifndef XTCP_SERVER_APP_H
#define XTCP_SERVER_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config.h"
#include "server/live/bounds.h"
#include "server/live/live_config.h"
#include "server/poll/inventory.h"
#include "server/stream/hub.h"
#include "server/stream/subscriber.h"
#include "server/watch/focus.h"

struct app;

/* Reads the same sources as at the start (SIGHUP). Returns 0 and two references in |out|, or a code with |e|. */
typedef int app_reload(void *arg, struct live_config_sources *out, struct err *e);

/* Runs the daemon with |sources| (their references become the daemon's) until SIGTERM or SIGINT. Returns the
 * exit status: 0, or 1 with a log line saying what could not be started. All signals must be blocked, no
 * thread started before. */
int app_run(const struct live_config_sources *sources, app_reload *reload, void *reload_arg);

/* ---- For the services; any thread ---- */

/* A reference to the configuration in force. */
const struct config *app_config(struct app *app);

/* The bounds of the users' shares that are in force. */
void app_bounds(struct app *app, struct bounds *out);

/* Encodes what the configuration services tell beside the configuration. */
void app_config_extra(struct app *app, struct config_msg_extra *extra);

/* The object through which the configuration is changed. */
struct live_config *app_live_config(struct app *app);

/* Asks for a poll. With |s|, that subscriber gets its records, and the poll waits while max_cpu_percent is
 * used up if its options say so; in either case all streams get them. */
void app_request_poll(struct app *app, struct subscriber *s);

/* Starts a burst. Returns 0, or ERR_LIMIT when one is running and |replace| is not set. */
int app_burst(struct app *app, uint32_t count, int64_t interval_ns, bool replace, struct err *e);

/* Ends a burst; returns how many polls of it will not happen. */
uint32_t app_cancel_burst(struct app *app);

struct focus *app_focus(struct app *app);
struct hub *app_hub(struct app *app);
struct inventory *app_inventory(struct app *app);
struct health *app_health(struct app *app);
struct outputs *app_outputs(struct app *app);
struct output_news *app_output_news(struct app *app);
const struct reflection *app_reflection(struct app *app);

/* A number for the next subscriber, from 1. */
uint64_t app_next_subscriber(struct app *app);

#endif
