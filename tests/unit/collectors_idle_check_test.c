/* The idle check: namespaces without sockets are not dumped, and no socket is missed for it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/collectors_internal.h"
#include "inet_diag/sockstat.h"
#include "lib/linux/netns.h"
#include "tests/unit/collectors_fixture.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

static struct net_process here, other; /* namespaces without sockets */
static int home;
static int privileged;

/* ---- The text ---- */

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint64_t sockets;
    } cases[] = {
        {"sockets: used 9\nTCP: inuse 3 orphan 1 tw 4 alloc 9 mem 5\nUDP: inuse 8 mem 0\n", 0, 7},
        {"TCP: inuse 0 orphan 0 tw 0 alloc 9 mem 5\n", 0, 0},
        {"TCP6: inuse 5\nUDP6: inuse 1\n", 0, 5},
        {"TCP6: inuse 5", 0, 5},
        {"TCP: tw 2 inuse 1", 0, 3},
        {"TCP:  inuse   1  \n", 0, 1},
        {"UDP: inuse 1\nUDPLITE: inuse 0\n", ERR_MALFORMED, 0},
        {"TCP: tw 2\n", ERR_MALFORMED, 0},
        {"TCP:\n", ERR_MALFORMED, 0},
        {"TCP: inuse\n3\n", ERR_MALFORMED, 0},
        {"TCP: inuse -1 tw 0\n", ERR_MALFORMED, 0},
        {"TCP: inuse 3x\n", ERR_MALFORMED, 0},
        {"TCP: inuse 1111111111111111111111\n", ERR_MALFORMED, 0},
        {"TCP:inuse 3\n", ERR_MALFORMED, 0},
        {"XTCP: inuse 3\n", ERR_MALFORMED, 0},
        {"\n\n\n", ERR_MALFORMED, 0},
        {"", ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t sockets;
        size_t n = strlen(cases[i].text);
        char *copy = malloc(n ? n : 1); /* without the NUL: a sanitizer sees a read past the end */
        assert_non_null(copy);
        memcpy(copy, cases[i].text, n);
        int rc = sockstat_parse(copy, n, &sockets);
        free(copy);
        if (rc != cases[i].rc)
            fail_msg("\"%s\": %d", cases[i].text, rc);
        if (rc == 0)
            assert_int_equal(sockets, cases[i].sockets);
    }
}

static void test_count_here(void **state)
{
    (void)state;
    struct net_sockets s = {0};
    uint64_t before;
    uint64_t after;
    NEEDS_NAMESPACE(privileged);
    size_t descriptors = count_entries("fd");
    assert_int_equal(netns_enter(here.path), 0);
    int rc = sockstat_count(&before);
    net_listen(&s, AF_INET);
    net_listen(&s, AF_INET6);
    int rc_after = sockstat_count(&after);
    net_close(&s);
    assert_int_equal(netns_enter_fd(home), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(before, 0);
    assert_int_equal(rc_after, 0);
    assert_true(after >= 1); /* the second file is read only when the first says that there are none */
    assert_int_equal(count_entries("fd"), descriptors);
}

/* ---- Namespaces ---- */

/* Has |here| be a namespace that never had a socket. */
static void fresh_here(void)
{
    net_process_end(&here);
    assert_int_equal(net_process_start(&here, 0), 0);
}

/* In the namespace |here|: a listener alone. */
static void make_listener(struct net_sockets *s, int family)
{
    assert_int_equal(netns_enter(here.path), 0);
    net_listen(s, family);
    assert_int_equal(netns_enter_fd(home), 0);
}

static void make_listener4(struct net_sockets *s)
{
    make_listener(s, AF_INET);
}

static void make_listener6(struct net_sockets *s)
{
    make_listener(s, AF_INET6);
}

/* A connection without its listener. */
static void make_connection(struct net_sockets *s)
{
    struct net_sockets listener = {0};
    assert_int_equal(netns_enter(here.path), 0);
    uint16_t port = net_listen(&listener, AF_INET);
    net_connect(s, listener.fds[0], port, 1);
    net_close(&listener);
    assert_int_equal(netns_enter_fd(home), 0);
}

static void make_connection6(struct net_sockets *s)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct net_sockets listener = {0};
    assert_int_equal(netns_enter(here.path), 0);
    to.sin6_port = htons(net_listen(&listener, AF_INET6));
    int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    net_add(s, client);
    net_add(s, accept(listener.fds[0], NULL, NULL));
    net_close(&listener);
    assert_int_equal(netns_enter_fd(home), 0);
}

/* Closed on both sides, one after the other: TIME_WAIT on the first is all that is left. */
static void close_in_turn(struct net_sockets *s)
{
    char c;
    assert_int_equal(s->count, 2);
    assert_int_equal(shutdown(s->fds[0], SHUT_WR), 0);
    assert_int_equal(read(s->fds[1], &c, 1), 0);
    assert_int_equal(shutdown(s->fds[1], SHUT_WR), 0);
    assert_int_equal(read(s->fds[0], &c, 1), 0);
    net_close(s);
}

static void make_time_wait(struct net_sockets *s)
{
    make_connection(s);
    close_in_turn(s);
}

static void make_time_wait6(struct net_sockets *s)
{
    make_connection6(s);
    close_in_turn(s);
}

/* The connections of a client whose server accepts nothing and has gone: FIN_WAIT, no descriptor left. */
static void make_orphan(struct net_sockets *s)
{
    make_connection(s);
    close(s->fds[0]);
    s->fds[0] = s->fds[1];
    s->count = 1;
}

static const struct {
    const char *name;
    void (*make)(struct net_sockets *s);
    uint64_t sockets;
} kinds[] = {
    {"LISTEN, IPv4", make_listener4, 1},          {"LISTEN, IPv6", make_listener6, 1},
    {"ESTABLISHED, IPv4", make_connection, 2},    {"ESTABLISHED, IPv6", make_connection6, 2},
    {"FIN_WAIT2 and CLOSE_WAIT", make_orphan, 2}, {"TIME_WAIT, IPv4", make_time_wait, 1},
    {"TIME_WAIT, IPv6", make_time_wait6, 1},
};

/* In a fresh namespace each: sockets that appear after an idle check are seen by the next poll. */
static void test_nothing_missed(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(privileged);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct fixture f;
        struct net_sockets s = {0};
        fresh_here();
        fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 1});
        struct collector *c = start_id(&f, 7, here.path);
        assert_false(poll_once(&f, c, PATIENCE).empty);
        struct collector_result r = poll_once(&f, c, PATIENCE);
        assert_true(r.empty);
        assert_int_equal(r.err.code, 0);
        assert_int_equal(r.sockets, 0);
        kinds[i].make(&s);
        r = poll_once(&f, c, PATIENCE);
        if (r.err.code || r.empty || r.sockets != kinds[i].sockets || r.rows != kinds[i].sockets)
            fail_msg("%s: %d, %u sockets", kinds[i].name, r.err.code, (unsigned)r.sockets);
        net_close(&s);
        end(c);
        fixture_close(&f);
    }
}

/* A namespace that has sockets never pays for an idle check; one that had none is dumped every 16th time. */
static void test_when(void **state)
{
    (void)state;
    struct fixture f;
    struct net_sockets s = {0};
    unsigned gated = 0;
    NEEDS_NAMESPACE(privileged);
    fresh_here();
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 1});
    struct collector *c = start_id(&f, 3, other.path);
    for (f.sink.want_poll = 1; f.sink.want_poll <= 33; f.sink.want_poll++)
        gated += poll_once(&f, c, PATIENCE).empty;
    assert_int_equal(gated, 33 - 1 - 2); /* not the first, nor 13 and 29: (poll + id) % 16 == 0 */
    make_listener4(&s);
    struct collector *full = start_id(&f, 4, here.path);
    for (unsigned i = 0; i < 3; i++)
        assert_false(poll_once(&f, full, PATIENCE).empty);
    net_close(&s);
    assert_false(poll_once(&f, full, PATIENCE).empty); /* empty for the first time */
    assert_true(poll_once(&f, full, PATIENCE).empty);
    end(full);
    end(c);
    fixture_close(&f);

    /* Nor is one looked at whose dump is cheap. */
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 3600 * NS_PER_S});
    c = start_id(&f, 3, other.path);
    for (unsigned i = 0; i < 3; i++)
        assert_false(poll_once(&f, c, PATIENCE).empty);
    end(c);
    fixture_close(&f);
}

/* An empty namespace in the place of another is not taken for it. */
static void test_another_in_its_place(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t cookie;
    NEEDS_NAMESPACE(privileged);
    fresh_here();
    assert_int_equal(netns_enter(here.path), 0);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(netns_cookie(fd, &cookie), 0);
    close(fd);
    assert_int_equal(netns_enter_fd(home), 0);
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 1});
    struct collector *c = start(&f, "here", here.path, cookie, false);
    poll_once(&f, c, PATIENCE);
    assert_true(poll_once(&f, c, PATIENCE).empty);
    assert_int_equal(collector_rename(c, "here", other.path), 0);
    struct collector_result r = poll_once(&f, c, PATIENCE);
    assert_int_equal(r.err.code, ERR_GONE);
    assert_false(r.empty);
    end(c);
    fixture_close(&f);
}

/* In a process with mounts of its own, /proc gone from its place: there is no idle check, and no error. Returns
 * what is wrong, NULL: nothing. */
static const char *poll_without_proc(const char *file)
{
    struct fixture f;
    int fd = open(file, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return "file";
    close(fd);
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(other.path, file, NULL, MS_BIND, NULL))
        return "mounts";
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 1});
    struct collector *c = start_id(&f, 7, file);
    poll_once(&f, c, PATIENCE);
    if (!poll_once(&f, c, PATIENCE).empty)
        return "no idle check with /proc";
    end(c);
    fixture_close(&f);
    fixture_open_with(&f, (struct collectors_options){.dump_slots = 1, .idle_check_ns = 1});
    if (mount("none", "/proc", "tmpfs", 0, NULL))
        return "tmpfs";
    c = start_id(&f, 7, file);
    for (unsigned i = 0; i < 3; i++) {
        struct collector_result r = poll_once(&f, c, PATIENCE);
        if (r.empty || r.err.code)
            return "without /proc";
    }
    end(c);
    fixture_close(&f);
    return NULL;
}

static void test_without_proc(void **state)
{
    (void)state;
    char file[64];
    int status;
    NEEDS_NAMESPACE(privileged);
    snprintf(file, sizeof(file), "/tmp/xt-col-idle-%d", (int)getpid());
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *wrong = poll_without_proc(file);
        if (wrong)
            print_error("%s\n", wrong);
        _exit(wrong != NULL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(file);
    assert_int_equal(status, 0);
}

static int set_up(void **state)
{
    (void)state;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    home = netns_open_self();
    privileged = net_process_start(&here, 0);
    if (!privileged)
        assert_int_equal(net_process_start(&other, 0), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!privileged) {
        net_process_end(&here);
        net_process_end(&other);
    }
    close(home);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_count_here),
        cmocka_unit_test(test_without_proc), /* before there are threads */
        cmocka_unit_test(test_nothing_missed),
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_another_in_its_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
