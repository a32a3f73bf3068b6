/* The parts of the documentation that are made from the option table: the table in docs/configuration.md and
 * the options in the manual pages. With XTCP_UPDATE set in the environment they are written instead of
 * compared. */
#include "config_test.h"

#include <ctype.h>

#include "generated.h"
#include "option_text.h"

/* A generated part of a file: what stands between the two lines. */
struct part {
    const char *file, *begin, *end;
    void (*write)(const struct config_option *o, struct buf *out);
};

/* ---- Entries ---- */

static void markdown_row(const struct config_option *o, struct buf *out)
{
    markdown_option(out, o);
    buf_printf(out, "%s | %s |\n", o->reload == CONFIG_HOT ? "hot" : "restart", o->help);
}

static void flag_entry(const struct config_option *o, struct buf *out)
{
    buf_str(out, ".TP\n\\fB\\-\\-");
    roff(out, o->name, true);
    buf_printf(out, "\\fR \\fI%s\\fR\n", o->metavar);
    roff_sentences(out, o->help);
    if (o->type == CONFIG_LIST || o->type == CONFIG_GROUPS)
        buf_str(out, "Can be repeated.\n");
    roff_bounds(out, o);
    roff_default(out, o);
}

static void key_entry(const struct config_option *o, struct buf *out)
{
    roff_key(out, o);
    if (o->reload == CONFIG_RESTART)
        buf_str(out, "Takes effect at the next start.\n");
}

/* ---- The files ---- */

#define ROFF_BEGIN ".\\\" options\n"
#define ROFF_END   ".\\\" end of options\n"

static const struct part parts[] = {
    {XTCP_SOURCE_DIR "/docs/configuration.md",
     "| option | default | allowed | change | |\n|---|---|---|---|---|\n", "\n", markdown_row},
    {XTCP_SOURCE_DIR "/man/xtcp2.8", ROFF_BEGIN, ROFF_END, flag_entry},
    {XTCP_SOURCE_DIR "/man/xtcp2.yaml.5", ROFF_BEGIN, ROFF_END, key_entry},
};

static void check_part(const struct part *p)
{
    struct buf fresh;
    buf_init(&fresh);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        p->write(&config_options[i], &fresh);
    generated_check(p->file, p->begin, p->end, &fresh);
    buf_free(&fresh);
}

static void test_generated_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        check_part(&parts[i]);
}

/* The assumptions of the generators above and of --help. */
static void test_help_is_made_of_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *help = config_options[i].help;
        assert_true(isupper((unsigned char)help[0]) || strncmp(help, "gRPC", 4) == 0);
        assert_int_equal(help[strlen(help) - 1], '.');
        assert_null(strchr(help, '|')); /* a column of the table */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated_parts),
        cmocka_unit_test(test_help_is_made_of_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
