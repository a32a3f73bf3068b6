/* The inside of a watcher, shared by the files of this folder. Everything here belongs to the nswatch thread
 * alone; the data that other threads may touch is in struct nswatch (nswatch.c). */
#ifndef XTCP_NSWATCH_WATCHER_H
#define XTCP_NSWATCH_WATCHER_H

#include "nswatch/identity.h"
#include "nswatch/procscan.h"
#include "nswatch/registry.h"

#include <sys/stat.h>

/* One configured directory and the watches on the way to it. */
struct watch_dir {
    struct list in_watches;
    struct ns_dir *dir;
    struct watched_path *path;
    int folder;       /* path_watch_folder when it was placed last; 0: never */
    bool stale;       /* something has happened on the way: place the watches anew */
    bool relist;      /* read the directory and look at each name */
    int told;         /* the logged reason why it cannot be watched; 0: it can */
    int64_t retry_ns; /* when it is looked at by time; 0: no need */
    int unreadable;   /* the logged reason why its names cannot be read; 0: they can, or it is missing */
};

/* The kinds of unreadable processes that have been told: each once, since they are the same at every scan. */
enum told_unreadable {
    TOLD_NOTHING,
    TOLD_ESSENTIAL, /* init and threads of the kernel: they live in the host's namespace anyway */
    TOLD_ORDINARY
};

struct watcher {
    struct registry registry;
    struct prober prober;
    struct list watches;      /* watch_dir.in_watches */
    struct path_watch *paths; /* its instance of inotify is taken when there is a directory */
    int epoll_fd;
    uint64_t epoll_data; /* the data that it is registered with there */
    bool looked_by_time; /* names may have gone without an event: compare them */
    const char *proc_root, *mountinfo_path;
    bool proc_enabled;
    struct proc_walk walk;          /* of the scan at work */
    uint64_t scan;                  /* number of the scan at work or the last one, from 1 */
    uint64_t search;                /* number of the search for orphans, from 1 */
    bool scan_again;                /* a process went away during the look at it */
    bool verify;                    /* the next scan compares cookies, not only inodes */
    bool verifying;                 /* the scan at work does */
    struct proc_counts proc_counts; /* of the last complete scan */
    enum told_unreadable told_unreadable;
    uint64_t overflows, proc_scans;
    int64_t scan_took_ns; /* the scan at work so far */
    int64_t last_proc_ns; /* the last complete one */
};

/* --- dirwatch.c: directories and their inotify watches ----------------------------------------- */

/* Watches |path| from now on; its names are touched by the next dirwatch_refresh. NULL without memory. */
struct watch_dir *dirwatch_add(struct watcher *w, const char *path, unsigned order);
/* Ends the watch; the names go with the directory. */
void dirwatch_remove(struct watcher *w, struct watch_dir *d);
/* Reads the events of inotify and touches their names. */
void dirwatch_read(struct watcher *w);
/* The mounts have changed: each path may lead elsewhere now. */
void dirwatch_compare(struct watcher *w);
/* Asks for all directories to be read again and each name to be looked at, with a visit inside. */
void dirwatch_relist_all(struct watcher *w);
/* Touches the names in the directories that are not known: those that no event has told of. */
void dirwatch_find_missed(struct watcher *w);
/* Places the watches that are stale, then lists the directories that ask for it and those whose time has
 * come. */
void dirwatch_refresh(struct watcher *w, int64_t now_ns);
/* When dirwatch_refresh wants to be called at the latest; INT64_MAX: no need. */
int64_t dirwatch_deadline(const struct watcher *w);

/* --- reconcile.c: the namespaces behind names ----------------------------------------------------- */

/* Puts |n| on the list of names that the next reconcile looks at. */
void reconcile_touch(struct watcher *w, struct ns_name *n);
/* Touches the waiting names whose time has come, and, after a change of the mounts, the newest ones whatever
 * their time. */
void reconcile_touch_waiting(struct watcher *w, int64_t now_ns, bool mounts_changed);
/* Compares each name that does not wait with the last look at it (opens nothing) and touches what has
 * changed. */
void reconcile_compare(struct watcher *w);
/* Looks at each touched name and brings the registry in line with it, orphans included. */
void reconcile_run(struct watcher *w, int64_t now_ns);
/* When the first waiting name is due; INT64_MAX: none. */
int64_t reconcile_deadline(const struct watcher *w);

/* --- propagation.c ----------------------------------------------------------------------------- */

/* Finds out whether mounts made elsewhere show in |dir|, for the text of a failure; at most once in ten
 * seconds. */
void propagation_learn(struct watcher *w, struct ns_dir *dir, int64_t now_ns);

/* --- processes.c: namespaces by the processes in them ------------------------------------------ */

/* Begins to go through /proc: finds anonymous namespaces, notices their end, gives them another process. */
void processes_begin_scan(struct watcher *w);
/* Goes on for about 2 ms, so that names do not have to wait for /proc. */
void processes_continue_scan(struct watcher *w);
bool processes_scanning(const struct watcher *w);
/* Whether an anonymous namespace has lost its process, so that a scan is due. */
bool processes_lost_one(struct watcher *w);
/* Finds out for each orphan whether a process lives in it; removes it otherwise. */
void processes_settle_orphans(struct watcher *w);
/* Forgets the anonymous namespaces (the scan has been switched off). */
void processes_forget(struct watcher *w);

/* --- unreadable.c ------------------------------------------------------------------------------ */

/* After a scan: tells which processes may not be looked into, and why, unless that has been told. */
void unreadable_tell(struct watcher *w);

#endif
