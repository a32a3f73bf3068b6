#include "server/live/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/linux/path_watch.h"

/* Changes come in groups: a certificate and its key, a file and its new name. */
#define QUIET_NS   (200 * NS_PER_MS)
#define PATIENT_NS (2 * NS_PER_S) /* after the first change of a group, however many follow */

struct file {
    char *path; /* absolute; NULL: none */
    struct watched_path *watched;
    struct file_stamp told; /* what it was when a change was told last */
    struct file_stamp seen; /* at the last look */
};

struct file_watch {
    struct path_watch *paths;
    int timer;
    int both; /* epoll, for one descriptor that the caller waits for */
    struct file files[FILE_WATCH_MAX];
    bool on;
    bool by_time;     /* some changes are not told by the kernel */
    bool news;        /* the kernel has told of one of the files */
    int64_t first_ns; /* of the group of changes that goes on; 0: none does */
};

int file_watch_new(struct file_watch **out)
{
    struct file_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->paths = path_watch_new();
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->both = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    int rc = w->paths ? 0 : -ENOMEM;
    if (rc == 0 && (w->timer < 0 || w->both < 0 || epoll_ctl(w->both, EPOLL_CTL_ADD, w->timer, &event) != 0))
        rc = -errno;
    if (rc) {
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
    path_watch_free(w->paths);
    if (w->timer >= 0)
        close(w->timer);
    if (w->both >= 0)
        close(w->both);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        free(w->files[i].path);
    free(w);
}

int file_watch_fd(const struct file_watch *w)
{
    return w->both;
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

/* ---- Watches ---- */

/* Watches all paths as they are now. Returns 0, or the reason why some changes will not be told. */
static int watch_all(struct file_watch *w)
{
    bool any = false;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        any = any || w->files[i].path;
    if (!any || !w->on) {
        path_watch_close(w->paths);
        return 0;
    }
    int result = path_watch_open(w->paths, w->both, 0);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct file *f = &w->files[i];
        if (f->path && !f->watched)
            f->watched = path_watch_add(w->paths, f->path, PATH_FILE, w);
        int rc = !f->path ? 0 : f->watched ? path_watch_place(w->paths, f->watched) : -ENOMEM;
        result = result ? result : rc; /* without an instance, the first code is the reason */
    }
    return result;
}

static void look_in(const struct file_watch *w, int64_t ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S}};
    timerfd_settime(w->timer, 0, &when, NULL);
}

/* Watches anew; where that fails, looks at the files by time. */
static int watch_again(struct file_watch *w)
{
    int rc = watch_all(w);
    w->by_time = rc != 0;
    look_in(w, rc ? FILE_WATCH_INTERVAL_NS : 0);
    return rc;
}

/* Whether the files differ from the last look. */
static bool look_again(struct file_watch *w)
{
    bool differ = false;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct file_stamp now = file_stamp(w->files[i].path);
        differ = differ || !file_stamp_same(&now, &w->files[i].seen);
        w->files[i].seen = now;
    }
    return differ;
}

/* The files that have changed since they were told last, as bits. */
static uint64_t tell(struct file_watch *w)
{
    uint64_t changed = 0;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct file *f = &w->files[i];
        if (!file_stamp_same(&f->seen, &f->told))
            changed |= UINT64_C(1) << i;
        f->told = f->seen;
    }
    return changed;
}

int file_watch_set(struct file_watch *w, const char *const *paths, size_t n, bool on)
{
    bool fresh[FILE_WATCH_MAX] = {false};
    bool resumed = on && !w->on;
    w->on = on;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        struct file *f = &w->files[i];
        char *path = i < n ? absolute(paths[i]) : NULL;
        fresh[i] = !path || !f->path || strcmp(path, f->path) != 0;
        if (fresh[i] && f->watched) {
            path_watch_remove(w->paths, f->watched);
            f->watched = NULL;
        }
        free(f->path);
        f->path = path;
    }
    int rc = watch_again(w);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++) {
        if (fresh[i])
            w->files[i].told = w->files[i].seen = file_stamp(w->files[i].path);
    }
    if (resumed && look_again(w))
        w->first_ns = clock_mono_ns();
    if (w->first_ns && on)
        look_in(w, QUIET_NS); /* a change that is not told yet */
    return rc;
}

void file_watch_known(struct file_watch *w)
{
    look_again(w);
    tell(w);
}

/* ---- Changes ---- */

static void on_path(void *arg, void *owner)
{
    (void)owner;
    ((struct file_watch *)arg)->news = true;
}

static void on_lost(void *arg)
{
    ((struct file_watch *)arg)->news = true;
}

uint64_t file_watch_read(struct file_watch *w)
{
    static const struct path_news news = {.path = on_path, .lost = on_lost};
    uint64_t count;
    bool due = read(w->timer, &count, sizeof(count)) > 0;
    w->news = false;
    path_watch_read(w->paths, &news, w);
    bool moving = w->news || (due && w->by_time && look_again(w));
    if (moving) {
        int64_t now = clock_mono_ns();
        w->first_ns = w->first_ns ? w->first_ns : now;
        if (now < w->first_ns + PATIENT_NS) {
            look_in(w, QUIET_NS);
            return 0;
        }
    } else if (!due) {
        return 0;
    }
    w->first_ns = 0;
    watch_again(w); /* first: later changes are told again */
    look_again(w);
    return tell(w);
}
