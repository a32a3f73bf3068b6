/* Roles of peers; counting connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/role.h"
#include "server/access.h"
#include "server/connections.h"

#define OWN 900

static struct config *with(const char *control, const char *read, const char *anonymous)
{
    const char *const values[][2] = {
        {"access_control_uids", control}, {"access_read_uids", read}, {"access_anonymous_role", anonymous}};
    struct config *c = NULL;
    assert_int_equal(config_defaults(&c), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(config_set_text(c, config_option_find(values[i][0]), values[i][1], NULL), 0);
    return c;
}

static void test_roles(void **state)
{
    (void)state;
    static const struct {
        const char *control, *read, *anonymous;
        enum rpc_peer_kind kind;
        uid_t uid;
        enum rpc_role role;
    } cases[] = {
        {"", "*", "read", RPC_PEER_USER, 0, RPC_ROLE_CONTROL},
        {"", "*", "read", RPC_PEER_USER, OWN, RPC_ROLE_CONTROL},
        {"", "*", "read", RPC_PEER_USER, 1000, RPC_ROLE_READ},
        {"", "", "read", RPC_PEER_USER, 0, RPC_ROLE_CONTROL},
        {"", "", "read", RPC_PEER_USER, OWN, RPC_ROLE_CONTROL},
        {"", "", "control", RPC_PEER_USER, 1000, RPC_ROLE_HEALTH},
        {"", "1000,1001", "read", RPC_PEER_USER, 1001, RPC_ROLE_READ},
        {"", "1000,1001", "read", RPC_PEER_USER, 100, RPC_ROLE_HEALTH},
        {"1000", "", "read", RPC_PEER_USER, 1000, RPC_ROLE_CONTROL},
        {"1000", "1000", "health", RPC_PEER_USER, 1000, RPC_ROLE_CONTROL},
        {"*", "", "health", RPC_PEER_USER, 4294967294, RPC_ROLE_CONTROL},
        {"*", "*", "health", RPC_PEER_REMOTE, 0, RPC_ROLE_HEALTH},
        {"", "", "read", RPC_PEER_REMOTE, 0, RPC_ROLE_READ},
        {"", "", "control", RPC_PEER_REMOTE, 1000, RPC_ROLE_CONTROL},
        {"nobody", "", "health", RPC_PEER_USER, 65534, RPC_ROLE_CONTROL},
        {"", "@daemon", "health", RPC_PEER_USER, 1, RPC_ROLE_READ}, /* its primary group */
        {"", "@daemon,@0", "health", RPC_PEER_USER, 2, RPC_ROLE_HEALTH},
        {"*", "*", "control", RPC_PEER_NOBODY, 0, RPC_ROLE_HEALTH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *c = with(cases[i].control, cases[i].read, cases[i].anonymous);
        struct rpc_peer peer = {.kind = cases[i].kind, .uid = cases[i].uid};
        struct access_users users;
        assert_int_equal(access_users_find(c, &users, NULL), 0);
        if (access_peer_role(c, &users, &peer, OWN) != cases[i].role)
            fail_msg("case %zu: the role is not %s", i, rpc_role_names[cases[i].role]);
        access_users_clear(&users);
        config_unref(c);
    }
}

/* The names of the configuration are those of rpc: both have them in the order of one enum. */
static void test_role_names(void **state)
{
    (void)state;
    const struct config_option *o = config_option_find("access_anonymous_role");
    assert_int_equal(o->n_names, RPC_ROLES);
    for (size_t i = 0; i < RPC_ROLES; i++)
        assert_string_equal(o->names[i], rpc_role_names[i]);
}

#define ANY_TIME INT64_MAX

static void test_connections(void **state)
{
    (void)state;
    enum { N = 200 };
    int fds[N];
    struct connections *c;
    assert_int_equal(connections_new(&c), 0);
    for (size_t i = 0; i < N; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(connections_add(c, fds[i], N, ANY_TIME));
    }
    int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_false(connections_add(c, late, N, ANY_TIME));
    assert_int_equal(connections_count(c), N);
    /* Refusing does not mean looking each time. */
    close(fds[0]);
    assert_false(connections_add(c, late, N, 0));
    assert_true(connections_add(c, late, N, ANY_TIME));
    assert_int_equal(connections_count(c), N);
    close(late);
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(connections_add(c, fds[0], N, ANY_TIME));
    late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The descriptor is in use again at once, but what it leads to is another socket, or none. */
    close(fds[7]);
    int next = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(next, fds[7]);
    assert_int_equal(connections_count(c), N - 1);
    close(fds[8]);
    assert_int_equal(dup(STDERR_FILENO), fds[8]);
    assert_int_equal(connections_count(c), N - 2);
    assert_true(connections_add(c, late, N, ANY_TIME));
    assert_true(connections_add(c, next, N, ANY_TIME));
    assert_false(connections_add(c, fds[0], N, ANY_TIME));
    assert_true(connections_add(c, fds[0], N + 1, ANY_TIME)); /* the bound may change */
    for (size_t i = 0; i < N; i++)
        close(fds[i]);
    close(late);
    assert_int_equal(connections_count(c), 0);
    connections_free(c);
    connections_free(NULL);
}

/* A connection of TCP on loopback: both ends, and the port of the one that was accepted. */
static uint16_t pair(int server, int out[2])
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
    out[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(out[0], (struct sockaddr *)&at, len), 0);
    out[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    assert_true(out[1] >= 0);
    return ntohs(at.sin_port);
}

/* Connections that somebody else accepts are found among our sockets, and the last ones are closed. */
static void test_connections_by_tls(void **state)
{
    (void)state;
    enum { N = 5, MAX = 3 };
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(server, N), 0);
    int ends[N][2] = {{0}};
    size_t closed;
    struct connections *c;
    assert_int_equal(connections_new(&c), 0);
    uint16_t port = 0;
    for (size_t i = 0; i < 2; i++) {
        port = pair(server, ends[i]);
        connections_tls_ports(c, &port, 1);
        connections_expect_tls(c);
    }
    assert_int_equal(connections_bound_tls(c, MAX, ANY_TIME, &closed), 0);
    assert_int_equal(closed, 0);
    /* One more fits, two do not, and it is not those from before that have to go. */
    for (size_t i = 2; i < N; i++) {
        pair(server, ends[i]);
        connections_expect_tls(c);
    }
    assert_true(connections_bound_tls(c, MAX, 0, &closed) > 0);
    assert_int_equal(closed, 0);
    assert_int_equal(connections_bound_tls(c, MAX, ANY_TIME, &closed), 0);
    assert_int_equal(closed, N - MAX);
    size_t ended = 0;
    for (size_t i = 0; i < N; i++) {
        char byte;
        bool end = recv(ends[i][0], &byte, 1, MSG_DONTWAIT) == 0;
        assert_false(end && i < 2);
        ended += end;
    }
    assert_int_equal(ended, N - MAX);
    /* They count for the others as well. */
    int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; i < N; i++) {
        close(ends[i][1]);
        assert_int_equal(connections_add(c, late, 1, ANY_TIME), i == N - 1);
        close(ends[i][0]);
    }
    close(late);
    close(server);
    connections_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_role_names),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_connections_by_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
