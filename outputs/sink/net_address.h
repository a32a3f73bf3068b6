/* Where a network sink sends to: the name of a destination in errors, and its addresses. */
#ifndef XTCP_OUTPUTS_SINK_NET_ADDRESS_H
#define XTCP_OUTPUTS_SINK_NET_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/linux/resolve.h"
#include "lib/url.h"
#include "outputs/sink/sink.h"

#define NET_NAME_MAX 320

/* Writes the name of the host |i| of |u|, without user and password, as errors begin with it: tcp:collector:9000,
 * tcp:[::1]:9000, unix:/run/collector.sock. |port| is that of a host without one. A longer name is cut. */
void net_name(const struct url *u, size_t i, uint16_t port, char out[NET_NAME_MAX]);

/* Looks up the host |i| of |u| for sockets of |type| (SOCK_STREAM or SOCK_DGRAM), and waits for the result until
 * |deadline_ns|; a URL with a path has the unix socket there as its only address. Returns 0 and |out|; or a code with
 * |e|, which does not name the host: ERR_CANCELLED, ERR_TIMEOUT, ERR_RANGE for a path that is too long, or one of
 * resolve_start and resolve_take. The thread of the sink. */
int net_addresses(const struct sink_host *host, const struct url *u, size_t i, uint16_t port, int type,
                  int64_t deadline_ns, struct resolve_result *out, struct err *e);

/* Whether |u| has a path that an address of a unix socket has room for. Returns 0, or ERR_RANGE with |e|. */
int net_check_path(const struct url *u, struct err *e);

#endif
