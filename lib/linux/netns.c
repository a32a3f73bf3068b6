#include "lib/linux/netns.h"

#include "lib/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int netns_inode(const char *path, uint64_t *inode)
{
    struct stat st;
    if (stat(path, &st))
        return -errno;
    *inode = st.st_ino;
    return 0;
}

int netns_open_self(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int netns_open(const char *path)
{
    /* Between a look at |path| and this open another file may have taken its place: a FIFO or a device must
     * not make the caller wait, nor become its terminal. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct statfs st;
    int rc = 0;
    if (fstatfs(fd, &st))
        rc = -errno;
    else if (st.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        rc = ERR_TYPE;
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

int netns_enter_fd(int fd)
{
    return setns(fd, CLONE_NEWNET) ? -errno : 0;
}

int netns_enter(const char *path)
{
    int fd = netns_open(path);
    if (fd < 0)
        return fd;
    int rc = netns_enter_fd(fd);
    close(fd);
    return rc;
}

int netns_cookie(int fd, uint64_t *cookie)
{
    socklen_t len = sizeof(*cookie);
    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) ? -errno : 0;
}

struct nsid_request {
    struct nlmsghdr header;
    struct rtgenmsg family;
    struct rtattr attribute __attribute__((aligned(RTA_ALIGNTO)));
    int32_t fd;
};

/* Looks for NETNSA_NSID in the |n| bytes of an answer. */
static int take_nsid(const void *answer, size_t n, int32_t *id)
{
    const struct nlmsghdr *h = answer;
    if (!NLMSG_OK(h, n))
        return -EBADMSG;
    if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
    if (h->nlmsg_type != RTM_NEWNSID || h->nlmsg_len < NLMSG_SPACE(sizeof(struct rtgenmsg)))
        return -EBADMSG;
    size_t left = h->nlmsg_len - NLMSG_SPACE(sizeof(struct rtgenmsg));
    const struct rtattr *a = (const struct rtattr *)((const char *)h + NLMSG_SPACE(sizeof(struct rtgenmsg)));
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == NETNSA_NSID && RTA_PAYLOAD(a) >= sizeof(*id)) {
            memcpy(id, RTA_DATA(a), sizeof(*id));
            return 0;
        }
    }
    return -EBADMSG;
}

static int ask_nsid(int netlink, int ns, int32_t *id)
{
    struct nsid_request request = {
        .header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETNSID, .nlmsg_flags = NLM_F_REQUEST},
        .attribute = {.rta_len = RTA_LENGTH(sizeof(int32_t)), .rta_type = NETNSA_FD},
        .fd = ns};
    char answer[512] __attribute__((aligned(NLMSG_ALIGNTO)));
    if (send(netlink, &request, sizeof(request), 0) < 0)
        return -errno;
    ssize_t n = recv(netlink, answer, sizeof(answer), 0); /* the kernel has answered before send returns */
    return n < 0 ? -errno : take_nsid(answer, (size_t)n, id);
}

int netns_nsid(const char *path, int32_t *id)
{
    int ns = netns_open(path);
    if (ns < 0)
        return ns;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int rc = netlink < 0 ? -errno : ask_nsid(netlink, ns, id);
    if (netlink >= 0)
        close(netlink);
    close(ns);
    return rc;
}
