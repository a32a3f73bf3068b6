/* The grammar of a listener. */
#include "config_test.h"

#include <arpa/inet.h>

static void test_ipv4(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t address;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:8889", INADDR_LOOPBACK, 8889},
        {"localhost:1", INADDR_LOOPBACK, 1},
        {"0.0.0.0:65535", INADDR_ANY, 65535},
        {"192.0.2.7:0", 0xc0000207, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_listen l;
        assert_int_equal(config_listen_parse(cases[i].text, &l, NULL), 0);
        assert_int_equal(l.kind, CONFIG_LISTEN_TCP);
        assert_int_equal(l.addr.any.sa_family, AF_INET);
        assert_int_equal(l.len, sizeof(struct sockaddr_in));
        assert_int_equal(ntohl(l.addr.in4.sin_addr.s_addr), cases[i].address);
        assert_int_equal(ntohs(l.addr.in4.sin_port), cases[i].port);
        assert_int_equal(l.port, cases[i].port);
    }
}

static void test_ipv6(void **state)
{
    (void)state;
    struct config_listen l;
    assert_int_equal(config_listen_parse("[2001:db8::7]:443", &l, NULL), 0);
    assert_int_equal(l.kind, CONFIG_LISTEN_TCP);
    assert_int_equal(l.addr.any.sa_family, AF_INET6);
    assert_int_equal(l.len, sizeof(struct sockaddr_in6));
    assert_int_equal(l.port, 443);
    assert_int_equal(ntohs(l.addr.in6.sin6_port), 443);
    char text[INET6_ADDRSTRLEN];
    assert_string_equal(inet_ntop(AF_INET6, &l.addr.in6.sin6_addr, text, sizeof(text)), "2001:db8::7");
    assert_int_equal(config_listen_parse("[::]:0", &l, NULL), 0);
    assert_true(IN6_IS_ADDR_UNSPECIFIED(&l.addr.in6.sin6_addr));
}

static void test_unix(void **state)
{
    (void)state;
    struct config_listen l;
    assert_int_equal(config_listen_parse("unix:/run/xtcp2/grpc:1.sock", &l, NULL), 0);
    assert_int_equal(l.kind, CONFIG_LISTEN_UNIX);
    assert_int_equal(l.addr.any.sa_family, AF_UNIX);
    assert_string_equal(l.addr.un.sun_path, "/run/xtcp2/grpc:1.sock");
    assert_int_equal(l.len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/xtcp2/grpc:1.sock"));
    assert_int_equal(l.port, 0);

    assert_int_equal(config_listen_parse("unix-abstract:xtcp2", &l, NULL), 0);
    assert_int_equal(l.kind, CONFIG_LISTEN_ABSTRACT);
    assert_memory_equal(l.addr.un.sun_path, "\0xtcp2", 6);
    assert_int_equal(l.len, offsetof(struct sockaddr_un, sun_path) + 6);
}

/* sun_path has 108 bytes: a path needs one for its NUL, an abstract name one in front. */
static void test_the_longest_unix_names(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"unix:/", "unix-abstract:"};
    for (size_t i = 0; i < 2; i++) {
        char text[256] = "";
        struct config_listen l;
        struct err e = {0};
        size_t prefix = strlen(prefixes[i]);
        size_t name = i == 0 ? 106 : 107;
        memcpy(text, prefixes[i], prefix);
        memset(text + prefix, 'x', name);
        assert_int_equal(config_listen_parse(text, &l, NULL), 0);
        assert_int_equal(l.len, sizeof(struct sockaddr_un));
        text[prefix + name] = 'x';
        assert_int_equal(config_listen_parse(text, &l, &e), ERR_RANGE);
        assert_string_equal(e.text, i == 0 ? "is too long; allowed a path of at most 107 bytes"
                                           : "is too long; allowed a name of at most 107 bytes");
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *error; /* its beginning */
    } cases[] = {
        {"", ERR_MALFORMED,
         "has no port; expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or unix-abstract:NAME"},
        {"127.0.0.1", ERR_MALFORMED, "has no port; "},
        {"127.0.0.1:", ERR_MALFORMED, "has no port number behind the last colon; "},
        {"127.0.0.1:http", ERR_MALFORMED, "has no port number"},
        {"127.0.0.1:+1", ERR_MALFORMED, "has no port number"},
        {"127.0.0.1:1 ", ERR_MALFORMED, "has no port number"},
        {"127.0.0.1:65536", ERR_RANGE, "has a port out of range; allowed 1 to 65535, or 0 for any free port"},
        {"127.0.0.1:99999999999999999999", ERR_RANGE, "has a port out of range"},
        {":8889", ERR_MALFORMED, "has no address (0.0.0.0 or [::] is every address); "},
        {"*:8889", ERR_MALFORMED, "has a name that is not resolved here; give an IP address or localhost; "},
        {"db.example:8889", ERR_MALFORMED, "has a name that is not resolved here"},
        {"127.1:8889", ERR_MALFORMED, "has a name that is not resolved here"},
        {"127.0.0.01:8889", ERR_MALFORMED, "has a name that is not resolved here"},
        {"::1:8889", ERR_MALFORMED, "has an IPv6 address without brackets; "},
        {"[::1]", ERR_MALFORMED, "has no port; "},
        {"[::1", ERR_MALFORMED, "has no port; "},
        {"[:1", ERR_MALFORMED, "has no port; "},
        {"[]:1", ERR_MALFORMED, "has no IPv6 address between the brackets; "},
        {"[127.0.0.1]:1", ERR_MALFORMED, "has no IPv6 address between the brackets; "},
        {"[fe80::1%eth0]:1", ERR_MALFORMED, "has a zone, which is not supported; "},
        {"unix:", ERR_MALFORMED, "is not an absolute path; "},
        {"unix:run/x", ERR_MALFORMED, "is not an absolute path; "},
        {"unix:/run/", ERR_MALFORMED, "is a directory; "},
        {"unix-abstract:", ERR_MALFORMED, "has no name; "},
        {"0123456789012345678901234567890123456789012345678901234567890123:1", ERR_MALFORMED,
         "is too long for an IP address; "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_listen l;
        struct err e = {0};
        int rc = config_listen_parse(cases[i].text, &l, &e);
        if (rc != cases[i].code || strncmp(e.text, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("%s: %d %s", cases[i].text, rc, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),    cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_unix),    cmocka_unit_test(test_the_longest_unix_names),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
