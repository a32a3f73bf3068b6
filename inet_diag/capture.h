/* Records the raw answers of one dump in a file that replay reads: a pcap file of link type netlink. One
 * owner at a time. */
#ifndef XTCP_INET_DIAG_CAPTURE_H
#define XTCP_INET_DIAG_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct capture {
    int fd;      /* -1: nothing is recorded */
    int code;    /* the first error, 0: none */
    int64_t len; /* bytes of the file up to the end of its last whole packet */
    size_t packets;
    const char *folder;
    uint64_t poll_id, inode;
};

/* Makes the file `poll-POLL_ID-netns-INODE.pcap` in |folder|, which has to live as long as |c| is used; an
 * existing one stays and is an error, -EEXIST. Returns 0 or -errno; then |c| records nothing, and there is no
 * file. */
int capture_open(struct capture *c, const char *folder, uint64_t poll_id, uint64_t inode);

/* Appends a datagram of |len| bytes, received now. */
void capture_add(struct capture *c, const void *data, size_t len);

/* Closes the file. Returns 0, or the -errno of the first failure, usually of a write: the file ends with the
 * packet before it, and when there is none (|packets| is 0) the file is removed. */
int capture_close(struct capture *c);

#endif
