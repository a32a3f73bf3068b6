/* The kernel's own count of a namespace's TCP sockets, /proc/net/sockstat and sockstat6: much cheaper than a
 * dump, which goes through the sockets of all namespaces. Sockets in handshake (SYN_RECV) are not in it. */
#ifndef XTCP_INET_DIAG_SOCKSTAT_H
#define XTCP_INET_DIAG_SOCKSTAT_H

#include <stddef.h>
#include <stdint.h>

/* Adds up "inuse" and "tw" of the line "TCP:" or "TCP6:" in |text|, |n| bytes of either file. Returns 0 with
 * the sum in |sockets|, or ERR_MALFORMED when there is no such line or it is not of this format. Pure. */
int sockstat_parse(const char *text, size_t n, uint64_t *sockets);

/* The TCP sockets of the namespace that the calling thread is in, of both families and those in TIME_WAIT.
 * Returns 0, -errno (/proc cannot be used) or ERR_MALFORMED; nothing is left open. */
int sockstat_count(uint64_t *sockets);

#endif
