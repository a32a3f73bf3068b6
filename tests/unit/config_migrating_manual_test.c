/* The flags of the Go daemon (config/go_flags.h): on our command line they are errors that name ours, and docs/migrating.md
 * has a table made of them. With XTCP_UPDATE set in the environment that is written instead of compared. */
#include "config_test.h"

#include "config/config_internal.h"
#include "config/go_flags.h"
#include "generated.h"

#define GO_FLAGS 72

/* Options that are no part of the configuration: the program's own. */
static const char *const own_names[] = {"print-config", "version"};

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
        if (strcmp(own_names[i], name) == 0)
            return true;
    return false;
}

/* Reads the command line |argument|, |more| (may be NULL), with the short options of the program, which begin as some of
 * the flags do. */
static int read_args(const char *argument, const char *more, struct err *e)
{
    static bool help;
    static const char *file, *output;
    const struct config_program_option own[] = {
        {.name = "config", .short_name = 'c', .metavar = "FILE", .help = "Read.", .value = &file},
        {.name = "output", .short_name = 'o', .metavar = "FORM", .help = "Print.", .value = &output},
        {.name = "help", .short_name = 'h', .help = "Help.", .flag = &help, .ends = true},
        {.name = "version", .short_name = 'V', .help = "Tell.", .flag = &help, .ends = true},
    };
    char *argv[] = {(char *)(uintptr_t) "xtcp2", (char *)(uintptr_t)argument, (char *)(uintptr_t)more, NULL};
    struct config_builder *b = config_builder_new();
    assert_non_null(b);
    *e = (struct err){0};
    int rc = config_parse_args(b, &(struct config_sources){more ? 3 : 2, argv, NULL, false}, own,
                               sizeof(own) / sizeof(own[0]), e);
    config_builder_free(b);
    return rc;
}

static void test_all_are_known(void **state)
{
    (void)state;
    assert_int_equal(go_flag_count, GO_FLAGS);
    for (size_t i = 1; i < go_flag_count; i++)
        assert_true(strcasecmp(go_flags[i - 1].name, go_flags[i].name) < 0);
}

static void test_what_they_are_called_here_exists(void **state)
{
    (void)state;
    for (size_t i = 0; i < go_flag_count; i++) {
        const struct go_flag *f = &go_flags[i];
        if (!f->option)
            assert_non_null(f->text);
        else if (!is_own(f->option) && !config_option_find(f->option))
            fail_msg("-%s: there is no option %s", f->name, f->option);
    }
}

static void test_each_is_an_error_that_names_ours(void **state)
{
    (void)state;
    for (size_t i = 0; i < go_flag_count; i++) {
        const struct go_flag *f = &go_flags[i];
        char argument[64], flag[OPTION_FLAG_MAX + 2] = "--";
        struct err e;
        snprintf(argument, sizeof(argument), "-%s", f->name);
        assert_int_equal(read_args(argument, "1", &e), ERR_USAGE);
        assert_int_equal(strncmp(e.text, argument, strlen(argument)), 0);
        assert_int_equal(e.text[strlen(argument)], ':');
        if (f->option)
            option_flag(f->option, flag + 2);
        assert_non_null(strstr(e.text, f->option ? flag : "no such option: "));
    }
}

static void test_the_spellings_of_go(void **state)
{
    (void)state;
    struct err e;
    static const struct {
        const char *argument, *text;
    } cases[] = {
        {"-dest", "-dest: options have two dashes here: --dest"},
        {"-dest=kafka:h:9092", "-dest: options have two dashes here: --dest"},
        {"-hostname=a", "-hostname: options have two dashes here: --hostname"},
        {"-columns", "-columns: options have two dashes here: --csv-columns"},
        {"-d", "-d: options have two dashes here: --log-level, error, warn, info, debug or trace"},
        {"--frequency=5s", "--frequency: is called --poll-frequency"},
        {"--pollJitterPct", "--pollJitterPct: is called --poll-jitter-pct"},
        {"-promListen",
         "-promListen: no such option: there is no endpoint of Prometheus; xtcp2client status tells "
         "the figures"},
        {"--promListen=:9088",
         "--promListen: no such option: there is no endpoint of Prometheus; xtcp2client status "
         "tells the figures"},
        {"-s3SecretKey=hunter2", "-s3SecretKey: no such option: there is no destination S3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_args(cases[i].argument, NULL, &e), ERR_USAGE);
        assert_string_equal(e.text, cases[i].text);
    }
}

static void test_what_is_none_of_them(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(read_args("--label", "-dest", &e), 0); /* a value */
    assert_int_equal(read_args("--dest", "null", &e), 0);   /* an option of ours */
    assert_int_equal(read_args("-h", NULL, &e), 0);
    assert_int_equal(read_args("-destination", NULL, &e), ERR_USAGE);
    assert_string_equal(e.text, "-d: no such option");
    assert_int_equal(read_args("---dest", NULL, &e), ERR_USAGE);
    assert_null(strstr(e.text, "two dashes"));
    assert_int_equal(read_args("-", NULL, &e), ERR_USAGE);
    assert_int_equal(read_args("--", "-dest", &e), ERR_USAGE);
    assert_null(strstr(e.text, "two dashes"));
}

/* ---- docs/migrating.md ---- */

static void write_row(const struct go_flag *f, struct buf *out)
{
    buf_printf(out, "| `-%s` | ", f->name);
    if (f->variable)
        buf_printf(out, "`%s`", f->variable);
    buf_str(out, " | ");
    if (f->option && is_own(f->option))
        buf_printf(out, "`--%s`", f->option);
    else if (f->option)
        buf_printf(out, "`%s`", f->option);
    else
        buf_str(out, "none");
    buf_printf(out, " | %s |\n", f->text ? f->text : "");
}

static void test_the_table_of_the_document(void **state)
{
    (void)state;
    struct buf fresh;
    buf_init(&fresh);
    for (size_t i = 0; i < go_flag_count; i++)
        write_row(&go_flags[i], &fresh);
    generated_check(XTCP_SOURCE_DIR "/docs/migrating.md", "| flag | variable | here | |\n|---|---|---|---|\n",
                    "\n", &fresh);
    buf_free(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_known),
        cmocka_unit_test(test_what_they_are_called_here_exists),
        cmocka_unit_test(test_each_is_an_error_that_names_ours),
        cmocka_unit_test(test_the_spellings_of_go),
        cmocka_unit_test(test_what_is_none_of_them),
        cmocka_unit_test(test_the_table_of_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
