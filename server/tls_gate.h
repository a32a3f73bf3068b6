/* The listeners with TLS, kept alive: gRPC accepts there itself and stops for ever when it finds no
 * descriptor. Main thread only. */
#ifndef XTCP_SERVER_TLS_GATE_H
#define XTCP_SERVER_TLS_GATE_H

#include <stdbool.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/server.h"

struct tls_gate;

/* Reads the certificates of |c|; nothing is read where it has no listeners with TLS. Returns 0 and the gate
 * in |out|, or a code with |e|. */
int tls_gate_new(const struct config *c, struct tls_gate **out, struct err *e);

/* Opens the listeners of |c| for |server|, which ends before the gate is freed, and has |epoll| tell when one
 * has to be put right, with |g| as data. Returns 0, or a code with |e|. */
int tls_gate_start(struct tls_gate *g, const struct config *c, int epoll, struct rpc_server *server,
                   struct err *e);

/* epoll has told. */
void tls_gate_serve(struct tls_gate *g);

/* Looks whether the files of the certificates have changed, without waiting for somebody to connect. */
void tls_gate_refresh(struct tls_gate *g);

void tls_gate_log(const struct tls_gate *g);

/* Frees it. NULL is allowed. */
void tls_gate_free(struct tls_gate *g);

#endif
