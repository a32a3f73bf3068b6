/* A small world for tests with real namespaces: mount, network and process namespaces of its own, a tmpfs of
 * its own, a watcher in it and a record of what the watcher has told. All of it ends with the process. */
#ifndef XTCP_TESTS_NSWATCH_WORLD_H
#define XTCP_TESTS_NSWATCH_WORLD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "nswatch/nswatch.h"

#define WORLD_ROOT "/mnt" /* the tmpfs */
#define WORLD_DIR  "/mnt/netns"

/* How long a test waits for what must come; sanitizers and a busy machine included. */
#define WORLD_PATIENCE_NS 20000000000LL
/* How long a test watches that something does not come. */
#define WORLD_QUIET_NS 300000000LL

/* Runs |tests| as the first process of a world of its own; ends the process with the result, or with 77 and a
 * reason where that needs a capability we do not have. Call from main, before any thread. */
int world_run(int (*tests)(void));

/* --- namespaces -------------------------------------------------------------------------------- */

/* Makes a namespace and mounts it on the file |path|, as `ip netns add` does. Returns its inode. */
uint64_t world_add(const char *path);
/* When the last world_mount asked for its mount; CLOCK_MONOTONIC. */
extern int64_t world_mounted_ns;
/* The second half of world_add: mounts a new namespace on the existing file |path|. */
uint64_t world_mount(const char *path);
/* The first half: an empty file. */
void world_file(const char *path);
/* Mounts the namespace |from| on the new file |path|, as `ip netns attach` does. */
void world_attach(const char *from, const char *path);
/* Unmounts and deletes, as `ip netns del` does. */
void world_delete(const char *path);
/* A process in a new namespace. Returns its pid; |inode| of the namespace. */
pid_t world_process(uint64_t *inode);
/* A process in the namespace |path|. */
pid_t world_process_in(const char *path);
void world_kill(pid_t pid);
/* Runs |command| by the shell; returns whether it ended well. */
bool world_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For the end of every test: stops the watcher of one that failed, removes everything in and under the tmpfs
 * but the empty WORLD_DIR. */
int world_clean(void **state);

/* --- the record -------------------------------------------------------------------------------- */

struct told {
    enum nswatch_event event;
    struct nswatch_ns *ns; /* NULL: SYNCED, DEAD */
    int64_t at_ns;         /* CLOCK_MONOTONIC */
    uint64_t home;         /* inode of the namespace the callback was called in */
};

struct record {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct told *told;
    size_t count, size;
    size_t next; /* where the next record_expect begins to look */
    struct nswatch *nw;
};

/* Starts a watcher (|r| is static: a failed test leaves it to world_clean) on |count| directories and waits
 * until it is in sync. */
void record_start(struct record *r, const char *const *dirs, size_t count, int64_t proc_interval_ns);
/* The same on WORLD_DIR alone. */
void record_start_dir(struct record *r, int64_t proc_interval_ns);
void record_start_options(struct record *r, const struct nswatch_options *options);
void record_stop(struct record *r);

/* Waits for the next event |event| of a namespace called |netns| (NULL: any), after the one found last; fails
 * with all that was told when it does not come. The result lives until record_stop. */
const struct told *record_expect(struct record *r, enum nswatch_event event, const char *netns);
/* Looks from the first event on again. */
void record_rewind(struct record *r);
/* Fails if |event| of |netns| comes, or has come after the last one found, within WORLD_QUIET_NS. */
void record_expect_none(struct record *r, enum nswatch_event event, const char *netns);
/* How many of |event| (of |netns|, unless NULL) have been told so far. */
size_t record_count(struct record *r, enum nswatch_event event, const char *netns);
/* The same of the namespace |id|: a name that waits for its mount is one of its own meanwhile. */
size_t record_count_id(struct record *r, enum nswatch_event event, uint64_t id);
/* Waits until |n| of |event| have been told. */
void record_wait_count(struct record *r, enum nswatch_event event, size_t n);

#endif
