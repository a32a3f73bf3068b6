#include "nswatch_world.h"

#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static struct record *running; /* the watcher of the test at work */

static void must(bool done, const char *what)
{
    if (!done) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        fail_msg("%s", what);
    }
}

/* The exit code of |pid|; 1 when it has none. */
static int wait_for(pid_t pid)
{
    int status;
    if (pid < 0)
        return 1;
    while (waitpid(pid, &status, 0) != pid)
        if (errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static _Noreturn void first_process(int (*tests)(void))
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL) ||
        mount("tmpfs", WORLD_ROOT, "tmpfs", 0, NULL) || mkdir(WORLD_DIR, 0755)) {
        perror("cannot build a world for the test");
        _exit(1);
    }
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    log_set(getenv("XTCP_TEST_LOG") ? LOG_DEBUG : LOG_ERROR, LOG_TEXT);
    /* The first process of a process namespace cannot be stopped, as the leak checker wants to; the second
     * can. */
    pid_t pid = fork();
    if (pid == 0)
        exit(tests());
    _exit(wait_for(pid)); /* without the leak checker, which the test has run */
}

int world_run(int (*tests)(void))
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)) {
        printf("skipped: namespaces cannot be made: %s\n", strerror(errno));
        return SKIPPED;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        first_process(tests);
    _exit(wait_for(pid));
}

/* --- namespaces -------------------------------------------------------------------------------- */

void world_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    must(fd >= 0, path);
    close(fd);
}

struct mounting {
    const char *path;
    uint64_t inode; /* 0: failed */
};

int64_t world_mounted_ns;

static void *mount_new(void *arg)
{
    struct mounting *m = arg;
    uint64_t inode;
    bool made = unshare(CLONE_NEWNET) == 0 && netns_inode("/proc/thread-self/ns/net", &inode) == 0;
    world_mounted_ns = clock_mono_ns();
    if (made && mount("/proc/thread-self/ns/net", m->path, NULL, MS_BIND, NULL) == 0)
        m->inode = inode;
    return NULL;
}

uint64_t world_mount(const char *path)
{
    /* On a thread that ends: were it the main one, the scan of /proc would see the test live in there. */
    struct mounting m = {.path = path};
    pthread_t thread;
    must(pthread_create(&thread, NULL, mount_new, &m) == 0 && pthread_join(thread, NULL) == 0 && m.inode,
         path);
    return m.inode;
}

uint64_t world_add(const char *path)
{
    world_file(path);
    return world_mount(path);
}

void world_attach(const char *from, const char *path)
{
    world_file(path);
    must(mount(from, path, NULL, MS_BIND, NULL) == 0, path);
}

void world_delete(const char *path)
{
    must(umount2(path, MNT_DETACH) == 0, path);
    must(unlink(path) == 0, path);
}

/* A child that lives in a namespace of its own, or that of |path|, until it is killed. */
static pid_t start_process(const char *path)
{
    int ready[2];
    char byte;
    must(pipe2(ready, O_CLOEXEC) == 0, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        int rc = path ? netns_enter(path) : unshare(CLONE_NEWNET);
        if (rc || write(ready[1], "", 1) != 1)
            _exit(1);
        close(ready[0]);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    must(pid > 0 && read(ready[0], &byte, 1) == 1, "a process in a namespace");
    close(ready[0]);
    return pid;
}

pid_t world_process(uint64_t *inode)
{
    pid_t pid = start_process(NULL);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    must(netns_inode(path, inode) == 0, path);
    return pid;
}

pid_t world_process_in(const char *path)
{
    return start_process(path);
}

void world_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

bool world_shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    if (at->level == 0)
        return 0;
    while (umount2(path, MNT_DETACH) == 0)
        ;
    if (type == FTW_DP || type == FTW_D || type == FTW_DNR)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

int world_clean(void **state)
{
    (void)state;
    if (running) /* the test has failed */
        record_stop(running);
    /* A mount over a directory hides the mounts in it: more than one pass. */
    for (int i = 0; i < 3; i++)
        nftw(WORLD_ROOT, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    mkdir(WORLD_DIR, 0755);
    return 0;
}

/* --- the record -------------------------------------------------------------------------------- */

static void on_told(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct record *r = arg;
    pthread_mutex_lock(&r->lock);
    if (r->count == r->size) {
        r->size = r->size * 2 + 64;
        r->told = realloc(r->told, r->size * sizeof(*r->told));
    }
    struct told *t = &r->told[r->count++];
    *t = (struct told){.event = event, .ns = ns ? nswatch_ns_copy(ns) : NULL, .at_ns = clock_mono_ns()};
    netns_inode("/proc/thread-self/ns/net", &t->home);
    pthread_cond_broadcast(&r->more);
    pthread_mutex_unlock(&r->lock);
}

void record_start_options(struct record *r, const struct nswatch_options *options)
{
    struct err e = {0};
    pthread_condattr_t attr;
    *r = (struct record){0};
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->more, &attr);
    pthread_condattr_destroy(&attr);
    running = r;
    r->nw = nswatch_new(options, on_told, r, &e);
    if (!r->nw)
        fail_msg("nswatch_new: %s", e.text);
    assert_int_equal(nswatch_start(r->nw), 0);
    record_expect(r, NSWATCH_SYNCED, NULL);
}

void record_start(struct record *r, const char *const *dirs, size_t count, int64_t proc_interval_ns)
{
    struct nswatch_options options = {.dirs = dirs, .dir_count = count, .proc_interval_ns = proc_interval_ns};
    record_start_options(r, &options);
}

void record_start_dir(struct record *r, int64_t proc_interval_ns)
{
    const char *dirs[] = {WORLD_DIR};
    record_start(r, dirs, 1, proc_interval_ns);
}

void record_stop(struct record *r)
{
    running = NULL;
    nswatch_stop(r->nw);
    nswatch_join(r->nw);
    nswatch_free(r->nw);
    for (size_t i = 0; i < r->count; i++)
        free(r->told[i].ns);
    free(r->told);
    pthread_cond_destroy(&r->more);
    pthread_mutex_destroy(&r->lock);
}

static bool matches(const struct told *t, enum nswatch_event event, const char *netns)
{
    return t->event == event && (!netns || (t->ns && !strcmp(t->ns->netns, netns)));
}

/* Waits on |r|->more until |deadline_ns|; false when it is over. */
static bool wait_more(struct record *r, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    return pthread_cond_timedwait(&r->more, &r->lock, &until) == 0 || clock_mono_ns() < deadline_ns;
}

static void print_record(struct record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct told *t = &r->told[i];
        fprintf(stderr, "%s %3zu %-8s", i == r->next ? ">" : " ", i, nswatch_event_names[t->event]);
        if (t->ns)
            fprintf(stderr, " id=%llu netns=%s kind=%s inode=%llu cookie=%llu path=%s names=%zu",
                    (unsigned long long)t->ns->id, t->ns->netns, nswatch_kind_names[t->ns->kind],
                    (unsigned long long)t->ns->inode, (unsigned long long)t->ns->cookie, t->ns->found_at,
                    t->ns->name_count);
        fprintf(stderr, "\n");
    }
}

/* The next matching event until |deadline_ns|, or NULL. With the lock. */
static const struct told *find(struct record *r, enum nswatch_event event, const char *netns,
                               int64_t deadline_ns)
{
    size_t at = r->next;
    do {
        for (; at < r->count; at++)
            if (matches(&r->told[at], event, netns)) {
                r->next = at + 1;
                return &r->told[at];
            }
    } while (wait_more(r, deadline_ns));
    return NULL;
}

const struct told *record_expect(struct record *r, enum nswatch_event event, const char *netns)
{
    static _Thread_local struct told copies[8]; /* the array moves when it grows */
    static _Thread_local unsigned turn;
    struct told *copy = &copies[turn++ % 8];
    pthread_mutex_lock(&r->lock);
    const struct told *t = find(r, event, netns, clock_mono_ns() + WORLD_PATIENCE_NS);
    if (t)
        *copy = *t;
    else
        print_record(r);
    pthread_mutex_unlock(&r->lock);
    if (!t)
        fail_msg("no event %s of %s", nswatch_event_names[event], netns ? netns : "any namespace");
    return copy;
}

void record_rewind(struct record *r)
{
    r->next = 0;
}

void record_expect_none(struct record *r, enum nswatch_event event, const char *netns)
{
    pthread_mutex_lock(&r->lock);
    size_t next = r->next;
    bool found = find(r, event, netns, clock_mono_ns() + WORLD_QUIET_NS) != NULL;
    if (found)
        print_record(r);
    r->next = next;
    pthread_mutex_unlock(&r->lock);
    if (found)
        fail_msg("unexpected event %s of %s", nswatch_event_names[event], netns ? netns : "any namespace");
}

static size_t count_locked(const struct record *r, enum nswatch_event event, const char *netns)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += matches(&r->told[i], event, netns);
    return n;
}

size_t record_count(struct record *r, enum nswatch_event event, const char *netns)
{
    pthread_mutex_lock(&r->lock);
    size_t n = count_locked(r, event, netns);
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t record_count_id(struct record *r, enum nswatch_event event, uint64_t id)
{
    pthread_mutex_lock(&r->lock);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += r->told[i].event == event && r->told[i].ns && r->told[i].ns->id == id;
    pthread_mutex_unlock(&r->lock);
    return n;
}

void record_wait_count(struct record *r, enum nswatch_event event, size_t n)
{
    int64_t deadline = clock_mono_ns() + WORLD_PATIENCE_NS;
    pthread_mutex_lock(&r->lock);
    size_t have;
    while ((have = count_locked(r, event, NULL)) < n && wait_more(r, deadline))
        ;
    pthread_mutex_unlock(&r->lock);
    if (have < n)
        fail_msg("%zu of %zu events %s", have, n, nswatch_event_names[event]);
}
