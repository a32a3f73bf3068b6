/* The loop of the nswatch thread; nswatch.c explains its events. */
#include "nswatch/loop.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "nswatch/nsid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RELIST_NS        (60 * NS_PER_S)  /* everything is compared again, even without events */
#define NSID_DEBOUNCE_NS (50 * NS_PER_MS) /* the process behind a new namespace id is started by then */
/* An unmounted name is gone without an inotify event. `ip netns del` unmounts and then deletes: leave it time
 * for that. */
#define COMPARE_DEBOUNCE_NS (5 * NS_PER_MS)
/* Interval of comparing all names where changes of the mounts are not told. */
#define NO_MOUNTINFO_NS (1 * NS_PER_S)
/* Work that events ask for takes at most one part in this many of the thread's time. */
#define COMPARE_SHARE 20
#define SCAN_SHARE    5

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

void loop_deliver(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct nswatch *nw = arg;
    if (atomic_load(&nw->stopping) || (nw->w.prober.lost && event != NSWATCH_DEAD))
        return;
    if (ns)
        log_event(nw, event, ns);
    publish(nw);
    nw->callback(nw->arg, event, ns);
}

/* --- directories -------------------------------------------------------------------------------- */

/* Places watches and lists directories where that is due. */
static void work_directories(struct nswatch *nw)
{
    int64_t now_ns = clock_mono_ns();
    dirwatch_refresh(&nw->w, now_ns);
    if (nw->w.looked_by_time)
        nw->due.compare_ns = clock_earlier(nw->due.compare_ns, now_ns);
    nw->w.looked_by_time = false;
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

static bool is_wanted(const struct nswatch_settings *s, const char *path)
{
    for (size_t i = 0; i < s->dir_count; i++)
        if (!strcmp(s->dirs[i], path))
            return true;
    return false;
}

/* Moves the watcher from the directories in force to those of |s|; directories in both are not touched. */
static void apply_dirs(struct nswatch *nw, const struct nswatch_settings *s)
{
    for (size_t i = 0; i < s->dir_count; i++) {
        struct watch_dir *d = find_dir(nw, s->dirs[i]);
        if (d)
            registry_dir_set_order(&nw->w.registry, d->dir, (unsigned)i);
        else if (!dirwatch_add(&nw->w, s->dirs[i], (unsigned)i))
            log_error("nswatch", "no memory to watch %s", s->dirs[i]);
    }
    work_directories(nw);
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
    struct nswatch_settings *settings = nw->box.settings;
    bool rescan = nw->box.rescan;
    nw->tell |= nw->box.tell;
    nw->box.settings = NULL;
    nw->box.rescan = nw->box.tell = false;
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
    nw->due.compare_ns = clock_earlier(nw->due.compare_ns, now_ns + COMPARE_DEBOUNCE_NS);
}

static void on_nsid(struct nswatch *nw, int64_t now_ns)
{
    unsigned heard = nsid_read(nw->nsid);
    if (heard & (NSID_GONE | NSID_LOST)) /* a name may be a link to a process that has gone with it */
        nw->due.compare_ns = clock_earlier(nw->due.compare_ns, now_ns + COMPARE_DEBOUNCE_NS);
    if (!nw->w.proc_enabled)
        return;
    if (heard & (NSID_GONE | NSID_LOST))
        nw->due.recheck_ns = now_ns;
    if (heard & (NSID_NEW | NSID_LOST))
        nw->due.scan_ns = clock_earlier(nw->due.scan_ns, now_ns + NSID_DEBOUNCE_NS);
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
        due->scan_ns = clock_earlier(due->scan_ns, end_ns + NSID_DEBOUNCE_NS);
    due->compare_ns = clock_earlier(due->compare_ns, end_ns); /* links to processes end without an event */
}

/* Looks at the directories again: at names that may have been missed, or, if |verify|, at everything. */
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

/* One turn: does everything that is due and brings the registry up to date. */
static void turn(struct nswatch *nw)
{
    int64_t now = clock_mono_ns();
    bool verify = now >= nw->due.verify_ns, full = verify || now >= nw->due.relist_ns;
    if (full)
        work_relist(nw, now, verify);
    work_directories(nw);
    work_compare(nw);
    reconcile_touch_waiting(&nw->w, now, nw->mounts_changed);
    nw->mounts_changed = false;
    reconcile_run(&nw->w, now);
    work_processes(nw);
    if (full)
        nw->last_scan_ns = clock_mono_ns() - now;
}

/* Sets the timer to the next due time. */
static void arm(struct nswatch *nw)
{
    const struct schedule *due = &nw->due;
    int64_t next = clock_earlier(dirwatch_deadline(&nw->w), reconcile_deadline(&nw->w));
    next = clock_earlier(next, clock_earlier(due->relist_ns, due->verify_ns));
    next = clock_earlier(next, later(due->compare_ns, due->compare_not_before_ns));
    next = clock_earlier(next, later(clock_earlier(due->scan_ns, due->recheck_ns), due->scan_not_before_ns));
    if (processes_scanning(&nw->w))
        next = 1;
    next = later(next, 1); /* 0 would disarm it */
    struct itimerspec spec = {.it_value = {.tv_sec = next / NS_PER_S, .tv_nsec = next % NS_PER_S}};
    timerfd_settime(nw->fds[FROM_TIMER], TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Waits for events and takes them. */
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
        handlers[events[i].data.u64](nw, now);
}

/* A scan that was under way when the request came may have missed something; so the scan that the request
 * made due must run first. */
static void tell_reconciled(struct nswatch *nw)
{
    const struct schedule *due = &nw->due;
    bool scan_due = nw->w.proc_enabled && later(due->scan_ns, due->scan_not_before_ns) <= clock_mono_ns();
    if (!nw->tell || processes_scanning(&nw->w) || scan_due)
        return;
    nw->tell = false;
    loop_deliver(nw, NSWATCH_RECONCILED, NULL);
}

void *loop_run(void *arg)
{
    struct nswatch *nw = arg;
    if (registry_add_own(&nw->w.registry, &nw->w.prober.own))
        log_error("nswatch", "no memory for the daemon's own namespace");
    read_mailbox(nw);
    turn(nw);
    nw->synced = true;
    publish(nw);
    loop_deliver(nw, NSWATCH_SYNCED, NULL);
    while (!atomic_load(&nw->stopping) && !nw->w.prober.lost) {
        arm(nw);
        wait_and_dispatch(nw);
        turn(nw);
        publish(nw);
        tell_reconciled(nw);
    }
    if (nw->w.prober.lost)
        loop_deliver(nw, NSWATCH_DEAD, NULL);
    return NULL;
}
