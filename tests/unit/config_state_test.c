/* The state file: its frame, what of it counts, and that a file of somebody else stays. */
#include "config_test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/state.h"
#include "lib/clock.h"

#define FIRST                                                                                                \
    "# xtcp2 state 1: what was changed over gRPC. Written by the daemon; remove the file to forget it.\n"
#define LAST "# end\n"

/* A builder with what a file, the environment and a command line say. */
static struct config_builder *started(void)
{
    static const char yaml[] = "label: file\ntag: file\nlocation: file\nhostname: file\n";
    char *argv[] = {(char *)(uintptr_t) "p", (char *)(uintptr_t) "--location=line", NULL};
    char *environment[] = {(char *)(uintptr_t) "XTCP2_TAG=environment", NULL};
    struct config_builder *b = config_builder_new();
    assert_int_equal(config_parse_yaml(b, yaml, sizeof(yaml) - 1, "f", NULL), 0);
    assert_int_equal(
        config_parse_args(b, &(struct config_sources){2, argv, environment, false}, NULL, 0, NULL), 0);
    return b;
}

static int parse(struct config_builder *b, const char *text, struct err *e)
{
    return config_parse_state(b, text, strlen(text), "s", e);
}

static void test_precedence(void **state)
{
    (void)state;
    struct config_builder *b = started();
    struct config *c = NULL;
    struct err e = {0};
    int rc = parse(b, FIRST "label: kept\ntag: kept\nlocation: kept\nmax_loops: 3\n" LAST, &e);
    if (rc)
        fail_msg("%s", e.text);
    assert_int_equal(config_build(b, &c, &e), 0);
    assert_string_equal(c->label, "kept");
    assert_string_equal(c->tag, "environment");
    assert_string_equal(c->location, "line");
    assert_string_equal(c->hostname, "file");
    assert_int_equal(c->max_loops, 3);
    assert_string_equal(config_builder_origin(b, test_option("label")), "s:2");
    assert_string_equal(config_builder_origin(b, test_option("tag")), "XTCP2_TAG");
    assert_string_equal(config_builder_origin(b, test_option("hostname")), "f:4");
    config_unref(c);
    config_builder_free(b);
}

static void test_refused_as_a_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *error;
    } cases[] = {
        {"", ERR_MALFORMED, "s: is no state file of this program"},
        {"label: x\n", ERR_MALFORMED, "s: is no state file of this program"},
        {FIRST, ERR_TRUNCATED, "s: ends too early"},
        {FIRST "label: x\n# en", ERR_TRUNCATED, "s: ends too early"},
        {FIRST "label: x\nlabl: y\n" LAST, ERR_UNKNOWN, "s:3: labl: no such option; did you mean label?"},
        {FIRST "label: x\ntag: \"x\n" LAST, ERR_MALFORMED, NULL},
        {FIRST "label: x\npoll_timeout: 8d\n" LAST, ERR_RANGE,
         "s:3: poll_timeout: value \"8d\" is out of range; allowed 1ms to 7d"},
        {FIRST "label: x\npoll_timeout: 5s\n" LAST, ERR_RANGE,
         "s:3: poll_timeout: value \"5s\" must be less than poll_frequency, which is \"5s\" (default)"},
        {FIRST "label: x\nstate_file: /x\n" LAST, ERR_UNSUPPORTED,
         "s:3: state_file: cannot be changed in a running daemon, nor be kept"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_builder *b = started();
        struct config *c = NULL;
        struct err e = {0};
        assert_int_equal(parse(b, cases[i].text, &e), cases[i].code);
        if (cases[i].error)
            assert_string_equal(e.text, cases[i].error);
        assert_int_equal(config_build(b, &c, &e), 0);
        assert_string_equal(c->label, "file");
        assert_string_equal(config_builder_origin(b, test_option("label")), "f:1");
        config_unref(c);
        config_builder_free(b);
    }
}

/* A state that was cut anywhere is recognised as cut. */
static void test_every_cut_is_noticed(void **state)
{
    (void)state;
    static const char text[] = FIRST "label: \"# end\"\nnetns_dirs:\n  - \"/x\"\n" LAST;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct config_builder *b = config_builder_new();
        int rc = config_parse_state(b, text, len, "s", NULL);
        assert_true(rc == ERR_MALFORMED || rc == ERR_TRUNCATED);
        config_builder_free(b);
    }
}

static void test_dump_holds_what_differs(void **state)
{
    (void)state;
    struct config *base = test_defaults();
    struct config *c = config_copy(base);
    struct buf out;
    buf_init(&out);
    config_dump_state(base, c, &out);
    assert_string_equal(buf_cstr(&out), FIRST LAST);
    buf_reset(&out);
    c->poll_frequency = 9 * NS_PER_S;
    c->connection_calls_max = 7; /* takes a restart */
    config_set_string(c, &c->hostname, "\xe2\x80\xa8 \"h\"");
    config_dump_state(base, c, &out);
    struct config_builder *b = config_builder_new();
    struct config *again = NULL;
    struct err e = {0};
    assert_int_equal(config_parse_state(b, out.data, out.len, "s", &e), 0);
    assert_int_equal(config_build(b, &again, &e), 0);
    assert_int_equal(again->poll_frequency, 9 * NS_PER_S);
    assert_string_equal(again->hostname, c->hostname);
    assert_true(again->hostname_given);
    assert_int_equal(config_diff(again, c, NULL, 0), 1);
    buf_free(&out);
    config_builder_free(b);
    config_unref(again);
    config_unref(c);
    config_unref(base);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/xtcp-state-test-XXXXXX";
    char path[64], other[80];
    struct err e = {0};
    struct stat st;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/state", folder);
    snprintf(other, sizeof(other), "%s/state.new", folder);
    struct config_builder *b = config_builder_new();
    assert_int_equal(config_read_state(b, path, &e), 0); /* none yet */
    assert_int_equal(config_write_state(path, FIRST LAST, sizeof(FIRST LAST) - 1, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    static const char text[] = FIRST "label: x\n" LAST;
    FILE *f = fopen(other, "w"); /* left over from a write that was cut short */
    if (!f || fclose(f))
        fail();
    assert_int_equal(config_write_state(path, text, sizeof(text) - 1, &e), 0);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(config_read_state(b, path, &e), 0);
    snprintf(other, sizeof(other), "%s:2", path);
    assert_string_equal(config_builder_origin(b, test_option("label")), other);

    assert_int_equal(truncate(path, 40), 0); /* a cut one of ours may be replaced, one of somebody else not */
    assert_int_equal(config_read_state(b, path, &e), ERR_MALFORMED);
    assert_int_equal(config_write_state(path, text, sizeof(text) - 1, &e), 0);
    f = fopen(path, "w");
    if (!f || fputs("root:x:0:0\n", f) < 0 || fclose(f))
        fail();
    assert_int_equal(config_write_state(path, text, sizeof(text) - 1, &e), ERR_PRECONDITION);
    assert_non_null(strstr(e.text, "is no state file of this program, and left alone"));
    unlink(path);
    assert_int_equal(config_write_state("/does/not/exist", text, 1, &e), -ENOENT);
    assert_int_equal(config_write_state(folder, text, 1, &e), ERR_PRECONDITION);
    config_builder_free(b);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_refused_as_a_whole),
        cmocka_unit_test(test_every_cut_is_noticed),
        cmocka_unit_test(test_dump_holds_what_differs),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
