/* The YAML front end: accepted texts, refused texts and their errors. */
#include "config_test.h"

#include <errno.h>
#include <unistd.h>

#include "lib/clock.h"

/* Parses and builds; the error of whichever fails in |e|. */
static int build(const char *text, size_t len, struct config **out, struct err *e)
{
    struct config_builder *b = config_builder_new();
    assert_non_null(b);
    *out = NULL;
    int rc = config_parse_yaml(b, text, len, "x.yaml", e);
    if (!rc)
        rc = config_build(b, out, e);
    config_builder_free(b);
    return rc;
}

static struct config *build_ok(const char *text)
{
    struct config *c = NULL;
    struct err e = {0};
    if (build(text, strlen(text), &c, &e))
        fail_msg("%s: %s", text, e.text);
    return c;
}

static void test_nothing_means_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {"",   "\n",           "# nothing\n", "---\n",           "---\n...\n",
                                        "{}", "\xef\xbb\xbf", "~\n",         "%YAML 1.1\n---\n"};
    struct config *defaults = test_defaults();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *c = build_ok(texts[i]);
        assert_int_equal(config_diff(c, defaults, NULL, 0), 0);
        config_unref(c);
    }
    config_unref(defaults);
}

static void test_every_type(void **state)
{
    (void)state;
    struct config *c = build_ok("poll_frequency: 1m30s\n"
                                "poll_timeout: \"250ms\"\n"
                                "queue_rows: 4096   # rows\n"
                                "label: 'it''s: here'\n"
                                "location: \"Z\\u00fcrich\"\n"
                                "log_level: debug\n"
                                "log_format: json\n"
                                "grpc_listen: [ \"[::1]:7\", 'unix:/run/x' ]\n"
                                "netns_dirs: []\n"
                                "netns_exclude:\n  - b\n  - a\n  - b\n"
                                "enabled_deserializers:\n"
                                "- info\n"
                                "- cong\n"
                                "hostname: null-and-void\n");
    assert_int_equal(c->poll_frequency, 90 * NS_PER_S);
    assert_int_equal(c->poll_timeout, 250 * NS_PER_MS);
    assert_int_equal(c->queue_rows, 4096);
    assert_string_equal(c->label, "it's: here");
    assert_string_equal(c->location, "Zürich");
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->debug_level, 100);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->grpc_listen.n, 2);
    assert_string_equal(c->grpc_listen.items[0], "[::1]:7");
    assert_string_equal(c->grpc_listen.items[1], "unix:/run/x");
    assert_int_equal(c->netns_dirs.n, 0);
    assert_null(c->netns_dirs.items);
    assert_int_equal(c->netns_exclude.n, 2);
    assert_string_equal(c->netns_exclude.items[1], "a");
    assert_int_equal(c->groups, GROUP_BIT(GROUP_INFO) | GROUP_BIT(GROUP_CONG));
    assert_string_equal(c->hostname, "null-and-void");
    assert_true(c->hostname_given);
    config_unref(c);
}

static const struct {
    const char *text;
    int code;
    const char *error;
} refused[] = {
    /* values */
    {"\npoll_timeout: 8d\n", ERR_RANGE,
     "x.yaml:2: poll_timeout: value \"8d\" is out of range; allowed 1ms to 7d"},
    {"poll_timeout: 5x", ERR_MALFORMED,
     "x.yaml:1: poll_timeout: value \"5x\" is not a duration such as 250ms or 1m30s; allowed 1ms to 7d"},
    {"queue_rows: yes", ERR_MALFORMED,
     "x.yaml:1: queue_rows: value \"yes\" is not a whole number; allowed 1024 to 16777216"},
    {"label: |\n  two\n  lines\n", ERR_MALFORMED,
     "x.yaml:1: label: value \"two?lines?\" holds a control character; allowed at most 40 characters"},
    {"grpc_listen:\n  - 127.0.0.1:1\n  - nowhere:2\n", ERR_MALFORMED,
     "x.yaml:3: grpc_listen: value \"nowhere:2\" has a name that is not resolved here; give an IP address or "
     "localhost; "
     "expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or unix-abstract:NAME"},
    {"netns_dirs: ['/a,/b']", ERR_MALFORMED,
     "x.yaml:1: netns_dirs: value \"/a,/b\" holds a comma, which separates values"},
    {"grpc_listen: []", ERR_RANGE,
     "x.yaml:1: grpc_listen: value \"\" is an empty list; allowed 1 to 16 values"},
    {"enabled_deserializers: [info, inet]", ERR_UNKNOWN,
     "x.yaml:1: enabled_deserializers: value \"inet\" is unknown; allowed any of meminfo, info, vegas, cong, "
     "tos, tc, skmem, "
     "shut, dctcp, bbr, classid, cgroup, sockopt"},
    /* rules between options, with the place of both */
    {"poll_frequency: 3s\n\npoll_timeout: 3s\n", ERR_RANGE,
     "x.yaml:3: poll_timeout: value \"3s\" must be less than poll_frequency, which is \"3s\" (x.yaml:1)"},
    {"poll_timeout: 6s\n", ERR_RANGE,
     "x.yaml:1: poll_timeout: value \"6s\" must be less than poll_frequency, which is \"5s\" (default)"},
    {"poll_timeout: 2s\npoll_frequency: 1s\n", ERR_RANGE,
     "x.yaml:1: poll_timeout: value \"2s\" must be less than poll_frequency, which is \"1s\" (x.yaml:2)"},
    /* keys */
    {"poll-frequency: 1s", ERR_UNKNOWN,
     "x.yaml:1: poll-frequency: no such option; did you mean poll_frequency?"},
    {"\n\nfrequency: 1s", ERR_UNKNOWN, "x.yaml:3: frequency: no such option"},
    {"log_levle: info", ERR_UNKNOWN, "x.yaml:1: log_levle: no such option; did you mean log_level?"},
    {"debug_level: 10", ERR_UNKNOWN, "x.yaml:1: debug_level: no such option"},
    {"<<: 1", ERR_UNKNOWN, "x.yaml:1: <<: no such option"},
    {"\"\": 1", ERR_UNKNOWN, "x.yaml:1: : no such option"},
    {"tag: a\nlabel: b\ntag: a\n", ERR_DUPLICATE, "x.yaml:3: tag: given twice, first in line 1"},
    {"[1]: 2", ERR_TYPE, "x.yaml:1: a list or mapping where the name of an option is expected"},
    {"\"tag\\0\": x", ERR_MALFORMED, "x.yaml:1: the name of an option holds a NUL"},
    /* nodes of the wrong kind */
    {"poll_timeout: [1s]", ERR_TYPE,
     "x.yaml:1: poll_timeout: a list where a duration such as 250ms or 1m30s is expected; allowed 1ms to 7d"},
    {"label: {a: b}", ERR_TYPE,
     "x.yaml:1: label: a mapping where text is expected; allowed at most 40 characters"},
    {"netns_dirs: /run", ERR_TYPE,
     "x.yaml:1: netns_dirs: a single value where a list is expected; allowed at most 16 values"},
    {"netns_dirs: [[/a]]", ERR_TYPE,
     "x.yaml:1: netns_dirs: a list where a single value in the list is expected; allowed at most 16 values"},
    {"log_level:\n", ERR_TYPE,
     "x.yaml:1: log_level: has no value; give one (\"\" for an empty text) or remove the line"},
    {"tag: ~\n", ERR_TYPE,
     "x.yaml:1: tag: has no value; give one (\"\" for an empty text) or remove the line"},
    {"netns_dirs: [null]\n", ERR_TYPE,
     "x.yaml:1: netns_dirs: has no value; give one (\"\" for an empty text) or remove the line"},
    {"tag: \"a\\0b\"", ERR_MALFORMED, "x.yaml:1: tag: holds a NUL"},
    {"- a\n", ERR_TYPE, "x.yaml:1: the file is not a mapping of options (NAME: VALUE)"},
    {"hello\n", ERR_TYPE, "x.yaml:1: the file is not a mapping of options (NAME: VALUE)"},
    /* YAML that has no place here */
    {"tag: &a x\n", ERR_UNSUPPORTED, "x.yaml:1: tag: anchors (&NAME) are not allowed"},
    {"&a tag: x\n", ERR_UNSUPPORTED, "x.yaml:1: anchors (&NAME) are not allowed"},
    {"tag: *a\n", ERR_UNSUPPORTED, "x.yaml:1: tag: aliases (*NAME) are not allowed"},
    {"tag: !!str x\n", ERR_UNSUPPORTED, "x.yaml:1: tag: tags (!NAME) are not allowed"},
    {"netns_dirs: !x []\n", ERR_UNSUPPORTED, "x.yaml:1: netns_dirs: tags (!NAME) are not allowed"},
    {"netns_dirs: &x []\n", ERR_UNSUPPORTED, "x.yaml:1: netns_dirs: anchors (&NAME) are not allowed"},
    {"--- !x\n{}\n", ERR_UNSUPPORTED, "x.yaml:1: tags (!NAME) are not allowed"},
    {"tag: a\n---\ntag: b\n", ERR_UNSUPPORTED, "x.yaml:2: more than one document in the file"},
    /* no YAML at all */
    {"tag: a\nlabel: b: c\n", ERR_MALFORMED,
     "x.yaml:2: not valid YAML: mapping values are not allowed in this context"},
    {"tag: \"a\n", ERR_MALFORMED, "x.yaml:2: not valid YAML: found unexpected end of stream"},
    {"\ttag: a", ERR_MALFORMED, "x.yaml:1: not valid YAML: found character that cannot start any token"},
    {"tag: a\ntag\xff: b\n", ERR_MALFORMED, "x.yaml:2: not valid YAML: invalid leading UTF-8 octet"},
    {"tag: a\x01\n", ERR_MALFORMED, "x.yaml:1: not valid YAML: control characters are not allowed"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct config *c = NULL;
        struct err e = {0};
        int rc = build(refused[i].text, strlen(refused[i].text), &c, &e);
        assert_string_equal(e.text, refused[i].error);
        assert_int_equal(rc, refused[i].code);
        assert_int_equal(e.code, refused[i].code);
        assert_int_equal(build(refused[i].text, strlen(refused[i].text), &c, NULL), rc);
    }
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct err e = {0};
    assert_int_equal(build("tag: a\0b\n", 9, &c, &e), ERR_MALFORMED); /* a NUL does not end the file */
    assert_int_equal(build("t\0a\0g\0:\0 \0x\0", 12, &c, &e), ERR_MALFORMED); /* UTF-16 */
    assert_int_equal(build("\xff\xfet\0a\0", 6, &c, &e), ERR_MALFORMED);
}

static void test_sizes(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct err e = {0};
    char *large = malloc(CONFIG_FILE_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', CONFIG_FILE_MAX + 1);
    assert_int_equal(build(large, CONFIG_FILE_MAX, &c, &e), 0);
    config_unref(c);
    assert_int_equal(build(large, CONFIG_FILE_MAX + 1, &c, &e), ERR_LIMIT);
    assert_string_equal(e.text, "x.yaml: larger than 1048576 bytes");
    /* what nests without end is refused at its first bracket, not after them all */
    memset(large, '[', CONFIG_FILE_MAX);
    assert_int_equal(build(large, CONFIG_FILE_MAX, &c, &e), ERR_TYPE);
    memset(large, '{', CONFIG_FILE_MAX);
    assert_int_equal(build(large, CONFIG_FILE_MAX, &c, &e), ERR_TYPE);
    free(large);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/xtcp-config-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "label: from a file\n";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);

    struct config_builder *b = config_builder_new();
    struct err e = {0};
    char origin[64];
    snprintf(origin, sizeof(origin), "%s:1", path);
    assert_int_equal(config_read_file(b, path, &e), 0);
    assert_string_equal(config_builder_origin(b, test_option("label")), origin);
    assert_string_equal(config_builder_origin(b, test_option("tag")), "default");
    struct config *c = NULL;
    assert_int_equal(config_build(b, &c, &e), 0);
    assert_string_equal(c->label, "from a file");
    config_unref(c);

    assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
    assert_int_equal(config_read_file(b, path, &e), ERR_LIMIT);
    close(fd);
    unlink(path);
    char error[128];
    snprintf(error, sizeof(error), "%s: cannot open: No such file or directory", path);
    assert_int_equal(config_read_file(b, path, &e), -ENOENT);
    assert_string_equal(e.text, error);
    assert_int_equal(config_read_file(b, "/", &e), ERR_TYPE);
    assert_string_equal(e.text, "/: is a directory; only a regular file can be read");
    config_builder_free(b);
}

static void test_other_front_ends(void **state)
{
    (void)state;
    struct config_builder *b = config_builder_new();
    struct err e = {0};
    assert_int_equal(config_parse_environment(b, (char *[]){"XTCP2_POLL_TIMEOUT=3s", NULL}, &e), 0);
    assert_string_equal(config_builder_origin(b, test_option("poll_timeout")), "XTCP2_POLL_TIMEOUT");
    assert_int_equal(config_parse_environment(b, (char *[]){"XTCP2_TAG=\n", NULL}, &e), ERR_MALFORMED);
    assert_string_equal(e.text,
                        "XTCP2_TAG: value \"?\" holds a control character; allowed at most 40 characters");
    assert_int_equal(config_parse_environment(b, (char *[]){"XTCP2_NOPE=1", NULL}, &e), ERR_UNKNOWN);
    assert_string_equal(e.text, "XTCP2_NOPE: no such option");
    /* a builder stays good for a second configuration */
    struct config *one, *two;
    assert_int_equal(config_build(b, &one, &e), 0);
    assert_int_equal(config_parse_environment(b, (char *[]){"XTCP2_LABEL=x", NULL}, &e), 0);
    assert_int_equal(config_build(b, &two, &e), 0);
    assert_string_equal(one->label, "");
    assert_string_equal(two->label, "x");
    config_unref(one);
    config_unref(two);
    config_builder_free(b);
    config_builder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_means_defaults),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_other_front_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
