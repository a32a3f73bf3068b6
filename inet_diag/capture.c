#include "inet_diag/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "inet_diag/pcap.h"
#include "lib/clock.h"
#include "lib/log.h"

/* The headers of the classic format, https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/, with times in
 * nanoseconds, and the one that stands before each netlink datagram,
 * https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html. */
struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2];
    uint32_t snap_length;
    uint32_t linktype;
};

struct packet_header {
    uint32_t seconds, nanoseconds;
    uint32_t captured, length;
};

struct cooked_header { /* in network byte order */
    uint16_t type;     /* 0: to us */
    uint16_t device;
    uint8_t unused[10];
    uint16_t family;
};

_Static_assert(sizeof(struct file_header) == 24 && sizeof(struct packet_header) == 16 &&
                   sizeof(struct cooked_header) == 16,
               "the headers of the file formats");

/* The file's name; false when it is too long. */
static bool path_of(const struct capture *c, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/poll-%" PRIu64 "-netns-%" PRIu64 ".pcap", c->folder, c->poll_id,
                     c->inode);
    return n < PATH_MAX;
}

static void put(struct capture *c, const struct iovec *parts, int n)
{
    ssize_t whole = 0;
    for (int i = 0; i < n; i++)
        whole += (ssize_t)parts[i].iov_len;
    ssize_t written = writev(c->fd, parts, n);
    if (written == whole)
        c->len += whole;
    else
        c->code = written < 0 ? -errno : -ENOSPC; /* a file takes all of it or is full */
}

int capture_open(struct capture *c, const char *folder, uint64_t poll_id, uint64_t inode)
{
    char path[PATH_MAX];
    struct file_header header = {.magic = 0xa1b23c4d,
                                 .major = 2,
                                 .minor = 4,
                                 .snap_length = UINT32_MAX,
                                 .linktype = PCAP_LINKTYPE_NETLINK};
    *c = (struct capture){.fd = -1, .folder = folder, .poll_id = poll_id, .inode = inode};
    if (!path_of(c, path))
        return -ENAMETOOLONG;
    c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (c->fd < 0)
        return -errno;
    put(c, &(struct iovec){&header, sizeof(header)}, 1);
    return c->code ? capture_close(c) : 0;
}

void capture_add(struct capture *c, const void *data, size_t len)
{
    if (c->fd < 0 || c->code)
        return;
    int64_t now = clock_wall_ns();
    struct cooked_header cooked = {.device = htons(ARPHRD_NETLINK), .family = htons(NETLINK_SOCK_DIAG)};
    uint32_t whole = (uint32_t)(sizeof(cooked) + len);
    struct packet_header header = {.seconds = (uint32_t)(now / NS_PER_S),
                                   .nanoseconds = (uint32_t)(now % NS_PER_S),
                                   .captured = whole,
                                   .length = whole};
    const struct iovec parts[] = {
        {&header, sizeof(header)}, {&cooked, sizeof(cooked)}, {(void *)(uintptr_t)data, len}};
    put(c, parts, 3);
    c->packets += c->code == 0;
}

/* Takes away the file when it has no whole packet. Returns whether it has none. */
static bool remove_empty(const struct capture *c)
{
    char path[PATH_MAX];
    if (c->packets || !path_of(c, path))
        return false;
    unlink(path);
    return true;
}

/* Takes away the part of a packet for which there was no room, or the file when it has no whole one. */
static void cut(const struct capture *c)
{
    if (!remove_empty(c) && ftruncate(c->fd, c->len) != 0)
        log_limited(LOG_WARN, "capture", "%s: cannot cut off half a packet: %s", c->folder, err_name(-errno));
}

int capture_close(struct capture *c)
{
    if (c->fd < 0)
        return 0;
    if (c->code)
        cut(c);
    if (close(c->fd) != 0 && !c->code) {
        c->code = -errno; /* a disk on the network reports errors only now */
        remove_empty(c);
    }
    c->fd = -1;
    return c->code;
}
