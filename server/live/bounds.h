/* The bounds of the resources that users share (lib/quota.h), as a configuration sets them. */
#ifndef XTCP_SERVER_LIVE_BOUNDS_H
#define XTCP_SERVER_LIVE_BOUNDS_H

#include "config/config.h"
#include "lib/quota.h"

/* Bounds of the requests of all streams together (server/stream/selection.h). Different filters at the same
 * time: */
#define SELECTION_FILTERS_MAX 64
#define SELECTION_FILTER_TEXT 32768 /* bytes of all of them, in canonical form: all look at each socket */
#define SELECTION_MASKS_MAX   32
/* Bytes of the patterns of all streams: main compares each with each namespace. */
#define SELECTION_NETNS_TEXT 65536

/* Of each resource. */
struct bounds {
    struct quota_bound of[QUOTA_KINDS];
};

/* Puts the bounds of |c| into |out|. Filters, sets of columns and patterns of namespaces have the constant
 * bounds above; users get shares of these as of all others. Any thread. */
void bounds_read(const struct config *c, struct bounds *out);

#endif
