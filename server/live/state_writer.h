/* Keeps the state file up to date, on a thread of its own, since the disk may be slow. Any thread. */
#ifndef XTCP_SERVER_LIVE_STATE_WRITER_H
#define XTCP_SERVER_LIVE_STATE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"

struct state;

/* Keeps the file |path| (copied) by a thread "state". Returns 0 and it in |out|, or a code with |e|. */
int state_writer_start(const char *path, struct state **out, struct err *e);

/* |c| is in force in a daemon whose sources make |base|: writes the state file soon. Of several calls the
 * last one counts. Does nothing when |s| is NULL. */
void state_writer_keep(struct state *s, const struct config *base, const struct config *c);

/* Waits until the last change has been written, or writing it has failed. Returns false when it is still being written at
 * |deadline_ns| (clock_mono_ns): the disk does not answer. */
bool state_writer_flush(struct state *s, int64_t deadline_ns);

/* Writes the last change if it has not been written yet, ends the thread and frees |s|, which may be NULL. */
void state_writer_stop(struct state *s);

#endif
