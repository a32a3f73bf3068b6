/* Changes of paths, by inotify: of the file or folder itself, and of the way that leads there.
 *
 * A path is a way through the file system: folders, which may be renamed, and links, which may come to point
 * elsewhere. Each step is watched, up to the end or to the first name that is missing, so that a path that
 * comes to mean something else is noticed at any step. inotify does not tell of mounts: a caller that learns
 * of one places its paths anew. A watch on a folder holds neither it nor its mount.
 *
 * An instance of inotify is scarce (128 for each user of the system by default, containers included), and so
 * are watches. None is taken before path_watch_open; a caller that does not get one looks by time instead.
 * One thread at a time. */
#ifndef XTCP_LIB_LINUX_PATH_WATCH_H
#define XTCP_LIB_LINUX_PATH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct path_watch;   /* an instance of inotify, or the place for one */
struct watched_path; /* one path */

enum path_kind {
    PATH_FILE,  /* the file: that it is written, replaced, deleted, made, or has other attributes */
    PATH_FOLDER /* the names in the folder: that they come and go */
};

/* An event of path_watch_read; |owner| is that of the path. */
struct path_news {
    /* The path may mean something else, or the file has changed: to be placed anew. */
    void (*path)(void *arg, void *owner);
    /* PATH_FOLDER: |name| has come (|created|) or gone. NULL where there is no folder. */
    void (*name)(void *arg, void *owner, const char *name, bool created);
    /* The kernel could not keep up: anything may have happened. */
    void (*lost)(void *arg);
};

/* Returns one without an instance, or NULL without memory. */
struct path_watch *path_watch_new(void);
/* NULL is allowed. */
void path_watch_free(struct path_watch *w);

/* Takes an instance of inotify, unless there is one, and makes |epoll| tell, with |data|, when there is
 * something to read. Returns 0 or -errno. */
int path_watch_open(struct path_watch *w, int epoll, uint64_t data);
/* Gives it back: nothing is told of any path until it is opened and they are placed again. */
void path_watch_close(struct path_watch *w);
/* The reason why path_watch_open or path_watch_place failed: the sysctl to raise, if that is the reason. A
 * constant string or strerror's. */
const char *path_watch_reason(int rc);

/* Adds |path|, which is absolute and copied; it is to be placed. NULL without memory. */
struct watched_path *path_watch_add(struct path_watch *w, const char *path, enum path_kind kind, void *owner);
void path_watch_remove(struct path_watch *w, struct watched_path *p);

/* Watches the way of |p| as it is now. Changes of it after the call began are told. Returns 0, also when
 * there is nothing at the end of the way yet, or when the last step must not be read: then its coming is
 * watched. -errno or ERR_LIMIT when some changes will not be told: the caller tries again later. */
int path_watch_place(struct path_watch *w, struct watched_path *p);

/* PATH_FOLDER: stands for the folder that the path led to when it was placed last, as long as that lives; -1:
 * there was none, or it must not be read. */
int path_watch_folder(const struct watched_path *p);

/* Takes the events of the kernel, a bounded number at a time. */
void path_watch_read(struct path_watch *w, const struct path_news *news, void *arg);

#endif
