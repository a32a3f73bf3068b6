/* The command line: its reading, and the errors about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/command.h"
#include "outputs/format/format.h"

#define MAX_ARGS 16

/* Splits |line| at blanks and parses it. */
static int parse(const char *line, struct options *o, const struct command **command, struct err *e)
{
    static char storage[256];
    char *argv[MAX_ARGS] = {"xtcp2client"};
    int argc = 1;
    char *save = NULL;
    snprintf(storage, sizeof(storage), "%s", line);
    for (char *word = strtok_r(storage, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    *e = (struct err){0};
    return options_parse(argc, argv, commands, n_commands, o, command, e);
}

static struct options good(const char *line, const char *name)
{
    struct options o;
    const struct command *command;
    struct err e;
    if (parse(line, &o, &command, &e) != 0)
        fail_msg("%s: %s", line, e.text);
    if (name)
        assert_string_equal(command->name, name);
    else
        assert_null(command);
    return o;
}

static void bad(const char *line, const char *text)
{
    struct options o;
    const struct command *command;
    struct err e;
    assert_int_equal(parse(line, &o, &command, &e), ERR_USAGE);
    assert_string_equal(e.text, text);
}

static void test_places(void **state)
{
    (void)state;
    struct options o = good("--target a:1 -o csv stream --count 3", "stream");
    assert_string_equal(o.targets.items[0], "a:1");
    assert_int_equal(o.output, OUTPUT_CSV);
    assert_int_equal(o.count, 3);
    o = good("stream --count=3 --target=unix:/x -ocsv -q", "stream");
    assert_string_equal(o.targets.items[0], "unix:/x");
    assert_int_equal(o.output, OUTPUT_CSV);
    assert_int_equal(o.count, 3);
    assert_true(o.quiet);
    o = good("apply --dry-run -", "apply");
    assert_string_equal(o.argument, "-");
    assert_true(o.dry_run);
    o = good("apply -- --odd-name", "apply");
    assert_string_equal(o.argument, "--odd-name");
    o = good("poll --count 2 -e 1m30s", "poll");
    assert_int_equal(o.count, 2);
    assert_int_equal(o.every_ns, 90000000000);
}

static void test_lists(void **state)
{
    (void)state;
    struct options o = good("stream -N web* --netns=4026531840 state established -q dport = :443", "stream");
    assert_int_equal(o.netns.n, 2);
    assert_string_equal(o.netns.items[0], "web*");
    assert_string_equal(o.netns.items[1], "4026531840");
    assert_int_equal(o.arguments.n, 5);
    assert_string_equal(o.arguments.items[0], "state");
    assert_string_equal(o.arguments.items[4], ":443");
    assert_string_equal(o.argument, "state");
    assert_true(o.quiet);
    bad("stream --netns=", "--netns: must not be empty");

    char *argv[OPTION_LIST_MAX + 3] = {"xtcp2client", "stream"};
    const struct command *command;
    struct err e = {0};
    for (int i = 2; i < OPTION_LIST_MAX + 3; i++)
        argv[i] = "x";
    assert_int_equal(options_parse(OPTION_LIST_MAX + 2, argv, commands, n_commands, &o, &command, &e), 0);
    assert_int_equal(options_parse(OPTION_LIST_MAX + 3, argv, commands, n_commands, &o, &command, &e),
                     ERR_USAGE);
    assert_string_equal(e.text, "FILTER: given more than 256 times");
}

/* --timeout is the command's own behind frequency, and the whole run's anywhere else. */
static void test_two_timeouts(void **state)
{
    (void)state;
    struct options o = good("frequency --frequency 2s --timeout 1s", "frequency");
    assert_int_equal(o.poll_timeout_ns, 1000000000);
    assert_int_equal(o.timeout_ns, 0);
    o = good("--timeout 3s frequency --frequency 2s --timeout 1s", "frequency");
    assert_int_equal(o.poll_timeout_ns, 1000000000);
    assert_int_equal(o.timeout_ns, 3000000000);
    o = good("get --cacert ca --cert c --key k --servername n --token-file t", "get");
    assert_string_equal(o.ca, "ca");
    assert_string_equal(o.cert, "c");
    assert_string_equal(o.key, "k");
    assert_string_equal(o.server_name, "n");
    assert_string_equal(o.token_file, "t");
    o = good("frequency --frequency 2s --timeout 1s --deadline 4s", "frequency");
    assert_int_equal(o.timeout_ns, 4000000000);
    o = good("get --timeout 5s", "get");
    assert_int_equal(o.timeout_ns, 5000000000);
}

/* As grpcurl spells them: one dash will do. */
static void test_connection(void **state)
{
    (void)state;
    struct options o = good("-plaintext -cacert ca -t a,b --target=c status -connect-timeout=3s", "status");
    assert_true(o.plaintext);
    assert_string_equal(o.ca, "ca");
    assert_int_equal(o.targets.n, 2);
    assert_string_equal(o.targets.items[1], "c");
    assert_int_equal(o.connect_timeout_ns, 3000000000);
    o = good("status -H a:1 --header b:2 -insecure -authority x -max-msg-sz 1000 -v", "status");
    assert_int_equal(o.headers.n, 2);
    assert_true(o.insecure && o.verbose);
    assert_string_equal(o.authority, "x");
    assert_int_equal(o.message_max, 1000);
    /* Letters come together, and with their value, all the same. */
    o = good("-qojsonl status", "status");
    assert_true(o.quiet);
    assert_int_equal(o.output, OUTPUT_JSONL);
    bad("-plaintext=yes status", "--plaintext takes no value");
    bad("status -cacert", "--cacert needs a value (FILE)");
}

static void test_help(void **state)
{
    (void)state;
    assert_true(good("--help", NULL).help);
    assert_true(good("poll -h", "poll").help);
    assert_true(good("help poll", "poll").help);
    assert_true(good("apply --help", "apply").help); /* without its argument */
    assert_true(good("-V", NULL).version);
    good("", NULL);
}

static void test_unknown(void **state)
{
    (void)state;
    bad("steam", "unknown command steam; did you mean stream?");
    bad("names", "unknown command names; did you mean namespaces?");
    bad("xyzzy", "unknown command xyzzy; see xtcp2client --help");
    bad("stream --cuont 3", "unknown option --cuont; did you mean --count?");
    bad("stream --freq=3", "unknown option --freq=3; see xtcp2client stream --help");
    bad("--tagret x get", "unknown option --tagret; did you mean --target?");
    bad("--interval 3s burst", "--interval is an option of burst: put it behind that command");
    bad("--netns web snapshot", "--netns is an option of 5 commands: put it behind one");
    bad("-T snapshot", "-T is an option of 4 commands: put it behind one");
    bad("--=x", "unknown option --=x; see xtcp2client --help");
    bad("get -z", "unknown option -z; see xtcp2client get --help");
}

static void test_an_alias_of_a_format(void **state)
{
    (void)state;
    struct options o;
    struct err e = {0};
    const struct command *command;
    assert_int_equal(parse("-o proto poll", &o, &command, &e), 0);
    assert_int_equal(o.output, OUTPUT_PROTOBUF_LIST);
    assert_string_equal(output_format_name(o.output), "protobuf-list");
}

static void test_values(void **state)
{
    (void)state;
    bad("stream --count", "--count needs a value (N)");
    bad("stream --count 0", "--count 0: expected a whole number from 1 up");
    bad("stream --count -3", "--count -3: expected a whole number from 1 up");
    bad("stream --count 3x", "--count 3x: expected a whole number from 1 up");
    bad("stream --count 99999999999999999999",
        "--count 99999999999999999999: expected a whole number from 1 up");
    bad("poll --every 5", "--every 5: expected a duration like 500ms, 2s or 1m30s");
    bad("poll --every 0s", "--every 0s: must be above 0");
    bad("poll --every 99999999d", "--every 99999999d: too long");
    bad("-o xml get",
        "--output xml: expected one of table, wide, jsonl, json, protojson, protojson-envelope, humanize, csv, tsv, "
        "prototext, protobuf-list, protobuf-delimited, msgpack, null");
    bad("--target= get", "--target: must not be empty");
    bad("poll --quiet=yes", "--quiet takes no value");
    bad("apply", "apply needs a FILE");
    bad("apply a b", "apply takes one FILE, but b was given as well");
    bad("get x", "get takes no argument, but x was given");
}

static const struct command *command_called(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    fail();
    return NULL;
}

static void check_format(const char *name, enum output_format asked, bool terminal, int rc,
                         enum output_format want)
{
    struct options o = {.output = asked};
    struct err e = {0};
    assert_int_equal(command_format(command_called(name), terminal, &o, &e), rc);
    if (rc == 0)
        assert_int_equal(o.output, want);
}

static void test_formats(void **state)
{
    (void)state;
    check_format("stream", OUTPUT_DEFAULT, true, 0, OUTPUT_TABLE);
    check_format("stream", OUTPUT_DEFAULT, false, 0, OUTPUT_JSONL);
    check_format("stream", OUTPUT_TABLE, false, 0, OUTPUT_TABLE);
    check_format("status", OUTPUT_CSV, false, ERR_USAGE, 0);
    check_format("get", OUTPUT_PROTOJSON, false, 0, OUTPUT_PROTOJSON);
    check_format("trigger", OUTPUT_DEFAULT, true, 0, OUTPUT_DEFAULT);
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
        const struct format *records = output_format_records(f);
        bool people = !records || !(records->flags & FORMAT_BINARY);
        check_format("poll", f, false, 0, f);
        check_format("poll", f, true, people ? 0 : ERR_USAGE, f);
    }
    check_format("trigger", OUTPUT_JSONL, true, ERR_USAGE, 0);
}

/* Every command has what its help needs, and every line of help fits into 100 columns. */
static void test_help_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i <= n_commands; i++) {
        struct buf b;
        buf_init(&b);
        if (i == n_commands)
            command_help_all(&b);
        else
            command_help(&commands[i], &b);
        const char *text = buf_cstr(&b);
        assert_non_null(strstr(text, "\nexample: "));
        for (const char *line = text; *line;) {
            size_t n = strcspn(line, "\n");
            assert_in_range(n, 0, 100);
            line += n + (line[n] == '\n');
        }
        buf_free(&b);
    }
}

/* No letter stands for two options in the help of one command: that of a command's own goes first. */
static void test_help_letters(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    command_help(command_called("snapshot"), &b);
    assert_non_null(strstr(buf_cstr(&b), "\n  -H, --no-header "));
    assert_non_null(strstr(buf_cstr(&b), "\n      --header HEADER "));
    for (size_t i = 0; i < n_commands; i++) {
        bool seen[256] = {false};
        buf_reset(&b);
        command_help(&commands[i], &b);
        for (const char *at = buf_cstr(&b); (at = strstr(at, "\n  -")); at++) {
            if (at[5] != ',')
                continue;
            assert_false(seen[(unsigned char)at[4]]);
            seen[(unsigned char)at[4]] = true;
        }
    }
    buf_free(&b);
}

/* The help says behind which commands -H is no header. */
static void test_help_of_no_header(void **state)
{
    (void)state;
    struct buf names;
    struct buf b;
    buf_init(&names);
    buf_printf(&names, "Behind ");
    size_t told = 0, n = 0;
    for (size_t i = 0; i < n_commands; i++)
        for (const struct option_def *d = commands[i].options; d && d->name; d++)
            n += d->letter == 'H';
    for (size_t i = 0; i < n_commands; i++)
        for (const struct option_def *d = commands[i].options; d && d->name; d++)
            if (d->letter == 'H') {
                buf_printf(&names, "%s%s", told == 0 ? "" : told + 1 == n ? " and " : ", ", commands[i].name);
                told++;
            }
    buf_printf(&names, " -H is --no-header");
    buf_init(&b);
    command_help_all(&b);
    assert_non_null(strstr(buf_cstr(&b), buf_cstr(&names)));
    buf_free(&names);
    buf_free(&b);
}

/* The example of each command is a command line that parses. */
static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        char line[256];
        const char *at = strstr(commands[i].example, "xtcp2client");
        assert_non_null(at);
        snprintf(line, sizeof(line), "%s", at + strlen("xtcp2client"));
        line[strcspn(line, "|>")] = 0;
        good(line, commands[i].name);
    }
}

/* An option that swallows the command, and flags of another program. */
static void test_no_command(void **state)
{
    (void)state;
    bad("-H snapshot",
        "-H in front of a command is --header and has taken \"snapshot\" for its HEADER: write "
        "snapshot -H, where it is --no-header");
    bad("-q -H snapshot state established", "-H in front of a command is --header and has taken \"snapshot\" "
                                            "for its HEADER: write snapshot -H, where "
                                            "it is --no-header");
    bad("-H get", "no command: -H has taken \"get\" for its HEADER");
    bad("--target status", "no command: --target has taken \"status\" for its TARGET");
    bad("-t poll -o json", "no command: -t has taken \"poll\" for its TARGET");
    bad("-cert watch", "no command: -cert has taken \"watch\" for its FILE");
    bad("-header snapshot", "no command: -header has taken \"snapshot\" for its HEADER");
    good("-H stream -t poll poll", "poll");
    good("-H stream --help", NULL);
    static const char text[] =
        "-tan: -t is --target here and takes \"an\"; if flags of ss are meant: xtcp2client "
        "snapshot shows TCP sockets of all states, with -n for exact numbers";
    bad("-tan", text);
    struct options o = good("-tan snapshot", "snapshot");
    assert_string_equal(o.flags_target, "an");
    assert_string_equal(o.targets.items[0], "an");
    assert_string_equal(good("-tunap snapshot", "snapshot").flags_target, "unap");
    assert_string_equal(good("-tulpn snapshot", "snapshot").flags_target, "ulpn");
    assert_null(good("-tnode7 snapshot", "snapshot").flags_target);
    assert_null(good("-t an snapshot", "snapshot").flags_target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_command),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_two_timeouts),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_an_alias_of_a_format),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_help_texts),
        cmocka_unit_test(test_help_letters),
        cmocka_unit_test(test_help_of_no_header),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
