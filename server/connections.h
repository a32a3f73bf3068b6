/* How many connections there are. gRPC owns their descriptors and does not tell when it closes one; but a
 * socket has a cookie that no other ever has, so whether a descriptor still is what it was can be seen. That
 * is looked at only when the bound seems to be reached. Main thread only. */
#ifndef XTCP_SERVER_CONNECTIONS_H
#define XTCP_SERVER_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct connections;

/* Returns 0 or -ENOMEM. */
int connections_new(struct connections **out);
void connections_free(struct connections *c);

/* Counts the socket |fd|, which stays the caller's. Returns false, and does not count it, when there are
 * |max| open ones already, or no memory is left. */
bool connections_add(struct connections *c, int fd, size_t max);

/* How many of them are open now. */
size_t connections_count(struct connections *c);

#endif
