/* Roles of peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdint.h>

#include "model/role.h"
#include "server/listen/access.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_role_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
