/* Keeps the state file up to date, on a thread of its own: the disk may take its time. Any thread. */
#ifndef XTCP_SERVER_LIVE_STATE_WRITER_H
#define XTCP_SERVER_LIVE_STATE_WRITER_H

#include "config/config.h"
#include "lib/err.h"

struct state;

/* Keeps the file |path| (copied) by a thread "state". Returns 0 and it in |out|, or a code with |e|. */
int state_writer_start(const char *path, struct state **out, struct err *e);

/* |c| is in force in a daemon whose sources make |base|: to be written soon. Of several the last one counts.
 * Nothing when |s| is NULL. */
void state_writer_keep(struct state *s, const struct config *base, const struct config *c);

/* Waits until what was to be kept has been written, or has failed to be. */
void state_writer_flush(struct state *s);

/* Writes what is still to be written, ends the thread and frees |s|, which may be NULL. */
void state_writer_stop(struct state *s);

#endif
