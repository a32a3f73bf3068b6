/* Names of hosts to addresses, without holding up the caller.
 *
 * The C library may be busy with a name for minutes: servers that do not answer, modules of nsswitch.conf. So it is
 * asked on a thread of its own, and a descriptor tells when the result is there. A thread whose result nobody waits
 * for any more is left behind and ends with its call. The thread has the network namespace of the caller. */
#ifndef XTCP_LIB_LINUX_RESOLVE_H
#define XTCP_LIB_LINUX_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/err.h"

/* Names that are looked up at the same time, those included that nobody waits for any more. */
#define RESOLVE_THREADS_MAX 32

/* Addresses of a name; further ones are left out. */
#define RESOLVE_ADDRESSES_MAX 16

struct resolve_address {
    struct sockaddr_storage address; /* AF_INET or AF_INET6, with the port */
    socklen_t len;
};

/* The best one is the first, by RFC 6724. */
struct resolve_result {
    struct resolve_address list[RESOLVE_ADDRESSES_MAX];
    size_t n; /* at least 1 */
};

struct resolve;

/* Starts to look up |host|, a name or an IPv4 or IPv6 address (which may have a zone: fe80::1%eth0), for sockets of
 * |type| (SOCK_STREAM or SOCK_DGRAM) and |port|. The result of an address is there at once, without a thread.
 * Returns 0 and |out|, which resolve_take or resolve_cancel ends; or a code with |e|, which does not name |host|:
 * ERR_LIMIT when RESOLVE_THREADS_MAX names are being looked up, -ENOMEM, or -errno. Any thread. */
int resolve_start(const char *host, uint16_t port, int type, struct resolve **out, struct err *e);

/* Is readable (POLLIN) as soon as the result is there. Belongs to |r|. */
int resolve_fd(const struct resolve *r);

/* Ends |r|, whose descriptor is readable (it waits until it is). Returns 0 and the addresses in |out|, or a code
 * with |e|, which does not name the host: ERR_UNAVAILABLE when there is no such name or the servers do not tell,
 * -ENOMEM, or -errno. */
int resolve_take(struct resolve *r, struct resolve_result *out, struct err *e);

/* Ends |r| without its result. Does not wait. NULL is allowed. */
void resolve_cancel(struct resolve *r);

#endif
