/* Records the raw answers of one dump in a file that replay reads: a pcap file of link type netlink. One
 * owner at a time. */
#ifndef XTCP_COLLECTORS_CAPTURE_H
#define XTCP_COLLECTORS_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct capture {
    int fd;   /* -1: nothing is recorded */
    int code; /* the first thing that went wrong, 0: nothing */
};

/* Makes the file `poll-POLL_ID-netns-INODE.pcap` in |folder|; one that is there stays and is an error,
 * -EEXIST. Returns 0 or -errno; then |c| records nothing. */
int capture_open(struct capture *c, const char *folder, uint64_t poll_id, uint64_t inode);

/* Appends a datagram of |len| bytes, received now. */
void capture_add(struct capture *c, const void *data, size_t len);

/* Closes the file. Returns 0, or the -errno of the first write that failed: the file ends there. */
int capture_close(struct capture *c);

#endif
