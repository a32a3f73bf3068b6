/* An output: a queue of rows, a thread "out/NAME" that makes messages of them, and a sink that delivers these.
 *
 * Rows come in as parts of batches that are shared with everybody else. Nobody waits for an output: what has no room in its
 * queue is dropped by the rule of its configuration, and counted by reason. The thread gathers rows until the batch is full, its time is
 * over or the poll ends, makes messages of them, and sends; what fails is tried again with growing pauses, until the
 * output ends. */
#ifndef XTCP_OUTPUTS_OUTPUT_H
#define XTCP_OUTPUTS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"
#include "model/output.h"
#include "record/batch.h"

struct output;

/* The surroundings of an output. Strings are copied. */
struct output_env {
    const char *hostname; /* of records */
    const char
        *spool_dir; /* where each output with a spool has a directory of its name; "" or NULL: nowhere */
    /* The state has changed. Any thread; must not call output_*, nor wait. May be NULL. */
    void (*changed)(void *arg);
    void *arg;
};

/* Makes an output of |c|, which is copied. Reaches for nothing outside of this machine, but opens the spool. Returns 0 and
 * |out|, or a code with |e| naming the option. */
int output_new(const struct output_config *c, const struct output_env *env, struct output **out,
               struct err *e);

/* Starts its thread. Returns 0 or -errno; then it has ended. */
int output_start(struct output *o);

/* Waits up to |timeout_ns| for the first attempt to connect. Returns 0 when the last attempt has reached the destination; or
 * ERR_UNAVAILABLE with |e|. */
int output_wait_connected(struct output *o, int64_t timeout_ns, struct err *e);

/* Whether a running output can follow |c|: it differs at most in batch, queue, spool, start, and in on_full unless that is spool in
 * one of them. One thread at a time, as output_change. */
bool output_can_change(const struct output *o, const struct output_config *c);
/* Has it follow |c|, for which output_can_change is true. */
void output_change(struct output *o, const struct output_config *c);

/* ---- In: one thread, that of the hub; never waits ---- */

/* Rows |row| up to |end| of |b|, which is referenced. */
void output_rows(struct output *o, struct batch *b, uint32_t row, uint32_t end);
/* The poll is over. */
void output_poll_end(struct output *o, uint64_t poll_id);
/* Rows of the poll that never came this far. */
void output_lost(struct output *o, uint64_t rows);

/* ---- Any thread ---- */

const char *output_name(const struct output *o);

void output_pause(struct output *o, bool pause);
void output_flush(struct output *o);
void output_reopen(struct output *o);

/* Sends one synthetic record as soon as the thread can, and tells |done| how that went; exactly once, on the thread of the
 * output, or here when the output ends or another test waits. */
typedef void output_test_fn(void *arg, const struct output_test *test);
void output_test(struct output *o, output_test_fn *done, void *arg);

/* Its state. The texts in |out| are in |memory|, which the caller frees. Returns 0 or -ENOMEM. */
int output_status(struct output *o, struct output_status *out, void **memory);

/* ---- The end ---- */

/* Nothing more will be put in: what is queued is sent until |deadline_ns| (clock_mono_ns) or spooled; the rest is dropped.
 * Does not wait. */
void output_stop(struct output *o, int64_t deadline_ns);
/* Waits for the thread until |deadline_ns|. Returns false when it hangs: it is left behind then, with all of |o|. */
bool output_join(struct output *o, int64_t deadline_ns);
/* Frees an output that was never started, or has been joined. NULL is allowed. */
void output_free(struct output *o);

#endif
