/* Anonymous namespaces: known by the processes that live in them. A scan reads one link for each process and
 * opens only new ones: an inode not seen before, a known namespace that has lost its process. A process id
 * can be given to another process, and an inode number to another namespace, between two looks; the cookie
 * decides. */
#include "nswatch/watcher.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define SETTLE_TRIES 3
#define SLICE        512 /* processes; 2.7 to 5 µs each */

/* Learns the namespace of process |pid|. */
static int learn_of(struct watcher *w, pid_t pid, struct identity *id)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%d/ns/net", w->proc_root, (int)pid);
    return prober_learn(&w->prober, path, id);
}

/* Whether the process went away before it could be visited. */
static bool gone(int error)
{
    return error == -ENOENT || error == -ESRCH;
}

static bool by_process(const struct ns_object *o)
{
    return o->pid != 0;
}

static void add_anonymous(struct watcher *w, pid_t pid, const struct identity *id)
{
    struct ns_object *o = registry_add_anonymous(&w->registry, pid, id);
    if (o)
        o->seen_scan = w->scan;
    else
        log_limited(LOG_ERROR, "nswatch", "no memory for a namespace");
}

/* --- the scan ---------------------------------------------------------------------------------- */

static void visit_unknown(struct watcher *w, pid_t pid)
{
    struct identity id;
    int rc = learn_of(w, pid, &id);
    if (gone(rc))
        w->scan_again = true;
    else if (id.inode && !w->prober.lost && !registry_find(&w->registry, &id))
        add_anonymous(w, pid, &id);
}

static bool visit(void *arg, pid_t pid, uint64_t inode)
{
    struct watcher *w = arg;
    if (inode == w->prober.own.inode)
        return true;
    struct ns_object *o = registry_find_inode(&w->registry, inode);
    if (!o) {
        visit_unknown(w, pid);
        return !w->prober.lost;
    }
    if (!by_process(o) || o->seen_scan == w->scan)
        return true;
    struct identity id;
    if (o->pid == pid &&
        (!w->verifying || (learn_of(w, pid, &id) == 0 && registry_find(&w->registry, &id) == o))) {
        o->seen_scan = w->scan;
    } else if (o->candidate_scan != w->scan) {
        o->candidate_scan = w->scan;
        o->candidate = pid;
    }
    return !w->prober.lost;
}

/* |o| has not been seen with the process it was known by: another one lives in it, or it is gone. */
static void replace_process(struct watcher *w, struct ns_object *o)
{
    struct identity id;
    if (o->candidate_scan != w->scan) {
        registry_remove(&w->registry, o);
        return;
    }
    pid_t pid = o->candidate;
    int rc = learn_of(w, pid, &id);
    if (gone(rc)) {
        w->scan_again = true;
        return;
    }
    struct ns_object *found = registry_find(&w->registry, &id);
    if (found == o) {
        o->seen_scan = w->scan;
        registry_live_in(&w->registry, o, pid);
        return;
    }
    registry_remove(&w->registry, o);
    if (!found && id.inode && !w->prober.lost)
        add_anonymous(w, pid, &id);
}

bool processes_scanning(const struct watcher *w)
{
    return w->walk.dir != NULL;
}

void processes_begin_scan(struct watcher *w)
{
    int rc = proc_walk_open(&w->walk, w->proc_root);
    if (rc) {
        log_limited(LOG_WARN, "nswatch", "cannot read %s: %s", w->proc_root, err_name(rc));
        return;
    }
    w->walk.tell_apart = w->told_unreadable < TOLD_ORDINARY;
    w->scan++;
    w->scan_again = false;
    w->scan_took_ns = 0;
    w->verifying = w->verify;
    w->verify = false;
}

/* After the last process: a namespace that has not been seen has another process, or is gone. */
static void end_scan(struct watcher *w)
{
    list_each(at, &w->registry.objects)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_all);
        if (by_process(o) && o->seen_scan != w->scan && !w->prober.lost)
            replace_process(w, o);
    }
    w->proc_counts = w->walk.counts;
    w->proc_scans++;
    unreadable_tell(w);
}

void processes_continue_scan(struct watcher *w)
{
    int64_t start = clock_mono_ns();
    int rc = proc_walk_step(&w->walk, SLICE, visit, w);
    if (rc == 0 && !w->prober.lost)
        end_scan(w);
    else if (rc < 0)
        log_limited(LOG_WARN, "nswatch", "cannot read %s: %s", w->proc_root, err_name(rc));
    registry_flush(&w->registry);
    w->scan_took_ns += clock_mono_ns() - start;
    if (rc == 0)
        w->last_proc_ns = w->scan_took_ns;
}

bool processes_lost_one(struct watcher *w)
{
    int fd = open(w->proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool lost = false;
    list_each(at, &w->registry.objects)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_all);
        uint64_t inode;
        if (by_process(o) && (proc_ns_inode(fd, o->pid, &inode) || inode != o->inode)) {
            lost = true;
            break;
        }
    }
    if (fd >= 0)
        close(fd);
    return lost;
}

void processes_forget(struct watcher *w)
{
    proc_walk_close(&w->walk);
    list_each(at, &w->registry.objects)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_all);
        if (by_process(o))
            registry_remove(&w->registry, o);
    }
    w->proc_counts = (struct proc_counts){0};
}

/* --- orphans ----------------------------------------------------------------------------------- */

static bool visit_for_orphans(void *arg, pid_t pid, uint64_t inode)
{
    struct watcher *w = arg;
    struct ns_object *o = registry_find_inode(&w->registry, inode);
    if (o && !list_empty(&o->in_orphans) && o->candidate_search != w->search) {
        o->candidate_search = w->search;
        o->found_in_search = pid;
    }
    return true;
}

/* Decides on one orphan after a scan; false: the process found for it has gone away, look for another. */
static bool settle(struct watcher *w, struct ns_object *o)
{
    struct identity id;
    if (o->candidate_search == w->search && o->state == NSWATCH_LIVE) {
        int rc = learn_of(w, o->found_in_search, &id);
        if (gone(rc))
            return false;
        if (rc == 0 && registry_find(&w->registry, &id) == o) {
            o->seen_scan = w->scan; /* a scan at work may have passed the process before */
            registry_live_in(&w->registry, o, o->found_in_search);
            return true;
        }
    }
    registry_remove(&w->registry, o);
    return true;
}

void processes_settle_orphans(struct watcher *w)
{
    for (int i = 0; i < SETTLE_TRIES && !list_empty(&w->registry.orphans); i++) {
        struct proc_walk walk;
        w->search++;
        if (w->proc_enabled && proc_walk_open(&walk, w->proc_root) == 0)
            proc_walk_step(&walk, SIZE_MAX, visit_for_orphans, w);
        list_each(at, &w->registry.orphans)
        {
            struct ns_object *o = container_of(at, struct ns_object, in_orphans);
            settle(w, o);
        }
    }
    list_each(at, &w->registry.orphans)
        registry_remove(&w->registry, container_of(at, struct ns_object, in_orphans));
}
