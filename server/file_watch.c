#include "server/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"

/* Changes come in groups: a certificate and its key, a file and what it is renamed to. */
#define QUIET_NS   (200 * NS_PER_MS)
#define PATIENT_NS (2 * NS_PER_S) /* from the first of them on, however many come */

/* Names that matter, of all paths together. */
#define SPOTS_MAX 128

/* Symbolic links on the way of one path, as the kernel has it (path_resolution(7)). */
#define LINKS_MAX 40

#define EVENTS                                                                                               \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |     \
     IN_MOVE_SELF | IN_ONLYDIR)

/* A name in a directory that some path leads through. */
struct spot {
    int wd;
    char name[NAME_MAX + 1];
};

/* What tells one state of a file from another; all zero when there is none. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct file_watch {
    int inotify;
    int timer;
    int both; /* epoll: one descriptor for the caller */
    char *paths[FILE_WATCH_MAX];
    struct stamp stamps[FILE_WATCH_MAX];
    struct spot spots[SPOTS_MAX];
    size_t n_spots;
    int64_t first_ns; /* of a group of changes that is not over; 0: there is none */
};

int file_watch_new(struct file_watch **out)
{
    struct file_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->both = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (w->inotify < 0 || w->timer < 0 || w->both < 0 ||
        epoll_ctl(w->both, EPOLL_CTL_ADD, w->inotify, &event) != 0 ||
        epoll_ctl(w->both, EPOLL_CTL_ADD, w->timer, &event) != 0) {
        int rc = -errno;
        file_watch_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

void file_watch_free(struct file_watch *w)
{
    if (!w)
        return;
    const int fds[] = {w->both, w->timer, w->inotify};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        free(w->paths[i]);
    free(w);
}

int file_watch_fd(const struct file_watch *w)
{
    return w->both;
}

/* ---- The way to a file ---- */

/* A path on its way through the file system: what is resolved, and what is not yet. */
struct way {
    char at[PATH_MAX];   /* a directory, without the last slash: "" is the root */
    char rest[PATH_MAX]; /* from there on */
    char name[NAME_MAX + 1];
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
    return true;
}

/* |at| becomes its child |name|, or its parent. Returns false when that is too long. */
static bool step(struct way *y)
{
    size_t n = strlen(y->at);
    if (strcmp(y->name, ".") == 0)
        return true;
    if (strcmp(y->name, "..") == 0) {
        char *slash = strrchr(y->at, '/');
        if (slash)
            *slash = '\0';
        return true;
    }
    if (n + 1 + strlen(y->name) >= sizeof(y->at))
        return false;
    snprintf(y->at + n, sizeof(y->at) - n, "/%s", y->name);
    return true;
}

/* |name| is a link to |target|. Returns false when the whole is too long. */
static bool follow(struct way *y, const char *target)
{
    char rest[PATH_MAX];
    int n = snprintf(rest, sizeof(rest), "%s/%s", target, y->rest);
    if (n < 0 || (size_t)n >= sizeof(rest))
        return false;
    memcpy(y->rest, rest, (size_t)n + 1);
    if (target[0] == '/')
        y->at[0] = '\0';
    return true;
}

/* Has the kernel tell about the next name. */
static int add_spot(struct file_watch *w, const struct way *y)
{
    if (w->n_spots == SPOTS_MAX)
        return -ENOSPC;
    int wd = inotify_add_watch(w->inotify, *y->at ? y->at : "/", EVENTS);
    if (wd < 0)
        return -errno;
    struct spot *s = &w->spots[w->n_spots++];
    s->wd = wd;
    memcpy(s->name, y->name, sizeof(s->name));
    return 0;
}

/* Watches each link on the way, and the file, or what is missing of its path. */
static int watch_way(struct file_watch *w, const char *path)
{
    struct way y = {0};
    char target[PATH_MAX];
    char whole[PATH_MAX + NAME_MAX + 2];
    int links = 0;
    if (strlen(path) >= sizeof(y.rest))
        return -ENAMETOOLONG;
    memcpy(y.rest, path, strlen(path) + 1);
    while (next_name(&y)) {
        struct stat st;
        snprintf(whole, sizeof(whole), "%s/%s", y.at, y.name);
        bool there = lstat(whole, &st) == 0;
        bool last = y.rest[strspn(y.rest, "/")] == '\0';
        ssize_t n = there && S_ISLNK(st.st_mode) ? readlink(whole, target, sizeof(target) - 1) : -1;
        int rc = n >= 0 || last || !there ? add_spot(w, &y) : 0;
        if (rc || !there || (n < 0 && last))
            return rc;
        if (n >= 0) {
            target[n] = '\0';
            if (++links > LINKS_MAX || !follow(&y, target))
                return 0;
        } else if (!step(&y)) {
            return 0;
        }
    }
    return 0;
}

/* Watches all ways as they are now. */
static int watch_all(struct file_watch *w)
{
    struct spot old[SPOTS_MAX];
    size_t n = w->n_spots;
    int result = 0;
    memcpy(old, w->spots, n * sizeof(*old));
    w->n_spots = 0;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        int rc = w->paths[i] ? watch_way(w, w->paths[i]) : 0;
        result = result ? result : rc;
    }
    for (size_t i = 0; i < n; i++) {
        bool used = false;
        for (size_t k = 0; k < w->n_spots && !used; k++)
            used = w->spots[k].wd == old[i].wd;
        for (size_t k = 0; k < i && !used; k++)
            used = old[k].wd == old[i].wd; /* it has been removed already */
        if (!used)
            (void)inotify_rm_watch(w->inotify, old[i].wd); /* it may have gone by itself */
    }
    return result;
}

/* ---- What the files are ---- */

static struct stamp look(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){.dev = st.st_dev,
                          .ino = st.st_ino,
                          .size = st.st_size,
                          .modified = st.st_mtim,
                          .changed = st.st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

/* The absolute form of |path|; NULL for an empty one, or without memory. */
static char *absolute(const char *path)
{
    char folder[PATH_MAX];
    char *out = NULL;
    if (!*path)
        return NULL;
    if (path[0] == '/')
        return strdup(path);
    if (!getcwd(folder, sizeof(folder)) || asprintf(&out, "%s/%s", folder, path) < 0)
        return NULL;
    return out;
}

int file_watch_set(struct file_watch *w, const char *const *paths, size_t n)
{
    bool fresh[FILE_WATCH_MAX] = {false};
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        char *path = i < n ? absolute(paths[i]) : NULL;
        fresh[i] = !path || !w->paths[i] || strcmp(path, w->paths[i]) != 0;
        free(w->paths[i]);
        w->paths[i] = path;
    }
    int rc = watch_all(w);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        if (fresh[i])
            w->stamps[i] = w->paths[i] ? look(w->paths[i]) : (struct stamp){0};
    }
    return rc;
}

/* ---- Events ---- */

static bool concerns(const struct file_watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        return true;
    for (size_t i = 0; i < w->n_spots; i++) {
        if (w->spots[i].wd == e->wd && (e->len == 0 || strcmp(w->spots[i].name, e->name) == 0))
            return true;
    }
    return false;
}

/* Takes all events. Returns whether one of them is about our files. */
static bool take_events(const struct file_watch *w)
{
    char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool ours = false;
    ssize_t n;
    while ((n = read(w->inotify, bytes, sizeof(bytes))) > 0) {
        const struct inotify_event *e;
        for (const char *at = bytes; at < bytes + n; at += sizeof(*e) + e->len) {
            e = (const struct inotify_event *)at;
            ours = concerns(w, e) || ours;
        }
    }
    return ours;
}

static void look_in(const struct file_watch *w, int64_t ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S}};
    timerfd_settime(w->timer, 0, &when, NULL);
}

uint64_t file_watch_read(struct file_watch *w)
{
    uint64_t count;
    uint64_t changed = 0;
    bool time = read(w->timer, &count, sizeof(count)) > 0;
    if (take_events(w)) {
        int64_t now = clock_mono_ns();
        w->first_ns = w->first_ns ? w->first_ns : now;
        if (now < w->first_ns + PATIENT_NS) {
            look_in(w, QUIET_NS);
            return 0;
        }
        time = true;
    }
    if (!time)
        return 0;
    w->first_ns = 0;
    watch_all(w); /* first: what changes after it is told again */
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct stamp now = w->paths[i] ? look(w->paths[i]) : w->stamps[i];
        if (!same_stamp(&now, &w->stamps[i]))
            changed |= UINT64_C(1) << i;
        w->stamps[i] = now;
    }
    return changed;
}
