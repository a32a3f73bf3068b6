/* Finds the namespaces behind names.
 *
 * An event tells only that something has happened to a name; its details may be outdated by the time it is
 * read (deleted, made again, mounted). So events, directory listings and timers all do the same: they touch
 * names, and reconcile_run looks at the present state of each touched name. Doing it once more than necessary
 * changes nothing.
 *
 * Three passes keep the order of events right when a name goes from one namespace to another, or a namespace
 * from one name to another: (1) names that are gone or stand for something else leave their object; (2) names
 * of known objects join them, and objects that then have no name are orphans and get settled; (3) new objects
 * are told. */
#include "nswatch/watcher.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/sysmacros.h>

#define BACK_OFF_MIN_NS (1 * NS_PER_MS)
#define BACK_OFF_MAX_NS (1 * NS_PER_S)
#define GIVE_UP_NS      (5 * NS_PER_S)

/* After a change of the mounts this many waiting names, the newest ones, are looked at out of turn: the file
 * is made just before it is mounted upon. The others, garbage most likely, have their back-off. */
#define NEWEST_MAX 64

/* Of Linux 6.8: a mount id that is not used again. Older kernels give the reusable STATX_MNT_ID (5.8) or
 * nothing. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

enum look { LOOK_GONE, LOOK_PLAIN, LOOK_NSFS };

/* The result of a look at a file. */
struct sight {
    enum look look;
    uint64_t inode, mount_id;
    int error; /* the reason why its kind is unknown */
};

/* Looks at |path| without opening it, so nothing is pinned, and a FIFO or a device is not affected. Symbolic
 * links are followed, as `ip netns` does (a link to /proc/PID/ns/net is a common way to name a namespace);
 * one that leads nowhere is a plain file. */
static struct sight look_at(const struct watcher *w, const char *path)
{
    struct statx st;
    const unsigned mask = STATX_TYPE | STATX_INO | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
    if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, mask, &st) == 0) {
        bool nsfs = makedev(st.stx_dev_major, st.stx_dev_minor) == w->prober.nsfs_dev;
        return (struct sight){
            .look = nsfs ? LOOK_NSFS : LOOK_PLAIN, .inode = st.stx_ino, .mount_id = st.stx_mnt_id};
    }
    int error = -errno;
    if (error == -ENOTDIR)
        return (struct sight){.look = LOOK_GONE};
    struct stat link;
    if (error == -ENOENT && lstat(path, &link))
        return (struct sight){.look = LOOK_GONE};
    return (struct sight){.look = LOOK_PLAIN, .error = error};
}

static void remember(struct ns_name *n, const struct sight *sight)
{
    n->is_nsfs = sight->look == LOOK_NSFS;
    n->inode = sight->inode;
    n->mount_id = sight->mount_id;
    n->look_error = sight->error;
}

void reconcile_touch(struct watcher *w, struct ns_name *n)
{
    if (list_empty(&n->in_touched))
        list_append(&w->registry.touched, &n->in_touched);
}

void reconcile_touch_waiting(struct watcher *w, int64_t now_ns, bool mounts_changed)
{
    unsigned newest = mounts_changed ? NEWEST_MAX : 0;
    list_each(at, &w->registry.waiting)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_waiting);
        if (newest) {
            /* The kernel wakes us before it lets go of the lock that hides the new mount: look again soon. */
            newest--;
            n->back_off_ns = BACK_OFF_MIN_NS / 2;
            n->next_ns = now_ns;
        } else if (n->next_ns > now_ns) {
            continue;
        }
        reconcile_touch(w, n);
    }
}

void reconcile_compare(struct watcher *w)
{
    list_each(dir_at, &w->registry.dirs)
    {
        struct ns_dir *dir = container_of(dir_at, struct ns_dir, in_dirs);
        list_each(at, &dir->names)
        {
            struct ns_name *n = container_of(at, struct ns_name, in_dir);
            if (n->waiting)
                continue;
            struct sight sight = look_at(w, n->path);
            bool nsfs = sight.look == LOOK_NSFS;
            if (sight.look == LOOK_GONE || nsfs != n->is_nsfs ||
                (nsfs && (sight.inode != n->inode || sight.mount_id != n->mount_id)))
                reconcile_touch(w, n);
        }
    }
}

/* Whether an error of a visit may pass soon, so that the name waits. */
static bool may_pass(int error)
{
    static const int passing[] = {-ENOENT, -ESRCH, -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS, -EINTR, -EAGAIN};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (error == passing[i])
            return true;
    return false;
}

/* Pass 1, a name of a known namespace: checks whether it still stands for the same. If not, it leaves its
 * object. Returns false when |n| does not exist any more. */
static bool check_known(struct watcher *w, struct ns_name *n, struct sight *sight)
{
    struct ns_object *o = n->object;
    if (sight->look == LOOK_NSFS) {
        struct identity id;
        if (may_pass(prober_learn(&w->prober, n->path, &id)) || w->prober.lost)
            return true;
        if (registry_find(&w->registry, &id) == o) {
            registry_resolve(&w->registry, n, &id, false); /* heals one that could not be entered */
            return true;
        }
        *sight = look_at(w, n->path); /* it may have been unmounted since */
    }
    bool left_over = sight->look != LOOK_NSFS && !n->created;
    if (!registry_name_reset(&w->registry, n))
        return false;
    n->quiet = left_over;
    return true;
}

static void pass_forget(struct watcher *w)
{
    list_each(at, &w->registry.touched)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_touched);
        struct sight sight = look_at(w, n->path);
        if (sight.look == LOOK_GONE) {
            registry_name_remove(&w->registry, n);
            continue;
        }
        if (registry_name_known(n) && !check_known(w, n, &sight))
            continue;
        remember(n, &sight);
    }
}

/* Pass 2 */
static void pass_join(struct watcher *w)
{
    if (list_empty(&w->registry.orphans))
        return;
    list_each(at, &w->registry.touched)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_touched);
        struct identity id;
        if (n->is_nsfs && !registry_name_known(n) && prober_learn(&w->prober, n->path, &id) == 0)
            registry_resolve(&w->registry, n, &id, false);
    }
    processes_settle_orphans(w);
}

static void stop_waiting(struct ns_name *n)
{
    n->waiting = false;
    list_remove(&n->in_waiting);
}

/* The next look at |n|: names that wait equally long are due together, so that many names wake the thread
 * only a few times. */
static void schedule_look(struct ns_name *n, int64_t now_ns)
{
    int64_t slot = n->back_off_ns / 4;
    n->next_ns = (now_ns + n->back_off_ns + slot - 1) / slot * slot;
}

/* |n| is not a namespace (yet): it waits, longer each time, until it is given up. */
static void wait_for(struct watcher *w, struct ns_name *n, int64_t now_ns, int error)
{
    if (!n->waiting) {
        if (n->waited && !n->created)
            return;
        n->waiting = true;
        list_insert_after(&w->registry.waiting, &n->in_waiting);
        n->back_off_ns = BACK_OFF_MIN_NS;
        n->give_up_ns = now_ns + GIVE_UP_NS;
        schedule_look(n, now_ns);
        if (!n->quiet)
            registry_announce(&w->registry, n);
        return;
    }
    if (now_ns >= n->give_up_ns) {
        stop_waiting(n);
        n->waited = true;
        if (n->quiet)
            return;
        propagation_learn(w, n->dir, now_ns);
        registry_give_up(&w->registry, n, error ? error : ERR_TIMEOUT);
        return;
    }
    if (now_ns < n->next_ns)
        return;
    n->back_off_ns = n->back_off_ns * 2 < BACK_OFF_MAX_NS ? n->back_off_ns * 2 : BACK_OFF_MAX_NS;
    schedule_look(n, now_ns);
}

/* Pass 3, one name. */
static void settle_name(struct watcher *w, struct ns_name *n, int64_t now_ns)
{
    if (registry_name_known(n)) {
        stop_waiting(n);
        return;
    }
    int error = n->look_error;
    if (n->is_nsfs) {
        struct identity id;
        error = prober_learn(&w->prober, n->path, &id);
        if (w->prober.lost)
            return;
        if (!may_pass(error)) {
            stop_waiting(n);
            registry_resolve(&w->registry, n, &id, true);
            return;
        }
        n->is_nsfs = false; /* so that reconcile_compare looks at it again */
    }
    wait_for(w, n, now_ns, error);
}

void reconcile_run(struct watcher *w, int64_t now_ns)
{
    pass_forget(w);
    pass_join(w);
    list_each(at, &w->registry.touched)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_touched);
        if (n->created)
            n->quiet = false;
        settle_name(w, n, now_ns);
        n->created = false;
        list_remove(&n->in_touched);
    }
    registry_flush(&w->registry);
}

int64_t reconcile_deadline(const struct watcher *w)
{
    int64_t first = INT64_MAX;
    list_each(at, &w->registry.waiting)
    {
        const struct ns_name *n = container_of(at, struct ns_name, in_waiting);
        if (n->next_ns < first)
            first = n->next_ns;
    }
    return first;
}
