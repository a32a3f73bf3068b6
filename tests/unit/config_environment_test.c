/* The environment front end. */
#include "config_test.h"

#include <unistd.h>

#include "config/config_internal.h"
#include "lib/clock.h"

struct result {
    struct config_builder *b;
    struct config *config;
    struct err e;
    int rc;
};

/* Starts a program with |environment| and |args| (without the program's name), both NULL-terminated. */
static struct result start(const char *const *environment, const char *const *args)
{
    static const char *file;
    const struct config_program_option own[] = {
        {.name = "config", .metavar = "FILE", .help = "Read FILE.", .value = &file, .is_config_file = true}};
    char *argv[16] = {(char *)(uintptr_t) "xtcp2"};
    int argc = 1;
    for (; args && args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    struct result r = {.b = config_builder_new()};
    r.rc = config_parse_args(
        r.b, &(struct config_sources){argc, argv, (char *const *)(uintptr_t)environment, false}, own, 1,
        &r.e);
    if (!r.rc)
        r.rc = config_build(r.b, &r.config, &r.e);
    return r;
}

static void end(struct result *r)
{
    config_unref(r->config);
    config_builder_free(r->b);
}

#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_values_and_their_origin(void **state)
{
    (void)state;
    struct result r = start(ENV("PATH=/bin", "XTCP2_POLL_FREQUENCY=10s", "XTCP2_NETNS_DIRS=/a,/b",
                                "XTCP2_LABEL=a=b", "XTCP2_TAG=", "no assignment"),
                            NULL);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.config->poll_frequency, 10 * NS_PER_S);
    assert_string_equal(test_value(r.config, "netns_dirs"), "/a,/b");
    assert_string_equal(r.config->label, "a=b");
    assert_string_equal(config_builder_origin(r.b, test_option("tag")), "XTCP2_TAG");
    assert_string_equal(config_builder_origin(r.b, test_option("hostname")), "default");
    end(&r);
    r = start(NULL, NULL);
    assert_int_equal(r.rc, 0);
    end(&r);
}

static void test_precedence(void **state)
{
    (void)state;
    char file[] = "/tmp/xtcp-env-test-XXXXXX";
    char variable[64];
    int fd = mkstemp(file);
    static const char text[] = "label: file\ntag: file\nlocation: file\n";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    snprintf(variable, sizeof(variable), "XTCP2_CONFIG=%s", file);
    struct result r =
        start(ENV("XTCP2_TAG=environment", "XTCP2_LABEL=environment", variable), ARGS("--label=line"));
    assert_int_equal(r.rc, 0);
    assert_string_equal(r.config->label, "line");
    assert_string_equal(r.config->tag, "environment");
    assert_string_equal(r.config->location, "file");
    end(&r);
    r = start(ENV("XTCP2_CONFIG=/does/not/exist"), ARGS("--config", file)); /* --config wins */
    assert_int_equal(r.rc, 0);
    assert_string_equal(r.config->label, "file");
    end(&r);
    r = start(ENV("XTCP2_CONFIG="), NULL); /* as if it were not there */
    assert_int_equal(r.rc, 0);
    end(&r);
    unlink(file);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *error;
    } cases[] = {
        {"XTCP2_POLL_TIMEOUT=8d", "XTCP2_POLL_TIMEOUT: value \"8d\" is out of range; allowed 1ms to 7d"},
        {"XTCP2_POLL_FREQUENCY=1ms",
         "XTCP2_POLL_FREQUENCY: value \"1ms\" is out of range; allowed 10ms to 7d"},
        {"XTCP2_POLL_TIMEOUT=9s",
         "XTCP2_POLL_TIMEOUT: value \"9s\" must be less than poll_frequency, which is "
         "\"5s\" (default)"},
        {"XTCP2_POLL_FREQUNCY=1s", "XTCP2_POLL_FREQUNCY: no such option; did you mean XTCP2_POLL_FREQUENCY?"},
        {"XTCP2_CONFG=x", "XTCP2_CONFG: no such option; did you mean XTCP2_CONFIG?"},
        {"XTCP2_poll_timeout=1s", "XTCP2_poll_timeout: no such option; did you mean XTCP2_POLL_TIMEOUT?"},
        {"XTCP2_=1", "XTCP2_: no such option"},
        {"XTCP2_BO\x1bGUS=1", "XTCP2_BO?GUS: no such option"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result r = start(ENV(cases[i].variable), NULL);
        assert_int_not_equal(r.rc, 0);
        assert_string_equal(r.e.text, cases[i].error);
        end(&r);
    }
}

static void test_variables_of_others(void **state)
{
    (void)state;
    struct result r =
        start(ENV("XTCP2_TARGET=x", "XTCP2_CLIENT_CONFIG=/x", "XTCP2_SOAK=1", "XTCP2_CAPTURES=/x",
                  "XTCP2_BIN_DIR=/x", "XTCP2_PEER=x", "XTCP2_SLOW=4", "XTCP2_BENCH=full",
                  "XTCP2_SERVICE_HOST=10.0.0.1", "XTCP2_SERVICE_PORT=8889", "XTCP2_SERVICE_PORT_GRPC=8889",
                  "XTCP2_PORT=tcp://10.0.0.1:8889", "XTCP2_PORT_8889_TCP_ADDR=10.0.0.1",
                  "XTCP2_EXTRA_SERVICE_HOST=10.0.0.1", "XTCP2_EXTRA_PORT=tcp://10.0.0.1:1",
                  "XTCP2_EXTRA_PORT_1_TCP=tcp://10.0.0.1:1"),
              NULL);
    if (r.rc)
        fail_msg("%s", r.e.text);
    end(&r);
}

/* The text of --print-config says where a value comes from, and reads back to the same configuration. */
static void test_effective_configuration(void **state)
{
    (void)state;
    struct result r = start(ENV("XTCP2_LABEL=blue \"1\"", "XTCP2_NETNS_DIRS="),
                            ARGS("--poll-frequency=1s", "--grpc-listen=[::1]:0"));
    assert_int_equal(r.rc, 0);
    struct buf out;
    buf_init(&out);
    config_dump_effective(r.b, r.config, &out);
    static const char *const lines[] = {
        "\nlabel: \"blue \\\"1\\\"\"  # XTCP2_LABEL\n",
        "\nnetns_dirs: []  # XTCP2_NETNS_DIRS\n",
        "\npoll_frequency: 1s  # --poll-frequency\n",
        "\npoll_timeout: 500ms  # default, fitted to poll_frequency\n",
        "\ngrpc_listen:  # --grpc-listen\n  - \"[::1]:0\"\n",
        "\nhostname: \"\"  # default\n",
        "\nlog_level: info  # default\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (!strstr(buf_cstr(&out), lines[i]))
            fail_msg("lacks %s in\n%s", lines[i], buf_cstr(&out));
    }
    struct config_builder *again = config_builder_new();
    struct config *c = NULL;
    assert_int_equal(config_parse_yaml(again, out.data, out.len, "effective", &r.e), 0);
    assert_int_equal(config_build(again, &c, &r.e), 0);
    assert_int_equal(config_diff(c, r.config, NULL, 0), 0);
    config_unref(c);
    config_builder_free(again);
    buf_free(&out);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_their_origin),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_variables_of_others),
        cmocka_unit_test(test_effective_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
