/* Anonymous namespaces: known by the processes that live in them. A scan reads one link for each process and
 * opens only what is new: an inode not seen before, a known namespace that has lost its process. A process id
 * can be given to another process, and an inode number to another namespace, between two looks; what decides
 * is the cookie. */
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
        (!w->verify || (learn_of(w, pid, &id) == 0 && registry_find(&w->registry, &id) == o))) {
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

void processes_scan(struct watcher *w)
{
    int64_t start = clock_mono_ns();
    w->scan++;
    w->proc_scans++;
    w->scan_again = false;
    int rc = proc_scan(w->proc_root, visit, w, &w->proc_counts);
    if (rc) {
        log_limited(LOG_WARN, "nswatch", "cannot read %s: %s", w->proc_root, err_name(rc));
    } else {
        list_each(at, &w->registry.objects)
        {
            struct ns_object *o = container_of(at, struct ns_object, in_all);
            if (by_process(o) && o->seen_scan != w->scan && !w->prober.lost)
                replace_process(w, o);
        }
    }
    registry_flush(&w->registry);
    w->verify = false;
    w->last_proc_ns = clock_mono_ns() - start;
    if (w->proc_counts.unreadable)
        log_limited(LOG_WARN, "nswatch",
                    "the namespaces of %llu of %llu processes may not be seen: CAP_SYS_PTRACE is missing",
                    (unsigned long long)w->proc_counts.unreadable,
                    (unsigned long long)w->proc_counts.processes);
}

void processes_recheck(struct watcher *w)
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
    if (lost)
        processes_scan(w);
}

void processes_forget(struct watcher *w)
{
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
    if (o && !list_empty(&o->in_orphans) && o->candidate_scan != w->scan) {
        o->candidate_scan = w->scan;
        o->candidate = pid;
    }
    return true;
}

/* Decides on one orphan after a scan; false: the process found for it has gone away, look for another. */
static bool settle(struct watcher *w, struct ns_object *o)
{
    struct identity id;
    if (o->candidate_scan == w->scan && o->state == NSWATCH_LIVE) {
        int rc = learn_of(w, o->candidate, &id);
        if (gone(rc))
            return false;
        if (rc == 0 && registry_find(&w->registry, &id) == o) {
            o->seen_scan = w->scan;
            registry_live_in(&w->registry, o, o->candidate);
            return true;
        }
    }
    registry_remove(&w->registry, o);
    return true;
}

void processes_settle_orphans(struct watcher *w)
{
    for (int i = 0; i < SETTLE_TRIES && !list_empty(&w->registry.orphans); i++) {
        struct proc_counts counts;
        w->scan++;
        if (w->proc_enabled)
            proc_scan(w->proc_root, visit_for_orphans, w, &counts);
        list_each(at, &w->registry.orphans)
        {
            struct ns_object *o = container_of(at, struct ns_object, in_orphans);
            settle(w, o);
        }
    }
    list_each(at, &w->registry.orphans)
        registry_remove(&w->registry, container_of(at, struct ns_object, in_orphans));
}
