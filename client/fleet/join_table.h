/* How joined connections are shown. One thread. */
#ifndef XTCP_CLIENT_FLEET_JOIN_TABLE_H
#define XTCP_CLIENT_FLEET_JOIN_TABLE_H

#include <stdbool.h>

#include "client/fleet/both_ends.h"
#include "client/fleet/nodes.h"
#include "client/output.h"

struct join_show;

/* Shows joins on |out| in the format of |o|; |nodes| have the names. NULL without memory. */
struct join_show *join_show_new(const struct options *o, const struct nodes *nodes, struct output *out);
void join_show_free(struct join_show *w);

/* Writes what |j| has matched: pairs and what is ambiguous, with --all also what has one end only. Returns 0
 * or the error of the output. */
int join_show(struct join_show *w, const struct join *j);

#endif
