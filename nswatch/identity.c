#include "nswatch/identity.h"

#include "lib/err.h"
#include "lib/linux/netns.h"
#include "lib/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The cookie of the namespace that this thread is in; 0 where the kernel has none. A unix socket lets go of
 * its namespace at close, a netlink socket only some milliseconds later. */
static int current_cookie(uint64_t *cookie)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = netns_cookie(fd, cookie);
    close(fd);
    if (rc == -ENOPROTOOPT) {
        *cookie = 0;
        return 0;
    }
    return rc;
}

int prober_init(struct prober *p)
{
    *p = (struct prober){.own_netns_fd = netns_open_self()};
    if (p->own_netns_fd < 0)
        return p->own_netns_fd;
    struct stat st;
    int rc = fstat(p->own_netns_fd, &st) ? -errno : current_cookie(&p->own.cookie);
    if (rc) {
        prober_fini(p);
        return rc;
    }
    p->nsfs_dev = st.st_dev;
    p->own.inode = st.st_ino;
    return 0;
}

void prober_fini(struct prober *p)
{
    if (p->own_netns_fd >= 0)
        close(p->own_netns_fd);
    p->own_netns_fd = -1;
}

int prober_learn(struct prober *p, const char *path, struct identity *id)
{
    *id = (struct identity){0};
    if (p->lost)
        return id->error = ERR_CANCELLED;
    int fd = netns_open(path);
    if (fd < 0)
        return id->error = fd;
    struct stat st;
    if (fstat(fd, &st) == 0)
        id->inode = st.st_ino;
    if (id->inode == p->own.inode) { /* cannot be taken by another while we are in it */
        close(fd);
        *id = p->own;
        return 0;
    }
    id->error = netns_enter_fd(fd);
    close(fd);
    if (id->error)
        return id->error;
    id->error = current_cookie(&id->cookie);
    int rc = netns_enter_fd(p->own_netns_fd);
    if (rc) {
        log_error("nswatch", "cannot go back to the host's namespace: %s", err_name(rc));
        p->lost = true;
    }
    return id->error;
}
