/* Names of daemons: the texts that count as addresses, and their normalized form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fleet/target.h"

static void test_normalize(void **state)
{
    (void)state;
    static const struct {
        const char *given, *want;
        bool all;
    } good[] = {
        {"node7", "node7:8889", false},
        {"node7.example:1", "node7.example:1", false},
        {"192.0.2.1", "192.0.2.1:8889", false},
        {"192.0.2.1:65535", "192.0.2.1:65535", false},
        {"::1", "[::1]:8889", false},
        {"2001:db8::7", "[2001:db8::7]:8889", false},
        {"[::1]", "[::1]:8889", false},
        {"[::1]:9000", "[::1]:9000", false},
        {"fe80::1%eth0", "[fe80::1%eth0]:8889", false},
        {"unix:/run/xtcp2.sock", "unix:/run/xtcp2.sock", false},
        {"unix-abstract:x", "unix-abstract:x", false},
        {"dns:///node7:1", "dns:///node7:1", false},
        {"dns-all:///web.example", "web.example:8889", true},
        {"dns-all:///web.example:1", "web.example:1", true},
    };
    static const char *const bad[] = {
        "",        ":8889",   "host:",       "host:0",      "host:65536", "host:80x", "http://host:1",
        "ho st",   "[]:1",    "[::1",        "[::1]x",      "[node7]:1",  "-x",       "a:1:2",
        "unix:",   "host:-1", "dns-all://a", "dns-all:///", "[::1%]:1:2", "a/b",      "host\n",
        "::%]x:1", "[::1%]",  "::1%",        "[::1%e/h]:1",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char out[TARGET_MAX];
        bool all;
        struct err e = {0};
        if (target_normalize(good[i].given, out, &all, &e) != 0)
            fail_msg("%s: %s", good[i].given, e.text);
        assert_string_equal(out, good[i].want);
        assert_int_equal(all, good[i].all);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[TARGET_MAX];
        bool all;
        struct err e = {0};
        if (target_normalize(bad[i], out, &all, &e) != ERR_USAGE)
            fail_msg("\"%s\" was taken for \"%s\"", bad[i], out);
        assert_int_equal(strncmp(e.text, "target \"", 8), 0);
    }
}

/* The intended target is told where it can be guessed. */
static void test_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *given, *text;
    } cases[] = {
        {"http://host:1", "target \"http://host:1\": is a URL: write host:1"},
        {"https://host:1/x?y", "target \"https://host:1/x?y\": is a URL: write host:1 and --tls"},
        {"grpc://host/", "target \"grpc://host/\": is a URL: write host"},
        {"http://[::1]:1/", "target \"http://[::1]:1/\": is a URL: write [::1]:1"},
        {"http://", "target \"http://\": is a URL; expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"},
        {"http://me@host",
         "target \"http://me@host\": is a URL; expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"},
        {"http://a b/",
         "target \"http://a b/\": is a URL; expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"},
        {"http://host:x/",
         "target \"http://host:x/\": is a URL; expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"},
        {"/run/x.sock", "target \"/run/x.sock\": is a path: write unix:/run/x.sock for a socket there"},
        {"unix:", "target \"unix:\": has no path: expected unix:/path"},
        {"host:80x", "target \"host:80x\": its port must be 1 to 65535"},
        {"a/b", "target \"a/b\": expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[TARGET_MAX];
        bool all;
        struct err e = {0};
        assert_int_equal(target_normalize(cases[i].given, out, &all, &e), ERR_USAGE);
        assert_string_equal(e.text, cases[i].text);
    }
}

static void test_long(void **state)
{
    (void)state;
    char text[2 * TARGET_MAX], out[TARGET_MAX];
    bool all;
    struct err e = {0};
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    assert_int_equal(target_normalize(text, out, &all, &e), ERR_USAGE);
    text[TARGET_MAX - 16] = 0;
    assert_int_equal(target_normalize(text, out, &all, &e), 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(target_is_name("node7:8889"));
    assert_false(target_is_name("192.0.2.1:8889"));
    assert_false(target_is_name("[::1]:8889"));
    assert_false(target_is_name("unix:/x"));
}

static int collect(void *context, const char *address, const char *host)
{
    size_t *n = context;
    assert_string_equal(host, "127.0.0.1");
    assert_string_equal(address, "127.0.0.1:77");
    (*n)++;
    return 0;
}

static int refuse(void *context, const char *address, const char *host)
{
    (void)context, (void)address, (void)host;
    return -7;
}

/* Numbers need no resolver. */
static void test_addresses(void **state)
{
    (void)state;
    size_t n = 0;
    struct err e = {0};
    assert_int_equal(target_addresses("127.0.0.1:77", collect, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(target_addresses("[::1]:77", refuse, NULL, &e), -7);
    assert_int_equal(target_addresses("x.invalid:77", refuse, NULL, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "cannot find the addresses of x.invalid: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalize), cmocka_unit_test(test_what_is_wrong), cmocka_unit_test(test_long),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
