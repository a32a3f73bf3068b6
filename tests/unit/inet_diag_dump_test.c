/* Real dumps, in a namespace of this process's own. */
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/dump.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "tests/unit/inet_diag_message.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

static int unshared; /* 0, or why there is no namespace of our own */
static struct net_sockets sockets;
static struct u64set seen;
static uint8_t buffer[DUMP_BUFFER_SIZE];

struct found {
    uint64_t cookies[4096];
    uint8_t states[4096];
    uint8_t families[4096];
    size_t count;
    size_t parts[PART_COUNT];
    size_t stop_after; /* 0: never */
};

static int collect(void *arg, const struct record_source *s)
{
    struct found *f = arg;
    assert_true(f->count < 4096);
    f->families[f->count] = s->data[PART_MSG][0];
    f->states[f->count] = s->data[PART_MSG][1];
    f->cookies[f->count++] = diag_cookie(s);
    for (unsigned i = 0; i < PART_COUNT; i++)
        f->parts[i] += s->data[i] != NULL;
    return f->stop_after && f->count == f->stop_after ? ERR_LIMIT : 0;
}

static size_t index_of(const struct found *f, uint64_t cookie)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->cookies[i] == cookie)
            return i;
    }
    return SIZE_MAX;
}

static struct dump_options options_for(int64_t patience_ns)
{
    u64set_clear(&seen, 0);
    return (struct dump_options){.buffer = buffer,
                                 .buffer_size = sizeof(buffer),
                                 .seen = &seen,
                                 .wake_fd = -1,
                                 .deadline_ns = clock_mono_ns() + patience_ns};
}

static int dump_groups(groups_t groups, struct found *f, struct dump_counts *counts)
{
    struct dump d;
    struct err e = {0};
    struct dump_options o = options_for(10 * NS_PER_S);
    *f = (struct found){0};
    *counts = (struct dump_counts){0};
    int rc = dump_open(&d, 0, &e);
    assert_int_equal(rc, 0);
    assert_int_equal(dump_request(&d, groups, &e), 0);
    rc = dump_receive(&d, &o, collect, f, counts, &e);
    if (rc)
        print_error("%s\n", e.text);
    dump_close(&d);
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    unshared = net_unshare();
    u64set_init(&seen);
    uint16_t four = net_listen(&sockets, AF_INET);
    uint16_t six = net_listen(&sockets, AF_INET6);
    net_connect(&sockets, sockets.fds[0], four, 150);
    net_connect(&sockets, sockets.fds[1], six, 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_close(&sockets);
    u64set_free(&seen);
    return 0;
}

static void test_every_socket_once(void **state)
{
    (void)state;
    static struct found f;
    struct dump_counts counts;
    assert_int_equal(dump_groups(GROUPS_ALL, &f, &counts), 0);
    for (size_t i = 0; i < sockets.count; i++) {
        size_t at = index_of(&f, net_cookie(sockets.fds[i]));
        assert_true(at != SIZE_MAX);
        assert_int_equal(f.states[at], i < 2 ? TCP_LISTEN : TCP_ESTABLISHED);
        int family;
        socklen_t len = sizeof(family);
        getsockopt(sockets.fds[i], SOL_SOCKET, SO_DOMAIN, &family, &len);
        assert_int_equal(f.families[at], family);
    }
    assert_int_equal(counts.malformed, 0);
    assert_int_equal(counts.foreign, 0);
    assert_false(counts.interrupted);
    if (unshared)
        return; /* others may have sockets, too */
    assert_int_equal(f.count, sockets.count);
    assert_int_equal(counts.sockets, sockets.count);
    assert_int_equal(counts.duplicates, 0);
    assert_int_equal(f.parts[PART_INFO], f.count);
    assert_int_equal(f.parts[PART_MEMINFO], f.count);
    assert_int_equal(f.parts[PART_SKMEMINFO], f.count);
    assert_int_equal(f.parts[PART_CLASS_ID], f.count);
}

static void test_groups_choose_parts(void **state)
{
    (void)state;
    static struct found f;
    struct dump_counts counts;
    NEEDS_NAMESPACE(unshared);
    assert_int_equal(dump_groups(GROUP_BIT(GROUP_CONG), &f, &counts), 0);
    assert_int_equal(f.parts[PART_CONG], sockets.count);
    assert_int_equal(
        f.parts[PART_INFO] + f.parts[PART_SKMEMINFO] + f.parts[PART_TOS] + f.parts[PART_CLASS_ID], 0);
    assert_int_equal(dump_groups(GROUP_BIT(GROUP_CLASSID), &f, &counts), 0);
    assert_int_equal(f.parts[PART_CLASS_ID], sockets.count);
    assert_int_equal(f.parts[PART_CONG], 0);
}

/* TIME_WAIT, SYN_RECV (a listener that accepts only with data), CLOSE_WAIT, FIN_WAIT. */
static void test_passing_states(void **state)
{
    (void)state;
    static struct found f;
    struct dump_counts counts;
    struct net_sockets s = {0};
    NEEDS_NAMESPACE(unshared);
    uint16_t port = net_listen(&s, AF_INET);
    net_connect(&s, s.fds[0], port, 2);
    uint64_t time_wait = net_cookie(s.fds[1]);
    close(s.fds[1]);
    close(s.fds[2]);
    shutdown(s.fds[3], SHUT_WR);
    uint64_t fin_wait = net_cookie(s.fds[3]), close_wait = net_cookie(s.fds[4]);
    s.fds[1] = s.fds[2] = -1;

    int seconds = 30;
    port = net_listen(&s, AF_INET);
    setsockopt(s.fds[5], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    net_add(&s, client);

    assert_int_equal(dump_groups(GROUPS_DEFAULT, &f, &counts), 0);
    assert_int_equal(f.states[index_of(&f, time_wait)], TCP_TIME_WAIT);
    uint8_t after_fin = f.states[index_of(&f, fin_wait)]; /* the peer may delay its ACK */
    assert_true(after_fin == TCP_FIN_WAIT1 || after_fin == TCP_FIN_WAIT2);
    assert_int_equal(f.states[index_of(&f, close_wait)], TCP_CLOSE_WAIT);
    size_t syn_recv = 0;
    for (size_t i = 0; i < f.count; i++)
        syn_recv += f.states[i] == TCP_SYN_RECV;
    assert_int_equal(syn_recv, 1);
    assert_int_equal(f.count, sockets.count + 1 + 1 + 2 + 2 + 1);
    net_close(&s);
}

static void test_seen_are_left_out(void **state)
{
    (void)state;
    static struct found f;
    NEEDS_NAMESPACE(unshared);
    for (int again = 0; again < 2; again++) {
        struct dump d;
        struct err e = {0};
        struct dump_counts counts = {0};
        struct dump_options o = options_for(10 * NS_PER_S);
        o.again = again;
        f.count = 0;
        for (size_t i = 0; i < 5; i++)
            u64set_add(&seen, net_cookie(sockets.fds[i]));
        assert_int_equal(dump_open(&d, 0, &e), 0);
        assert_int_equal(dump_request(&d, GROUPS_DEFAULT, &e), 0);
        assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), 0);
        dump_close(&d);
        assert_int_equal(index_of(&f, net_cookie(sockets.fds[0])), SIZE_MAX);
        assert_int_equal(counts.duplicates, again ? 0 : 5);
        assert_int_equal(counts.sockets, f.count + (again ? 0 : 5));
    }
}

static void test_ends_early(void **state)
{
    (void)state;
    static struct found f;
    struct dump d;
    struct err e = {0};
    struct dump_counts counts = {0};
    static const struct {
        size_t buffer_size;
        size_t stop_after;
        bool cancelled, stopping, late;
        int rc;
    } cases[] = {
        {sizeof(buffer), 7, false, false, false, ERR_LIMIT},
        {1024, 0, false, false, false, ERR_TRUNCATED},
        {sizeof(buffer), 0, true, false, false, ERR_CANCELLED},
        {sizeof(buffer), 0, false, true, false, ERR_CANCELLED},
        {sizeof(buffer), 0, false, false, true, ERR_TIMEOUT},
    };
    NEEDS_NAMESPACE(unshared);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dump_options o = options_for(cases[i].late ? 0 : 10 * NS_PER_S);
        _Atomic bool cancelled = cases[i].cancelled, stopping = cases[i].stopping;
        o.buffer_size = cases[i].buffer_size;
        o.cancelled = &cancelled;
        o.stopping = &stopping;
        f = (struct found){.stop_after = cases[i].stop_after};
        assert_int_equal(dump_open(&d, 0, &e), 0);
        assert_int_equal(dump_request(&d, GROUPS_DEFAULT, &e), 0);
        assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), cases[i].rc);
        assert_int_equal(e.code, cases[i].rc);
        assert_true(e.text[0] != '\0');
        if (cases[i].stop_after)
            assert_int_equal(f.count, cases[i].stop_after);
        if (cases[i].rc == ERR_TRUNCATED)
            assert_true(f.count > 0 && f.count < sockets.count);
        dump_close(&d);
    }
}

static void test_busy(void **state)
{
    (void)state;
    static struct found f;
    struct dump d;
    struct err e = {0};
    struct dump_counts counts = {0};
    struct dump_options o = options_for(10 * NS_PER_S);
    NEEDS_NAMESPACE(unshared);
    f.count = 0;
    assert_int_equal(dump_open(&d, 0, &e), 0);
    assert_int_equal(dump_request(&d, GROUPS_DEFAULT, &e), 0);
    assert_int_equal(dump_request(&d, GROUPS_DEFAULT, &e), 0); /* the first answer is not read yet */
    assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), -EBUSY);
    assert_int_equal(f.count, 0); /* the first request's sockets are no answer to the second */
    assert_true(counts.foreign > 0);
    dump_close(&d);
}

/* libnl itself would say "Unspecific failure". */
static void test_no_descriptor_left(void **state)
{
    (void)state;
    struct dump d;
    struct err e;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, before.rlim_max}), 0);
    int rc = dump_open(&d, 0, &e);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, -EMFILE);
    assert_non_null(strstr(e.text, "Too many open files"));
    assert_int_equal(d.fd, -1);
}

static void test_cookie_is_checked(void **state)
{
    (void)state;
    struct dump d;
    struct err e = {0};
    assert_int_equal(dump_open(&d, 0, &e), 0);
    uint64_t cookie = d.cookie;
    assert_true(cookie != 0);
    dump_close(&d);
    assert_int_equal(dump_open(&d, cookie, &e), 0);
    dump_close(&d);
    assert_int_equal(dump_open(&d, cookie + 1, &e), ERR_GONE);
    assert_null(d.socket);
    assert_int_equal(d.fd, -1);
    assert_non_null(strstr(e.text, "another namespace"));
}

struct waker {
    _Atomic bool flag;
    int fd;
};

static void *wake(void *arg)
{
    struct waker *w = arg;
    atomic_store(&w->flag, true);
    eventfd_write(w->fd, 1);
    return NULL;
}

/* Nothing was asked, so nothing comes: only the eventfd or the deadline can end it. */
static void test_wakes_and_times_out(void **state)
{
    (void)state;
    static struct found f;
    struct dump d;
    struct err e = {0};
    struct dump_counts counts = {0};
    struct waker w = {.fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    assert_int_equal(dump_open(&d, 0, &e), 0);
    struct dump_options o = options_for(60 * NS_PER_S);
    o.wake_fd = w.fd;
    o.stopping = &w.flag;
    int64_t start = clock_mono_ns();
    assert_int_equal(pthread_create(&thread, NULL, wake, &w), 0);
    assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), ERR_CANCELLED);
    assert_true(clock_mono_ns() - start < 10 * NS_PER_S);
    pthread_join(thread, NULL);
    close(w.fd);

    o = options_for(30 * NS_PER_MS);
    start = clock_mono_ns();
    assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), ERR_TIMEOUT);
    assert_true(clock_mono_ns() - start >= 30 * NS_PER_MS);
    assert_string_equal(e.text, "the dump was not finished in time");

    o = options_for(60 * NS_PER_S);
    o.silence_ns = 30 * NS_PER_MS;
    start = clock_mono_ns();
    assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), ERR_TIMEOUT);
    assert_in_range(clock_mono_ns() - start, 30 * NS_PER_MS, 10 * NS_PER_S);
    assert_string_equal(e.text, "the kernel has not answered for 30 ms");
    dump_close(&d);
}

/* A process with CAP_NET_ADMIN can send to our port. Messages that are not from the kernel do not count. */
static void test_forged_answers(void **state)
{
    (void)state;
    static struct found f;
    struct dump d;
    struct err e = {0};
    struct dump_counts counts = {0};
    NEEDS_NAMESPACE(unshared);
    assert_int_equal(dump_open(&d, 0, &e), 0);
    d.seq = TEST_SEQ;
    struct message m = {.len = 0};
    put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
    put_code(&m, NLMSG_DONE, 0);
    for (size_t at = 0; at < m.len; at += 88) {
        struct nlmsghdr h;
        memcpy(&h, m.bytes + at, sizeof(h));
        h.nlmsg_pid = d.portid;
        memcpy(m.bytes + at, &h, sizeof(h));
    }
    int forger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = d.portid};
    assert_int_equal(sendto(forger, m.bytes, m.len, 0, (struct sockaddr *)&to, sizeof(to)), m.len);
    struct dump_options o = options_for(20 * NS_PER_MS);
    f.count = 0;
    assert_int_equal(dump_receive(&d, &o, collect, &f, &counts, &e), ERR_TIMEOUT);
    assert_int_equal(f.count, 0);
    close(forger);
    dump_close(&d);
}

static void test_without_rights(void **state)
{
    (void)state;
    static struct found f;
    struct dump_counts counts;
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534))
            _exit(2);
        if (dump_groups(GROUPS_DEFAULT, &f, &counts) || f.count < sockets.count)
            _exit(1);
        _exit(f.parts[PART_INFO] && f.parts[PART_CONG] && !f.parts[PART_MARK] ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_socket_once),   cmocka_unit_test(test_groups_choose_parts),
        cmocka_unit_test(test_passing_states),      cmocka_unit_test(test_seen_are_left_out),
        cmocka_unit_test(test_ends_early),          cmocka_unit_test(test_busy),
        cmocka_unit_test(test_no_descriptor_left),  cmocka_unit_test(test_cookie_is_checked),
        cmocka_unit_test(test_wakes_and_times_out), cmocka_unit_test(test_forged_answers),
        cmocka_unit_test(test_without_rights),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
