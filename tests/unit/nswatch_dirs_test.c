/* Directories that are missing, come, go, are mounted over and unmounted; other options while running. */
#include "nswatch_world.h"

#include "lib/clock.h"
#include "lib/linux/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEP WORLD_ROOT "/a/b/c"

static void missing_directory_is_awaited(void **state)
{
    (void)state;
    const char *dirs[] = {DEEP};
    static struct record r;
    record_start(&r, dirs, 1, 0);
    for (int i = 0; i < 20; i++) {
        assert_true(world_shell("mkdir -p " DEEP));
        uint64_t inode = world_add(DEEP "/blue");
        assert_int_equal(record_expect(&r, NSWATCH_READY, "blue")->ns->inode, inode);
        umount2(DEEP "/blue", MNT_DETACH);
        assert_true(world_shell("rm -r " WORLD_ROOT "/a"));
        record_expect(&r, NSWATCH_REMOVED, "blue");
    }
    /* A file where the directory should be, then the directory. */
    world_file(WORLD_ROOT "/a");
    unlink(WORLD_ROOT "/a");
    assert_true(world_shell("mkdir -p " DEEP));
    world_add(DEEP "/green");
    record_expect(&r, NSWATCH_READY, "green");
    record_stop(&r);
}

static void directory_removed_and_made_again(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, 0);
    for (int i = 0; i < 20; i++) {
        world_add(WORLD_DIR "/blue");
        record_expect(&r, NSWATCH_READY, "blue");
        world_delete(WORLD_DIR "/blue");
        assert_int_equal(rmdir(WORLD_DIR), 0);
        assert_int_equal(mkdir(WORLD_DIR, 0755), 0);
        record_expect(&r, NSWATCH_REMOVED, "blue");
    }
    record_stop(&r);
}

static void directory_renamed(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, 0);
    world_add(WORLD_DIR "/blue");
    uint64_t id = record_expect(&r, NSWATCH_READY, "blue")->ns->id;
    assert_int_equal(rename(WORLD_DIR, WORLD_ROOT "/elsewhere"), 0);
    assert_int_equal(record_expect(&r, NSWATCH_REMOVED, "blue")->ns->id, id);
    assert_int_equal(mkdir(WORLD_DIR, 0755), 0);
    world_add(WORLD_DIR "/green");
    record_expect(&r, NSWATCH_READY, "green");
    /* Events in a directory that is watched no longer are ignored. */
    world_file(WORLD_ROOT "/elsewhere/red");
    record_expect_none(&r, NSWATCH_ADDED, "red");
    record_stop(&r);
}

static void directory_mounted_over_and_unmounted(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, 0);
    world_add(WORLD_DIR "/below");
    record_expect(&r, NSWATCH_READY, "below");
    assert_int_equal(mount("tmpfs", WORLD_DIR, "tmpfs", 0, NULL), 0);
    record_expect(&r, NSWATCH_REMOVED, "below");
    world_add(WORLD_DIR "/above");
    record_expect(&r, NSWATCH_READY, "above");
    assert_int_equal(umount2(WORLD_DIR "/above", MNT_DETACH), 0);
    assert_int_equal(umount2(WORLD_DIR, 0), 0); /* the watch does not keep it busy */
    record_rewind(&r);
    record_expect(&r, NSWATCH_REMOVED, "above");
    record_rewind(&r);
    record_expect(&r, NSWATCH_REMOVED, "below");
    record_expect(&r, NSWATCH_READY, "below");
    world_add(WORLD_DIR "/again");
    record_expect(&r, NSWATCH_READY, "again");
    record_stop(&r);
}

/* Two places with a namespace each, made and mounted before anything is watched: no mount tells of what
 * follows. */
static void two_places(void)
{
    assert_true(world_shell("mkdir -p " WORLD_ROOT "/one/netns " WORLD_ROOT "/two/netns"));
    world_add(WORLD_ROOT "/one/netns/blue");
    world_add(WORLD_ROOT "/two/netns/green");
}

/* As releases are switched: `ln -s two tmp; mv -T tmp current`. */
static void link_on_the_way_swapped(void **state)
{
    (void)state;
    const char *dirs[] = {WORLD_ROOT "/current/netns"};
    static struct record r;
    two_places();
    assert_int_equal(symlink("one", WORLD_ROOT "/current"), 0);
    record_start(&r, dirs, 1, 0);
    record_rewind(&r);
    record_expect(&r, NSWATCH_READY, "blue");
    for (int i = 0; i < 5; i++) {
        const char *to[] = {"two", WORLD_ROOT "/one"};
        const char *names[] = {"green", "blue"};
        assert_int_equal(symlink(to[i % 2], WORLD_ROOT "/tmp"), 0);
        assert_int_equal(rename(WORLD_ROOT "/tmp", WORLD_ROOT "/current"), 0);
        record_expect(&r, NSWATCH_REMOVED, names[(i + 1) % 2]);
        record_expect(&r, NSWATCH_READY, names[i % 2]);
    }
    world_delete(WORLD_ROOT "/two/netns/green");
    record_expect(&r, NSWATCH_REMOVED, "green");
    assert_int_equal(unlink(WORLD_ROOT "/current"), 0);
    assert_int_equal(symlink("one/../one", WORLD_ROOT "/current"), 0);
    record_expect(&r, NSWATCH_READY, "blue");
    record_stop(&r);
}

static void parent_renamed(void **state)
{
    (void)state;
    const char *dirs[] = {WORLD_ROOT "/./one/netns"};
    static struct record r;
    two_places();
    record_start(&r, dirs, 1, 0);
    record_rewind(&r);
    record_expect(&r, NSWATCH_READY, "blue");
    assert_int_equal(rename(WORLD_ROOT "/one", WORLD_ROOT "/gone"), 0);
    record_expect(&r, NSWATCH_REMOVED, "blue");
    assert_int_equal(rename(WORLD_ROOT "/two", WORLD_ROOT "/one"), 0);
    record_expect(&r, NSWATCH_READY, "green");
    /* Both at once. */
    assert_int_equal(renameat2(AT_FDCWD, WORLD_ROOT "/one", AT_FDCWD, WORLD_ROOT "/gone", RENAME_EXCHANGE),
                     0);
    record_expect(&r, NSWATCH_REMOVED, "green");
    record_expect(&r, NSWATCH_READY, "blue");
    record_stop(&r);
}

/* A part of the way is mounted over before the directory is there. */
static void missing_directory_on_another_mount(void **state)
{
    (void)state;
    const char *dirs[] = {DEEP};
    static struct record r;
    assert_int_equal(mkdir(WORLD_ROOT "/a", 0755), 0);
    record_start(&r, dirs, 1, 0);
    assert_int_equal(mount("tmpfs", WORLD_ROOT "/a", "tmpfs", 0, NULL), 0);
    usleep(50000); /* let it notice: what follows is told by no mount */
    assert_true(world_shell("mkdir -p " DEEP));
    world_file(DEEP "/blue");
    record_expect(&r, NSWATCH_ADDED, "blue");
    record_stop(&r);
}

/* `ip netns add` mounts the directory on itself when it is used first. */
static void directory_mounted_on_itself(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, 0);
    world_add(WORLD_DIR "/before");
    record_expect(&r, NSWATCH_READY, "before");
    assert_int_equal(mount(WORLD_DIR, WORLD_DIR, NULL, MS_BIND | MS_REC, NULL), 0);
    world_add(WORLD_DIR "/after");
    record_expect(&r, NSWATCH_READY, "after");
    assert_int_equal(record_count(&r, NSWATCH_REMOVED, NULL), 0);
    record_stop(&r);
}

static void the_same_directory_twice(void **state)
{
    (void)state;
    assert_int_equal(symlink(WORLD_DIR, WORLD_ROOT "/alias"), 0);
    const char *dirs[] = {WORLD_ROOT "/alias/", WORLD_DIR, WORLD_ROOT "//netns/"};
    static struct record r;
    record_start(&r, dirs, 3, 0);
    world_add(WORLD_DIR "/blue");
    record_expect(&r, NSWATCH_READY, "blue");
    world_delete(WORLD_DIR "/blue");
    world_add(WORLD_DIR "/green");
    record_expect(&r, NSWATCH_READY, "green");
    nswatch_rescan(r.nw);
    world_delete(WORLD_DIR "/green");
    /* The second name may have been told as added before it turned out to be one. */
    while (record_expect(&r, NSWATCH_REMOVED, "green")->ns->state != NSWATCH_LIVE)
        ;
    assert_int_equal(record_count(&r, NSWATCH_READY, NULL), 3);
    record_stop(&r);
}

/* A directory that is watched for itself and as the parent of a missing one. */
static void directory_and_its_missing_child(void **state)
{
    (void)state;
    const char *dirs[] = {WORLD_DIR, WORLD_DIR "/sub/deeper"};
    static struct record r;
    record_start(&r, dirs, 2, 0);
    world_add(WORLD_DIR "/outer");
    record_expect(&r, NSWATCH_READY, "outer");
    assert_true(world_shell("mkdir -p " WORLD_DIR "/sub/deeper"));
    world_add(WORLD_DIR "/sub/deeper/inner");
    assert_string_equal(record_expect(&r, NSWATCH_READY, "inner")->ns->path, WORLD_DIR "/sub/deeper/inner");
    world_delete(WORLD_DIR "/sub/deeper/inner");
    assert_true(world_shell("rm -r " WORLD_DIR "/sub"));
    record_expect(&r, NSWATCH_REMOVED, "inner");
    world_add(WORLD_DIR "/more");
    record_expect(&r, NSWATCH_READY, "more");
    record_stop(&r);
}

static void order_of_directories_decides_on_the_name(void **state)
{
    (void)state;
    mkdir(WORLD_ROOT "/docker", 0755);
    const char *dirs[] = {WORLD_DIR, WORLD_ROOT "/docker"};
    static struct record r;
    world_add(WORLD_DIR "/zebra");
    world_attach(WORLD_DIR "/zebra", WORLD_ROOT "/docker/ant");
    record_start(&r, dirs, 2, 0);
    record_rewind(&r);
    uint64_t id = record_expect(&r, NSWATCH_READY, "zebra")->ns->id;
    assert_int_equal(record_expect(&r, NSWATCH_CHANGED, "zebra")->ns->name_count, 2);

    /* The other way round: renamed, nothing else. */
    const char *turned[] = {WORLD_ROOT "/docker", WORLD_DIR};
    struct nswatch_options options = {.dirs = turned, .dir_count = 2};
    assert_int_equal(nswatch_set_options(r.nw, &options, NULL), 0);
    const struct told *t = record_expect(&r, NSWATCH_CHANGED, "ant");
    assert_int_equal(t->ns->id, id);
    assert_string_equal(t->ns->path, WORLD_ROOT "/docker/ant");

    options.dir_count = 1;
    assert_int_equal(nswatch_set_options(r.nw, &options, NULL), 0);
    assert_int_equal(record_expect(&r, NSWATCH_CHANGED, "ant")->ns->name_count, 1);
    assert_int_equal(record_count(&r, NSWATCH_REMOVED, NULL), 0);
    record_stop(&r);
}

static void directories_change_while_running(void **state)
{
    (void)state;
    mkdir(WORLD_ROOT "/other", 0755);
    uint64_t inode;
    pid_t pid = world_process(&inode);
    char anonymous[64];
    snprintf(anonymous, sizeof(anonymous), "netns:[%llu]", (unsigned long long)inode);
    static struct record r;
    record_start_dir(&r, 0);
    world_add(WORLD_DIR "/blue");
    world_add(WORLD_DIR "/moves");
    world_attach(WORLD_DIR "/moves", WORLD_ROOT "/other/moved");
    world_add(WORLD_ROOT "/other/green");
    uint64_t moves = record_expect(&r, NSWATCH_READY, "moves")->ns->id;
    record_expect_none(&r, NSWATCH_READY, anonymous);

    const char *dirs[] = {WORLD_ROOT "/other"};
    struct nswatch_options options = {.dirs = dirs, .dir_count = 1, .proc_interval_ns = NS_PER_S};
    assert_int_equal(nswatch_set_options(r.nw, &options, NULL), 0);
    record_expect(&r, NSWATCH_READY, anonymous);
    record_rewind(&r);
    record_expect(&r, NSWATCH_REMOVED, "blue");
    record_rewind(&r);
    record_expect(&r, NSWATCH_READY, "green");
    record_rewind(&r);
    assert_int_equal(record_expect(&r, NSWATCH_CHANGED, "moved")->ns->id, moves);
    assert_int_equal(record_count(&r, NSWATCH_REMOVED, "moves"), 0);

    options = (struct nswatch_options){0};
    assert_int_equal(nswatch_set_options(r.nw, &options, NULL), 0);
    record_rewind(&r);
    record_expect(&r, NSWATCH_REMOVED, anonymous);
    record_wait_count(&r, NSWATCH_REMOVED, 4);
    struct nswatch_stats stats;
    nswatch_rescan(r.nw);
    world_kill(pid);
    assert_int_equal(record_count(&r, NSWATCH_REMOVED, "default"), 0);
    nswatch_get_stats(r.nw, &stats);
    assert_true(stats.added == 5);
    record_stop(&r);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static char long_path[5000];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    const char *relative[] = {"run/netns"}, *too_long[] = {long_path}, *empty[] = {""};
    const char *many[NSWATCH_DIRS_MAX + 1];
    for (size_t i = 0; i <= NSWATCH_DIRS_MAX; i++)
        many[i] = "/run/netns";
    const struct {
        struct nswatch_options options;
        int code;
        const char *says;
    } bad[] = {
        {{.dirs = relative, .dir_count = 1}, ERR_MALFORMED, "\"run/netns\": must be an absolute path"},
        {{.dirs = empty, .dir_count = 1}, ERR_MALFORMED, "absolute"},
        {{.dirs = too_long, .dir_count = 1}, ERR_RANGE, "longer than"},
        {{.dirs = many, .dir_count = NSWATCH_DIRS_MAX + 1}, ERR_LIMIT, "at most 64"},
        {{.proc_interval_ns = -1}, ERR_RANGE, "at least 10ms"},
        {{.proc_interval_ns = NSWATCH_PROC_INTERVAL_MIN_NS - 1}, ERR_RANGE, "at least 10ms"},
        {{.proc_root = long_path}, ERR_RANGE, "/proc"},
    };
    static struct record r;
    record_start_dir(&r, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        assert_null(nswatch_new(&bad[i].options, NULL, NULL, &e));
        assert_int_equal(e.code, bad[i].code);
        assert_non_null(strstr(e.text, bad[i].says));
        if (bad[i].options.proc_root)
            continue;
        e = (struct err){0};
        assert_int_equal(nswatch_set_options(r.nw, &bad[i].options, &e), bad[i].code);
        assert_non_null(strstr(e.text, bad[i].says));
    }
    struct err e = {0};
    struct nswatch_options options = {.proc_root = "/elsewhere"};
    assert_int_equal(nswatch_set_options(r.nw, &options, &e), ERR_PRECONDITION);
    options = (struct nswatch_options){.mountinfo_path = "/elsewhere"};
    assert_int_equal(nswatch_set_options(r.nw, &options, &e), ERR_PRECONDITION);
    record_stop(&r);
}

/* Without mountinfo all is found as well, later. */
static void mountinfo_is_not_needed(void **state)
{
    (void)state;
    const char *dirs[] = {WORLD_DIR};
    struct nswatch_options options = {.dirs = dirs, .dir_count = 1, .mountinfo_path = "/nonexistent"};
    static struct record r;
    record_start_options(&r, &options);
    world_file(WORLD_DIR "/blue");
    record_expect(&r, NSWATCH_ADDED, "blue");
    world_mount(WORLD_DIR "/blue");
    record_expect(&r, NSWATCH_READY, "blue");
    umount2(WORLD_DIR "/blue", MNT_DETACH);
    record_expect(&r, NSWATCH_REMOVED, "blue");
    record_stop(&r);
}

static int all_tests(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(missing_directory_is_awaited, world_clean),
        cmocka_unit_test_teardown(directory_removed_and_made_again, world_clean),
        cmocka_unit_test_teardown(directory_renamed, world_clean),
        cmocka_unit_test_teardown(directory_mounted_over_and_unmounted, world_clean),
        cmocka_unit_test_teardown(link_on_the_way_swapped, world_clean),
        cmocka_unit_test_teardown(parent_renamed, world_clean),
        cmocka_unit_test_teardown(missing_directory_on_another_mount, world_clean),
        cmocka_unit_test_teardown(directory_mounted_on_itself, world_clean),
        cmocka_unit_test_teardown(the_same_directory_twice, world_clean),
        cmocka_unit_test_teardown(directory_and_its_missing_child, world_clean),
        cmocka_unit_test_teardown(order_of_directories_decides_on_the_name, world_clean),
        cmocka_unit_test_teardown(directories_change_while_running, world_clean),
        cmocka_unit_test_teardown(bad_options_are_refused, world_clean),
        cmocka_unit_test_teardown(mountinfo_is_not_needed, world_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return world_run(all_tests);
}
