/* The outputs of the daemon: made of the configuration in force, each a subscriber of the hub.
 *
 * A change is made in two steps, as that of the listeners is: outputs_prepare does all that can fail, outputs_commit cannot. An
 * output that stays as it is goes on undisturbed; one that differs only in its bounds follows them; any other is ended,
 * and a new one takes its place. What the old one still has is sent by it for a moment (OUTPUTS_HANDOVER_NS), or spooled. */
#ifndef XTCP_SERVER_OUTPUTS_OUTPUTS_H
#define XTCP_SERVER_OUTPUTS_OUTPUTS_H

#include "config/config.h"
#include "lib/clock.h"
#include "model/output.h"
#include "outputs/output.h"
#include "server/stream/hub.h"

#define OUTPUTS_HANDOVER_NS (2 * NS_PER_S)

struct outputs;
struct outputs_change;

/* |hub| lives longer. Returns 0 and |out|, or -ENOMEM. */
int outputs_new(struct hub *hub, struct outputs **out);

/* Whether the program has, or finds, what the destinations of |c| need: passes an error about each that is missing to |told|
 * with |arg|. Returns how many. Before anything is started. */
size_t outputs_check_modules(const struct config *c, bool (*told)(void *arg, const struct err *e), void *arg);

/* Whether the outputs of |c| could be made. Returns 0, or a code with |e|. */
int outputs_check(struct outputs *o, const struct config *c, struct err *e);

/* Makes what is new in |c|. Returns 0 and |out|, for outputs_commit or outputs_abort; or a code with |e|, and nothing has
 * changed. One change at a time (live_config.change_lock). */
int outputs_prepare(struct outputs *o, const struct config *c, struct outputs_change **out, struct err *e);
void outputs_commit(struct outputs *o, struct outputs_change *change);
/* NULL is allowed. */
void outputs_abort(struct outputs_change *change);

/* At the start: makes the outputs of |c| and waits for those that are required, 10 s at most. Returns 0, or a code with |e|. */
int outputs_start(struct outputs *o, const struct config *c, struct err *e);

/* SIGHUP: files are opened again. Any thread. */
void outputs_reopen(struct outputs *o);

/* ---- For OutputService; any thread ---- */

/* Gives the states of all, in the order of the configuration, to |fn|. Returns what that returns, or -ENOMEM. */
int outputs_list(struct outputs *o, int (*fn)(void *arg, const struct output_status *list, size_t n),
                 void *arg);

/* Requests to one output, by its name. Returns 0, or ERR_GONE with |e| when there is none of that name. */
int outputs_pause(struct outputs *o, const char *name, bool pause, struct err *e);
int outputs_flush(struct outputs *o, const char *name, struct err *e);
/* |done| is called once, see output_test, unless an error is returned. */
int outputs_test(struct outputs *o, const char *name, output_test_fn *done, void *arg, struct err *e);

/* Has |changed| called whenever a state may have changed or the list has: on any thread; it must not wait, nor call
 * outputs_*. One listener; NULL: none. */
void outputs_listen(struct outputs *o, void (*changed)(void *arg), void *arg);

/* ---- The end. Main. ---- */

/* Nothing comes any more: what waits is sent or spooled until |deadline_ns| (clock_mono_ns). */
void outputs_stop(struct outputs *o, int64_t deadline_ns);
/* Waits for all threads until |deadline_ns|. Returns false when one hangs: outputs_free must not be called then. NULL is
 * allowed, here and below. */
bool outputs_join(struct outputs *o, int64_t deadline_ns);
void outputs_free(struct outputs *o);

#endif
