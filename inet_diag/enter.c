#include "inet_diag/enter.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/linux/netns.h"

/* The code of a namespace that cannot be opened or entered, told apart by what the caller can do about it. */
static int not_entered(const struct netns_ref *ns, const char *what, int code, struct err *e)
{
    switch (code) {
    case -ENOENT:
    case -ESRCH:
    case -ENOTDIR:
        return err_set(e, ERR_GONE, "%s has ceased to exist", ns->path);
    case ERR_TYPE:
        return err_set(e, ERR_GONE, "%s is no network namespace any more", ns->path);
    case -EACCES:
    case -EPERM:
        return err_set(e, ERR_PERMISSION, "cannot %s %s: %s (CAP_SYS_ADMIN is needed)", what, ns->path,
                       err_name(code));
    default:
        return err_set(e, code, "cannot %s %s: %s", what, ns->path, err_name(code));
    }
}

static int go_in(const struct netns_ref *ns, uint64_t *inode, struct err *e)
{
    struct stat st;
    int fd = netns_open(ns->path);
    if (fd < 0)
        return not_entered(ns, "open", fd, e);
    int rc = fstat(fd, &st) ? -errno : netns_enter_fd(fd);
    close(fd);
    if (rc)
        return not_entered(ns, "enter", rc, e);
    *inode = st.st_ino;
    return 0;
}

int netns_inside(int own_netns_fd, const struct netns_ref *ns, int (*fn)(void *arg, struct err *e), void *arg,
                 struct netns_entry *entry, struct err *e)
{
    *entry = (struct netns_entry){.inode = ns->inode};
    if (ns->own)
        return fn(arg, e);
    int rc = go_in(ns, &entry->inode, e);
    if (rc)
        return rc;
    rc = fn(arg, e);
    int home = netns_enter_fd(own_netns_fd);
    if (home == 0)
        return rc;
    entry->lost = true;
    return err_set(e, home, "cannot go back to the daemon's namespace: %s", err_name(home));
}

int netns_expect(int fd, uint64_t want, uint64_t *cookie, struct err *e)
{
    *cookie = 0;
    int rc = netns_cookie(fd, cookie);
    if (rc == -ENOPROTOOPT)
        return 0;
    if (rc)
        return err_set(e, rc, "cannot read SO_NETNS_COOKIE: %s", err_name(rc));
    if (want && *cookie != want)
        return err_set(e, ERR_GONE,
                       "another namespace is in its place: cookie %" PRIu64 ", expected %" PRIu64, *cookie,
                       want);
    return 0;
}
