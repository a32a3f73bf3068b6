/* Collectors at work: real threads, real namespaces, a sink that only counts. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/collector.h"
#include "collectors/collectors_internal.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"
#include "tests/unit/collectors_fixture.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

#define SOCKETS 701 /* more than one batch and several datagrams */

static struct net_process full, empty;
static struct net_sockets own;
static char netns_name[32], veth[IFNAMSIZ]; /* of the namespace that ip(8) makes */
static int privileged;                      /* 0, or why there are no other namespaces */

static void test_own_namespace(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 0);
    struct collector *c = start(&f, "default", "", 0, true);
    struct collector_result r = poll_once(&f, c, PATIENCE);
    assert_int_equal(r.err.code, 0);
    assert_true(r.rows >= own.count);
    assert_int_equal(r.rows, f.sink.rows);
    assert_int_equal(r.sockets, r.rows + r.duplicates);
    assert_true(r.duration_ns >= r.dump_ns && r.dump_ns > 0 && r.cpu_ns > 0);
    assert_true(f.sink.cookie != 0); /* found out, although nobody told */
    end(c);
    fixture_close(&f);
}

static void test_other_namespace(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open(&f, 0);
    struct collector *c = start(&f, "blue", full.path, 0, false);
    size_t before = count_entries("fd");
    uint64_t rows = 0;
    for (unsigned i = 0; i < 5; i++) {
        struct collector_result r = poll_once(&f, c, PATIENCE);
        assert_int_equal(r.err.code, 0);
        assert_int_equal(r.rows, SOCKETS);
        assert_int_equal(r.duplicates + r.malformed + r.unknown_attrs, 0);
        rows += r.rows;
    }
    assert_int_equal(f.sink.rows, rows);
    assert_int_equal(count_entries("fd"), before); /* between polls: nothing */

    /* The right cookie is accepted, another one is not. */
    struct collector *right = start(&f, "right", full.path, f.sink.cookie, false);
    assert_int_equal(poll_once(&f, right, PATIENCE).err.code, 0);
    end(right);
    struct collector *wrong = start(&f, "wrong", full.path, f.sink.cookie + 1, false);
    struct collector_result r = poll_once(&f, wrong, PATIENCE);
    assert_int_equal(r.err.code, ERR_GONE);
    assert_int_equal(r.rows, 0);
    end(wrong);
    end(c);
    fixture_close(&f);
}

static void test_empty_namespace(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open(&f, 1);
    struct collector *c = start(&f, "empty", empty.path, 0, false);
    struct collector_result r = poll_once(&f, c, PATIENCE);
    assert_int_equal(r.err.code, 0);
    assert_int_equal(r.rows, 0);
    assert_int_equal(f.sink.rows, 0);
    end(c);
    fixture_close(&f);
}

static void test_not_there(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    static const char *const paths[] = {"/run/netns/xt-col-none", "/proc/1/nothing/ns", "/dev/null",
                                        "/etc/passwd", "/proc/self/ns/uts"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct collector *c = start(&f, "none", paths[i], 0, false);
        struct collector_result r = poll_once(&f, c, PATIENCE);
        assert_int_equal(r.err.code, ERR_GONE);
        assert_non_null(strstr(r.err.text, paths[i]));
        end(c);
    }
    fixture_close(&f);
}

/* A new path counts from the next request on. */
static void test_rename(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open(&f, 1);
    struct collector *c = start(&f, "blue", "/run/netns/xt-col-none", 0, false);
    assert_int_equal(poll_once(&f, c, PATIENCE).err.code, ERR_GONE);
    assert_int_equal(collector_rename(c, "green", "/dev/null"), 0);
    assert_int_equal(collector_rename(c, "red", full.path), 0);
    assert_int_equal(poll_once(&f, c, PATIENCE).rows, SOCKETS);
    assert_int_equal(collector_rename(c, "never used", "/dev/null"), 0);
    end(c);
    fixture_close(&f);
}

/* One slot, and a collector that keeps it: a collector that waits is told when its time is over, or at once
 * when it is cancelled or stopped. */
static void test_dump_slots(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    struct collector *kept_one = start(&f, "keeper", "", 0, true);
    struct collector *waiters[3];
    for (unsigned i = 0; i < 3; i++)
        waiters[i] = start(&f, "waiter", "", 0, true);

    struct poll_request *kept = request_new(1, PATIENCE);
    hold(&f.sink, FIXTURE_ID);
    assert_int_equal(collector_poll(kept_one, kept), 0);
    wait_held(&f.sink, 1);
    assert_int_equal(collector_poll(kept_one, kept), -EBUSY);

    struct poll_request *late = request_new(1, 20 * NS_PER_MS);
    assert_int_equal(collector_poll(waiters[0], late), 0);
    assert_int_equal(wait_done(&f.sink, 1).err.code, ERR_TIMEOUT);

    int64_t begin = clock_mono_ns();
    struct poll_request *cancelled = request_new(1, 3600 * NS_PER_S);
    struct poll_request *patient = request_new(1, 3600 * NS_PER_S);
    assert_int_equal(collector_poll(waiters[0], patient), 0);
    assert_int_equal(collector_poll(waiters[1], cancelled), 0);
    assert_int_equal(collector_poll(waiters[2], patient), 0);
    poll_request_cancel(cancelled);
    assert_int_equal(wait_done(&f.sink, 2).err.code, ERR_CANCELLED);
    collector_stop(waiters[2]);
    assert_int_equal(wait_done(&f.sink, 3).err.code, ERR_CANCELLED);
    assert_int_equal(collector_poll(waiters[2], patient), ERR_CANCELLED);
    assert_true(clock_mono_ns() - begin < 10 * NS_PER_S);

    hold(&f.sink, 0); /* the keeper leaves, the patient one gets its turn */
    assert_int_equal(wait_done(&f.sink, 5).err.code, 0);
    poll_request_unref(kept);
    poll_request_unref(late);
    poll_request_unref(cancelled);
    poll_request_unref(patient);
    for (unsigned i = 0; i < 3; i++)
        end(waiters[i]);
    end(kept_one);
    fixture_close(&f);
}

/* A request that was cancelled, or is too late, before the collector saw it. */
static void test_request_is_void(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    struct collector *c = start(&f, "default", "", 0, true);
    struct poll_request *o = request_new(1, PATIENCE);
    poll_request_cancel(o);
    assert_int_equal(collector_poll(c, o), 0);
    assert_int_equal(wait_done(&f.sink, 1).err.code, ERR_CANCELLED);
    poll_request_unref(o);
    assert_int_equal(poll_once(&f, c, 0).err.code, ERR_TIMEOUT);
    assert_int_equal(poll_once(&f, c, PATIENCE).err.code, 0);
    assert_int_equal(f.sink.done, 3);
    end(c);
    fixture_close(&f);
}

/* A text that no record can hold is told, and nothing is sent. */
static void test_texts_too_long(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    struct collector *c = start(&f, "default", "", 0, true);
    struct poll_request *o = request_new(1, PATIENCE);
    o->label = calloc(1, RECORD_FRAME_HEAD_MAX + 1);
    memset(o->label, 'x', RECORD_FRAME_HEAD_MAX);
    assert_int_equal(collector_poll(c, o), 0);
    assert_int_equal(wait_done(&f.sink, 1).err.code, ERR_LIMIT);
    assert_int_equal(f.sink.rows, 0);
    poll_request_unref(o);
    end(c);
    fixture_close(&f);
}

/* The host's end of a veth pair disappears with the namespace of the other end. */
static void test_deleted_namespace_dies(void **state)
{
    (void)state;
    struct fixture f;
    char path[64], command[512];
    NEEDS_NAMESPACE(privileged);
    snprintf(path, sizeof(path), "/run/netns/%s", netns_name);
    snprintf(command, sizeof(command),
             "ip netns add %s && ip link add %s type veth peer name there && ip link set there netns %s",
             netns_name, veth, netns_name);
    if (system(command)) {
        print_message("skipped: no ip(8) or no veth\n");
        skip();
    }
    fixture_open_with(&f, (struct collectors_options){.idle_check_ns = 1});
    struct collector *c = start(&f, netns_name, path, 0, false);
    assert_int_equal(poll_once(&f, c, PATIENCE).err.code, 0);
    assert_true(poll_once(&f, c, PATIENCE).empty); /* nor does the idle check hold anything */
    assert_true(if_nametoindex(veth) > 0);
    snprintf(command, sizeof(command), "ip netns del %s", netns_name);
    assert_int_equal(system(command), 0);
    int64_t limit = clock_mono_ns() + 2 * NS_PER_S;
    while (if_nametoindex(veth) && clock_mono_ns() < limit)
        usleep(1000);
    assert_int_equal(if_nametoindex(veth), 0);
    assert_int_equal(poll_once(&f, c, PATIENCE).err.code, ERR_GONE);
    end(c);
    fixture_close(&f);
}

/* The name is taken away while the answer is received: the sockets are told, and that it is gone. */
static void test_dies_during_dump(void **state)
{
    (void)state;
    struct fixture f;
    struct net_process p;
    NEEDS_NAMESPACE(privileged);
    assert_int_equal(net_process_start(&p, SOCKETS), 0);
    fixture_open(&f, 0);
    struct collector *c = start(&f, "mortal", p.path, 0, false);
    struct poll_request *o = request_new(1, PATIENCE);
    hold(&f.sink, FIXTURE_ID);
    assert_int_equal(collector_poll(c, o), 0);
    wait_held(&f.sink, 1);
    net_process_end(&p);
    hold(&f.sink, 0);
    struct collector_result r = wait_done(&f.sink, 1);
    assert_int_equal(r.err.code, ERR_GONE);
    assert_true(r.rows > 0);
    assert_int_equal(r.rows, f.sink.rows);
    poll_request_unref(o);
    end(c);
    fixture_close(&f);
}

/* A thread that cannot come home does nothing more but to say so; its end lets the namespace go. */
static void test_no_way_home(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open(&f, 1);
    struct collector *c = start(&f, "trap", full.path, 0, false);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(dup3(null, f.set->own_netns_fd, O_CLOEXEC), f.set->own_netns_fd);
    log_set_fd(null);
    struct collector_result r = poll_once(&f, c, PATIENCE);
    assert_int_equal(r.err.code, -EINVAL);
    assert_non_null(strstr(r.err.text, "cannot go back"));
    assert_int_equal(r.rows, 0);
    struct poll_request *o = request_new(1, PATIENCE);
    assert_int_equal(collector_poll(c, o), ERR_CANCELLED);
    poll_request_unref(o);
    end(c);
    log_set_fd(STDERR_FILENO);
    close(null);
    fixture_close(&f);
}

static int set_up(void **state)
{
    (void)state;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    snprintf(netns_name, sizeof(netns_name), "xt-col-%d", (int)getpid());
    snprintf(veth, sizeof(veth), "xtc%d", (int)getpid());
    privileged = net_process_start(&full, SOCKETS);
    if (!privileged)
        assert_int_equal(net_process_start(&empty, 0), 0);
    uint16_t port = net_listen(&own, AF_INET);
    net_connect(&own, own.fds[0], port, 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!privileged) { /* a test that failed may have left its namespace behind */
        char path[64], command[128];
        snprintf(command, sizeof(command), "ip link del %s; ip netns del %s", veth, netns_name);
        snprintf(path, sizeof(path), "/run/netns/%s", netns_name);
        if (access(path, F_OK) == 0 && system(command))
            print_error("cannot remove namespace %s\n", netns_name);
        net_process_end(&full);
        net_process_end(&empty);
    }
    net_close(&own);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_namespace),
        cmocka_unit_test(test_other_namespace),
        cmocka_unit_test(test_empty_namespace),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_dump_slots),
        cmocka_unit_test(test_request_is_void),
        cmocka_unit_test(test_texts_too_long),
        cmocka_unit_test(test_deleted_namespace_dies),
        cmocka_unit_test(test_dies_during_dump),
        cmocka_unit_test(test_no_way_home),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
