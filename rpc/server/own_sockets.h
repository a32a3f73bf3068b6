/* The sockets of this process, including those that gRPC has opened and does not show. */
#ifndef XTCP_RPC_SERVER_OWN_SOCKETS_H
#define XTCP_RPC_SERVER_OWN_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A TCP socket of ours. */
struct rpc_own_socket {
    int fd;        /* a duplicate, valid during the visit: it stays this socket even if the process closes its
                    * own */
    uint16_t port; /* its own, host order */
    bool listens;  /* else it is a connection */
};

/* Calls |visit| for each TCP socket of the process that is bound to a port. Returns 0, or -errno when the
 * list of descriptors cannot be read. Any thread; a few microseconds for each descriptor. */
int rpc_own_sockets(void (*visit)(void *arg, const struct rpc_own_socket *s), void *arg);

#endif
