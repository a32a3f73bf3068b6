/* The identity of a namespace: its cookie, which can only be read inside. */
#ifndef XTCP_NSWATCH_IDENTITY_H
#define XTCP_NSWATCH_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct identity {
    uint64_t cookie; /* 0: the kernel has none, or we could not enter */
    uint64_t inode;  /* 0: not even opened */
    int error;       /* 0, or why it cannot be entered */
};

/* The way home of the thread that enters namespaces. */
struct prober {
    int own_netns_fd;    /* the host's namespace; ours to hold, since we live in it */
    uint64_t nsfs_dev;   /* st_dev of nsfs: tells a namespace file from any other by one statx(2) */
    struct identity own; /* of the host's namespace */
    bool lost;           /* could not go home: the thread must end */
};

/* Remembers the namespace of the calling thread as home. Returns 0 or -errno; end with prober_fini. */
int prober_init(struct prober *p);
void prober_fini(struct prober *p);

/* Learns the identity of the namespace |path|: opens it, goes in, asks a socket for the cookie, comes home,
 * closes everything; about 10 µs. Returns |id|->error: 0, -errno or ERR_TYPE (no network namespace). The only
 * function of this module that leaves the home namespace; when the return fails it sets |p|->lost. */
int prober_learn(struct prober *p, const char *path, struct identity *id);

#endif
