/* Roles of peers; counting connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
        {"*", "*", "control", RPC_PEER_NOBODY, 0, RPC_ROLE_HEALTH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *c = with(cases[i].control, cases[i].read, cases[i].anonymous);
        struct rpc_peer peer = {.kind = cases[i].kind, .uid = cases[i].uid};
        if (access_peer_role(c, &peer, OWN) != cases[i].role)
            fail_msg("case %zu: the role is not %s", i, rpc_role_names[cases[i].role]);
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

static void test_connections(void **state)
{
    (void)state;
    enum { N = 200 };
    int fds[N];
    struct connections *c;
    assert_int_equal(connections_new(&c), 0);
    for (size_t i = 0; i < N; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(connections_add(c, fds[i], N));
    }
    int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_false(connections_add(c, late, N));
    assert_int_equal(connections_count(c), N);
    /* The descriptor is in use again at once, but what it leads to is another socket, or none. */
    close(fds[7]);
    int next = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(next, fds[7]);
    assert_int_equal(connections_count(c), N - 1);
    close(fds[8]);
    assert_int_equal(dup(STDERR_FILENO), fds[8]);
    assert_int_equal(connections_count(c), N - 2);
    assert_true(connections_add(c, late, N));
    assert_true(connections_add(c, next, N));
    assert_false(connections_add(c, fds[0], N));
    assert_true(connections_add(c, fds[0], N + 1)); /* the bound may change */
    for (size_t i = 0; i < N; i++)
        close(fds[i]);
    close(late);
    assert_int_equal(connections_count(c), 0);
    connections_free(c);
    connections_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_role_names),
        cmocka_unit_test(test_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
