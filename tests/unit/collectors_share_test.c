/* Collectors that share threads, and those that take long: the waits between them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/collectors_internal.h"
#include "lib/linux/netns.h"
#include "lib/log.h"
#include "tests/unit/collectors_fixture.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

#define SOCKETS 701 /* more than one batch and several datagrams */
#define SLOW_ID 99  /* of collectors whose batches are held */

static struct net_process full, empty;
static struct net_sockets own;
static int privileged; /* 0, or why there are no other namespaces */

/* The linker has thread_start of the collectors come here first. */
int __real_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);
int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);

static const char *refused; /* no thread whose name begins so; NULL: all are started */

int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg)
{
    if (refused && strncmp(name, refused, strlen(refused)) == 0)
        return -EAGAIN;
    return __real_thread_start(t, name, stack, fn, arg);
}

/* Waits until this process has |want| threads: /proc lists one for a moment longer than it takes to join it. */
static void wait_threads(size_t want)
{
    int64_t limit = clock_mono_ns() + 20 * NS_PER_S;
    while (count_entries("task") != want && clock_mono_ns() < limit)
        usleep(1000);
    assert_int_equal(count_entries("task"), want);
}

static unsigned locked(struct fixture *f, const unsigned *counter)
{
    pthread_mutex_lock(&f->set->lock);
    unsigned value = *counter;
    pthread_mutex_unlock(&f->set->lock);
    return value;
}

static void wait_counter(struct fixture *f, const unsigned *counter, unsigned want)
{
    int64_t limit = clock_mono_ns() + 20 * NS_PER_S;
    while (locked(f, counter) != want && clock_mono_ns() < limit)
        usleep(1000);
    assert_int_equal(locked(f, counter), want);
}

/* Two with a thread of their own, all others on as many threads as there are slots, which end with them. */
static void test_threads(void **state)
{
    (void)state;
    enum { COLLECTORS = 60, POLLS = 5 };
    struct fixture f;
    struct collector *c[COLLECTORS];
    size_t before = count_entries("task");
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 3, .threads_max = 2});
    for (unsigned i = 0; i < COLLECTORS; i++) {
        assert_int_equal(count_entries("task") - before, i <= 2 ? 1 + i : 1 + 2 + 3);
        c[i] = start_id(&f, i, i % 2 && !privileged ? full.path : NULL);
    }
    size_t descriptors = count_entries("fd");
    for (unsigned poll = 0; poll < POLLS; poll++) {
        struct poll_request *o = request_new(1, PATIENCE);
        for (unsigned i = 0; i < COLLECTORS; i++)
            assert_int_equal(collector_poll(c[i], o), 0);
        wait_done(&f.sink, COLLECTORS * (poll + 1));
        poll_request_unref(o);
    }
    assert_int_equal(f.sink.failed, 0);
    assert_true(f.sink.rows >= POLLS * (COLLECTORS / 2) * own.count);
    assert_int_equal(count_entries("fd"), descriptors);
    assert_int_equal(count_entries("task") - before, 1 + 2 + 3);

    /* The place of one that had a thread goes to the next that is started, not to one that shares. */
    end(c[0]);
    wait_threads(before + 1 + 1 + 3);
    c[0] = start_id(&f, 0, NULL);
    assert_true(c[0]->own_thread);
    for (unsigned i = 2; i < COLLECTORS; i++) {
        assert_false(c[i]->own_thread);
        end(c[i]);
    }
    wait_threads(before + 1 + 2);
    assert_int_equal(poll_once(&f, c[0], PATIENCE).err.code, 0);
    end(c[0]);
    end(c[1]);
    fixture_close(&f);
    wait_threads(before);
}

/* Many collectors and polls, with requests cancelled and collectors stopped at any moment: each accepted request
 * is answered exactly once. */
static void many(unsigned threads_max)
{
    enum { COLLECTORS = 100, POLLS = 20 };
    struct fixture f;
    struct collector *c[COLLECTORS];
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 3, .threads_max = threads_max});
    for (unsigned i = 0; i < COLLECTORS; i++)
        c[i] = start_id(&f, i, i % 2 && !privileged ? i % 4 == 1 ? empty.path : full.path : NULL);
    unsigned accepted = 0;
    for (unsigned poll = 0; poll < POLLS; poll++) {
        struct poll_request *o = request_new(1, PATIENCE);
        for (unsigned i = 0; i < COLLECTORS; i++) {
            int rc = collector_poll(c[i], o);
            assert_true(rc == 0 || rc == -EBUSY || rc == ERR_CANCELLED);
            accepted += rc == 0;
            if (poll == POLLS / 2 && i % 10 == 0)
                collector_stop(c[i]);
        }
        if (poll % 3 == 1)
            poll_request_cancel(o);
        else
            wait_done(&f.sink, accepted);
        poll_request_unref(o);
    }
    for (unsigned i = 0; i < COLLECTORS; i++)
        collector_stop(c[i]);
    for (unsigned i = 0; i < COLLECTORS; i++)
        collector_join(c[i]);
    assert_true(accepted >= COLLECTORS * POLLS / 2);
    assert_int_equal(f.sink.done, accepted);
    fixture_close(&f);
}

static void test_many_own(void **state)
{
    (void)state;
    many(0);
}

static void test_many_shared(void **state)
{
    (void)state;
    many(1);
}

static void test_many_mixed(void **state)
{
    (void)state;
    many(50);
}

/* As many hang as there are slots, and more: all others are polled as if nothing were. */
static void hanging(unsigned threads_max)
{
    enum { HANGING = 5, OTHERS = 40 };
    struct fixture f;
    struct collector *slow[HANGING], *c[OTHERS];
    fixture_open_with(&f, (struct collectors_options){
                              .dump_slots = 2, .threads_max = threads_max, .overdue_ns = 5 * NS_PER_MS});
    for (unsigned i = 0; i < HANGING; i++)
        slow[i] = start_id(&f, SLOW_ID, NULL);
    for (unsigned i = 0; i < OTHERS; i++)
        c[i] = start_id(&f, 1, NULL);
    struct poll_request *first = request_new(1, 3600 * NS_PER_S);
    hold(&f.sink, SLOW_ID);
    for (unsigned i = 0; i < HANGING; i++)
        assert_int_equal(collector_poll(slow[i], first), 0);
    for (unsigned i = 0; i < OTHERS; i++)
        assert_int_equal(collector_poll(c[i], first), 0);
    wait_done(&f.sink, OTHERS);
    wait_held(&f.sink, HANGING);

    /* And again, without those, which are still at it. */
    struct poll_request *second = request_new(1, PATIENCE);
    for (unsigned i = 0; i < HANGING; i++)
        assert_int_equal(collector_poll(slow[i], second), -EBUSY);
    for (unsigned i = 0; i < OTHERS; i++)
        assert_int_equal(collector_poll(c[i], second), 0);
    wait_done(&f.sink, 2 * OTHERS);
    assert_int_equal(f.sink.failed, 0);
    assert_in_range(locked(&f, &f.set->overdue), HANGING - 1, HANGING); /* the last one need not be yet */
    assert_in_range(locked(&f, &f.set->slot_count), HANGING + 1, HANGING + 2);

    /* When they come back, what took their place goes. */
    hold(&f.sink, 0);
    wait_done(&f.sink, 2 * OTHERS + HANGING);
    assert_int_equal(f.sink.failed, 0);
    wait_counter(&f, &f.set->slot_count, 2);
    if (threads_max == 1)
        wait_counter(&f, &f.set->worker_count, 2);
    poll_request_unref(first);
    poll_request_unref(second);
    for (unsigned i = 0; i < HANGING; i++)
        end(slow[i]);
    for (unsigned i = 0; i < OTHERS; i++)
        end(c[i]);
    fixture_close(&f);
}

static void test_hanging_own(void **state)
{
    (void)state;
    hanging(0);
}

static void test_hanging_shared(void **state)
{
    (void)state;
    hanging(1);
}

/* A collector that used up its time is last at the next poll; one whose turn did not come is first. */
static void test_ranks(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .overdue_ns = 3600 * NS_PER_S});
    struct collector *slow = start_id(&f, SLOW_ID, full.path);
    struct collector *other = start_id(&f, 1, full.path);
    struct poll_request *o = request_new(1, 50 * NS_PER_MS);
    hold(&f.sink, SLOW_ID);
    assert_int_equal(collector_poll(slow, o), 0);
    wait_held(&f.sink, 1);
    assert_int_equal(collector_poll(other, o), 0);
    struct collector_result r = wait_done(&f.sink, 1);
    assert_int_equal(r.netns_id, 1);
    assert_int_equal(r.err.code, ERR_TIMEOUT);
    assert_non_null(strstr(r.err.text, "turn"));
    hold(&f.sink, 0);
    r = wait_done(&f.sink, 2);
    assert_int_equal(r.netns_id, SLOW_ID);
    assert_int_equal(r.err.code, ERR_TIMEOUT);
    assert_int_equal(other->rank, RANK_FIRST);
    assert_int_equal(slow->rank, RANK_LAST);
    poll_request_unref(o);

    /* The slow one asks first and comes second. */
    struct collector *busy = start_id(&f, 2, full.path);
    o = request_new(1, PATIENCE);
    hold(&f.sink, 2);
    assert_int_equal(collector_poll(busy, o), 0);
    wait_held(&f.sink, 2);
    assert_int_equal(collector_poll(slow, o), 0);
    assert_int_equal(collector_poll(other, o), 0);
    hold(&f.sink, 1);
    wait_held(&f.sink, 3);
    assert_int_equal(wait_done(&f.sink, 3).netns_id, 2); /* not the slow one */
    hold(&f.sink, 0);
    wait_done(
        &f.sink,
        5); /* a slot goes to the next before its last user reports, so these two may overtake each other */
    assert_int_equal(slow->rank, RANK_USUAL);
    assert_int_equal(other->rank, RANK_USUAL);
    poll_request_unref(o);
    end(slow);
    end(other);
    end(busy);
    fixture_close(&f);
}

/* Shared ones that wait for a slot, a thread or the kernel end at once when they are told to. */
static void test_prompt_end(void **state)
{
    (void)state;
    enum { WAITING = 20 };
    struct fixture f;
    struct collector *c[WAITING];
    fixture_open_with(
        &f, (struct collectors_options){.dump_slots = 1, .threads_max = 1, .overdue_ns = 3600 * NS_PER_S});
    struct collector *busy = start_id(&f, SLOW_ID, NULL);
    for (unsigned i = 0; i < WAITING; i++)
        c[i] = start_id(&f, 1, NULL);
    struct poll_request *o = request_new(1, 3600 * NS_PER_S);
    hold(&f.sink, SLOW_ID);
    assert_int_equal(collector_poll(busy, o), 0);
    wait_held(&f.sink, 1);
    for (unsigned i = 0; i < WAITING; i++)
        assert_int_equal(collector_poll(c[i], o), 0);
    int64_t begin = clock_mono_ns();
    for (unsigned i = 0; i < WAITING / 2; i++) {
        end(c[i]);
        assert_int_equal(done_count(&f.sink), i + 1); /* told before the end */
    }
    poll_request_cancel(o);
    assert_int_equal(wait_done(&f.sink, WAITING).err.code, ERR_CANCELLED);
    for (unsigned i = WAITING / 2; i < WAITING; i++)
        end(c[i]);
    assert_true(clock_mono_ns() - begin < 10 * NS_PER_S);
    hold(&f.sink, 0);
    wait_done(&f.sink, WAITING + 1);
    poll_request_unref(o);
    end(busy);
    fixture_close(&f);
}

/* Without threads for all, some share; without any, it is told. */
static void test_no_threads(void **state)
{
    (void)state;
    struct fixture f;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    fixture_open(&f, 2);
    log_set_fd(null);
    refused = "col/";
    struct collector *c = start_id(&f, 1, NULL);
    assert_false(c->own_thread);
    assert_int_equal(poll_once(&f, c, PATIENCE).err.code, 0);
    end(c);
    wait_counter(&f, &f.set->worker_count, 0);

    refused = "col";
    struct netns_ref ns = {.id = 1, .own = true, .name = "poor", .path = ""};
    assert_int_equal(collector_start(f.set, &ns, &c, &f.e), -EAGAIN);
    assert_null(c);
    assert_non_null(strstr(f.e.text, "poor"));
    assert_int_equal(locked(&f, &f.set->shared_count) + locked(&f, &f.set->own_count), 0);
    refused = NULL;
    c = start_id(&f, 1, NULL);
    assert_true(c->own_thread);
    end(c);
    log_set_fd(STDERR_FILENO);
    close(null);
    fixture_close(&f);

    refused = "col-timer";
    struct collectors_options options = {.dump_slots = 1};
    struct collectors *set;
    struct err e = {0};
    assert_int_equal(collectors_new(&options, &set, &e), -EAGAIN);
    assert_null(set);
    refused = NULL;
}

/* A worker that cannot come home ends, which lets the namespace go; another one takes its place. */
static void test_worker_gone_astray(void **state)
{
    (void)state;
    struct fixture f;
    NEEDS_NAMESPACE(privileged);
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .threads_max = 1});
    struct collector *with_thread = start_id(&f, 1, NULL);
    struct collector *trap = start_id(&f, 2, full.path);
    struct collector *next = start_id(&f, 3, full.path);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int home = dup(f.set->own_netns_fd);
    assert_int_equal(dup3(null, f.set->own_netns_fd, O_CLOEXEC), f.set->own_netns_fd);
    log_set_fd(null);
    struct collector_result r = poll_once(&f, trap, PATIENCE);
    assert_int_equal(r.err.code, -EINVAL);
    assert_int_equal(dup3(home, f.set->own_netns_fd, O_CLOEXEC), f.set->own_netns_fd);
    log_set_fd(STDERR_FILENO);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(poll_once(&f, next, PATIENCE).rows, SOCKETS);
    struct poll_request *o = request_new(1, PATIENCE);
    assert_int_equal(collector_poll(trap, o), ERR_CANCELLED);
    poll_request_unref(o);
    end(trap);
    end(next);
    end(with_thread);
    close(null);
    close(home);
    fixture_close(&f);
}

static void *nothing(void *arg)
{
    return arg;
}

/* ThreadSanitizer has a thread of its own, from the first one on. */
static void have_all_threads(void)
{
    struct thread t = {0};
    assert_int_equal(thread_start(&t, "nothing", 0, nothing, NULL), 0);
    thread_join(&t);
}

static int set_up(void **state)
{
    (void)state;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    privileged = net_process_start(&full, SOCKETS);
    if (!privileged)
        assert_int_equal(net_process_start(&empty, 0), 0);
    uint16_t port = net_listen(&own, AF_INET);
    net_connect(&own, own.fds[0], port, 3);
    have_all_threads();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!privileged) {
        net_process_end(&full);
        net_process_end(&empty);
    }
    net_close(&own);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_many_own),
        cmocka_unit_test(test_many_shared), cmocka_unit_test(test_many_mixed),
        cmocka_unit_test(test_hanging_own), cmocka_unit_test(test_hanging_shared),
        cmocka_unit_test(test_ranks),       cmocka_unit_test(test_prompt_end),
        cmocka_unit_test(test_no_threads),  cmocka_unit_test(test_worker_gone_astray),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
