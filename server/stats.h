/* The figures of the daemon: everything that it tells of itself, gathered in one place. StatusService encodes them. */
#ifndef XTCP_SERVER_STATS_H
#define XTCP_SERVER_STATS_H

#include "model/status.h"

struct app;
struct stats_parts;

struct stats {
    struct status_msg status;
    struct stats_parts *parts; /* private: |status| points into it */
};

/* Gathers the figures as they are now; each module is asked once, one after the other, so figures of different modules
 * may be from slightly different moments. Returns 0, and |out| is to be freed with stats_free; or -ENOMEM, and there
 * is nothing to free. Any thread. */
int stats_gather(struct app *app, struct stats *out);

void stats_free(struct stats *s);

#endif
