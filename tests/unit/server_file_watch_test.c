/* Files that change in all the ways in which files change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/linux/path_watch.h"
#include "refuse.h"
#include "server/live/file_watch.h"

struct fixture {
    char folder[64];
    struct file_watch *watch;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/xt-watch-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chdir(f->folder), 0);
    assert_int_equal(file_watch_new(&f->watch), 0);
    *state = f;
    return 0;
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    file_watch_free(f->watch);
    assert_int_equal(chdir("/"), 0);
    nftw(f->folder, forget, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void watch(struct fixture *f, const char *a, const char *b)
{
    const char *const paths[] = {a, b};
    assert_int_equal(file_watch_set(f->watch, paths, 2, true), 0);
}

/* The files that have changed; 0 when none has for long enough. */
static unsigned changes_within(struct fixture *f, int quiet_ms)
{
    unsigned changed = 0;
    int64_t until = clock_mono_ns() + 5 * NS_PER_S;
    struct pollfd fd = {.fd = file_watch_fd(f->watch), .events = POLLIN};
    while (!changed && clock_mono_ns() < until && poll(&fd, 1, quiet_ms) == 1)
        changed = file_watch_read(f->watch);
    return changed;
}

static unsigned changes(struct fixture *f)
{
    return changes_within(f, 600);
}

static void test_a_plain_file(void **state)
{
    struct fixture *f = *state;
    put("a", "one");
    watch(f, "a", ""); /* relative to where we are now */
    put("other", "x");
    assert_int_equal(changes(f), 0);
    put("a", "two");
    assert_int_equal(changes(f), 1);
    put("a.new", "three");
    assert_int_equal(rename("a.new", "a"), 0);
    assert_int_equal(changes(f), 1);
    assert_int_equal(unlink("a"), 0);
    assert_int_equal(changes(f), 1);
    put("a", "four");
    assert_int_equal(changes(f), 1);
    assert_int_equal(changes(f), 0);
}

static void test_two_files(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir("d", 0755), 0);
    put("a", "one");
    watch(f, "a", "d/b"); /* which is not there */
    put("d/b", "one");
    assert_int_equal(changes(f), 2);
    put("a", "two");
    put("d/b", "two");
    assert_int_equal(changes(f), 3);
    /* A path that stays is compared with its former state; a new one counts as known. */
    put("a", "three");
    put("d/c", "one");
    watch(f, "a", "d/c");
    assert_int_equal(changes(f), 1);
    watch(f, "", "");
    put("a", "four");
    assert_int_equal(changes(f), 0);
}

/* As Kubernetes mounts a ConfigMap: FILE -> ..data/FILE, ..data -> ..1, which is swapped by a rename. */
static void test_links_that_are_swapped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir("..1", 0755), 0);
    assert_int_equal(mkdir("..2", 0755), 0);
    put("..1/a", "same");
    put("..2/a", "same");
    assert_int_equal(symlink("..1", "..data"), 0);
    assert_int_equal(symlink("..data/a", "a"), 0);
    watch(f, "a", "");
    put("..2/a", "new");
    assert_int_equal(changes(f), 0);
    assert_int_equal(symlink("..2", "..tmp"), 0);
    assert_int_equal(rename("..tmp", "..data"), 0);
    assert_int_equal(changes(f), 1);
    put("..1/a", "old one");
    assert_int_equal(changes(f), 0);
    put("..2/a", "in place");
    assert_int_equal(changes(f), 1);
}

/* A directory on the way is a link, or comes later, or goes and comes again. */
static void test_directories(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/x/../x/y/a", f->folder);
    watch(f, path, "");
    assert_int_equal(mkdir("x", 0755), 0);
    assert_int_equal(changes(f), 0);
    assert_int_equal(mkdir("real", 0755), 0);
    put("real/a", "one");
    assert_int_equal(symlink("../real", "x/y"), 0);
    assert_int_equal(changes(f), 1);
    put("real/a", "two");
    assert_int_equal(changes(f), 1);
    assert_int_equal(rename("real", "gone"), 0);
    assert_int_equal(changes(f), 1);
    assert_int_equal(mkdir("real", 0755), 0);
    put("real/a", "three");
    assert_int_equal(changes(f), 1);
}

/* A folder on the way is renamed, and another one takes its place. */
static void test_a_folder_that_is_renamed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir("x", 0755), 0);
    assert_int_equal(mkdir("x/y", 0755), 0);
    assert_int_equal(mkdir("other", 0755), 0);
    assert_int_equal(mkdir("other/y", 0755), 0);
    put("x/y/a", "one");
    put("other/y/a", "two");
    watch(f, "x/y/a", "");
    assert_int_equal(rename("x", "gone"), 0);
    assert_int_equal(changes(f), 1);
    assert_int_equal(rename("other", "x"), 0);
    assert_int_equal(changes(f), 1);
    put("gone/y/a", "old one");
    assert_int_equal(changes(f), 0);
    put("x/y/a", "in place");
    assert_int_equal(changes(f), 1);
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

static void test_nothing_is_taken_for_no_file(void **state)
{
    struct fixture *f = *state;
    int before = instances();
    put("a", "one");
    watch(f, "", "");
    assert_int_equal(instances(), before);
    watch(f, "a", "");
    assert_int_equal(instances(), before + 1);
    watch(f, "", "");
    assert_int_equal(instances(), before);
    watch(f, "a", "");
    put("a", "two");
    assert_int_equal(changes(f), 1);
}

/* While it is off nothing is told. Changes made meanwhile are told when it is on again, except known ones. */
static void test_off_and_on(void **state)
{
    struct fixture *f = *state;
    const char *const paths[] = {"a", "b"};
    int before = instances();
    put("a", "one");
    put("b", "one");
    assert_int_equal(file_watch_set(f->watch, paths, 2, false), 0);
    assert_int_equal(instances(), before);
    put("a", "two");
    assert_int_equal(changes(f), 0);
    file_watch_known(f->watch);
    put("b", "three");
    watch(f, "a", "b");
    assert_int_equal(changes(f), 2);
    put("a", "four");
    assert_int_equal(file_watch_read(f->watch), 0); /* it may be written to yet */
    assert_int_equal(file_watch_set(f->watch, paths, 2, false), 0);
    assert_int_equal(changes(f), 0);
    watch(f, "a", "b");
    assert_int_equal(changes(f), 1);
    watch(f, "a", "b");
    assert_int_equal(changes(f), 0);
}

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* In a child: the kernel has nothing left that tells of changes. */
static void look_by_time(struct fixture *f, int call, int error, const char *sysctl)
{
    const char *const paths[] = {"a", "link"};
    CHECK(refuse_call(call, error) == 0);
    int rc = file_watch_set(f->watch, paths, 2, true);
    CHECK(rc == -error && strstr(path_watch_reason(rc), sysctl));
    put("a", "two");
    CHECK(changes_within(f, 5000) == 1);
    CHECK(symlink("c", "tmp") == 0 && rename("tmp", "link") == 0);
    CHECK(changes_within(f, 5000) == 2);
    CHECK(file_watch_set(f->watch, NULL, 0, true) == 0);
    put("a", "three");
    CHECK(changes_within(f, 2300) == 0);
    _exit(0);
}

static void in_a_child(struct fixture *f, int call, int error, const char *sysctl)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        look_by_time(f, call, error, sysctl);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_by_time(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        put("a", "one");
        put("b", "b");
        put("c", "c");
        (void)unlink("link");
        assert_int_equal(symlink("b", "link"), 0);
        if (i == 0)
            in_a_child(f, SYS_inotify_init1, EMFILE, "fs.inotify.max_user_instances");
        else
            in_a_child(f, SYS_inotify_add_watch, ENOSPC, "fs.inotify.max_user_watches");
    }
}

static void test_links_without_end(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink("b", "a"), 0);
    assert_int_equal(symlink("a", "b"), 0);
    watch(f, "a", "");
    assert_int_equal(unlink("b"), 0);
    put("b", "one");
    assert_int_equal(changes(f), 1);
}

/* However often it is written, that is told in the end. */
static void test_no_rest(void **state)
{
    struct fixture *f = *state;
    put("a", "one");
    watch(f, "a", "");
    struct pollfd fd = {.fd = file_watch_fd(f->watch), .events = POLLIN};
    int64_t until = clock_mono_ns() + 10 * NS_PER_S;
    unsigned changed = 0;
    for (int i = 0; !changed && clock_mono_ns() < until; i++) {
        put("a", i % 2 ? "two" : "three");
        if (poll(&fd, 1, 50) == 1)
            changed = file_watch_read(f->watch);
    }
    assert_int_equal(changed, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        TEST(test_a_plain_file),
        TEST(test_two_files),
        TEST(test_links_that_are_swapped),
        TEST(test_directories),
        TEST(test_links_without_end),
        TEST(test_no_rest),
        TEST(test_a_folder_that_is_renamed),
        TEST(test_nothing_is_taken_for_no_file),
        TEST(test_off_and_on),
        TEST(test_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
