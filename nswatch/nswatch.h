/* nswatch finds the network namespaces of this host, and notices when they come and go.
 *
 * Three places are watched: directories in which namespaces have names (/run/netns, /run/docker/netns: each
 * name is a bind mount), the processes of /proc (a namespace without a name is "anonymous"), and the daemon's
 * own namespace. A watcher is one thread called "nswatch"; it tells everything it finds to one callback.
 * Nothing is held: a namespace that is deleted elsewhere really dies.
 *
 *     nswatch_new -> nswatch_start -> (callbacks) -> nswatch_stop -> nswatch_join -> nswatch_free
 *
 * The life of one namespace, as the callback sees it (the id is the same in all of these):
 *
 *     ADDED     a name has appeared; what is behind it is not a namespace yet (the mount follows the file)
 *     READY     it is a namespace and its identity is known: a collector may start. Comes without ADDED when
 *               there was nothing to wait for
 *     CHANGED   names, kind or path have changed: a second name, a name gone, another process behind it
 *     FAILED    did not become a namespace in time, or cannot be entered. READY follows should it heal
 *     REMOVED   gone: the last event of this id, also after ADDED or FAILED alone. Shows the last label and
 *               path and no names. A name that turns out to be another name of a known namespace ends so,
 *               followed by CHANGED of that namespace
 *
 * A namespace without a name and without a process whose main thread lives in it (only a second thread, a socket or an open
 * descriptor) is not seen: such a namespace counts as gone. */
#ifndef XTCP_NSWATCH_NSWATCH_H
#define XTCP_NSWATCH_NSWATCH_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum nswatch_kind {
    NSWATCH_OWN,       /* the daemon's own; may have names as well */
    NSWATCH_NAMED,     /* has a name in one of the directories */
    NSWATCH_ANONYMOUS, /* known by a process that lives in it alone */
    NSWATCH_KINDS
};

enum nswatch_state {
    NSWATCH_PENDING, /* a name, not yet a namespace */
    NSWATCH_LIVE,    /* identity known, can be entered */
    NSWATCH_BROKEN,  /* see error */
    NSWATCH_STATES
};

/* "own", "named", "anonymous", by the enum. */
extern const char *const nswatch_kind_names[NSWATCH_KINDS];

/* One name of a namespace. */
struct nswatch_name {
    const char *dir;  /* the directory, as it was configured */
    const char *name; /* the file in it, byte for byte: anything but '/' and NUL */
    const char *text; /* dir/name for people and records: valid UTF-8 without control characters, see
                         nswatch_ns.netns */
};

/* A namespace as it is at the moment of the event. Belongs to nswatch and is valid during the callback only;
 * nswatch_ns_copy makes one to keep. */
struct nswatch_ns {
    uint64_t id;     /* ours: never used twice by one watcher, never 0 */
    uint64_t cookie; /* the identity (SO_NETNS_COOKIE); 0: not known, or the kernel (before 5.14) has none */
    uint64_t inode;  /* of nsfs; 0: not known. The identity where there is no cookie */
    enum nswatch_kind kind;
    enum nswatch_state state;
    /* The label in records: "default" (own), the file's name (of several the first by the order of the
     * directories, then of the alphabet; with its directory where it is "default"), "netns:[INODE]"
     * (anonymous). Bytes that are control characters, backslash or not UTF-8 are written as \xNN. */
    const char *netns;
    const char *path;     /* file to open to enter it, byte for byte: "/run/netns/blue", "/proc/123/ns/net" */
    const char *found_at; /* |path| for people, escaped as |netns| */
    pid_t pid;            /* the process behind |path| of an anonymous one, else 0 */
    int64_t since_ns;     /* CLOCK_REALTIME of the first event of this id */
    const struct nswatch_name *names; /* all its names, in the order described at |netns| */
    size_t name_count;
    struct err error; /* NSWATCH_BROKEN: the code (-errno or ERR_*) and one sentence; else code 0 */
};

/* A copy of |ns| in one piece of memory, for free(3); NULL without memory. Any thread that may read |ns|. */
struct nswatch_ns *nswatch_ns_copy(const struct nswatch_ns *ns);

enum nswatch_event {
    NSWATCH_ADDED,
    NSWATCH_READY,
    NSWATCH_CHANGED,
    NSWATCH_FAILED,
    NSWATCH_REMOVED,
    NSWATCH_SYNCED,     /* once: everything that was there at the start has been told. |ns| is NULL */
    NSWATCH_RECONCILED, /* nswatch_reconcile asked for it. |ns| is NULL */
    NSWATCH_DEAD,       /* the last of all, never in ordinary life: the thread could not go back to the host's
                         * namespace and ends rather than work in a wrong one. |ns| is NULL. This one event comes
                         * from that wrong namespace: only note it and wake another thread */
    NSWATCH_EVENTS
};

/* "added", "ready", …: indexed by the enum. */
extern const char *const nswatch_event_names[NSWATCH_EVENTS];

/* Called on the nswatch thread, always from the host's namespace (but for NSWATCH_DEAD), without any lock
 * held. Must not wait for long (nothing is seen meanwhile) and must not call nswatch_join or nswatch_free;
 * every other function here is allowed. */
typedef void nswatch_callback(void *arg, enum nswatch_event event, const struct nswatch_ns *ns);

struct nswatch_options {
    /* |dir_count| absolute paths, at most NSWATCH_DIRS_MAX. They need not exist; earlier ones win in
     * nswatch_ns.netns. */
    const char *const *dirs;
    size_t dir_count;
    /* Between scans of /proc, from NSWATCH_PROC_INTERVAL_MIN_NS; 0: no anonymous namespaces. */
    int64_t proc_interval_ns;
    const char *proc_root;      /* NULL: "/proc" */
    const char *mountinfo_path; /* NULL: "/proc/self/mountinfo" */
};

#define NSWATCH_DIRS_MAX             64
#define NSWATCH_PROC_INTERVAL_NS     10000000000LL /* a good default */
#define NSWATCH_PROC_INTERVAL_MIN_NS 10000000LL

struct nswatch;

/* A watcher, not yet running. |options| are copied. |callback| gets |arg|. Call from a thread that is in the
 * host's namespace. On failure returns NULL and fills |e| (relative path, too many directories, negative
 * interval, no memory, no descriptors). The caller owns it: nswatch_free. */
struct nswatch *nswatch_new(const struct nswatch_options *options, nswatch_callback *callback, void *arg,
                            struct err *e);

/* Starts the thread; the first callback is READY of the own namespace. All signals must be blocked before.
 * Returns 0 or -errno. Once, by the owner. */
int nswatch_start(struct nswatch *nw);

/* Asks the thread to end; returns at once. At most the callback that is running is finished. Any thread, any
 * number of times. */
void nswatch_stop(struct nswatch *nw);

/* Waits for the end of the thread, after nswatch_stop. No callback comes afterwards. The owner; not from the
 * callback. */
void nswatch_join(struct nswatch *nw);

/* Frees the watcher, stopping and joining first where that has not been done. |nw| may be NULL. No REMOVED
 * events come. */
void nswatch_free(struct nswatch *nw);

/* Asks for everything to be looked at again now: all directories, /proc, and the identity of each namespace
 * (for a collector that has found an unexpected cookie behind a path). Requests that come together are one.
 * Any thread. */
void nswatch_rescan(struct nswatch *nw);

/* The same, and NSWATCH_RECONCILED tells when it has been done and everything found has been told. Any
 * thread. */
void nswatch_reconcile(struct nswatch *nw);

/* Puts other directories and another interval in force: namespaces whose last name goes with a directory are
 * removed (or become anonymous), those in new directories are added, all the rest stay untouched. proc_root
 * and mountinfo_path must be those of nswatch_new, or NULL. Returns 0, or a negative code with |e| as
 * nswatch_new, ERR_PRECONDITION when one of the two paths differs. Takes effect on the nswatch thread soon
 * after the return. Any thread. */
int nswatch_set_options(struct nswatch *nw, const struct nswatch_options *options, struct err *e);

struct nswatch_stats {
    uint64_t namespaces;      /* live now, the own one included */
    uint64_t anonymous;       /* of these without a name */
    uint64_t pending;         /* names that wait to become a namespace */
    uint64_t failed;          /* namespaces and names in state BROKEN now */
    uint64_t processes;       /* seen by the last scan of /proc */
    uint64_t pids_unreadable; /* of these, processes whose namespace we may not see (CAP_SYS_PTRACE) */
    uint64_t not_permitted;   /* of |failed|, those that only need CAP_SYS_ADMIN */
    uint64_t overflows;       /* times the inotify queue overflowed, since the start */
    uint64_t rescans;         /* full relists of the directories, since the start */
    uint64_t proc_scans;      /* scans of /proc, since the start */
    int64_t last_scan_ns;     /* duration of the last full relist, with /proc if that was part of it */
    int64_t last_proc_ns;     /* duration of the last scan of /proc */
    uint64_t added, removed;  /* READY and REMOVED events of live namespaces, since the start */
    bool synced;              /* the first scan is finished */
    bool dead;                /* NSWATCH_DEAD has been told */
};

/* The figures of now. Any thread. */
void nswatch_get_stats(struct nswatch *nw, struct nswatch_stats *out);

#endif
