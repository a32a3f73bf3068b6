#include "lib/netns.h"

#include "lib/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int netns_is_nsfs(const char *path)
{
    struct statfs st;
    if (statfs(path, &st))
        return -errno;
    return st.f_type == NSFS_MAGIC;
}

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
