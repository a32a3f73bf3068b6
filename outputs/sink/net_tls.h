/* The client side of TLS over a connected socket that does not block.
 *
 * TLS 1.2 or later. The peer must have a certificate that an authority of the configuration, or without one an
 * authority of the system, has signed for its name; there is no way to do without.
 *
 * Functions that move bytes return 0 when they have; POLLIN or POLLOUT when they cannot now, and that has to be
 * waited for first; or a code with |e|, which does not name the peer's address, and the connection is of no more
 * use: ERR_GONE when the peer has ended it, ERR_UNAUTHENTICATED when its certificate is not accepted,
 * ERR_UNAVAILABLE for what else goes wrong in TLS, or -errno. */
#ifndef XTCP_OUTPUTS_SINK_NET_TLS_H
#define XTCP_OUTPUTS_SINK_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"
#include "lib/err.h"

struct net_tls;

/* Whether |files| can be right, without a look at the files: a key needs its certificate, and whoever names one
 * wants TLS, so it has to be |used|. Returns 0, or ERR_PRECONDITION with |e|. */
int net_tls_check(const struct output_tls *files, bool used, struct err *e);

/* Makes the side of the client over |fd|, which stays the caller's and must live longer. The peer has to be
 * |files->server_name|, or when that is empty |host|, a name or an address. The files are read now: a file system that
 * does not answer takes 2 seconds for each of them. Returns 0 and |out|, for net_tls_free; or a code with |e|, which
 * names the file. */
int net_tls_new(const struct output_tls *files, const char *host, int fd, struct net_tls **out,
                struct err *e);

/* NULL is allowed. */
void net_tls_free(struct net_tls *t);

/* Tells the peer that nothing more comes, if that can be sent at once. */
void net_tls_bye(struct net_tls *t);

/* A step of the handshake, which has to be done before all else. */
int net_tls_handshake(struct net_tls *t, struct err *e);

/* Writes the first |*n| of |len| bytes, 1 or more. All of them are in the socket's send buffer then. When it has to be
 * waited for, a part of them is on its way: the next call must have the same bytes. |more|: others follow at once. */
int net_tls_write(struct net_tls *t, const void *data, size_t len, bool more, size_t *n, struct err *e);

/* Reads |*n| bytes, 1 up to |max|. */
int net_tls_read(struct net_tls *t, void *data, size_t max, size_t *n, struct err *e);

/* How many bytes the socket's send buffer has taken since the begin, those of TLS included. */
uint64_t net_tls_sent(const struct net_tls *t);

#endif
