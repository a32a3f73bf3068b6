/* Directories: watch first, then list, then let reconcile.c compare. A directory may be missing, come, go, be
 * mounted over and be unmounted at any time; inotify says nothing of the mounts, so each change of the mounts
 * leads to a comparison of what the path leads to with what is watched (device and inode number). A watch on
 * a directory holds neither its mount nor the namespaces in it; a watch on a namespace file would, so there
 * is none. */
#include "nswatch/watcher.h"

#include "lib/clock.h"
#include "lib/cursor.h"
#include "lib/err.h"
#include "lib/log.h"
#include "nswatch/inotify_parse.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCH_MASK                                                                                           \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define RETRY_NS        (1 * NS_PER_S)
#define PLACE_TRIES     16 /* a path that changes faster than that is looked at again later */
#define READS_PER_ROUND 16 /* then the other sources have their turn */

struct watch_dir *dirwatch_add(struct watcher *w, const char *path, unsigned order)
{
    struct watch_dir *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->dir = registry_dir_add(&w->registry, path, order);
    if (!d->dir) {
        free(d);
        return NULL;
    }
    d->wd = -1;
    d->stale = true;
    list_append(&w->watches, &d->in_watches);
    return d;
}

/* Takes back |wd| unless a directory needs it. */
static void release_watch(struct watcher *w, int wd)
{
    if (wd < 0)
        return;
    list_each(at, &w->watches)
    {
        if (container_of(at, struct watch_dir, in_watches)->wd == wd)
            return;
    }
    inotify_rm_watch(w->inotify_fd, wd);
}

void dirwatch_remove(struct watcher *w, struct watch_dir *d)
{
    list_remove(&d->in_watches);
    release_watch(w, d->wd);
    registry_dir_remove(&w->registry, d->dir);
    free(d);
}

void dirwatch_relist_all(struct watcher *w)
{
    list_each(at, &w->watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        d->stale = d->relist = true;
    }
}

/* --- events ------------------------------------------------------------------------------------ */

static void touch_by_name(struct watcher *w, struct watch_dir *d, const char *name, bool created)
{
    struct ns_name *n = registry_name_find(&w->registry, d->dir, name);
    if (!n)
        n = registry_name_add(&w->registry, d->dir, name);
    if (!n) {
        log_limited(LOG_ERROR, "nswatch", "no memory for a name in %s", d->dir->path);
        return;
    }
    n->created |= created;
    reconcile_touch(w, n);
}

static void on_event(struct watcher *w, const struct inotify_item *item)
{
    if (item->mask & IN_Q_OVERFLOW) {
        w->overflows++;
        log_limited(LOG_WARN, "nswatch", "the inotify queue has overflowed: listing all directories again");
        dirwatch_relist_all(w);
        return;
    }
    list_each(at, &w->watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        if (d->wd != item->wd)
            continue;
        if (item->mask & IN_IGNORED)
            d->wd = -1;
        if (!item->name || d->on_parent)
            d->stale = true;
        else
            touch_by_name(w, d, item->name, (item->mask & (IN_CREATE | IN_MOVED_TO)) != 0);
    }
}

void dirwatch_read(struct watcher *w)
{
    for (int i = 0; i < READS_PER_ROUND; i++) {
        ssize_t n = read(w->inotify_fd, w->inotify_buffer, INOTIFY_BUFFER);
        if (n <= 0) {
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                log_limited(LOG_ERROR, "nswatch", "cannot read from inotify: %s", err_name(-errno));
            return;
        }
        struct cursor c = cursor_over(w->inotify_buffer, (size_t)n);
        struct inotify_item item;
        int rc;
        while ((rc = inotify_next(&c, &item)) == 1)
            on_event(w, &item);
        if (rc) {
            log_limited(LOG_ERROR, "nswatch", "inotify: %s: listing all directories again", err_name(rc));
            dirwatch_relist_all(w);
        }
    }
}

/* --- placing watches --------------------------------------------------------------------------- */

void dirwatch_compare(struct watcher *w)
{
    list_each(at, &w->watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        struct stat st;
        bool there = stat(d->dir->path, &st) == 0 && S_ISDIR(st.st_mode);
        if (there == d->on_parent || (there && (st.st_dev != d->dev || st.st_ino != d->ino)))
            d->stale = true;
    }
}

/* Watches |path| and makes sure that it is the directory the path leads to, before and after. Returns the
 * watch descriptor with |st|, or -errno; -EAGAIN when it has changed in between. */
static int watch_path(struct watcher *w, const char *path, struct stat *st)
{
    struct stat before;
    if (stat(path, &before))
        return -errno;
    int wd = inotify_add_watch(w->inotify_fd, path, WATCH_MASK);
    if (wd < 0)
        return -errno;
    if (stat(path, st) || st->st_dev != before.st_dev || st->st_ino != before.st_ino) {
        release_watch(w, wd);
        return -EAGAIN;
    }
    return wd;
}

static bool is_missing(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES || rc == -ELOOP;
}

/* Watches the directory itself, or its nearest ancestor as long as the next one on the way does not exist. */
static int watch_nearest(struct watcher *w, const struct watch_dir *d, struct stat *st, bool *on_parent)
{
    char path[PATH_MAX];
    size_t length = strlen(d->dir->path);
    memcpy(path, d->dir->path, length + 1);
    *on_parent = false;
    int wd = watch_path(w, path, st);
    if (wd == -EACCES)
        log_limited(LOG_WARN, "nswatch", "%s may not be read: %s", path, err_name(wd));
    while (is_missing(wd) && length > 1) {
        char child[PATH_MAX];
        memcpy(child, path, length + 1);
        while (length > 1 && path[length - 1] != '/')
            length--;
        if (length > 1)
            length--;
        path[length] = '\0';
        *on_parent = true;
        wd = watch_path(w, path, st);
        struct stat now;
        if (wd >= 0 && stat(child, &now) == 0 && S_ISDIR(now.st_mode) && access(child, R_OK) == 0) {
            release_watch(w, wd);
            return -EAGAIN; /* it has come meanwhile */
        }
    }
    return wd;
}

static void place(struct watcher *w, struct watch_dir *d, int64_t now_ns)
{
    struct stat st = {0};
    bool on_parent = false;
    int old = d->wd, wd = -EAGAIN;
    for (int i = 0; i < PLACE_TRIES && wd == -EAGAIN; i++)
        wd = watch_nearest(w, d, &st, &on_parent);
    d->stale = false;
    d->retry_ns = 0;
    if (wd < 0) {
        log_limited(LOG_WARN, "nswatch", "cannot watch %s: %s: looking at it every second", d->dir->path,
                    wd == -ENOSPC ? "fs.inotify.max_user_watches is reached" : err_name(wd));
        d->wd = -1;
        d->on_parent = false;
        d->dev = d->ino = 0;
        d->retry_ns = now_ns + RETRY_NS;
        d->relist = true;
    } else {
        if (wd != old || on_parent != d->on_parent || st.st_dev != d->dev || st.st_ino != d->ino) {
            d->relist = true;
            log_debug("nswatch", "%s: %s", d->dir->path,
                      on_parent ? "does not exist, waiting for it" : "watching");
        }
        d->wd = wd;
        d->on_parent = on_parent;
        d->dev = st.st_dev;
        d->ino = st.st_ino;
    }
    if (old != d->wd)
        release_watch(w, old);
}

/* --- listing ----------------------------------------------------------------------------------- */

/* Touches the names that are in the directory, those that are known already as well if |known_too|. */
static void list_names(struct watcher *w, struct watch_dir *d, bool known_too)
{
    if (d->on_parent)
        return;
    DIR *dir = opendir(d->dir->path);
    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (known_too || !registry_name_find(&w->registry, d->dir, entry->d_name))
            touch_by_name(w, d, entry->d_name, false);
    }
    closedir(dir);
}

/* Touches every name that is in the directory and every one that was: what is gone is noticed by its absence.
 */
static void relist(struct watcher *w, struct watch_dir *d)
{
    list_each(at, &d->dir->names) reconcile_touch(w, container_of(at, struct ns_name, in_dir));
    list_names(w, d, true);
}

void dirwatch_find_missed(struct watcher *w)
{
    list_each(at, &w->watches) list_names(w, container_of(at, struct watch_dir, in_watches), false);
}

void dirwatch_refresh(struct watcher *w, int64_t now_ns)
{
    list_each(at, &w->watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        if (d->stale || (d->retry_ns && d->retry_ns <= now_ns))
            place(w, d, now_ns);
        if (d->relist) {
            d->relist = false;
            relist(w, d);
        }
    }
}

int64_t dirwatch_deadline(const struct watcher *w)
{
    int64_t first = INT64_MAX;
    list_each(at, &w->watches)
    {
        const struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        if (d->stale || d->relist)
            return 0;
        if (d->retry_ns && d->retry_ns < first)
            first = d->retry_ns;
    }
    return first;
}
