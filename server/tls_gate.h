/* What gRPC, which accepts connections by TLS itself, leaves undone: a listener that found no descriptor
 * stops for ever and is to be made anew; and nobody is told who has come, so that has to be looked up. Under
 * the gate's lock. */
#ifndef XTCP_SERVER_TLS_GATE_H
#define XTCP_SERVER_TLS_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "server/connections.h"
#include "server/door.h"

struct tls_gate;

/* Has |epoll| tell, with the gate as data, when there is something to do. Returns 0 and it in |out|, or a
 * code with |e|. One at a time in a process. */
int tls_gate_new(int epoll, struct connections *connections, struct tls_gate **out, struct err *e);

/* epoll has told: |doors| are the gate's, |max| is connections_max. Returns how many connections were turned
 * away for it. */
size_t tls_gate_serve(struct tls_gate *g, struct door *const doors[], size_t n, size_t max);

/* Frees it. NULL is allowed. */
void tls_gate_free(struct tls_gate *g);

#endif
