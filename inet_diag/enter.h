/* Going into a network namespace for a moment, to open a socket there. */
#ifndef XTCP_INET_DIAG_ENTER_H
#define XTCP_INET_DIAG_ENTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/* A namespace, and the way to it. */
struct netns_ref {
    uint64_t id;     /* the daemon's own number, given back in batches and results */
    uint64_t cookie; /* expected SO_NETNS_COOKIE; 0: not known, not checked */
    uint64_t inode;
    bool own;         /* the daemon's own namespace: nothing is entered */
    const char *name; /* display name */
    const char *path; /* the file to open: "/run/netns/blue", "/proc/123/ns/net" */
};

/* The outcome of going in. */
struct netns_entry {
    uint64_t inode; /* of the namespace that was entered */
    bool lost;      /* the thread is still inside and cannot go home: it must end, and do nothing else */
};

/* Calls |fn|, which must not wait, in the namespace |ns| and comes home, to the namespace of the descriptor |own_netns_fd|. No
 * descriptor of |ns| is left open. Returns the return value of |fn|, or with |e|: ERR_GONE when no namespace is at
 * the path any more, ERR_PERMISSION, -errno; with |entry->lost| also the error that keeps the thread from going home.
 * The calling thread must be at home. */
int netns_inside(int own_netns_fd, const struct netns_ref *ns, int (*fn)(void *arg, struct err *e), void *arg,
                 struct netns_entry *entry, struct err *e);

/* Whether the socket |fd| is of the namespace with the cookie |want| (0: any). |cookie| receives the one that it is of,
 * 0 where the kernel has none (before 5.14; it is not compared then). Returns 0; ERR_GONE when it is of another one;
 * -errno. Any thread. */
int netns_expect(int fd, uint64_t want, uint64_t *cookie, struct err *e);

#endif
