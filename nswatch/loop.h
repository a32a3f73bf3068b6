/* A running watcher: its sources, its schedule, and the requests of other threads. Shared by nswatch.c, which
 * makes and ends it, and loop.c, which runs it. */
#ifndef XTCP_NSWATCH_LOOP_H
#define XTCP_NSWATCH_LOOP_H

#include "lib/thread.h"
#include "nswatch/nswatch.h"
#include "nswatch/settings.h"
#include "nswatch/watcher.h"

#include <pthread.h>
#include <stdatomic.h>

#define NEVER INT64_MAX

struct nl_sock;

enum source { FROM_WAKE, FROM_TIMER, FROM_INOTIFY, FROM_MOUNTINFO, FROM_NSID, SOURCES };

/* Requests of other threads to the loop, and figures that they may read. */
struct mailbox {
    pthread_mutex_t lock;
    struct nswatch_settings *settings; /* to put in force; NULL: none */
    bool rescan;
    bool tell; /* when the rescan is done */
    struct nswatch_stats stats;
};

/* Times at which work is due; CLOCK_MONOTONIC, NEVER: not due. */
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

    int fds[SOURCES]; /* -1: not there; that of FROM_NSID is closed with |nsid|, that of FROM_INOTIFY is in
                         |w| */
    int epoll_fd;
    struct nl_sock *nsid;
    struct schedule due;
    int64_t proc_interval_ns;
    bool mounts_changed, synced;
    uint64_t rescans;
    bool tell; /* NSWATCH_RECONCILED once nothing is left to look at */
    int64_t last_scan_ns;
};

/* The body of the nswatch thread; |arg| is the struct nswatch. */
void *loop_run(void *arg);

/* The sink of the registry: logs the event and hands it to the callback. */
void loop_deliver(void *arg, enum nswatch_event event, const struct nswatch_ns *ns);

#endif
