/* The bounds of what users share (lib/quota.h), as a configuration has them. */
#ifndef XTCP_SERVER_BOUNDS_H
#define XTCP_SERVER_BOUNDS_H

#include "config/config.h"
#include "lib/quota.h"

/* Of each resource. */
struct bounds {
    struct quota_bound of[QUOTA_KINDS];
};

/* Those of |c| in |out|. Filters, sets of columns and patterns of namespaces have fixed ones
 * (server/selection.h), of which users get shares like of all others. Any thread. */
void bounds_read(const struct config *c, struct bounds *out);

#endif
