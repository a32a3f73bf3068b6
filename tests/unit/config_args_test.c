/* The command line and the text of --help. */
#include "config_test.h"

#include <errno.h>
#include <unistd.h>

#include "lib/clock.h"

/* The options of a program, as a main declares them. */
struct program {
    bool help, once;
    const char *config, *output, *replay;
};

static int check_output(const char *text, struct err *e)
{
    return strcmp(text, "jsonl") == 0 ? 0 : err_set(e, ERR_UNKNOWN, "is unknown; allowed jsonl");
}

struct result {
    struct program program;
    struct config *config;
    struct err e;
    int rc;
};

#define OWN_COUNT 5

static void own_options(struct program *p, struct config_program_option own[OWN_COUNT])
{
    const struct config_program_option options[OWN_COUNT] = {
        {.name = "config",
         .short_name = 'c',
         .metavar = "FILE",
         .help = "Read FILE.",
         .value = &p->config,
         .is_config_file = true},
        {.name = "once", .help = "Poll once.", .flag = &p->once},
        {.name = "replay", .metavar = "FILE", .help = "Decode FILE.", .value = &p->replay},
        {.name = "output",
         .short_name = 'o',
         .metavar = "FORMAT",
         .help = "Print records so.",
         .value = &p->output,
         .check = check_output},
        {.name = "help", .short_name = 'h', .help = "Print this text.", .flag = &p->help, .ends = true},
    };
    memcpy(own, options, sizeof(options));
}

/* Runs |args|, NULL-terminated, without the program's name. */
static struct result run(const char *const *args)
{
    struct result r = {0};
    char *argv[32] = {(char *)(uintptr_t) "xtcp2"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    struct config_program_option own[OWN_COUNT];
    own_options(&r.program, own);
    struct config_builder *b = config_builder_new();
    r.rc = config_parse_args(b, &(struct config_sources){argc, argv, NULL, false}, own, OWN_COUNT, &r.e);
    if (!r.rc)
        r.rc = config_build(b, &r.config, &r.e);
    for (int i = 1; i < argc; i++)
        assert_ptr_equal(argv[i], args[i - 1]); /* nothing is reordered */
    config_builder_free(b);
    return r;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void test_both_spellings(void **state)
{
    (void)state;
    struct result r =
        RUN("--poll-frequency", "10s", "--poll-timeout=3s", "--label", "", "--tag=a=b", "--queue-rows=1024");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.config->poll_frequency, 10 * NS_PER_S);
    assert_int_equal(r.config->poll_timeout, 3 * NS_PER_S);
    assert_string_equal(r.config->tag, "a=b");
    assert_int_equal(r.config->queue_rows, 1024);
    config_unref(r.config);
}

static void test_every_option_has_a_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char argument[256];
        int n = snprintf(argument, sizeof(argument), "--%s=%s", config_options[i].name,
                         config_options[i].default_value);
        assert_true(n < (int)sizeof(argument));
        for (char *p = argument; *p != '='; p++)
            *p = *p == '_' ? '-' : *p;
        struct result r = RUN(argument);
        if (r.rc)
            fail_msg("%s", r.e.text);
        config_unref(r.config);
    }
}

static void test_lists_collect_and_scalars_replace(void **state)
{
    (void)state;
    struct result r = RUN("--grpc-listen", "127.0.0.1:1", "--netns-dirs=/a,/b", "--grpc-listen=unix:/x",
                          "--tag=1", "--tag=2", "--netns-dirs", "/c", "--enabled-deserializers=info",
                          "--enabled-deserializers", "bbr,cong");
    assert_int_equal(r.rc, 0);
    assert_string_equal(test_value(r.config, "grpc_listen"), "127.0.0.1:1,unix:/x");
    assert_string_equal(test_value(r.config, "netns_dirs"), "/a,/b,/c");
    assert_string_equal(test_value(r.config, "enabled_deserializers"), "info,cong,bbr");
    assert_string_equal(r.config->tag, "2");
    config_unref(r.config);

    r = RUN("--netns-dirs=/a,/b", "--netns-dirs", "/a/");
    assert_int_equal(r.rc, 0);
    assert_string_equal(test_value(r.config, "netns_dirs"), "/a,/b");
    config_unref(r.config);

    r = RUN("--netns-dirs=", "--enabled-deserializers=");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.config->netns_dirs.n, 0);
    assert_int_equal(r.config->groups, 0);
    config_unref(r.config);
}

static void test_options_of_the_program(void **state)
{
    (void)state;
    struct result r = RUN("--once", "-o", "jsonl", "--replay=x.pcap");
    assert_int_equal(r.rc, 0);
    assert_true(r.program.once);
    assert_string_equal(r.program.output, "jsonl");
    assert_string_equal(r.program.replay, "x.pcap");
    assert_false(r.program.help);
    config_unref(r.config);

    /* --help ends it all: neither the file nor what follows is looked at */
    r = RUN("--config=/does/not/exist", "-h", "--bogus", "--poll-frequency=x");
    assert_int_equal(r.rc, 0);
    assert_true(r.program.help);
    config_unref(r.config);
}

static void test_the_file_comes_before_the_command_line(void **state)
{
    (void)state;
    char path[] = "/tmp/xtcp-args-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] =
        "poll_timeout: 4s\nlabel: file\nnetns_dirs: [/file]\ngrpc_listen: ['unix:/file']\n";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);

    struct result r =
        RUN("--label=line", "--netns-dirs=/line", "--netns-dirs=/more", "-c", path, "--tag=line");
    assert_int_equal(r.rc, 0);
    assert_string_equal(r.config->label, "line");
    assert_string_equal(r.config->tag, "line");
    assert_string_equal(test_value(r.config, "netns_dirs"), "/line,/more");
    assert_string_equal(test_value(r.config, "grpc_listen"), "unix:/file");
    assert_int_equal(r.config->poll_timeout, 4 * NS_PER_S);
    config_unref(r.config);

    char error[256];
    r = RUN("--poll-frequency=4s", "-c", path);
    snprintf(error, sizeof(error),
             "%s:1: poll_timeout: value \"4s\" must be less than poll_frequency, which is \"4s\" "
             "(--poll-frequency)",
             path);
    assert_int_equal(r.rc, ERR_RANGE);
    assert_string_equal(r.e.text, error);

    assert_int_equal(truncate(path, 5), 0);
    r = RUN("-c", path, "--label=x");
    assert_int_equal(r.rc, ERR_TYPE);
    snprintf(error, sizeof(error), "%s:1: the file is not a mapping of options (NAME: VALUE)", path);
    assert_string_equal(r.e.text, error);
    unlink(path);
    r = RUN("-c", path);
    assert_int_equal(r.rc, -ENOENT);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *error;
    } cases[] = {
        {{"--poll-timeout=8d"}, "--poll-timeout: value \"8d\" is out of range; allowed 1ms to 7d"},
        {{"--poll-timeout", "--once"},
         "--poll-timeout: value \"--once\" is not a duration such as 250ms or 1m30s; allowed 1ms to 7d"},
        {{"--log-level=loud"},
         "--log-level: value \"loud\" is unknown; allowed error, warn, info, debug or trace"},
        {{"--netns-dirs=/a", "--netns-dirs=b"}, "--netns-dirs: value \"b\" is not an absolute path"},
        {{"--grpc-listen="}, "--grpc-listen: value \"\" is an empty list; allowed 1 to 16 values"},
        {{"--output=xml"}, "--output: value \"xml\" is unknown; allowed jsonl"},
        {{"-oxml"}, "--output: value \"xml\" is unknown; allowed jsonl"},
        {{"--poll-frequncy=1s"}, "--poll-frequncy: no such option; did you mean --poll-frequency?"},
        {{"--poll_frequency=1s"}, "--poll_frequency: no such option; did you mean --poll-frequency?"},
        {{"--onc"}, "--onc: no such option; did you mean --once?"},
        {{"--poll-f", "10s"}, "--poll-f: no such option; did you mean --poll-frequency?"},
        {{"--poll-f"}, "--poll-f: no such option; did you mean --poll-frequency?"},
        {{"--onc=1"}, "--onc: no such option; did you mean --once?"},
        {{"--bogus"}, "--bogus: no such option"},
        {{"--=x"}, "--: no such option"},
        {{"-x"}, "-x: no such option"},
        {{"--once=1"}, "--once=1: takes no argument"},
        {{"--replay"}, "--replay: needs an argument"},
        {{"--tag"}, "--tag: needs an argument"},
        {{"-o"}, "-o: needs an argument"},
        {{"--once", "now"}, "now: unexpected argument; there are only options"},
        {{"now", "--once"}, "now: unexpected argument; there are only options"},
        {{"-"}, "-: unexpected argument; there are only options"},
        {{"--", "--once"}, "--once: unexpected argument; there are only options"},
        {{""}, ": unexpected argument; there are only options"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result r = run(cases[i].args);
        assert_string_equal(r.e.text, cases[i].error);
        assert_int_equal(r.rc, ERR_USAGE);
        assert_int_equal(r.e.code, ERR_USAGE);
    }
    struct result r = RUN("--poll-frequency=1s", "--poll-timeout=1s"); /* each right by itself */
    assert_int_equal(r.rc, ERR_RANGE);
    assert_string_equal(r.e.text, "--poll-timeout: value \"1s\" must be less than poll_frequency, which is "
                                  "\"1s\" (--poll-frequency)");
}

static void test_a_short_frequency_alone_brings_its_timeout(void **state)
{
    (void)state;
    struct result r = RUN("--poll-frequency=1s");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.config->poll_timeout, 500 * NS_PER_MS);
    config_unref(r.config);
    r = RUN("--poll-frequency=10ms");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.config->poll_timeout, 5 * NS_PER_MS);
    config_unref(r.config);
    r = RUN("--poll-frequency=2001ms"); /* the default fits */
    assert_int_equal(r.config->poll_timeout, 2 * NS_PER_S);
    config_unref(r.config);
    r = RUN("--poll-frequency=1s", "--poll-timeout=2s"); /* given: nothing is mended */
    assert_int_equal(r.rc, ERR_RANGE);
}

static void test_no_options_of_the_program(void **state)
{
    (void)state;
    char *argv[] = {(char *)(uintptr_t) "p", (char *)(uintptr_t) "--tag=x", NULL};
    struct config_builder *b = config_builder_new();
    assert_int_equal(config_parse_args(b, &(struct config_sources){2, argv, NULL, false}, NULL, 0, NULL), 0);
    assert_int_equal(config_parse_args(b, &(struct config_sources){0, argv + 2, NULL, false}, NULL, 0, NULL),
                     0); /* execve allows an empty argv */
    config_builder_free(b);
}

static void help(unsigned width, struct buf *out)
{
    struct program p = {0};
    struct config_program_option own[OWN_COUNT];
    own_options(&p, own);
    buf_init(out);
    config_print_help(out, width, "xtcp2 [OPTION]...", "Streams TCP sockets.", own, OWN_COUNT);
    assert_false(out->failed);
}

static void test_help(void **state)
{
    (void)state;
    static const char beginning[] = "Usage: xtcp2 [OPTION]...\n"
                                    "\n"
                                    "Streams TCP sockets.\n"
                                    "\n"
                                    "  -c, --config FILE             Read FILE.\n"
                                    "      --once                    Poll once.\n"
                                    "      --replay FILE             Decode FILE.\n"
                                    "  -o, --output FORMAT           Print records so.\n"
                                    "  -h, --help                    Print this text.\n"
                                    "\n"
                                    "gRPC:\n"
                                    "      --grpc-listen LISTENER    Where gRPC clients connect:";
    struct buf out;
    help(80, &out);
    assert_memory_equal(buf_cstr(&out), beginning, sizeof(beginning) - 1);
    assert_non_null(strstr(
        out.data, "\n      --poll-timeout DURATION   When a poll gives up on namespaces that have not\n"
                  "                                answered. Less than poll_frequency; if it is not\n"
                  "                                given and the default is too long, half of that.\n"
                  "                                (1ms to 7d; default 2s)\n"));
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "\n      --%s %s", config_options[i].name, config_options[i].metavar);
        for (char *p = flag + 9; *p != ' '; p++)
            *p = *p == '_' ? '-' : *p;
        assert_non_null(strstr(out.data, flag));
    }
    buf_free(&out);
}

static void test_help_keeps_its_width(void **state)
{
    (void)state;
    static const unsigned widths[] = {80, 100};
    for (size_t i = 0; i < 2; i++) {
        struct buf out;
        help(widths[i], &out);
        for (const char *line = buf_cstr(&out); *line; line += strcspn(line, "\n") + 1) {
            size_t n = strcspn(line, "\n");
            if (n > widths[i] || (n && line[n - 1] == ' '))
                fail_msg("%zu columns: %.*s", n, (int)n, line);
        }
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_spellings),
        cmocka_unit_test(test_every_option_has_a_flag),
        cmocka_unit_test(test_lists_collect_and_scalars_replace),
        cmocka_unit_test(test_options_of_the_program),
        cmocka_unit_test(test_the_file_comes_before_the_command_line),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_a_short_frequency_alone_brings_its_timeout),
        cmocka_unit_test(test_no_options_of_the_program),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_help_keeps_its_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
