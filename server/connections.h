/* How many connections there are. gRPC owns their descriptors and does not tell when it closes one, and of
 * those by TLS not even when it opens one; but a socket has a cookie that no other ever has, so whether a
 * descriptor still is what it was can be seen, and our own sockets can be listed. That is done when the bound
 * seems to be reached or somebody has come by TLS, and not more often than is worth a small part of a CPU.
 * Under the gate's lock. */
#ifndef XTCP_SERVER_CONNECTIONS_H
#define XTCP_SERVER_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections;

/* Returns 0 or -ENOMEM. */
int connections_new(struct connections **out);
void connections_free(struct connections *c);

/* Counts the plaintext socket |fd|, which stays the caller's; |now_ns| is monotonic. Returns false, and does
 * not count it, when there are |max| connections already, as far as is known, or no memory is left. */
bool connections_add(struct connections *c, int fd, size_t max, int64_t now_ns);

/* Connections by TLS are those at one of |ports| from now on. */
void connections_tls_ports(struct connections *c, const uint16_t *ports, size_t n);

/* Somebody has come by TLS. Any thread, without a lock. */
void connections_expect_tls(struct connections *c);

/* Looks at those who have come by TLS since the last look. If there are more than |max| in all, closes as
 * many of these, |*closed|. Returns 0, or in how many ns to call it again, since it is too early for a look.
 */
int64_t connections_bound_tls(struct connections *c, size_t max, int64_t now_ns, size_t *closed);

/* How many plaintext ones are open now. */
size_t connections_count(struct connections *c);

#endif
