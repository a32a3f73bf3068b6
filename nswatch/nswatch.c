/* The watcher: its public functions, its thread, its loop.
 *
 * Threads. nswatch_new and nswatch_free run on their caller's thread, while no nswatch thread exists;
 * nswatch_stop, nswatch_rescan, nswatch_set_options and nswatch_get_stats run on any thread and touch nothing
 * but struct mailbox, under its lock, and the eventfd that wakes the loop. Everything else of this folder
 * runs on the nswatch thread alone, without locks: the loop, the registry, the inotify and netlink
 * descriptors, and the callback, which is called with no lock held so that it may call back.
 *
 * The reason for a thread of its own: a namespace is known by its cookie, which only a socket inside can
 * tell, so the thread has to go in. gRPC starts its threads from the thread that calls it, and they would
 * stay in that thread's namespace; so a thread that visits other namespaces never calls gRPC, and this one
 * visits (identity.c, prober_learn: in, one socket, out, 10 µs). It waits and calls back only in the home
 * namespace. If the return ever fails, it ends and tells that, rather than report the wrong namespaces as its
 * own.
 *
 * The reason for holding nothing: the kernel keeps a namespace as long as anything refers to it: a descriptor
 * (O_PATH too), a socket, a thread, an inotify watch on its file. Then `ip netns del` takes the name and the
 * interfaces stay up for ever. So files are looked at with statx, links with readlink, watches are placed on
 * directories; the one moment of holding is the visit above. The price is that a path can mean something else
 * at the next use; therefore every look compares the inode, and every visit the cookie.
 *
 * The events that wake the loop are in the table below. Each turn of the loop ends with one reconcile_run, which alone
 * decides the state of a name (reconcile.c). */

/* clang-format off */
/* Events that wake the loop:
 *
 *     inotify    a name has come or gone, or the way to a       look at that name, place the watches anew
 *                directory has changed
 *     mountinfo  some mount has changed: a file may have        look at the names that wait; soon at all
 *                become a namespace
 *     rtnetlink  a namespace id was given or taken              scan /proc in 50 ms; check processes now
 *     timer      back-off of waiting names, scan of /proc,      what is due
 *                full relist
 *     eventfd    stop, rescan, other options                    that
 */
/* clang-format on */
#include "nswatch/loop.h"

#include "lib/linux/path_watch.h"
#include "lib/log.h"
#include "nswatch/nsid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PROC_ROOT_MAX 1024

/* Waits for |fd| from now on; an |fd| below 0 is the error of the call that should have made it. */
static int watch_source(struct nswatch *nw, enum source source, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = source};
    if (fd < 0)
        return -errno;
    nw->fds[source] = fd;
    return epoll_ctl(nw->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The two sources that the watcher can do without, more slowly. */
static void open_helpers(struct nswatch *nw)
{
    int fd = open(nw->mountinfo_path, O_RDONLY | O_CLOEXEC);
    int rc = watch_source(nw, FROM_MOUNTINFO, fd, EPOLLPRI | EPOLLERR);
    if (rc) {
        log_warn("nswatch", "cannot watch %s: %s: mounts are noticed late", nw->mountinfo_path, err_name(rc));
        if (fd >= 0)
            close(fd);
        nw->fds[FROM_MOUNTINFO] = -1;
        nw->due.compare_ns = 0;
    }
    rc = nsid_open(&nw->nsid);
    if (!rc)
        rc = watch_source(nw, FROM_NSID, nsid_fd(nw->nsid), EPOLLIN);
    if (rc)
        log_warn("nswatch", "cannot listen to namespace ids: %s: anonymous namespaces are noticed late",
                 err_name(rc));
}

static int open_sources(struct nswatch *nw)
{
    nw->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (nw->epoll_fd < 0)
        return -errno;
    nw->w.epoll_fd = nw->epoll_fd;
    nw->w.epoll_data = FROM_INOTIFY;
    int rc = watch_source(nw, FROM_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), EPOLLIN);
    if (!rc)
        rc = watch_source(nw, FROM_TIMER, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                          EPOLLIN);
    if (rc)
        return rc;
    open_helpers(nw);
    return 0;
}

/* The strings, the memory and the registry; 0 or -errno. */
static int prepare(struct nswatch *nw, const struct nswatch_options *options)
{
    nw->proc_root = strdup(options->proc_root ? options->proc_root : "/proc");
    nw->mountinfo_path = strdup(options->mountinfo_path ? options->mountinfo_path : "/proc/self/mountinfo");
    nw->w.paths = path_watch_new();
    if (!nw->proc_root || !nw->mountinfo_path || !nw->w.paths)
        return -ENOMEM;
    nw->w.proc_root = nw->proc_root;
    nw->w.mountinfo_path = nw->mountinfo_path;
    int rc = registry_init(&nw->w.registry, nw->proc_root, loop_deliver, nw);
    if (!rc)
        rc = prober_init(&nw->w.prober);
    return rc;
}

struct nswatch *nswatch_new(const struct nswatch_options *options, nswatch_callback *callback, void *arg,
                            struct err *e)
{
    struct nswatch_settings *settings;
    if (options->proc_root && strlen(options->proc_root) > PROC_ROOT_MAX) {
        err_set(e, ERR_RANGE, "path of /proc: longer than %d bytes", PROC_ROOT_MAX);
        return NULL;
    }
    if (settings_new(options, &settings, e))
        return NULL;
    struct nswatch *nw = calloc(1, sizeof(*nw));
    if (!nw) {
        free(settings);
        err_set(e, -ENOMEM, "no memory to watch namespaces");
        return NULL;
    }
    nw->callback = callback;
    nw->arg = arg;
    nw->box.settings = settings;
    pthread_mutex_init(&nw->box.lock, NULL);
    list_init(&nw->w.watches);
    nw->w.prober.own_netns_fd = nw->epoll_fd = -1;
    for (int i = 0; i < SOURCES; i++)
        nw->fds[i] = -1;
    /* The first turn looks at everything (verify_ns is 0). */
    nw->due =
        (struct schedule){.relist_ns = NEVER, .compare_ns = NEVER, .scan_ns = NEVER, .recheck_ns = NEVER};
    int rc = prepare(nw, options);
    if (!rc)
        rc = open_sources(nw);
    if (rc) {
        err_set(e, rc, "cannot watch namespaces: %s", err_name(rc));
        nswatch_free(nw);
        return NULL;
    }
    return nw;
}

int nswatch_start(struct nswatch *nw)
{
    return thread_start(&nw->thread, "nswatch", 0, loop_run, nw);
}

static void wake(struct nswatch *nw)
{
    eventfd_write(nw->fds[FROM_WAKE], 1); /* EAGAIN: the counter is full, so it is awake already */
}

void nswatch_stop(struct nswatch *nw)
{
    atomic_store(&nw->stopping, true);
    wake(nw);
}

void nswatch_join(struct nswatch *nw)
{
    thread_join(&nw->thread);
}

void nswatch_free(struct nswatch *nw)
{
    if (!nw)
        return;
    if (nw->thread.running) {
        nswatch_stop(nw);
        nswatch_join(nw);
    }
    if (nw->w.registry.sink)
        registry_fini(&nw->w.registry);
    list_each(at, &nw->w.watches) free(container_of(at, struct watch_dir, in_watches));
    proc_walk_close(&nw->w.walk);
    prober_fini(&nw->w.prober);
    for (int i = 0; i < SOURCES; i++)
        if (i != FROM_NSID && nw->fds[i] >= 0)
            close(nw->fds[i]);
    nsid_close(nw->nsid);
    if (nw->epoll_fd >= 0)
        close(nw->epoll_fd);
    free(nw->box.settings);
    pthread_mutex_destroy(&nw->box.lock);
    path_watch_free(nw->w.paths);
    free(nw->proc_root);
    free(nw->mountinfo_path);
    free(nw);
}

void nswatch_rescan(struct nswatch *nw)
{
    pthread_mutex_lock(&nw->box.lock);
    nw->box.rescan = true;
    pthread_mutex_unlock(&nw->box.lock);
    wake(nw);
}

void nswatch_reconcile(struct nswatch *nw)
{
    pthread_mutex_lock(&nw->box.lock);
    nw->box.rescan = nw->box.tell = true;
    pthread_mutex_unlock(&nw->box.lock);
    wake(nw);
}

int nswatch_set_options(struct nswatch *nw, const struct nswatch_options *options, struct err *e)
{
    struct nswatch_settings *settings;
    if (options->proc_root && strcmp(options->proc_root, nw->proc_root))
        return err_set(e, ERR_PRECONDITION, "the path of /proc cannot be changed while running");
    if (options->mountinfo_path && strcmp(options->mountinfo_path, nw->mountinfo_path))
        return err_set(e, ERR_PRECONDITION, "the path of mountinfo cannot be changed while running");
    int rc = settings_new(options, &settings, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&nw->box.lock);
    struct nswatch_settings *unused = nw->box.settings;
    nw->box.settings = settings;
    pthread_mutex_unlock(&nw->box.lock);
    free(unused);
    wake(nw);
    return 0;
}

void nswatch_get_stats(struct nswatch *nw, struct nswatch_stats *out)
{
    pthread_mutex_lock(&nw->box.lock);
    *out = nw->box.stats;
    pthread_mutex_unlock(&nw->box.lock);
}
