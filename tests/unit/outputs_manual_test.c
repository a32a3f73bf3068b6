/* The parts of the documentation of outputs that are made from tables: the keys of an output, the destinations with their
 * options, the formats. With XTCP_UPDATE set in the environment they are written instead of compared. What is written by
 * hand has to speak of all states and reasons that the status tells. */
#include "config_test.h"

#include <ctype.h>

#include "config/output.h"
#include "generated.h"
#include "model/output.h"
#include "option_text.h"
#include "outputs/format/format.h"

#define DOCUMENT XTCP_SOURCE_DIR "/docs/outputs.md"
#define MANUAL   XTCP_SOURCE_DIR "/man/xtcp2.yaml.5"

/* ---- docs/outputs.md ---- */

static void check_table(const char *head, struct buf *rows)
{
    generated_check(DOCUMENT, head, "\n", rows);
    buf_free(rows);
}

static void put_rows(struct buf *out, const struct config_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        markdown_option(out, &options[i]);
        markdown_cell(out, options[i].help);
        buf_str(out, " |\n");
    }
}

static void test_keys(void **state)
{
    (void)state;
    struct buf rows;
    buf_init(&rows);
    put_rows(&rows, output_options, output_option_count);
    check_table("| key | default | allowed | |\n|---|---|---|---|\n", &rows);
}

static void put_kind(struct buf *out, const struct output_kind *kind)
{
    buf_str(out, "| ");
    for (size_t k = 0; k < 3 && kind->schemes[k]; k++)
        buf_printf(out, "%s`%s`", k ? ", " : "", kind->schemes[k]);
    buf_printf(out, " | `%s` | `%s` | ", kind->example, kind->format);
    if (kind->module)
        buf_printf(out, "`%s`", kind->module);
    buf_printf(out, " | %s |\n", kind->doc);
}

static void test_destinations(void **state)
{
    (void)state;
    struct buf rows;
    buf_init(&rows);
    for (size_t i = 0; i < output_kind_count; i++)
        put_kind(&rows, &output_kinds[i]);
    check_table("| scheme | such as | format | package | |\n|---|---|---|---|---|\n", &rows);
}

static void check_kind(const struct output_kind *kind)
{
    char head[96];
    struct buf rows;
    buf_init(&rows);
    put_rows(&rows, kind->options, kind->n_options);
    if (kind->passed)
        buf_printf(&rows, "| `%sKEY` | | | The property KEY of the library. |\n", kind->passed);
    snprintf(head, sizeof(head), "| option of %s | default | allowed | |\n|---|---|---|---|\n", kind->name);
    check_table(head, &rows);
}

static void test_options_of_destinations(void **state)
{
    (void)state;
    for (size_t i = 0; i < output_kind_count; i++)
        if (output_kinds[i].n_options)
            check_kind(&output_kinds[i]);
}

static void test_formats(void **state)
{
    (void)state;
    struct buf rows;
    buf_init(&rows);
    for (size_t i = 0; i < format_count; i++) {
        const struct format *f = formats[i];
        buf_printf(&rows, "| `%s`", f->name);
        if (f->alias)
            buf_printf(&rows, ", `%s`", f->alias);
        buf_printf(&rows, " | %s |\n", f->doc);
    }
    check_table("| format | |\n|---|---|\n", &rows);
}

/* ---- man/xtcp2.yaml.5 ---- */

static void check_manual(const char *begin, struct buf *entries)
{
    generated_check(MANUAL, begin, ".\\\" end\n", entries);
    buf_free(entries);
}

static void test_manual_keys(void **state)
{
    (void)state;
    struct buf entries;
    buf_init(&entries);
    for (size_t i = 0; i < output_option_count; i++)
        roff_key(&entries, &output_options[i]);
    check_manual(".\\\" keys of outputs\n", &entries);
}

static void manual_kind(struct buf *out, const struct output_kind *kind)
{
    buf_printf(out, ".SS %s\n", kind->name);
    roff_sentences(out, kind->doc);
    buf_str(out, "Such as\n.BR ");
    roff(out, kind->example, false);
    buf_printf(out, " .\nFormat, unless another is given:\n.BR %s .\n", kind->format);
    if (kind->module) {
        buf_str(out, "Needs the package\n.BR ");
        roff(out, kind->module, false);
        buf_str(out, " .\n");
    }
    for (size_t i = 0; i < kind->n_options; i++)
        roff_key(out, &kind->options[i]);
    if (kind->passed)
        buf_printf(out, ".TP\n\\fB%sKEY\\fR: \\fIVALUE\\fR\nThe property KEY of the library.\n",
                   kind->passed);
}

static void test_manual_destinations(void **state)
{
    (void)state;
    struct buf entries;
    buf_init(&entries);
    for (size_t i = 0; i < output_kind_count; i++)
        manual_kind(&entries, &output_kinds[i]);
    check_manual(".\\\" destinations\n", &entries);
}

/* ---- By hand ---- */

/* |name| stands in the document as a row of a table: "| `name` |". */
static void expect_row(const char *text, const char *name)
{
    char row[80];
    snprintf(row, sizeof(row), "\n| `%s` |", name);
    if (!strstr(text, row))
        fail_msg("%s: no row for %s", DOCUMENT, name);
}

static void test_states_and_reasons(void **state)
{
    (void)state;
    char *text = generated_read(DOCUMENT);
    for (uint32_t i = OUTPUT_STATE_UNSPECIFIED + 1; i < OUTPUT_STATES; i++)
        expect_row(text, output_state_name(i));
    for (unsigned i = 0; i < OUTPUT_DROPS; i++)
        expect_row(text, output_drop_name(i));
    free(text);
}

/* Whether |text| has a heading that is made of names, "### tcp" or "### stdout, stderr", and |name| is one of them. */
static bool has_section(const char *text, const char *name)
{
    size_t n = strlen(name);
    while ((text = strstr(text, "\n### "))) {
        text += strlen("\n### ");
        for (const char *at = text; *at && *at != '\n'; at += strspn(at, ", ")) {
            size_t word = strcspn(at, ", \n");
            if (word == n && strncmp(at, name, n) == 0)
                return true;
            at += word;
        }
    }
    return false;
}

/* Each destination has a section. */
static void test_sections(void **state)
{
    (void)state;
    char *text = generated_read(DOCUMENT);
    for (size_t i = 0; i < output_kind_count; i++)
        if (!has_section(text, output_kinds[i].name))
            fail_msg("%s: no section about %s", DOCUMENT, output_kinds[i].name);
    free(text);
}

/* ---- What the generators rely on ---- */

static void check_help(const struct config_option *o)
{
    assert_true(isupper((unsigned char)o->help[0]) || strncmp(o->help, "PEM", 3) == 0);
    assert_int_equal(o->help[strlen(o->help) - 1], '.');
    assert_non_null(o->metavar);
}

static void test_help_is_made_of_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < output_option_count; i++)
        check_help(&output_options[i]);
    for (size_t i = 0; i < output_kind_count; i++) {
        for (size_t k = 0; k < output_kinds[i].n_options; k++)
            check_help(&output_kinds[i].options[k]);
        assert_null(strchr(output_kinds[i].doc, '|'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_options_of_destinations),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_manual_keys),
        cmocka_unit_test(test_manual_destinations),
        cmocka_unit_test(test_states_and_reasons),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_help_is_made_of_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
