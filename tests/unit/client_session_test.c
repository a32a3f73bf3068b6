/* Failures in words, and when and after what time a lost stream is opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/session.h"
#include "lib/clock.h"

static void check(int code, const char *text, const char *want)
{
    struct rpc_status status = {.code = code};
    struct buf b;
    snprintf(status.text, sizeof(status.text), "%s", text);
    buf_init(&b);
    session_explain(&b, "127.0.0.1:8889", "/xtcp_config.v1.ConfigService/Set", &status);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void test_explain(void **state)
{
    (void)state;
    check(14,
          "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:8889: Failed to connect "
          "to remote "
          "host: Connection refused",
          "nothing listens at 127.0.0.1:8889: is xtcp2 running there? (--target names another place)");
    check(14, "x: No such file or directory",
          "there is no socket at 127.0.0.1:8889: is xtcp2 running and listening "
          "there? (--target names another place)");
    check(14, "x: Permission denied",
          "this user may not connect to 127.0.0.1:8889: ask for access to the socket, or try as root");
    check(14, "Socket closed",
          "no connection to 127.0.0.1:8889; if something else than xtcp2 listens there, --target "
          "names another place (Socket closed)");
    check(14, "tcp handshaker shutdown",
          "127.0.0.1:8889 does not answer in time: the host is down, or what is there is stopped, overloaded "
          "or no "
          "xtcp2 (--connect-timeout gives it more time)");
    check(
        14, "closed before receiving SETTINGS frame",
        "127.0.0.1:8889 takes connections, but does not answer as xtcp2 does: --target names another place");
    check(14, "ipv4:1: connection attempt timed out before receiving SETTINGS frame",
          "127.0.0.1:8889 takes connections, but does not answer in time: what is there is stopped, "
          "overloaded or "
          "no xtcp2 (--connect-timeout gives it more time)");
    check(14, "DNS resolution failed",
          "cannot find the address of 127.0.0.1:8889: is the name right? (DNS resolution failed)");
    check(14, "Trying to connect an http1.x server",
          "127.0.0.1:8889 is a web server, not a gRPC one: --target names another place");
    check(12, "unknown service",
          "127.0.0.1:8889 does not offer this: it is an older daemon or another program (--target names "
          "another place) (unknown service)");
    check(
        7, "",
        "127.0.0.1:8889 does not allow this: show who you are with --cert and --key or with --token-file, or "
        "ask for access");
    check(4, "Deadline Exceeded", "no answer from 127.0.0.1:8889 in time (--timeout gives it more)");
    /* The daemon's own words stay what they are. */
    check(3, "poll_timeout: 3s: must be below poll_frequency (2s)",
          "Set: poll_timeout: 3s: must be below poll_frequency (2s) (INVALID_ARGUMENT)");
    check(9, "", "Set: failed (FAILED_PRECONDITION)");
}

static void test_retry(void **state)
{
    (void)state;
    static const int final_codes[] = {3, 5, 7, 9, 12, 16};
    static const int passing[] = {0, 1, 8, 13, 14};
    for (size_t i = 0; i < sizeof(final_codes) / sizeof(final_codes[0]); i++)
        assert_false(session_may_retry(final_codes[i]));
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        assert_true(session_may_retry(passing[i]));
}

static void test_backoff(void **state)
{
    (void)state;
    struct backoff b = {0};
    static const int64_t seconds[] = {1, 2, 4, 8, 16, 30, 30};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        int64_t wait = backoff_next(&b, (uint32_t)(i * 2654435761u));
        assert_in_range(wait, seconds[i] * NS_PER_S * 4 / 5, seconds[i] * NS_PER_S * 6 / 5);
    }
    /* The jitter is one. */
    struct backoff x = {0}, y = {0};
    assert_int_not_equal(backoff_next(&x, 1), backoff_next(&y, 0x40000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
