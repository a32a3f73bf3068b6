/* Work that gRPC, which accepts connections by TLS itself, leaves undone: a listener that found no descriptor
 * stops for ever and is to be made anew. Under the lock of the listeners. */
#ifndef XTCP_SERVER_LISTEN_TLS_RESTART_H
#define XTCP_SERVER_LISTEN_TLS_RESTART_H

#include <stddef.h>

#include "lib/err.h"
#include "lib/linux/event_source.h"
#include "server/listen/listener.h"

struct tls_restart;

/* |epoll| calls |source|, the caller's, when tls_restart_serve has something to do. Returns 0 and it in |out|, or a
 * code with |e|. One at a time in a process. */
int tls_restart_new(int epoll, const struct event_source *source, struct tls_restart **out, struct err *e);

/* Makes anew the stopped ones of the |n| listeners in |list|. To be called when the source is ready. */
void tls_restart_serve(struct tls_restart *g, struct listener *const list[], size_t n);

/* Frees it. NULL is allowed. */
void tls_restart_free(struct tls_restart *g);

#endif
