/* Patterns of namespaces: their syntax and the namespaces that they select. */
#include "lib_test.h"

#include <string.h>

#include "lib/netns_pattern.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } rows[] = {
        {"web", 0, ""},
        {"web-*", 0, ""},
        {"*", 0, ""},
        {"[ab]?", 0, ""},
        {"[", 0, ""},
        {"name:a:b", 0, ""},
        {"/run/netns/*", 0, ""},
        {"path:*/web", 0, ""},
        {"kind:own", 0, ""},
        {"kind:named", 0, ""},
        {"kind:anonymous", 0, ""},
        {"cookie:1", 0, ""},
        {"cookie:18446744073709551615", 0, ""},
        {"inode:4026531840", 0, ""},
        {"", ERR_MALFORMED, "pattern is missing"},
        {"name:", ERR_MALFORMED, "pattern is missing"},
        {"cookie:", ERR_MALFORMED, "pattern is missing"},
        {"netns:[4026532001]", 0, ""},
        {"netns:[]", ERR_MALFORMED, "no number"},
        {"netns:[*]", ERR_MALFORMED, "no number"},
        {"netns:[7", ERR_MALFORMED, "no number"},
        {"netns:7", ERR_UNKNOWN, "unknown word"},
        {"Kind:own", ERR_UNKNOWN, "unknown word"},
        {"kind:*", ERR_UNKNOWN, "allowed kind:own, kind:named and kind:anonymous"},
        {"cookie:0", ERR_RANGE, "allowed 1 to"},
        {"cookie:18446744073709551616", ERR_RANGE, "allowed 1 to"},
        {"cookie:-1", ERR_MALFORMED, "no number"},
        {"inode:0x10", ERR_MALFORMED, "no number"},
        {"a/b", ERR_MALFORMED, "slash"},
        {"path:run/netns/x", ERR_MALFORMED, "absolute"},
    };
    for (size_t i = 0; i < N(rows); i++) {
        struct err e = {0};
        assert_int_equal(netns_pattern_check(rows[i].text, &e), rows[i].code);
        assert_non_null(strstr(e.text, rows[i].says));
        assert_int_equal(netns_pattern_check(rows[i].text, NULL), rows[i].code);
    }
    char longest[NETNS_PATTERN_MAX + 2];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[NETNS_PATTERN_MAX + 1] = '\0';
    assert_int_equal(netns_pattern_check(longest, NULL), ERR_RANGE);
    longest[NETNS_PATTERN_MAX] = '\0';
    assert_int_equal(netns_pattern_check(longest, NULL), 0);
}

static void test_same(void **state)
{
    (void)state;
    assert_true(netns_pattern_same("a", "name:a"));
    assert_true(netns_pattern_same("/a", "path:/a"));
    assert_true(netns_pattern_same("cookie:7", "cookie:007"));
    assert_true(netns_pattern_same("netns:[7]", "inode:7"));
    assert_false(netns_pattern_same("cookie:7", "inode:7"));
    assert_false(netns_pattern_same("a", "b"));
    assert_false(netns_pattern_same("name:kind:own", "kind:own"));
}

static const char *const names[] = {"web-1", "blue"};
static const char *const paths[] = {"/run/netns/web-1", "/run/docker/netns/blue"};
static const struct netns_facts web = {.names = names,
                                       .n_names = N(names),
                                       .paths = paths,
                                       .n_paths = N(paths),
                                       .kind = "named",
                                       .cookie = 4711,
                                       .inode = 4026532001};

static void test_match(void **state)
{
    (void)state;
    static const char *const yes[] = {"web-1",
                                      "web-*",
                                      "name:web-?",
                                      "[vw]eb-1",
                                      "blue",
                                      "*",
                                      "/run/netns/*",
                                      "path:*blue",
                                      "cookie:4711",
                                      "cookie:00004711",
                                      "kind:named",
                                      "inode:4026532001",
                                      "netns:[4026532001]"};
    static const char *const no[] = {"web",      "eb-1",      "Web-1",      "/run/netns/blue",
                                     "kind:own", "cookie:47", "inode:4711", "kind:anonymous",
                                     "[",        "/web-1"};
    for (size_t i = 0; i < N(yes); i++)
        assert_true(netns_pattern_match(yes[i], &web));
    for (size_t i = 0; i < N(no); i++)
        assert_false(netns_pattern_match(no[i], &web));
    /* An unknown identity is selected by no number. */
    struct netns_facts unknown = {.kind = "anonymous"};
    assert_false(netns_pattern_match("cookie:1", &unknown));
    assert_false(netns_pattern_match("*", &unknown));
    assert_true(netns_pattern_match("kind:anonymous", &unknown));
}

static void test_selected(void **state)
{
    (void)state;
    char *in[] = {(char[]){"red"}, (char[]){"web-*"}};
    char *out[] = {(char[]){"kind:own"}, (char[]){"cookie:4711"}};
    assert_true(netns_selected(&web, NULL, 0, NULL, 0));
    assert_true(netns_selected(&web, in, 2, NULL, 0));
    assert_false(netns_selected(&web, in, 1, NULL, 0));
    assert_true(netns_selected(&web, NULL, 0, out, 1));
    assert_false(netns_selected(&web, NULL, 0, out, 2));
    assert_false(netns_selected(&web, in, 2, out, 2)); /* exclude wins */
}

/* The lists of namespaces that streams, watches and clients ask for. */
static void test_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        const char *name;
        uint64_t inode;
        bool wanted;
    } cases[] = {
        {"web", "web", 1, true},
        {"web", "web-1", 1, false},
        {"web-*", "web-1", 1, true},
        {"4026532001", "web", 4026532001, true},
        {"4026532001", "web", 4026532002, false},
        {"4026532001", "4026532001", 1, true},
        {"netns:[4026532001]", "netns:[4026532001]", 4026532001,
         true}, /* as it is, although it looks like a pattern */
        {"netns:[4026532001]", "netns:[4026532002]", 4026532002, false},
        {"netns:[4026532001]", "netns:4", 1, true}, /* and as a pattern */
        {"99999999999999999999", "web", UINT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *two[] = {"another", cases[i].entry};
        if (netns_wanted(&cases[i].entry, 1, cases[i].name, cases[i].inode) != cases[i].wanted ||
            netns_wanted(two, 2, cases[i].name, cases[i].inode) != cases[i].wanted)
            fail_msg("%s: %s", cases[i].entry, cases[i].name);
    }
    assert_true(netns_wanted(NULL, 0, "web", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted), cmocka_unit_test(test_check),    cmocka_unit_test(test_same),
        cmocka_unit_test(test_match),  cmocka_unit_test(test_selected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
