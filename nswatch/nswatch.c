/* The watcher: its public functions, its thread, its loop.
 *
 * Who runs what. nswatch_new and nswatch_free run on their caller's thread, while no nswatch thread exists;
 * nswatch_stop, nswatch_rescan, nswatch_set_options and nswatch_get_stats run on any thread and touch nothing
 * but struct mailbox, under its lock, and the eventfd that wakes the loop. Everything else of this folder
 * runs on the nswatch thread alone, without locks: the loop, the registry, the inotify and netlink
 * descriptors, and the callback, which is called with no lock held so that it may call back.
 *
 * Why a thread of its own. A namespace is known by its cookie, and the cookie is told only to a socket
 * inside: the thread has to go in. gRPC starts its threads from whatever thread calls it, and they would stay
 * wherever that was; so a thread that visits other namespaces never calls gRPC, and this one visits
 * (identity.c, prober_learn: in, one socket, out, 10 µs). It waits and calls back only at home. Should the
 * way home fail once, it ends and says so, rather than report the wrong namespaces as its own.
 *
 * Why nothing is held. The kernel keeps a namespace as long as anything refers to it: a descriptor (O_PATH
 * too), a socket, a thread, an inotify watch on its file. Then `ip netns del` takes the name and the
 * interfaces stay up for ever. So files are looked at with statx, links with readlink, watches are placed on
 * directories; the one moment of holding is the visit above. The price is that a path can mean something else
 * at the next use, which is why every look compares the inode, and every visit the cookie.
 *
 * What wakes the loop:
 *
 *     inotify        a name has come or gone, a directory has moved          -> look at that name, place the
 * watch anew mountinfo      some mount has changed: the file has become a namespace -> look at the names that
 * wait; soon at all rtnetlink      a namespace id was given or taken                       -> scan /proc in
 * 50 ms; check processes now timer          back-off of waiting names, scan of /proc, full relist   -> what
 * is due eventfd        stop, rescan, other options                             -> that
 *
 * Each turn of the loop ends with one reconcile_run, which alone decides what has become of a name
 * (reconcile.c). */
#include "nswatch/nswatch.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "nswatch/nsid.h"
#include "nswatch/settings.h"
#include "nswatch/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NEVER INT64_MAX

#define RELIST_NS        (60 * NS_PER_S)  /* all is compared again, whatever the events say */
#define NSID_DEBOUNCE_NS (50 * NS_PER_MS) /* the process behind a new namespace id is started by then */
/* An unmounted name is gone without an inotify event. `ip netns del` unmounts and then deletes: leave it time
 * for that. */
#define COMPARE_DEBOUNCE_NS (5 * NS_PER_MS)
#define NO_MOUNTINFO_NS                                                                                      \
    (1 * NS_PER_S) /* compare all names that often when changes of the mounts are not told */
/* Work that events ask for takes at most one part in so many of the thread's time. */
#define COMPARE_SHARE 20
#define SCAN_SHARE    5

#define PROC_ROOT_MAX 1024

enum source { FROM_WAKE, FROM_TIMER, FROM_INOTIFY, FROM_MOUNTINFO, FROM_NSID, SOURCES };

/* What other threads hand to the loop and what they may read. */
struct mailbox {
    pthread_mutex_t lock;
    struct settings *settings; /* to put in force; NULL: none */
    bool rescan;
    struct nswatch_stats stats;
};

/* When what is due; CLOCK_MONOTONIC, NEVER: not. */
struct schedule {
    int64_t relist_ns, verify_ns; /* compare the directories; visit each namespace as well */
    int64_t compare_ns, compare_not_before_ns;
    int64_t scan_ns, recheck_ns, scan_not_before_ns;
};

struct nswatch {
    struct watcher w;
    struct thread thread;
    atomic_bool stopping;
    struct mailbox box;
    nswatch_callback *callback;
    void *arg;
    char *proc_root, *mountinfo_path;

    int fds[SOURCES]; /* -1: not there; those of inotify and nsid are copies of the number */
    int epoll_fd;
    struct nl_sock *nsid;
    struct schedule due;
    int64_t proc_interval_ns;
    bool mounts_changed, synced;
    uint64_t rescans;
    int64_t last_scan_ns;
};

/* --- telling ----------------------------------------------------------------------------------- */

static void log_event(const struct nswatch *nw, enum nswatch_event event, const struct nswatch_ns *ns)
{
    enum log_level level = nw->synced ? LOG_INFO : LOG_DEBUG;
    switch (event) {
    case NSWATCH_READY:
        log_at(level, "nswatch", "ns=%s: ready cookie=%llu inode=%llu path=%s", ns->netns,
               (unsigned long long)ns->cookie, (unsigned long long)ns->inode, ns->found_at);
        break;
    case NSWATCH_REMOVED:
        log_at(ns->state == NSWATCH_LIVE ? level : LOG_DEBUG, "nswatch",
               "ns=%s: removed cookie=%llu inode=%llu path=%s", ns->netns, (unsigned long long)ns->cookie,
               (unsigned long long)ns->inode, ns->found_at);
        break;
    case NSWATCH_FAILED:
        log_limited(LOG_WARN, "nswatch", "ns=%s: %s: path=%s", ns->netns, ns->error.text, ns->found_at);
        break;
    default:
        log_debug("nswatch", "ns=%s: %s, names %zu, path=%s", ns->netns, nswatch_event_names[event],
                  ns->name_count, ns->found_at);
    }
}

static void publish(struct nswatch *nw)
{
    const struct watcher *w = &nw->w;
    struct nswatch_stats stats = w->registry.counts;
    stats.processes = w->proc_counts.processes;
    stats.pids_unreadable = w->proc_counts.unreadable;
    stats.overflows = w->overflows;
    stats.rescans = nw->rescans;
    stats.proc_scans = w->proc_scans;
    stats.last_scan_ns = nw->last_scan_ns;
    stats.last_proc_ns = w->last_proc_ns;
    stats.synced = nw->synced;
    stats.dead = w->prober.lost;
    pthread_mutex_lock(&nw->box.lock);
    nw->box.stats = stats;
    pthread_mutex_unlock(&nw->box.lock);
}

static void deliver(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct nswatch *nw = arg;
    if (atomic_load(&nw->stopping) || (nw->w.prober.lost && event != NSWATCH_DEAD))
        return;
    if (ns)
        log_event(nw, event, ns);
    publish(nw);
    nw->callback(nw->arg, event, ns);
}

/* --- options ----------------------------------------------------------------------------------- */

static struct watch_dir *find_dir(struct nswatch *nw, const char *path)
{
    list_each(at, &nw->w.watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        if (!strcmp(d->dir->path, path))
            return d;
    }
    return NULL;
}

static bool is_wanted(const struct settings *s, const char *path)
{
    for (size_t i = 0; i < s->dir_count; i++)
        if (!strcmp(s->dirs[i], path))
            return true;
    return false;
}

/* Moves the watcher from the directories in force to those of |s|; what is in both is not touched. */
static void apply_dirs(struct nswatch *nw, const struct settings *s)
{
    for (size_t i = 0; i < s->dir_count; i++) {
        struct watch_dir *d = find_dir(nw, s->dirs[i]);
        if (d)
            registry_dir_set_order(&nw->w.registry, d->dir, (unsigned)i);
        else if (!dirwatch_add(&nw->w, s->dirs[i], (unsigned)i))
            log_error("nswatch", "no memory to watch %s", s->dirs[i]);
    }
    dirwatch_refresh(&nw->w, clock_mono_ns());
    reconcile_run(&nw->w,
                  clock_mono_ns()); /* a namespace that has a name in a new directory never is without one */
    list_each(at, &nw->w.watches)
    {
        struct watch_dir *d = container_of(at, struct watch_dir, in_watches);
        if (!is_wanted(s, d->dir->path))
            dirwatch_remove(&nw->w, d);
    }
}

static void apply_interval(struct nswatch *nw, int64_t interval_ns)
{
    nw->proc_interval_ns = interval_ns;
    nw->w.proc_enabled = interval_ns > 0;
    nw->due.scan_ns = interval_ns ? 0 : NEVER;
    nw->due.recheck_ns = NEVER;
    if (!interval_ns)
        processes_forget(&nw->w);
}

static void read_mailbox(struct nswatch *nw)
{
    pthread_mutex_lock(&nw->box.lock);
    struct settings *settings = nw->box.settings;
    bool rescan = nw->box.rescan;
    nw->box.settings = NULL;
    nw->box.rescan = false;
    pthread_mutex_unlock(&nw->box.lock);
    if (settings) {
        apply_interval(nw, settings->proc_interval_ns);
        apply_dirs(nw, settings);
        free(settings);
    }
    if (rescan) {
        nw->due.verify_ns = 0;
        if (nw->w.proc_enabled) {
            nw->due.scan_ns = nw->due.scan_not_before_ns = 0;
            nw->w.verify = true;
        }
    }
}

/* --- the loop ---------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void on_wake(struct nswatch *nw, int64_t now_ns)
{
    uint64_t ignored;
    (void)now_ns;
    if (read(nw->fds[FROM_WAKE], &ignored, sizeof(ignored)) < 0)
        return;
    read_mailbox(nw);
}

static void on_timer(struct nswatch *nw, int64_t now_ns)
{
    uint64_t ignored;
    (void)now_ns;
    if (read(nw->fds[FROM_TIMER], &ignored, sizeof(ignored)) < 0)
        return; /* disarmed meanwhile */
}

static void on_inotify(struct nswatch *nw, int64_t now_ns)
{
    (void)now_ns;
    dirwatch_read(&nw->w);
}

static void on_mountinfo(struct nswatch *nw, int64_t now_ns)
{
    nw->mounts_changed = true;
    dirwatch_compare(&nw->w);
    nw->due.compare_ns = earlier(nw->due.compare_ns, now_ns + COMPARE_DEBOUNCE_NS);
}

static void on_nsid(struct nswatch *nw, int64_t now_ns)
{
    unsigned heard = nsid_read(nw->nsid);
    if (heard & (NSID_GONE | NSID_LOST)) /* a name may be a link to a process that has gone with it */
        nw->due.compare_ns = earlier(nw->due.compare_ns, now_ns + COMPARE_DEBOUNCE_NS);
    if (!nw->w.proc_enabled)
        return;
    if (heard & (NSID_GONE | NSID_LOST))
        nw->due.recheck_ns = now_ns;
    if (heard & (NSID_NEW | NSID_LOST))
        nw->due.scan_ns = earlier(nw->due.scan_ns, now_ns + NSID_DEBOUNCE_NS);
}

static void work_compare(struct nswatch *nw)
{
    int64_t now_ns = clock_mono_ns();
    if (now_ns < later(nw->due.compare_ns, nw->due.compare_not_before_ns))
        return;
    reconcile_compare(&nw->w);
    int64_t end = clock_mono_ns();
    nw->due.compare_ns = nw->fds[FROM_MOUNTINFO] < 0 ? end + NO_MOUNTINFO_NS : NEVER;
    nw->due.compare_not_before_ns = end + COMPARE_SHARE * (end - now_ns);
}

static void work_processes(struct nswatch *nw)
{
    int64_t now_ns = clock_mono_ns();
    struct schedule *due = &nw->due;
    if (!processes_scanning(&nw->w)) {
        bool recheck = now_ns >= due->recheck_ns;
        if (now_ns < due->scan_not_before_ns || (now_ns < due->scan_ns && !recheck))
            return;
        due->recheck_ns = NEVER;
        if (now_ns < due->scan_ns && !processes_lost_one(&nw->w))
            return;
        due->scan_ns = now_ns + nw->proc_interval_ns;
        processes_begin_scan(&nw->w);
        if (!processes_scanning(&nw->w))
            return;
    }
    do
        processes_continue_scan(&nw->w);
    while (!nw->synced && processes_scanning(&nw->w)); /* the first scan in one go */
    if (processes_scanning(&nw->w))
        return;
    int64_t end_ns = clock_mono_ns();
    due->scan_not_before_ns = end_ns + SCAN_SHARE * nw->w.last_proc_ns;
    due->scan_ns = later(due->scan_ns, due->scan_not_before_ns);
    if (nw->w.scan_again)
        due->scan_ns = earlier(due->scan_ns, end_ns + NSID_DEBOUNCE_NS);
    due->compare_ns = earlier(due->compare_ns, end_ns); /* links to processes end without an event */
}

/* Looks at the directories again: at what may have been missed, or, if |verify|, at everything. */
static void work_relist(struct nswatch *nw, int64_t now_ns, bool verify)
{
    nw->due.relist_ns = now_ns + RELIST_NS;
    nw->due.verify_ns = NEVER;
    nw->due.compare_ns = nw->due.compare_not_before_ns = now_ns;
    nw->rescans++;
    dirwatch_compare(&nw->w);
    if (verify)
        dirwatch_relist_all(&nw->w);
    else
        dirwatch_find_missed(&nw->w);
}

/* One turn: does what is due and brings the registry up to date. */
static void turn(struct nswatch *nw)
{
    int64_t now = clock_mono_ns();
    bool verify = now >= nw->due.verify_ns, full = verify || now >= nw->due.relist_ns;
    if (full)
        work_relist(nw, now, verify);
    dirwatch_refresh(&nw->w, now);
    work_compare(nw);
    reconcile_touch_waiting(&nw->w, now, nw->mounts_changed);
    nw->mounts_changed = false;
    reconcile_run(&nw->w, now);
    work_processes(nw);
    if (full)
        nw->last_scan_ns = clock_mono_ns() - now;
}

/* Sets the timer to what is due next. */
static void arm(struct nswatch *nw)
{
    const struct schedule *due = &nw->due;
    int64_t next = earlier(dirwatch_deadline(&nw->w), reconcile_deadline(&nw->w));
    next = earlier(next, earlier(due->relist_ns, due->verify_ns));
    next = earlier(next, later(due->compare_ns, due->compare_not_before_ns));
    next = earlier(next, later(earlier(due->scan_ns, due->recheck_ns), due->scan_not_before_ns));
    if (processes_scanning(&nw->w))
        next = 1;
    next = later(next, 1); /* 0 would disarm it */
    struct itimerspec spec = {.it_value = {.tv_sec = next / NS_PER_S, .tv_nsec = next % NS_PER_S}};
    timerfd_settime(nw->fds[FROM_TIMER], TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Waits and takes what has come. */
static void wait_and_dispatch(struct nswatch *nw)
{
    static void (*const handlers[SOURCES])(struct nswatch *, int64_t) = {
        [FROM_WAKE] = on_wake,           [FROM_TIMER] = on_timer, [FROM_INOTIFY] = on_inotify,
        [FROM_MOUNTINFO] = on_mountinfo, [FROM_NSID] = on_nsid,
    };
    struct epoll_event events[SOURCES];
    int n = epoll_wait(nw->epoll_fd, events, SOURCES, -1);
    int64_t now = clock_mono_ns();
    for (int i = 0; i < n; i++)
        handlers[events[i].data.u32](nw, now);
}

static void *run(void *arg)
{
    struct nswatch *nw = arg;
    if (registry_add_own(&nw->w.registry, &nw->w.prober.own))
        log_error("nswatch", "no memory for the daemon's own namespace");
    read_mailbox(nw);
    turn(nw);
    nw->synced = true;
    publish(nw);
    deliver(nw, NSWATCH_SYNCED, NULL);
    while (!atomic_load(&nw->stopping) && !nw->w.prober.lost) {
        arm(nw);
        wait_and_dispatch(nw);
        turn(nw);
        publish(nw);
    }
    if (nw->w.prober.lost)
        deliver(nw, NSWATCH_DEAD, NULL);
    return NULL;
}

/* --- life -------------------------------------------------------------------------------------- */

static int watch_source(struct nswatch *nw, enum source source, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = source};
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
    int rc = watch_source(nw, FROM_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), EPOLLIN);
    if (!rc)
        rc = watch_source(nw, FROM_TIMER, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                          EPOLLIN);
    if (!rc)
        rc = watch_source(nw, FROM_INOTIFY, inotify_init1(IN_CLOEXEC | IN_NONBLOCK), EPOLLIN);
    if (rc)
        return rc;
    nw->w.inotify_fd = nw->fds[FROM_INOTIFY];
    open_helpers(nw);
    return 0;
}

/* The strings, the memory and the registry; 0 or -errno. */
static int prepare(struct nswatch *nw, const struct nswatch_options *options)
{
    nw->proc_root = strdup(options->proc_root ? options->proc_root : "/proc");
    nw->mountinfo_path = strdup(options->mountinfo_path ? options->mountinfo_path : "/proc/self/mountinfo");
    nw->w.inotify_buffer = malloc(INOTIFY_BUFFER);
    if (!nw->proc_root || !nw->mountinfo_path || !nw->w.inotify_buffer)
        return -ENOMEM;
    nw->w.proc_root = nw->proc_root;
    nw->w.mountinfo_path = nw->mountinfo_path;
    int rc = registry_init(&nw->w.registry, nw->proc_root, deliver, nw);
    if (!rc)
        rc = prober_init(&nw->w.prober);
    return rc;
}

struct nswatch *nswatch_new(const struct nswatch_options *options, nswatch_callback *callback, void *arg,
                            struct err *e)
{
    struct settings *settings;
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
    nw->w.prober.home_fd = nw->epoll_fd = -1;
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
    return thread_start(&nw->thread, "nswatch", 0, run, nw);
}

static void wake(struct nswatch *nw)
{
    uint64_t one = 1;
    ssize_t n = write(nw->fds[FROM_WAKE], &one, sizeof(one));
    (void)n; /* EAGAIN: the counter is full, so it is awake already */
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
    free(nw->w.inotify_buffer);
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

int nswatch_set_options(struct nswatch *nw, const struct nswatch_options *options, struct err *e)
{
    struct settings *settings;
    if (options->proc_root && strcmp(options->proc_root, nw->proc_root))
        return err_set(e, ERR_PRECONDITION, "the path of /proc cannot be changed while running");
    if (options->mountinfo_path && strcmp(options->mountinfo_path, nw->mountinfo_path))
        return err_set(e, ERR_PRECONDITION, "the path of mountinfo cannot be changed while running");
    int rc = settings_new(options, &settings, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&nw->box.lock);
    struct settings *unused = nw->box.settings;
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
