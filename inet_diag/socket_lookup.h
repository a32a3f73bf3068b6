/* Exact requests: chosen sockets, each asked for by itself. No walk over the kernel's tables, so it costs the
 * same however many sockets the host has.
 *
 *     lookup_new(home, &x)                       once for a thread
 *     lookup_enter(x, &where, &lost, &e)         opens a socket in the namespace; the thread is home again
 *     lookup_ask(x, sockets, n, groups, fn, arg) as often as wanted
 *     lookup_leave(x)                            closes it: nothing of the namespace is held any more
 *
 * The kernel answers while the requests are being sent, so nothing here waits. One thread. */
#ifndef XTCP_INET_DIAG_SOCKET_LOOKUP_H
#define XTCP_INET_DIAG_SOCKET_LOOKUP_H

#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inet_diag/device.h"
#include "inet_diag/enter.h"
#include "lib/err.h"
#include "model/groups.h"
#include "record/source.h"

/* A socket as the kernel knows it: its addresses, ports in network order, interface and cookie
 * (INET_DIAG_NOCOOKIE twice: any socket with these addresses). */
struct lookup_socket {
    uint8_t family; /* AF_INET or AF_INET6 */
    struct inet_diag_sockid id;
};

/* The identity of the socket |s|, with its cookie. */
void lookup_identity(const struct record_source *s, struct lookup_socket *out);

/* ---- The messages; pure ---- */

/* Bytes of one request, padding included. */
#define LOOKUP_REQUEST_SIZE 72

/* Writes the request for |s| with the extensions |ext| (diag_request_extensions) and the sequence number
 * |seq| at |out|, which has LOOKUP_REQUEST_SIZE bytes of room. */
void lookup_put_request(uint8_t *out, const struct lookup_socket *s, uint8_t ext, uint32_t seq);

/* Called for each socket that was asked for: |index| in the array. |s| is NULL when there is none (|code| is
 * -ENOENT) or there was no usable answer (another -errno, ERR_MALFORMED); valid during the call. */
typedef void lookup_fn(void *arg, size_t index, const struct record_source *s, int code);

/* Requests that are out. */
struct lookup_asked {
    uint32_t first_seq; /* sequence number of the first; those of the others follow */
    const struct lookup_socket *sockets;
    size_t n;
    size_t base;             /* added to the index that |fn| is told */
    struct devices *devices; /* of the namespace; NULL: names of devices are left out */
    uint8_t *answered;       /* one byte for each, zeroed at first: 1 once |fn| has been called */
    lookup_fn *fn;
    void *arg;
};

/* Passes the answers to |asked| in the datagram |data| of |len| bytes on, each socket once. An answer about
 * another socket than the one asked for, or one that does not parse, counts as none. Returns the number of
 * answers passed on. */
size_t lookup_take_answers(const void *data, size_t len, const struct lookup_asked *asked);

/* ---- At work ---- */

struct socket_lookup;

/* A socket to ask through; |own_netns_fd| is a descriptor of the daemon's own namespace, which stays the caller's.
 * Returns 0 or -ENOMEM. */
int lookup_new(int own_netns_fd, struct socket_lookup **out);
void lookup_free(struct socket_lookup *x);

/* Opens a socket in the namespace |ns| (its path, cookie and |own| count) and comes home. Returns 0; ERR_GONE: there is
 * no such namespace, or another one, at its path; -errno. |*lost|: see netns_inside. */
int lookup_enter(struct socket_lookup *x, const struct netns_ref *ns, bool *lost, struct err *e);

/* The cookie of the namespace that was entered. */
uint64_t lookup_cookie(const struct socket_lookup *x);
uint64_t lookup_inode(const struct socket_lookup *x);

/* Asks for |n| sockets, with the attributes of |groups|; |fn| is called once for each. Returns 0, or -errno
 * when no further could be asked (those have been reported with that code). */
int lookup_ask(struct socket_lookup *x, const struct lookup_socket *sockets, size_t n, groups_t groups,
               lookup_fn *fn, void *arg);

/* Closes the socket, but for one of the own namespace, which is kept for the next time; nothing when it is
 * closed. */
void lookup_leave(struct socket_lookup *x);

#endif
