#include "lib/linux/path_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/cursor.h"
#include "lib/err.h"
#include "lib/linux/inotify_parse.h"
#include "lib/log.h"

#define BUFFER          65536 /* 1300 events with names as long as those of containers */
#define READS_PER_ROUND 16

/* Steps of one path that are watched. */
#define STEPS_MAX 256

/* Symbolic links on the way of one path, as the kernel has it (path_resolution(7)). */
#define LINKS_MAX 40

/* Attempts to place a path that changes meanwhile; after these it is looked at again later. */
#define PLACE_TRIES 16

/* A folder on the way: events of the folder itself, not of its contents. */
#define EVENTS_SELF (IN_MOVE_SELF | IN_DELETE_SELF)
/* A folder whose names matter. */
#define EVENTS_NAMES (EVENTS_SELF | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
/* A folder in which one name matters: a link, a file, or a missing name. */
#define EVENTS_STEP (EVENTS_NAMES | IN_ATTRIB | IN_CLOSE_WRITE)

/* One watch on the way of a path. */
struct step {
    int wd;
    uint32_t events;
    bool all;   /* every name in the folder counts */
    char *name; /* the one that counts; NULL: none, only the folder itself */
};

struct watched_path {
    struct watched_path *next;
    char *path;
    enum path_kind kind;
    void *owner;
    int folder; /* the watch on the folder itself; -1: none */
    struct step *steps;
    size_t n, size;
};

struct path_watch {
    int fd;
    struct watched_path *paths;
    char *buffer;
};

struct path_watch *path_watch_new(void)
{
    struct path_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->fd = -1;
    w->buffer = malloc(BUFFER);
    if (w->buffer)
        return w;
    free(w);
    return NULL;
}

static void clear_steps(struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(steps[i].name);
    free(steps);
}

static void forget_steps(struct watched_path *p)
{
    clear_steps(p->steps, p->n);
    p->steps = NULL;
    p->n = p->size = 0;
    p->folder = -1;
}

static void free_path(struct watched_path *p)
{
    forget_steps(p);
    free(p->path);
    free(p);
}

void path_watch_free(struct path_watch *w)
{
    if (!w)
        return;
    path_watch_close(w);
    while (w->paths) {
        struct watched_path *p = w->paths;
        w->paths = p->next;
        free_path(p);
    }
    free(w->buffer);
    free(w);
}

int path_watch_open(struct path_watch *w, int epoll, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    if (w->fd >= 0)
        return 0;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    w->fd = fd;
    return 0;
}

void path_watch_close(struct path_watch *w)
{
    for (struct watched_path *p = w->paths; p; p = p->next)
        forget_steps(p);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* inotify has the same error for want of an instance and of a descriptor. */
static bool descriptors_left(void)
{
    int fd = open("/", O_PATH | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

const char *path_watch_reason(int rc)
{
    if (rc == -EMFILE && descriptors_left())
        return "the sysctl fs.inotify.max_user_instances is reached";
    if (rc == -ENOSPC)
        return "the sysctl fs.inotify.max_user_watches is reached";
    return err_name(rc);
}

struct watched_path *path_watch_add(struct path_watch *w, const char *path, enum path_kind kind, void *owner)
{
    struct watched_path *p = calloc(1, sizeof(*p));
    char *copy = strdup(path);
    if (!p || !copy) {
        free(p);
        free(copy);
        return NULL;
    }
    *p = (struct watched_path){.next = w->paths, .path = copy, .kind = kind, .owner = owner, .folder = -1};
    w->paths = p;
    return p;
}

/* ---- Watches, which paths share ---- */

/* The events that the steps of all paths need of the watch |wd|; 0: none. */
static uint32_t wanted_by(const struct path_watch *w, int wd)
{
    uint32_t events = 0;
    for (const struct watched_path *p = w->paths; p; p = p->next) {
        for (size_t i = 0; i < p->n; i++)
            events |= p->steps[i].wd == wd ? p->steps[i].events : 0;
    }
    return events;
}

/* Takes back those of the watches of |steps| that no path needs any more; frees |steps|. */
static void release(const struct path_watch *w, struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (wanted_by(w, steps[i].wd) == 0)
            (void)inotify_rm_watch(w->fd, steps[i].wd); /* it may have gone by itself */
    }
    clear_steps(steps, n);
}

void path_watch_remove(struct path_watch *w, struct watched_path *p)
{
    struct watched_path **at = &w->paths;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    release(w, p->steps, p->n);
    p->steps = NULL;
    p->n = 0;
    free_path(p);
}

int path_watch_folder(const struct watched_path *p)
{
    return p->folder;
}

/* ---- The way of a path ---- */

/* A path on its way through the file system: the resolved part, and the rest. */
struct way {
    char at[PATH_MAX];   /* a folder, without the last slash: "" is the root */
    char rest[PATH_MAX]; /* from there on */
    char name[NAME_MAX + 1];
    char whole[PATH_MAX + NAME_MAX + 2]; /* at/name */
    int links;
};

/* Takes the next name out of |rest|. Returns false when there is none, or it is too long. */
static bool next_name(struct way *y)
{
    const char *begin = y->rest + strspn(y->rest, "/");
    size_t n = strcspn(begin, "/");
    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(y->name, begin, n);
    y->name[n] = '\0';
    memmove(y->rest, begin + n, strlen(begin + n) + 1);
    snprintf(y->whole, sizeof(y->whole), "%s/%s", y->at, y->name);
    return true;
}

static bool is_last(const struct way *y)
{
    return y->rest[strspn(y->rest, "/")] == '\0';
}

/* If the name is "..", the folder |at| becomes its parent. Returns false for another name. */
static bool go_up(struct way *y)
{
    if (strcmp(y->name, ".") == 0)
        return true;
    if (strcmp(y->name, "..") != 0)
        return false;
    char *slash = strrchr(y->at, '/');
    if (slash)
        *slash = '\0';
    return true;
}

/* |at| becomes its child |name|. Returns false when that is too long. */
static bool go_down(struct way *y)
{
    size_t n = strlen(y->whole);
    if (n >= sizeof(y->at))
        return false;
    memcpy(y->at, y->whole, n + 1);
    return true;
}

/* |name| is a link to |target|. Returns false when the whole is too long. */
static bool follow(struct way *y, const char *target)
{
    char rest[PATH_MAX];
    int n = snprintf(rest, sizeof(rest), "%s/%s", target, y->rest);
    if (n < 0 || (size_t)n >= sizeof(rest) || ++y->links > LINKS_MAX)
        return false;
    memcpy(y->rest, rest, (size_t)n + 1);
    if (target[0] == '/')
        y->at[0] = '\0';
    return true;
}

/* The kind of file that the next name of a way is. */
enum sight { SIGHT_NOTHING, SIGHT_FOLDER, SIGHT_LINK, SIGHT_OTHER };

static enum sight look(const struct way *y, char target[PATH_MAX])
{
    struct stat st;
    if (lstat(y->whole, &st) != 0)
        return SIGHT_NOTHING;
    if (S_ISDIR(st.st_mode))
        return SIGHT_FOLDER;
    if (!S_ISLNK(st.st_mode))
        return SIGHT_OTHER;
    ssize_t n = readlink(y->whole, target, PATH_MAX - 1);
    target[n < 0 ? 0 : n] = '\0';
    return n < 0 ? SIGHT_NOTHING : SIGHT_LINK;
}

/* Reduces the watch |wd| of |path| to |events|. Returns it, or -EAGAIN when the path leads to another folder
 * by now. */
static int watch_less(const struct path_watch *w, const char *path, uint32_t events, int wd)
{
    int other = inotify_add_watch(w->fd, path, events);
    if (other == wd)
        return wd;
    if (other >= 0 && wanted_by(w, other) == 0)
        (void)inotify_rm_watch(w->fd, other);
    return -EAGAIN;
}

/* Makes the kernel tell |events| of the folder |path|. Returns the watch or -errno; -EAGAIN when the path has
 * changed. |old|: the steps of the same path that are to go. */
static int watch_folder(const struct path_watch *w, const char *path, uint32_t events, const struct step *old,
                        size_t n_old)
{
    const uint32_t how = IN_ONLYDIR | IN_DONT_FOLLOW;
    int wd = inotify_add_watch(w->fd, path, events | how | IN_MASK_ADD);
    if (wd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -EAGAIN : -errno;
    uint32_t wanted = events | wanted_by(w, wd);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].wd == wd && (old[i].events & ~wanted))
            return watch_less(w, path, wanted | how, wd);
    }
    return wd;
}

/* The steps of a path that is being placed. */
struct placing {
    const struct path_watch *w;
    struct watched_path *p;
    struct step *old;
    size_t n_old;
};

/* Watches the folder |path| for the next step. Returns the watch, or -errno or ERR_LIMIT. */
static int add_step(const struct placing *c, const char *path, uint32_t events, bool all, const char *name)
{
    struct watched_path *p = c->p;
    if (p->n == STEPS_MAX)
        return ERR_LIMIT;
    if (array_room(&p->steps, p->n + 1, &p->size, sizeof(*p->steps)))
        return -ENOMEM;
    char *copy = name ? strdup(name) : NULL;
    if (name && !copy)
        return -ENOMEM;
    int wd = watch_folder(c->w, *path ? path : "/", events, c->old, c->n_old);
    if (wd < 0) {
        free(copy);
        return wd;
    }
    p->steps[p->n++] = (struct step){.wd = wd, .events = events, .all = all, .name = copy};
    return wd;
}

/* Watches the next name and finds out its kind. It is watched first and looked at then, so that no change
 * between the two is lost. */
static int add_name(const struct placing *c, const struct way *y, enum sight *sight, char target[PATH_MAX])
{
    int wd = add_step(c, y->at, EVENTS_STEP, false, y->name);
    *sight = look(y, target);
    return wd < 0 ? wd : 0;
}

/* Watches the folder that is the next on the way, or its end. Returns 0, or -EACCES when it is the end and
 * must not be read. */
static int add_folder(const struct placing *c, const struct way *y, bool end)
{
    int wd = add_step(c, y->whole, end ? EVENTS_NAMES : EVENTS_SELF, end, NULL);
    if (wd == -EACCES && !end)
        return 0; /* it may be passed through, which is enough; its own changes are not told */
    if (wd >= 0 && end)
        c->p->folder = wd;
    return wd < 0 ? wd : 0;
}

/* Goes the way once. Returns 0, -EAGAIN when it changed meanwhile, or the error of a step that cannot be
 * watched. */
static int go(const struct placing *c)
{
    struct way y = {.links = 0};
    char target[PATH_MAX];
    if (strlen(c->p->path) >= sizeof(y.rest))
        return -ENAMETOOLONG;
    memcpy(y.rest, c->p->path, strlen(c->p->path) + 1);
    if (c->p->kind == PATH_FOLDER && is_last(&y))
        return add_folder(c, &(struct way){.whole = "/"}, true);
    while (next_name(&y)) {
        bool last = is_last(&y);
        bool folder_ends = last && c->p->kind == PATH_FOLDER;
        if (go_up(&y)) {
            memcpy(y.whole, y.at, sizeof(y.at));
            int rc = folder_ends ? add_folder(c, &y, true) : 0;
            if (rc || last)
                return rc;
            continue;
        }
        enum sight sight = look(&y, target);
        int rc = 0;
        if (sight != SIGHT_FOLDER || (last && !folder_ends))
            rc = add_name(c, &y, &sight, target);
        if (rc == 0 && sight == SIGHT_FOLDER && (!last || folder_ends)) {
            rc = add_folder(c, &y, folder_ends);
            if (rc == -EACCES)
                rc = add_name(c, &y, &sight, target); /* it may become readable */
        }
        if (rc)
            return rc;
        bool on = sight == SIGHT_LINK ? follow(&y, target) : sight == SIGHT_FOLDER && !last && go_down(&y);
        if (!on)
            return 0; /* the end, or the last step that exists */
    }
    return 0;
}

int path_watch_place(struct path_watch *w, struct watched_path *p)
{
    struct placing c = {.w = w, .p = p, .old = p->steps, .n_old = p->n};
    int rc = -EAGAIN;
    if (w->fd < 0)
        return -EBADF;
    p->steps = NULL;
    p->n = p->size = 0;
    for (int i = 0; rc == -EAGAIN && i < PLACE_TRIES; i++) {
        struct step *failed = p->steps;
        size_t n = p->n;
        p->steps = NULL;
        p->n = p->size = 0;
        p->folder = -1;
        release(w, failed, n);
        rc = go(&c);
    }
    release(w, c.old, c.n_old);
    return rc;
}

/* ---- Events ---- */

static void tell(const struct watched_path *p, const struct inotify_item *item, const struct path_news *news,
                 void *arg)
{
    bool path = false, inside = false;
    for (size_t i = 0; i < p->n; i++) {
        const struct step *s = &p->steps[i];
        if (s->wd != item->wd)
            continue;
        path = path || !item->name || (s->name && strcmp(s->name, item->name) == 0);
        inside = inside || (s->all && item->name);
    }
    if (inside && news->name)
        news->name(arg, p->owner, item->name, (item->mask & (IN_CREATE | IN_MOVED_TO)) != 0);
    if (path)
        news->path(arg, p->owner);
}

/* Tells the events in |n| bytes. */
static void take(struct path_watch *w, size_t n, const struct path_news *news, void *arg)
{
    struct cursor c = cursor_over(w->buffer, n);
    struct inotify_item item;
    int rc;
    while ((rc = inotify_next(&c, &item)) == 1) {
        if (item.mask & IN_Q_OVERFLOW) {
            news->lost(arg);
            continue;
        }
        for (const struct watched_path *p = w->paths; p; p = p->next)
            tell(p, &item, news, arg);
    }
    if (rc) {
        log_limited(LOG_ERROR, "watch", "inotify: %s", err_name(rc));
        news->lost(arg);
    }
}

void path_watch_read(struct path_watch *w, const struct path_news *news, void *arg)
{
    for (int i = 0; i < READS_PER_ROUND && w->fd >= 0; i++) {
        ssize_t n = read(w->fd, w->buffer, BUFFER);
        if (n <= 0) {
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                log_limited(LOG_ERROR, "watch", "cannot read from inotify: %s", err_name(-errno));
            return;
        }
        take(w, (size_t)n, news, arg);
    }
}
