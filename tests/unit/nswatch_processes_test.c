/* Anonymous namespaces, and that nothing is held. */
#include "nswatch_world.h"

#include "lib/clock.h"
#include "lib/linux/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOON (20 * NS_PER_MS)
#define RARE (3600 * NS_PER_S)

struct label {
    char text[64];
};

static struct label anonymous(uint64_t inode)
{
    struct label l;
    snprintf(l.text, sizeof(l.text), "netns:[%llu]", (unsigned long long)inode);
    return l;
}

static void found_by_a_scan_and_gone_with_the_process(void **state)
{
    (void)state;
    static struct record r;
    uint64_t inode;
    record_start_dir(&r, SOON);
    pid_t pid = world_process(&inode);
    struct label name = anonymous(inode);
    const struct told *t = record_expect(&r, NSWATCH_READY, name.text);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    assert_int_equal(t->ns->kind, NSWATCH_ANONYMOUS);
    assert_int_equal(t->ns->pid, pid);
    assert_int_equal(t->ns->inode, inode);
    assert_true(t->ns->cookie != 0);
    assert_string_equal(t->ns->path, path);
    world_kill(pid);
    assert_int_equal(record_expect(&r, NSWATCH_REMOVED, name.text)->ns->id, t->ns->id);
    record_stop(&r);
}

static void another_process_takes_over(void **state)
{
    (void)state;
    static struct record r;
    uint64_t inode;
    record_start_dir(&r, SOON);
    pid_t first = world_process(&inode);
    struct label name = anonymous(inode);
    uint64_t id = record_expect(&r, NSWATCH_READY, name.text)->ns->id;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)first);
    pid_t second = world_process_in(path);
    world_kill(first);
    const struct told *t = record_expect(&r, NSWATCH_CHANGED, name.text);
    assert_int_equal(t->ns->id, id);
    assert_int_equal(t->ns->pid, second);
    assert_int_equal(record_count(&r, NSWATCH_REMOVED, NULL), 0);
    world_kill(second);
    record_expect(&r, NSWATCH_REMOVED, name.text);
    record_stop(&r);
}

static void gets_a_name_and_loses_it(void **state)
{
    (void)state;
    static struct record r;
    uint64_t inode;
    record_start_dir(&r, SOON);
    pid_t pid = world_process(&inode);
    struct label name = anonymous(inode);
    uint64_t id = record_expect(&r, NSWATCH_READY, name.text)->ns->id;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    world_attach(path, WORLD_DIR "/named");
    const struct told *t = record_expect(&r, NSWATCH_CHANGED, "named");
    assert_int_equal(t->ns->id, id);
    assert_int_equal(t->ns->kind, NSWATCH_NAMED);
    world_delete(WORLD_DIR "/named");
    t = record_expect(&r, NSWATCH_CHANGED, name.text);
    assert_int_equal(t->ns->id, id);
    assert_int_equal(t->ns->kind, NSWATCH_ANONYMOUS);
    assert_int_equal(t->ns->pid, pid);
    assert_int_equal(record_count_id(&r, NSWATCH_REMOVED, id), 0);
    world_kill(pid);
    record_expect(&r, NSWATCH_REMOVED, name.text);
    record_stop(&r);
}

/* The name goes while a process lives on inside: found at once, not at the next scan. */
static void named_namespace_outlives_its_name(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, RARE);
    uint64_t inode = world_add(WORLD_DIR "/blue");
    uint64_t id = record_expect(&r, NSWATCH_READY, "blue")->ns->id;
    pid_t pid = world_process_in(WORLD_DIR "/blue");
    world_delete(WORLD_DIR "/blue");
    struct label name = anonymous(inode);
    const struct told *t = record_expect(&r, NSWATCH_CHANGED, name.text);
    assert_int_equal(t->ns->id, id);
    assert_int_equal(t->ns->pid, pid);
    /* And its name given back to another one at once. */
    world_add(WORLD_DIR "/blue");
    assert_true(record_expect(&r, NSWATCH_READY, "blue")->ns->id != id);
    world_kill(pid);
    nswatch_rescan(r.nw);
    assert_int_equal(record_expect(&r, NSWATCH_REMOVED, name.text)->ns->id, id);
    record_stop(&r);
}

/* Makes the next process get the number |pid|, if the kernel lets us. */
static void next_pid(pid_t pid)
{
    FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
    if (!f)
        return;
    fprintf(f, "%d", (int)pid - 1);
    fclose(f);
}

/* The worst case: the same inode number behind the same process number, and yet another namespace. */
static void same_inode_and_pid_are_not_the_same_namespace(void **state)
{
    (void)state;
    static struct record r;
    uint64_t inode, again = 0;
    record_start_dir(&r, RARE);
    pid_t first = world_process(&inode), second = 0;
    struct label name = anonymous(inode);
    nswatch_rescan(r.nw);
    const struct told *old = record_expect(&r, NSWATCH_READY, name.text);
    assert_int_equal(old->ns->pid, first);
    world_kill(first);
    int64_t deadline = clock_mono_ns() + 5 * NS_PER_S;
    while (clock_mono_ns() < deadline) { /* until the kernel has cleaned up and gives the number away again */
        next_pid(first);
        second = world_process(&again);
        if (again == inode)
            break;
        world_kill(second);
    }
    if (again != inode) {
        record_stop(&r);
        skip();
    }
    print_message("the same inode, and %s pid\n", first == second ? "the same" : "another");
    nswatch_rescan(r.nw);
    assert_int_equal(record_expect(&r, NSWATCH_REMOVED, name.text)->ns->id, old->ns->id);
    const struct told *new = record_expect(&r, NSWATCH_READY, name.text);
    assert_true(new->ns->id != old->ns->id &&new->ns->cookie != old->ns->cookie);
    assert_int_equal(new->ns->pid, second);
    world_kill(second);
    record_stop(&r);
}

/* The end of an interface that has its other end in our namespace: how the kernel shows that a namespace is
 * really gone. */
static bool interface_gone_within(const char *name, int64_t ns)
{
    int64_t deadline = clock_mono_ns() + ns;
    while (if_nametoindex(name))
        if (clock_mono_ns() > deadline)
            return false;
        else
            sched_yield();
    return true;
}

static bool have_veth(void)
{
    bool have = world_shell("ip link add xt-nw-probe type veth peer name xt-nw-p2 2>/dev/null");
    if (have)
        world_shell("ip link del xt-nw-probe");
    return have;
}

static void deleted_namespace_really_dies(void **state)
{
    (void)state;
    if (!have_veth())
        skip();
    static struct record r;
    record_start_dir(&r, SOON);
    for (int i = 0; i < 10; i++) {
        world_add(WORLD_DIR "/blue");
        record_expect(&r, NSWATCH_READY, "blue");
        assert_true(world_shell("ip link add xt-nw-h type veth peer name xt-nw-c && "
                                "nsenter --net=" WORLD_DIR
                                "/blue true && ip link set xt-nw-c netns " WORLD_DIR "/blue"));
        nswatch_rescan(r.nw);
        world_delete(WORLD_DIR "/blue");
        assert_true(interface_gone_within("xt-nw-h", 2 * NS_PER_S));
        record_expect(&r, NSWATCH_REMOVED, "blue");
    }
    record_stop(&r);
}

/* A namespace id is given when a veth end moves in, and taken when the namespace ends: both are told without
 * a scan. */
static void namespace_ids_tell_before_the_scan(void **state)
{
    (void)state;
    if (!have_veth())
        skip();
    static struct record r;
    uint64_t inode;
    record_start_dir(&r, RARE);
    pid_t pid = world_process(&inode);
    struct label name = anonymous(inode);
    record_expect_none(&r, NSWATCH_READY, NULL);
    assert_true(world_shell("ip link add xt-nw-a type veth peer name xt-nw-b netns %d", (int)pid));
    record_expect(&r, NSWATCH_READY, name.text);
    world_kill(pid);
    record_expect(&r, NSWATCH_REMOVED, name.text);
    assert_true(interface_gone_within("xt-nw-a", 2 * NS_PER_S));
    record_stop(&r);
}

/* The descriptors that the watcher keeps open: no namespace file but that of its home. */
static void nothing_is_held(void **state)
{
    (void)state;
    static struct record r;
    uint64_t inode, home;
    record_start_dir(&r, SOON);
    pid_t pid = world_process(&inode);
    for (int i = 0; i < 50; i++) {
        char path[64];
        snprintf(path, sizeof(path), WORLD_DIR "/n%d", i);
        world_add(path);
    }
    record_wait_count(&r, NSWATCH_READY, 52);
    netns_inode("/proc/self/ns/net", &home);
    for (size_t i = 0; i < r.count; i++)
        assert_int_equal(r.told[i].home, home);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char target[256] = "", own[64];
        snprintf(own, sizeof(own), "net:[%llu]", (unsigned long long)home);
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0 &&
            !strncmp(target, "net:", 4))
            assert_string_equal(target, own);
        assert_null(strstr(target, WORLD_DIR));
    }
    closedir(dir);
    dir = opendir("/proc/self/task");
    while ((entry = readdir(dir))) {
        char path[300];
        uint64_t lives_in;
        snprintf(path, sizeof(path), "/proc/self/task/%s/ns/net", entry->d_name);
        if (entry->d_name[0] != '.' && netns_inode(path, &lives_in) == 0)
            assert_int_equal(lives_in, home);
    }
    closedir(dir);
    world_kill(pid);
    record_stop(&r);
}

/* A process that may not be looked at is counted, not fatal; as every process of others for a daemon without
 * rights. */
static void unreadable_processes_are_counted(void **state)
{
    (void)state;
    mkdir(WORLD_ROOT "/proc", 0755);
    mkdir(WORLD_ROOT "/proc/1", 0755);
    mkdir(WORLD_ROOT "/proc/1/ns", 0755);
    mkdir(WORLD_ROOT "/proc/2", 0755); /* gone half-way */
    mkdir(WORLD_ROOT "/proc/3", 0755);
    mkdir(WORLD_ROOT "/proc/3/ns", 0755);
    mkdir(WORLD_ROOT "/proc/self", 0755);
    assert_int_equal(symlink("net:[garbage]", WORLD_ROOT "/proc/3/ns/net"), 0);
    assert_int_equal(symlink("net:[4026500001]", WORLD_ROOT "/proc/1/ns/net"),
                     0); /* a namespace that is not there */
    struct nswatch_options options = {.proc_interval_ns = SOON, .proc_root = WORLD_ROOT "/proc"};
    static struct record r;
    record_start_options(&r, &options);
    struct nswatch_stats stats;
    nswatch_get_stats(r.nw, &stats);
    assert_int_equal(stats.processes, 3);
    assert_int_equal(stats.namespaces, 1);
    assert_int_equal(record_count(&r, NSWATCH_READY, NULL), 1);
    record_stop(&r);
}

/* The thread cannot go home: it ends and says so. Its way home is taken from it under its hands. */
static void a_lost_thread_ends(void **state)
{
    (void)state;
    static struct record r;
    record_start_dir(&r, 0);
    uint64_t home;
    netns_inode("/proc/self/ns/net", &home);
    char own[64];
    snprintf(own, sizeof(own), "net:[%llu]", (unsigned long long)home);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), found = 0;
    for (int fd = 0; fd < 100; fd++) {
        char path[64], target[256] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof(target) - 1) > 0 && !strcmp(target, own))
            found += dup3(null, fd, O_CLOEXEC) == fd;
    }
    close(null);
    assert_int_equal(found, 1);
    world_add(WORLD_DIR "/blue");
    record_expect(&r, NSWATCH_DEAD, NULL);
    assert_int_equal(record_count(&r, NSWATCH_READY, "blue"), 0);
    nswatch_join(r.nw);
    struct nswatch_stats stats;
    nswatch_get_stats(r.nw, &stats);
    assert_true(stats.dead);
    record_stop(&r);
}

static int all_tests(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(found_by_a_scan_and_gone_with_the_process, world_clean),
        cmocka_unit_test_teardown(another_process_takes_over, world_clean),
        cmocka_unit_test_teardown(gets_a_name_and_loses_it, world_clean),
        cmocka_unit_test_teardown(named_namespace_outlives_its_name, world_clean),
        cmocka_unit_test_teardown(same_inode_and_pid_are_not_the_same_namespace, world_clean),
        cmocka_unit_test_teardown(deleted_namespace_really_dies, world_clean),
        cmocka_unit_test_teardown(namespace_ids_tell_before_the_scan, world_clean),
        cmocka_unit_test_teardown(nothing_is_held, world_clean),
        cmocka_unit_test_teardown(unreadable_processes_are_counted, world_clean),
        cmocka_unit_test_teardown(a_lost_thread_ends, world_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return world_run(all_tests);
}
