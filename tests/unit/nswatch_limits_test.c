/* Much of everything, and little: overflow, garbage by the thousand, no capability, no watches left. */
#include "nswatch_world.h"

#include "refuse.h"

#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void many_at_full_speed(void **state)
{
    (void)state;
    enum { MANY = 500 };
    static struct record r;
    char path[64];
    record_start_dir(&r, NS_PER_S);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), WORLD_DIR "/n%d", i);
        world_add(path);
    }
    record_wait_count(&r, NSWATCH_READY, MANY + 1);
    struct nswatch_stats stats;
    nswatch_get_stats(r.nw, &stats);
    assert_int_equal(stats.namespaces, MANY + 1);
    assert_int_equal(stats.pending, 0);
    nswatch_rescan(r.nw); /* changes nothing */
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), WORLD_DIR "/n%d", i);
        world_delete(path);
    }
    record_wait_count(&r, NSWATCH_REMOVED, MANY);
    assert_int_equal(record_count(&r, NSWATCH_READY, NULL), MANY + 1);
    nswatch_get_stats(r.nw, &stats);
    assert_int_equal(stats.namespaces, 1);
    record_stop(&r);
}

/* Lets the callback of the first name wait, so that events pile up in the kernel. */
struct stalling {
    sem_t reached, go_on;
    bool stalled; /* the nswatch thread's */
    atomic_size_t ready, removed;
};

static void on_event_stall(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct stalling *s = arg;
    if (event == NSWATCH_ADDED && !s->stalled) {
        s->stalled = true;
        sem_post(&s->reached);
        sem_wait(&s->go_on);
    }
    if (event == NSWATCH_READY && ns->kind == NSWATCH_NAMED)
        atomic_fetch_add(&s->ready, 1);
    if (event == NSWATCH_REMOVED && ns->state == NSWATCH_LIVE)
        atomic_fetch_add(&s->removed, 1);
}

static bool reaches(atomic_size_t *value, size_t want)
{
    int64_t deadline = clock_mono_ns() + WORLD_PATIENCE_NS;
    while (atomic_load(value) != want) {
        if (clock_mono_ns() > deadline)
            return false;
        sched_yield();
    }
    return true;
}

static void overflow_leads_to_a_relist(void **state)
{
    (void)state;
    const char *dirs[] = {WORLD_DIR};
    const struct nswatch_options options = {.dirs = dirs, .dir_count = 1};
    static struct stalling s;
    sem_init(&s.reached, 0, 0);
    sem_init(&s.go_on, 0, 0);
    world_add(WORLD_DIR "/old");
    struct nswatch *nw = nswatch_new(&options, on_event_stall, &s, NULL);
    assert_int_equal(nswatch_start(nw), 0);
    assert_true(reaches(&s.ready, 1));
    world_file(WORLD_DIR "/stall");
    sem_wait(&s.reached);
    /* Two events each; max_queued_events is 16384 by default. */
    for (int i = 0; i < 9000; i++) {
        world_file(WORLD_DIR "/churn");
        unlink(WORLD_DIR "/churn");
    }
    world_delete(WORLD_DIR "/old");
    world_add(WORLD_DIR "/one");
    world_add(WORLD_DIR "/two");
    sem_post(&s.go_on);
    assert_true(reaches(&s.ready, 3));
    assert_true(reaches(&s.removed, 1));
    struct nswatch_stats stats;
    nswatch_get_stats(nw, &stats);
    assert_int_equal(stats.overflows, 1);
    nswatch_free(nw);
    sem_destroy(&s.reached);
    sem_destroy(&s.go_on);
}

/* CPU time of all threads of this process. */
static int64_t process_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void ten_thousand_garbage_files_cost_little(void **state)
{
    (void)state;
    enum { GARBAGE = 10000 };
    static struct record r;
    char path[64];
    for (int i = 0; i < GARBAGE; i++) {
        snprintf(path, sizeof(path), WORLD_DIR "/g%d", i);
        world_file(path);
    }
    log_set(LOG_ERROR, LOG_TEXT);
    int64_t cpu = process_cpu_ns();
    record_start_dir(&r, 0);
    /* A namespace among them is ready at once, and when all of them have been given up. */
    for (int i = 0; i < 100; i++) {
        world_add(WORLD_DIR "/real");
        record_expect(&r, NSWATCH_READY, "real");
        world_delete(WORLD_DIR "/real");
        record_expect(&r, NSWATCH_REMOVED, "real");
    }
    record_wait_count(&r, NSWATCH_FAILED, GARBAGE);
    int64_t spent = process_cpu_ns() - cpu;
    print_message("10000 garbage files: %.0f ms of CPU until all were given up\n", (double)spent / 1e6);
    struct nswatch_stats stats;
    nswatch_get_stats(r.nw, &stats);
    assert_int_equal(stats.failed, GARBAGE);
    assert_int_equal(stats.pending, 0);
    world_add(WORLD_DIR "/late");
    record_expect(&r, NSWATCH_READY, "late");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_true(spent < 15 * NS_PER_S);
#else
    assert_true(spent < 2 * NS_PER_S);
#endif
    record_stop(&r);
}

/* Runs |test| in a child, since it gives up rights for good. */
static void in_a_child(void (*test)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        test();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) || syscall(SYS_capset, &head, none))
        _exit(2);
}

#define CHECK(condition_)                                                                                    \
    do {                                                                                                     \
        if (!(condition_)) {                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition_);                                 \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static struct record poor;

static void without_capabilities(void)
{
    drop_capabilities();
    record_start_dir(&poor, NSWATCH_PROC_INTERVAL_MIN_NS);
    CHECK(poor.told[0].event == NSWATCH_READY && poor.told[0].ns->cookie != 0);
    record_rewind(&poor);
    const struct told *t = record_expect(&poor, NSWATCH_FAILED, "blue");
    CHECK(t->ns->error.code == -EPERM && strstr(t->ns->error.text, "CAP_SYS_ADMIN"));
    struct nswatch_stats stats;
    nswatch_get_stats(poor.nw, &stats);
    uint64_t scans = stats.proc_scans + 3;
    int64_t deadline = clock_mono_ns() + WORLD_PATIENCE_NS;
    while (stats.proc_scans < scans && clock_mono_ns() < deadline) {
        nswatch_rescan(poor.nw);
        nswatch_get_stats(poor.nw, &stats);
        sched_yield();
    }
    CHECK(stats.proc_scans >= scans);
    CHECK(stats.pids_unreadable > 0 && stats.pids_unreadable < stats.processes);
    CHECK(stats.failed == 1 && stats.not_permitted == 1 && stats.namespaces == 1);
    CHECK(record_count(&poor, NSWATCH_FAILED, NULL) == 1); /* once, however often it is looked at */
    record_stop(&poor);
}

/* The text of the log since log_to_file. */
static FILE *log_file;

static void log_to_file(enum log_level level)
{
    log_file = tmpfile();
    CHECK(log_file);
    log_set(level, LOG_TEXT);
    log_set_fd(fileno(log_file));
}

static const char *log_text(void)
{
    static char text[65536];
    ssize_t n = pread(fileno(log_file), text, sizeof(text) - 1, 0);
    CHECK(n >= 0);
    text[n] = '\0';
    return text;
}

static bool logged_once(const char *says)
{
    const char *found = strstr(log_text(), says);
    if (!found || strstr(found + 1, says))
        fprintf(stderr, "%s", log_text());
    return found && !strstr(found + 1, says);
}

/* A process of a /proc of our own, whose namespace only root may see. */
static void put_process(int pid, const char *name, unsigned long flags)
{
    CHECK(world_shell("mkdir -p " WORLD_ROOT "/proc/%d && cd " WORLD_ROOT "/proc/%d && mkdir -m 0700 ns && "
                      "echo '%s' > comm && echo '%d (%s) S 0 0 0 0 -1 %lu 0' > stat",
                      pid, pid, name, pid, name, flags));
}

static void scan_again(void)
{
    struct nswatch_stats stats;
    nswatch_get_stats(poor.nw, &stats);
    uint64_t scans = stats.proc_scans + 2;
    int64_t deadline = clock_mono_ns() + WORLD_PATIENCE_NS;
    while (stats.proc_scans < scans && clock_mono_ns() < deadline) {
        nswatch_rescan(poor.nw);
        nswatch_get_stats(poor.nw, &stats);
        sched_yield();
    }
    CHECK(stats.proc_scans >= scans);
}

static void unseen_processes_without_a_capability(void)
{
    int go[2];
    put_process(1, "init", 4194560);
    put_process(30, "kworker/0:1", 69238880);
    CHECK(pipe(go) == 0);
    pid_t helper = fork(); /* root makes another one when it is told to */
    if (helper == 0) {
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) == 1)
            put_process(4711, "ordinary", 4194560);
        _exit(0);
    }
    drop_capabilities();
    log_to_file(LOG_INFO);
    struct nswatch_options options = {.proc_interval_ns = NS_PER_S, .proc_root = WORLD_ROOT "/proc"};
    record_start_options(&poor, &options);
    scan_again();
    CHECK(logged_once(
        "info  nswatch: the namespaces of 2 of 2 processes may not be seen, of init and the kernel only, "
        "such as that of process 1 (init): CAP_SYS_PTRACE is missing"));
    CHECK(write(go[1], "", 1) == 1 && waitpid(helper, NULL, 0) == helper);
    scan_again();
    CHECK(logged_once(
        "warn  nswatch: the namespaces of 3 of 3 processes may not be seen, such as that of process 4711 "
        "(ordinary): CAP_SYS_PTRACE is missing"));
    CHECK(logged_once("info  nswatch: the namespaces"));
    record_stop(&poor);
}

/* With all capabilities, but below the user namespace of the others. */
static void unseen_processes_of_another_user_namespace(void)
{
    if (unshare(CLONE_NEWUSER) != 0) {
        print_message("no user namespaces: left out\n");
        return;
    }
    log_to_file(LOG_INFO);
    struct nswatch_options options = {.proc_interval_ns = NS_PER_S};
    record_start_options(&poor, &options);
    scan_again();
    CHECK(logged_once("it lives in another user namespace, outside of the daemon's"));
    record_stop(&poor);
}

static void unseen_processes_are_told_with_the_reason(void **state)
{
    (void)state;
    in_a_child(unseen_processes_without_a_capability);
    in_a_child(unseen_processes_of_another_user_namespace);
}

static void a_folder_that_may_not_be_read(void)
{
    int go[2];
    CHECK(chmod(WORLD_DIR, 0700) == 0 && pipe(go) == 0);
    pid_t helper = fork(); /* root opens it when it is told to */
    if (helper == 0) {
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) == 1)
            chmod(WORLD_DIR, 0755);
        _exit(0);
    }
    drop_capabilities();
    log_to_file(LOG_INFO);
    record_start_dir(&poor, NSWATCH_PROC_INTERVAL_MIN_NS);
    scan_again();
    CHECK(logged_once("warn  nswatch: " WORLD_DIR " may not be read: Permission denied"));
    record_rewind(&poor);
    CHECK(write(go[1], "", 1) == 1 && waitpid(helper, NULL, 0) == helper);
    record_expect(&poor, NSWATCH_FAILED, "blue"); /* seen, though not to be entered */
    CHECK(logged_once("info  nswatch: " WORLD_DIR " is read again"));
    record_stop(&poor);
}

static void unreadable_folders_are_told(void **state)
{
    (void)state;
    world_add(WORLD_DIR "/blue");
    in_a_child(a_folder_that_may_not_be_read);
    chmod(WORLD_DIR, 0755);
}

static void without_capabilities_the_own_namespace_is_seen(void **state)
{
    (void)state;
    world_add(WORLD_DIR "/blue");
    in_a_child(without_capabilities);
}

/* Changes that are noticed by time alone; the log has |says|, once. */
static void without_inotify(int call, int error, const char *says)
{
    log_to_file(LOG_WARN);
    CHECK(refuse_call(call, error) == 0);
    record_start_dir(&poor, 0);
    record_rewind(&poor);
    record_expect(&poor, NSWATCH_READY, "blue");
    world_add(WORLD_DIR "/green");
    record_expect(&poor, NSWATCH_READY, "green");
    world_delete(WORLD_DIR "/blue");
    record_expect(&poor, NSWATCH_REMOVED, "blue");
    /* A file that never becomes a namespace, and goes without a mount that would tell. */
    world_file(WORLD_DIR "/red");
    record_expect(&poor, NSWATCH_ADDED, "red");
    unlink(WORLD_DIR "/red");
    record_expect(&poor, NSWATCH_REMOVED, "red");
    nswatch_rescan(poor.nw);
    record_stop(&poor);
    CHECK(logged_once(says));
}

static void without_an_instance(void)
{
    without_inotify(SYS_inotify_init1, EMFILE, "the sysctl fs.inotify.max_user_instances is reached");
}

static void without_a_watch(void)
{
    without_inotify(SYS_inotify_add_watch, ENOSPC, "the sysctl fs.inotify.max_user_watches is reached");
}

static void without_inotify_directories_are_read(void **state)
{
    (void)state;
    world_add(WORLD_DIR "/blue");
    in_a_child(without_an_instance);
    world_clean(NULL);
    world_add(WORLD_DIR "/blue");
    in_a_child(without_a_watch);
}

static int instances(void)
{
    char path[64], to[64];
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, to, sizeof(to) - 1);
        to[len < 0 ? 0 : len] = '\0';
        n += strcmp(to, "anon_inode:inotify") == 0;
    }
    return n;
}

static void without_directories_no_instance_is_taken(void **state)
{
    (void)state;
    static struct record r;
    int before = instances();
    record_start(&r, NULL, 0, 0);
    assert_int_equal(instances(), before);
    record_stop(&r);
    record_start_dir(&r, 0);
    assert_int_equal(instances(), before + 1);
    record_stop(&r);
    assert_int_equal(instances(), before);
}

static void stopping_is_prompt(void **state)
{
    (void)state;
    static struct record r;
    for (int i = 0; i < 50; i++) {
        record_start_dir(&r, NS_PER_S);
        int64_t start = clock_mono_ns();
        nswatch_stop(r.nw);
        nswatch_stop(r.nw);
        nswatch_join(r.nw);
        assert_true(clock_mono_ns() - start < NS_PER_S);
        record_stop(&r);
    }
    /* Never started. */
    const struct nswatch_options options = {0};
    nswatch_free(nswatch_new(&options, on_event_stall, NULL, NULL));
    nswatch_free(NULL);
}

/* Options and rescans from many threads while namespaces come and go. */
static struct record busy;

static void *pester(void *arg)
{
    const char *dirs[] = {WORLD_DIR, WORLD_ROOT "/other"};
    struct nswatch_stats stats;
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct nswatch_options options = {
            .dirs = dirs, .dir_count = 1 + (size_t)i % 2, .proc_interval_ns = i % 3 * NS_PER_S};
        nswatch_set_options(busy.nw, &options, NULL);
        nswatch_rescan(busy.nw);
        nswatch_get_stats(busy.nw, &stats);
    }
    return NULL;
}

static void called_from_many_threads(void **state)
{
    (void)state;
    pthread_t threads[3];
    mkdir(WORLD_ROOT "/other", 0755);
    record_start_dir(&busy, NS_PER_S);
    world_add(WORLD_DIR "/stays");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pester, NULL), 0);
    for (int i = 0; i < 20; i++) {
        world_add(WORLD_DIR "/comes");
        record_expect(&busy, NSWATCH_READY, "comes");
        world_delete(WORLD_DIR "/comes");
        record_expect(&busy, NSWATCH_REMOVED, "comes");
    }
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(record_count(&busy, NSWATCH_READY, "stays"), 1);
    assert_int_equal(record_count(&busy, NSWATCH_REMOVED, "stays"), 0);
    record_stop(&busy);
}

static int all_tests(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(many_at_full_speed, world_clean),
        cmocka_unit_test_teardown(overflow_leads_to_a_relist, world_clean),
        cmocka_unit_test_teardown(ten_thousand_garbage_files_cost_little, world_clean),
        cmocka_unit_test_teardown(without_capabilities_the_own_namespace_is_seen, world_clean),
        cmocka_unit_test_teardown(unseen_processes_are_told_with_the_reason, world_clean),
        cmocka_unit_test_teardown(unreadable_folders_are_told, world_clean),
        cmocka_unit_test_teardown(without_inotify_directories_are_read, world_clean),
        cmocka_unit_test_teardown(without_directories_no_instance_is_taken, world_clean),
        cmocka_unit_test_teardown(stopping_is_prompt, world_clean),
        cmocka_unit_test_teardown(called_from_many_threads, world_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return world_run(all_tests);
}
