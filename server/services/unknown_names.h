/* Finds names that a stream asks for and that do not exist, to explain an empty answer. */
#ifndef XTCP_SERVER_SERVICES_UNKNOWN_NAMES_H
#define XTCP_SERVER_SERVICES_UNKNOWN_NAMES_H

#include <stddef.h>

#include "server/poll/inventory.h"
#include "server/stream/selection.h"

#define UNKNOWN_MAX 8 /* sentences */

struct unknown_names {
    char *texts[UNKNOWN_MAX];
    size_t n;
};

/* Fills |out| (for unknown_names_free) with a sentence, UNKNOWN_MAX at most, for each pattern of namespaces and
 * each name of a namespace or of a congestion control algorithm in the filter of |s| that nothing on this
 * host has at the moment. Reads /proc/sys/net/ipv4/tcp_available_congestion_control; takes the inventory's
 * lock. Any thread. */
void unknown_names_find(struct inventory *r, const struct selection *s, struct unknown_names *out);
void unknown_names_free(struct unknown_names *u);

#endif
