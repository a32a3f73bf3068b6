/* The registry of everything known: directories, the names in them, the namespaces (objects) behind the
 * names. Pure bookkeeping: no system call, no clock but the times it is handed, no lock; the nswatch thread
 * owns it.
 *
 * Every name belongs to exactly one object. A name whose namespace is not known yet has a placeholder: an
 * object without inode. Resolving a name (registry_resolve) turns its placeholder into a namespace, or drops
 * it and adds the name to the object that is already there. An object that has lost its last name is an
 * orphan until the owner has found out whether a process still lives in it (registry_live_in) or not
 * (registry_remove).
 *
 * Events go to the sink at once, but for CHANGED, which registry_flush sends: once, however much has changed. */
#ifndef XTCP_NSWATCH_REGISTRY_H
#define XTCP_NSWATCH_REGISTRY_H

#include "nswatch/identity.h"
#include "nswatch/list.h"
#include "nswatch/nswatch.h"

struct ns_dir {
    struct list in_dirs;
    struct list names; /* ns_name.in_dir */
    char *path;
    unsigned order;

    /* Of propagation.c. */
    bool private_mount; /* mounts made in other mount namespaces do not show in this directory */
    int64_t known_until_ns;
};

struct ns_name {
    struct list in_dir, in_waiting, in_touched;
    struct table_link by_name;
    struct ns_name *sibling; /* the object's next name */
    struct ns_dir *dir;
    struct ns_object *object;
    const char *name;  /* the end of |path| */
    const char *label; /* the end of |text| */
    char *path;        /* dir/name as the kernel knows it */
    char *text;        /* dir/name escaped; may be |path| itself */

    /* Of reconcile.c: the last look at the file, and the waiting for it to become a namespace. */
    uint64_t inode, mount_id;
    bool is_nsfs;
    bool created; /* an event spoke of this name since the last look */
    bool waiting; /* in the list of names that are looked at again soon */
    bool waited;  /* has been in it until the end */
    bool quiet;   /* the plain file that an unmounted namespace leaves: waits without a log line */
    int look_error;
    int64_t next_ns, give_up_ns, back_off_ns;
};

struct ns_object {
    struct list in_all, in_orphans;
    struct list in_changed;     /* CHANGED is due */
    struct table_link by_inode; /* linked while inode is not 0 */
    struct ns_name *names;      /* sorted: order of the directories, then of the alphabet */
    size_t name_count;
    uint64_t id, cookie, inode;
    enum nswatch_state state;
    int error;
    bool own;
    bool told; /* the sink has heard of it */
    pid_t pid; /* the process that it is known by when it has no name */
    int64_t since_ns;
    char *last_text, *last_path; /* of the last name, for REMOVED */
    const char *last_label;      /* the end of |last_text| */

    /* Of processes.c. */
    uint64_t seen_scan, candidate_scan, candidate_search;
    pid_t candidate;       /* of the scan candidate_scan */
    pid_t found_in_search; /* of the search candidate_search */
};

typedef void registry_sink(void *arg, enum nswatch_event event, const struct nswatch_ns *ns);

struct registry {
    struct list dirs, objects, orphans, changed;
    struct list waiting; /* ns_name.in_waiting, newest first */
    struct list touched; /* ns_name.in_touched: to be looked at in this round */
    struct table by_inode, by_name;
    uint64_t next_id;
    const char *proc_root;
    registry_sink *sink;
    void *arg;
    struct nswatch_name *scratch; /* the names of the object that is being told */
    size_t scratch_size;
    struct nswatch_stats counts; /* namespaces, anonymous, pending, failed, not_permitted, added, removed */
};

/* |proc_root| must outlive the registry. Returns 0 or -ENOMEM. */
int registry_init(struct registry *r, const char *proc_root, registry_sink *sink, void *arg);
/* Frees all, tells nothing. */
void registry_fini(struct registry *r);

/* A directory |path| (copied), NULL without memory; directories with a lower |order| come first. */
struct ns_dir *registry_dir_add(struct registry *r, const char *path, unsigned order);
void registry_dir_set_order(struct registry *r, struct ns_dir *dir, unsigned order);
/* Forgets the directory and all of its names. */
void registry_dir_remove(struct registry *r, struct ns_dir *dir);

/* The name |name| in |dir|, or NULL. */
struct ns_name *registry_name_find(struct registry *r, const struct ns_dir *dir, const char *name);
/* A new name with a placeholder that nobody has been told of; NULL without memory. */
struct ns_name *registry_name_add(struct registry *r, struct ns_dir *dir, const char *name);
/* Forgets a name that is gone. */
void registry_name_remove(struct registry *r, struct ns_name *n);
/* Takes a name that stands for something else now from its object and gives it a placeholder. Without memory
 * the name is removed and false returned. */
bool registry_name_reset(struct registry *r, struct ns_name *n);
/* Whether a namespace is known behind the name. */
bool registry_name_known(const struct ns_name *n);

/* ADDED: the name is there, the namespace not yet. Nothing when it has been told. */
void registry_announce(struct registry *r, struct ns_name *n);
/* FAILED: the placeholder of |n| will not become a namespace for the reason |error|. */
void registry_give_up(struct registry *r, struct ns_name *n, int error);
/* |n| is a file of nsfs with identity |id| (or with id->error). |may_create| false: only if the namespace is
 * known. Returns whether it was done. */
bool registry_resolve(struct registry *r, struct ns_name *n, const struct identity *id, bool may_create);

/* The object with the identity |id|, or NULL. */
struct ns_object *registry_find(struct registry *r, const struct identity *id);
/* The newest object with that inode, or NULL. */
struct ns_object *registry_find_inode(struct registry *r, uint64_t inode);

/* READY of the daemon's own namespace. Returns 0 or -ENOMEM. */
int registry_add_own(struct registry *r, const struct identity *id);
/* READY or FAILED of a namespace known by process |pid| alone; NULL without memory. */
struct ns_object *registry_add_anonymous(struct registry *r, pid_t pid, const struct identity *id);
/* |o| has no name and is known by process |pid| from now on. */
void registry_live_in(struct registry *r, struct ns_object *o, pid_t pid);
/* REMOVED. |o| must have no names; it is freed. */
void registry_remove(struct registry *r, struct ns_object *o);

/* Sends the CHANGED events that are due. */
void registry_flush(struct registry *r);

#endif
