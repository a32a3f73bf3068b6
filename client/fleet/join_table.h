/* Shows joined connections. One thread. */
#ifndef XTCP_CLIENT_FLEET_JOIN_TABLE_H
#define XTCP_CLIENT_FLEET_JOIN_TABLE_H

#include <stdbool.h>

#include "client/fleet/connection_join.h"
#include "client/fleet/nodes.h"
#include "client/output.h"

struct join_table;

/* Shows joins on |out| in the format of |o|; |nodes| have the names. NULL without memory. */
struct join_table *join_table_new(const struct options *o, const struct nodes *nodes, struct output *out);
void join_table_free(struct join_table *w);

/* Writes the result of |j|: pairs and ambiguous connections, with --all also those with one end only. Returns
 * 0 or the error of the output. */
int join_table(struct join_table *w, const struct join *j);

#endif
