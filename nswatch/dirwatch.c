/* Directories: watch first, then list, then let reconcile.c compare. A directory, and each step of the way to
 * it, may be missing, come, go, be renamed, be mounted over and be unmounted at any time. inotify tells
 * nothing of mounts, so each change of the mounts makes the ways be followed anew. A watch on a directory
 * holds neither its mount nor the namespaces in it; a watch on a namespace file would, so there is none.
 * Where the kernel has no watch left, the directories are read every second. */
#include "nswatch/watcher.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/linux/path_watch.h"
#include "lib/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS (1 * NS_PER_S)

struct watch_dir *dirwatch_add(struct watcher *w, const char *path, unsigned order)
{
    struct watch_dir *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->dir = registry_dir_add(&w->registry, path, order);
    d->path = d->dir ? path_watch_add(w->paths, path, PATH_FOLDER, d) : NULL;
    if (!d->path) {
        if (d->dir)
            registry_dir_remove(&w->registry, d->dir);
        free(d);
        return NULL;
    }
    d->stale = true;
    list_append(&w->watches, &d->in_watches);
    return d;
}

void dirwatch_remove(struct watcher *w, struct watch_dir *d)
{
    list_remove(&d->in_watches);
    path_watch_remove(w->paths, d->path);
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

static void on_name(void *arg, void *owner, const char *name, bool created)
{
    touch_by_name(arg, owner, name, created);
}

/* The path leads elsewhere or nowhere, or did for a moment, in which names may have come and gone. */
static void on_path(void *arg, void *owner)
{
    struct watch_dir *d = owner;
    (void)arg;
    d->stale = d->relist = true;
}

static void on_lost(void *arg)
{
    struct watcher *w = arg;
    w->overflows++;
    log_limited(LOG_WARN, "nswatch", "events of inotify are lost: listing all directories again");
    dirwatch_relist_all(w);
}

void dirwatch_read(struct watcher *w)
{
    static const struct path_news news = {.path = on_path, .name = on_name, .lost = on_lost};
    path_watch_read(w->paths, &news, w);
}

/* --- placing watches --------------------------------------------------------------------------- */

void dirwatch_compare(struct watcher *w)
{
    list_each(at, &w->watches) container_of(at, struct watch_dir, in_watches)->stale = true;
}

/* Notes |rc|, the result of placing the watches of |d|. */
static void placed(struct watch_dir *d, int rc, int64_t now_ns)
{
    if (rc && rc != d->told)
        log_warn("nswatch", "cannot watch %s: %s: looking at it every second", d->dir->path,
                 path_watch_reason(rc));
    else if (!rc && d->told)
        log_info("nswatch", "%s is watched again", d->dir->path);
    d->told = rc;
    d->retry_ns = rc ? now_ns + RETRY_NS : 0;
}

static void place(struct watcher *w, struct watch_dir *d, int64_t now_ns)
{
    int old = d->folder;
    int rc = path_watch_open(w->paths, w->epoll_fd, w->epoll_data);
    if (!rc)
        rc = path_watch_place(w->paths, d->path);
    d->stale = false;
    d->folder = path_watch_folder(d->path);
    if (d->folder != old || (rc && !d->told)) {
        d->relist = true;
        log_debug("nswatch", "%s: %s", d->dir->path, d->folder < 0 ? "waiting for it" : "watching");
    }
    placed(d, rc, now_ns);
}

/* --- listing ----------------------------------------------------------------------------------- */

/* Notes |rc|, the result of reading the names of |d|. */
static void note_readable(struct watch_dir *d, int rc)
{
    bool missing = rc == -ENOENT || rc == -ENOTDIR; /* which is no fault */
    if (missing)
        rc = 0;
    if (rc && rc != d->unreadable)
        log_warn("nswatch", "%s may not be read: %s: its namespaces are not seen", d->dir->path,
                 err_name(rc));
    else if (!rc && d->unreadable && !missing)
        log_info("nswatch", "%s is read again", d->dir->path);
    d->unreadable = rc;
}

/* Touches the names that are in the directory, those that are known already as well if |known_too|. */
static void list_names(struct watcher *w, struct watch_dir *d, bool known_too)
{
    DIR *dir = opendir(d->dir->path);
    note_readable(d, dir ? 0 : -errno);
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

/* Touches every name that is in the directory and every one that was: a missing name is gone. */
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
        bool by_time = d->retry_ns && d->retry_ns <= now_ns;
        if (d->stale || by_time)
            place(w, d, now_ns);
        if (d->relist) {
            d->relist = false;
            relist(w, d);
        } else if (by_time) {
            list_names(w, d, false);
            w->looked_by_time = true;
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
