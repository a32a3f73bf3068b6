/* The daemons that a command is for: the targets of the command line, the environment and client.yaml,
 * resolved to a list of addresses with names. One thread. */
#ifndef XTCP_CLIENT_FLEET_NODES_H
#define XTCP_CLIENT_FLEET_NODES_H

#include <stddef.h>

#include "client/fleet/client_yaml.h"
#include "client/options.h"
#include "lib/err.h"

#define NODES_MAX   4096
#define TARGETS_MAX (1024 * 1024) /* bytes of a file with targets */

/* One daemon. */
struct node {
    char *name;             /* its name in the node column */
    char *address;          /* as gRPC takes it */
    char *told;             /* its name in messages: with the address if that differs */
    char *host;             /* the name whose address it is; NULL: none */
    struct options options; /* for a session with it */
};

struct nodes {
    struct node **items;
    size_t n;
};

/* Finds the nodes that |o| names; without any, those of $XTCP2_TARGET, then those of |s|, then the default
 * one. Host names that stand for all their addresses are looked up, which may take a while; one that cannot
 * be found stays as it is and fails when it is connected to. Duplicates are left out. The nodes point into
 * |o| and |s|. Returns 0, or a code with |e|; |out| is empty then, else for nodes_free. */
int nodes_resolve(const struct options *o, const struct client_yaml *s, struct nodes *out, struct err *e);
void nodes_free(struct nodes *nodes);

#endif
