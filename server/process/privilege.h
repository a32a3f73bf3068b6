/* The capabilities that this process keeps, and the data that it does not see for want of one. */
#ifndef XTCP_SERVER_PROCESS_PRIVILEGE_H
#define XTCP_SERVER_PROCESS_PRIVILEGE_H

#include <stddef.h>

#include "lib/err.h"
#include "model/status.h"

#define PRIVILEGE_GAPS_MAX 4

/* Gives up for good all capabilities that the daemon has no use for. Of those it has, it keeps the ones of
 * the table in privilege.c, effective and permitted, with nothing inheritable or ambient and nothing else in
 * the bounding set; no program that it might start can get more (no_new_privs). A process without
 * capabilities keeps none. Holds for threads that are started afterwards: call it before there are any.
 * Returns 0, or a code with |e|. */
int privilege_drop(struct err *e);

/* Fills |out| (PRIVILEGE_GAPS_MAX entries, constant strings) with the effective capabilities that this thread
 * lacks, each with the data that this hides. Returns their number. Any thread. */
size_t privilege_gaps(struct status_gap *out);

#endif
