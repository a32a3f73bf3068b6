/* The gate: all listeners of the daemon. Whoever comes in is looked at, counted, and handed to the gRPC
 * server with a role. Main thread only. */
#ifndef XTCP_SERVER_GATE_H
#define XTCP_SERVER_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/server.h"

struct gate;

/* Opens the listeners of |c|. Those of the default configuration may fail, with a warning, as long as one of
 * them does not; any other must not. Returns 0 and the gate in |out|, or a code with |e|. */
int gate_open(const struct config *c, struct gate **out, struct err *e);

/* Closes all listeners; connections live on. NULL is allowed. */
void gate_close(struct gate *g);

/* Frees it, closing what is open. NULL is allowed. */
void gate_free(struct gate *g);

/* Has |epoll| tell when somebody comes, with the gate's own pointers as data, and lets them in to |server|
 * from now on. Returns 0, or a code with |e|. */
int gate_start(struct gate *g, int epoll, struct rpc_server *server, struct err *e);

/* Takes those who wait where epoll said so; |source| is the pointer that it gave. |c| is in force. */
void gate_accept(struct gate *g, void *source, const struct config *c);

/* Makes the listeners follow |c|, which has been put in force, as far as a running daemon can. */
void gate_apply(struct gate *g, const struct config *c);

/* Logs what is listened on. */
void gate_log(const struct gate *g);

/* The port of the first TCP listener, 0 when there is none. Any thread. */
uint16_t gate_port(const struct gate *g);

#endif
