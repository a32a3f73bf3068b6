/* What gRPC, which accepts connections by TLS itself, leaves undone: a listener that found no descriptor
 * stops for ever and is to be made anew. Under the gate's lock. */
#ifndef XTCP_SERVER_LISTEN_TLS_RESTART_H
#define XTCP_SERVER_LISTEN_TLS_RESTART_H

#include <stddef.h>

#include "lib/err.h"
#include "server/listen/listener.h"

struct tls_restart;

/* Has |epoll| tell, with the gate as data, when there is something to do. Returns 0 and it in |out|, or a
 * code with |e|. One at a time in a process. */
int tls_restart_new(int epoll, struct tls_restart **out, struct err *e);

/* epoll has told: |doors| are the gate's. */
void tls_restart_serve(struct tls_restart *g, struct listener *const list[], size_t n);

/* Frees it. NULL is allowed. */
void tls_restart_free(struct tls_restart *g);

#endif
