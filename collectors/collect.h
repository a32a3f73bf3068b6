/* Collecting: one poll of one namespace, from entering it to the last row. Private to this folder. */
#ifndef XTCP_COLLECTORS_COLLECT_H
#define XTCP_COLLECTORS_COLLECT_H

#include <stdbool.h>

#include "collectors/collectors_internal.h"

struct collect {
    struct collectors *set;
    const struct netns_ref *ns;
    const struct poll_request *request;
    const _Atomic bool *stopping;
    struct slot *slot;
    size_t expected; /* sockets, about */
    bool idle_check; /* look first whether there are sockets at all, and do not dump when there are none */
    bool lost; /* out: the thread is still in the namespace and cannot leave it: it must end, and do nothing
                   else */
};

/* Opens a socket in the namespace, returns to the daemon's own, receives all sockets through it and passes them to the
 * sink in batches. Fills |result| but for ids and the total duration; its |err| tells the outcome. The calling thread
 * is in the daemon's own namespace before and after, unless |lost| is set; no descriptor is left. */
void collect_run(struct collect *v, struct collector_result *result);

#endif
