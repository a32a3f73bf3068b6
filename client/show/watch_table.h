/* The table of watch: the sockets of one tick, with rates. On a terminal each tick takes the place of the one
 * before it. One thread. */
#ifndef XTCP_CLIENT_SHOW_WATCH_TABLE_H
#define XTCP_CLIENT_SHOW_WATCH_TABLE_H

#include <stdint.h>

#include "client/output.h"
#include "client/show/view.h"
#include "record/unpack.h"

struct watch_table;

/* A table of the columns of |v|, or of its own ones when none were chosen; both must outlive it. NULL without
 * memory. */
struct watch_table *watch_table_new(const struct view *v, struct output *out);
void watch_table_free(struct watch_table *t);

/* The fields that its own columns are made of; |*n| of them. */
const char *const *watch_table_fields(size_t *n);

/* Adds a socket of the tick that is coming in. Returns 0 or -ENOMEM. */
int watch_table_add(struct watch_table *t, const record_message *m);

/* The tick is complete: shows it, with |caption| above it on a terminal, unless the last one was shown only a
 * moment ago there. Returns 0 or the error of the output. */
int watch_table_tick(struct watch_table *t, const char *caption);

/* Erases the table from the terminal, so that a line can be written; the next tick shows it again. */
void watch_table_hide(struct watch_table *t);

/* The last tick is left standing. */
void watch_table_end(struct watch_table *t);

#endif
