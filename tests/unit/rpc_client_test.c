/* rpc/client/client.c: which targets are taken for one. Nothing is connected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/client/client.h"

static void test_targets(void **state)
{
    (void)state;
    static const char *const good[] = {
        "127.0.0.1:8889",      "localhost:1",      "node7.example:65535", "[::1]:8889",
        "[fe80::1%eth0]:8889", "unix:/run/x.sock", "unix-abstract:x",     "dns:node7:8889",
    };
    static const char *const bad[] = {
        "",       "nonsense",   "127.0.0.1",     "127.0.0.1:", ":8889",
        "host:0", "host:65536", "host:80x",      "host:-1",    "::1:8889",
        "[::1]",  "[]:1",       "http://host:1", "ho st:1",    "unix:",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct rpc_channel *c;
        struct err e = {0};
        assert_int_equal(rpc_channel_new(good[i], NULL, &c, &e), 0);
        rpc_channel_free(c);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rpc_channel *c;
        struct err e = {0};
        if (rpc_channel_new(bad[i], NULL, &c, &e) != ERR_USAGE)
            fail_msg("\"%s\" was taken for a target", bad[i]);
        assert_non_null(strstr(e.text, "expected HOST:PORT"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets)};
    rpc_client_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_client_fini();
    return failed;
}
