/* The gate: all listeners of the daemon. Whoever comes in is looked at, counted, and handed to the gRPC
 * server with a role. Main thread only, where nothing else is said. */
#ifndef XTCP_SERVER_GATE_H
#define XTCP_SERVER_GATE_H

#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/server.h"

struct gate;

/* Whether the files that |c| names for the gate are good: certificates, tokens. Returns 0, or a code with
 * |e|.
 */
int gate_check(const struct config *c, struct err *e);

/* Opens the plaintext listeners of |c|. Those of the default configuration may fail, with a warning, as long
 * as one of them does not; any other must not. Returns 0 and the gate in |out|, or a code with |e|. */
int gate_open(const struct config *c, struct gate **out, struct err *e);

/* Has |epoll| tell when somebody comes, with the gate's own pointers as data, and lets them in to |server|
 * from now on; opens the listeners with TLS. |server| ends before the gate is freed. Returns 0, or a code
 * with |e|.
 */
int gate_start(struct gate *g, const struct config *c, int epoll, struct rpc_server *server, struct err *e);

/* Does what is to be done where epoll said so; |source| is the pointer that it gave. |c| is in force. */
void gate_serve(struct gate *g, void *source, const struct config *c);

/* Looks whether certificates have changed, without waiting for somebody to connect. */
void gate_refresh(struct gate *g);

/* Makes the listeners follow |c|, which has been put in force, as far as a running daemon can. */
void gate_apply(struct gate *g, const struct config *c);

/* The role of a call (rpc_server_options.role). |c| is in force. Any thread. */
int gate_call_role(struct gate *g, const struct config *c, const struct rpc_caller *caller,
                   enum rpc_role *out, struct err *e);

/* Whether a call that changes something may be made now (rpc_server_options.admit). Any thread. */
int gate_admit(struct gate *g, const struct config *c, const char *peer, struct err *e);

/* Logs what is listened on. */
void gate_log(const struct gate *g);

/* The port of the first TCP listener of grpc_listen, 0 when there is none. Any thread. */
uint16_t gate_port(const struct gate *g);

/* Closes the plaintext listeners; connections live on, and the server closes its own. NULL is allowed. */
void gate_close(struct gate *g);

/* Frees it, closing what is open. NULL is allowed. */
void gate_free(struct gate *g);

#endif
