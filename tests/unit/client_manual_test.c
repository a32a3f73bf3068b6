/* The parts of man/xtcp2client.1 that are made of tables: commands and their options, columns, fields. With
 * XTCP_UPDATE set in the environment they are written instead of compared. */
#include "generated.h"

#include "client/command.h"
#include "client/show/socket_table.h"
#include "filter/filter.h"
#include "record/fields.h"

#define MANUAL XTCP_SOURCE_DIR "/man/xtcp2client.1"

/* |text| with what means something to troff escaped. */
static void roff(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_str(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            buf_str(out, "\\e");
        else if (*text == '-')
            buf_str(out, "\\-");
        else if (*text == '\'')
            buf_str(out, "\\(aq");
        else if (*text == '~')
            buf_str(out, "\\(ti");
        else
            buf_char(out, *text);
    }
}

/* A text of more than one line, sentences on lines of their own. */
static void roff_text(struct buf *out, const char *text)
{
    char line[1024];
    size_t n = 0;
    for (; *text; text++) {
        bool sentence = n && line[n - 1] == '.' && (*text == ' ' || *text == '\n') && text[1];
        assert_true(n + 1 < sizeof(line));
        line[n] = *text == '\n' ? ' ' : *text;
        line[++n] = '\0';
        if (!sentence)
            continue;
        line[n - 1] = '\0';
        roff(out, line);
        buf_char(out, '\n');
        n = 0;
    }
    while (n && line[n - 1] == ' ')
        n--;
    line[n] = '\0';
    roff(out, line);
    buf_char(out, '\n');
}

static void put_options(struct buf *out, const struct option_def *defs)
{
    for (const struct option_def *d = defs; d && d->name; d++) {
        buf_str(out, ".TP\n");
        if (d->letter)
            buf_printf(out, "\\fB\\-%c\\fR, ", d->letter);
        buf_str(out, "\\fB\\-\\-");
        roff(out, d->name);
        buf_str(out, "\\fR");
        if (d->value)
            buf_printf(out, " \\fI%s\\fR", d->value);
        buf_char(out, '\n');
        roff_text(out, d->help);
    }
}

static void put_commands(struct buf *out)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        buf_printf(out, ".SS %s\n.B xtcp2client %s\n", c->name, c->name);
        if (*c->usage) {
            roff(out, c->usage);
            buf_char(out, '\n');
        }
        buf_str(out, ".PP\n");
        char summary[256];
        snprintf(summary, sizeof(summary), "%c%s.", c->summary[0] - 'a' + 'A', c->summary + 1);
        roff_text(out, summary);
        if (c->help)
            roff_text(out, c->help);
        if (c->formats) {
            const char *gap = "Formats: ";
            for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
                if (!(c->formats & FORMAT_BIT(f)))
                    continue;
                buf_printf(out, "%s%s", gap, output_format_name(f));
                gap = ", ";
            }
            buf_str(out, ".\n");
        }
        put_options(out, c->options);
        buf_str(out, ".PP\nExample:\n.PP\n.nf\n.RS\n");
        roff(out, c->example);
        buf_str(out, "\n.RE\n.fi\n");
    }
}

static void put_global_options(struct buf *out)
{
    put_options(out, options_global);
}

static void put_columns(struct buf *out)
{
    for (size_t i = 0; i < n_socket_table_columns; i++) {
        const struct socket_table_column *c = &socket_table_columns[i];
        buf_printf(out, ".TP\n\\fB%s\\fR", c->name);
        buf_printf(out, " (%s%s)\n", c->look.title, c->wide ? ", in wide tables" : "");
        roff(out, c->doc ? c->doc : record_fields[c->fields[0]].doc);
        buf_char(out, '\n');
    }
}

static void put_fields(struct buf *out)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        const char *name = filter_field_name(f);
        buf_printf(out, ".TP\n\\fB%s\\fR", name);
        const char *alias;
        for (size_t k = 0; (alias = filter_field_alias(f, k)); k++)
            if (strcmp(alias, name) != 0)
                buf_printf(out, ", \\fB%s\\fR", alias);
        if (strcmp(name, f->name) != 0)
            buf_printf(out, ", \\fB%s\\fR", f->name);
        buf_char(out, '\n');
        roff(out, f->doc);
        if (*record_unit_names[f->unit])
            buf_printf(out, " (%s)", record_unit_names[f->unit]);
        buf_char(out, '\n');
    }
}

static const struct {
    const char *begin, *end;
    void (*write)(struct buf *out);
} parts[] = {
    {".\\\" commands\n", ".\\\" end of commands\n", put_commands},
    {".\\\" options\n", ".\\\" end of options\n", put_global_options},
    {".\\\" columns\n", ".\\\" end of columns\n", put_columns},
    {".\\\" fields\n", ".\\\" end of fields\n", put_fields},
};

static void test_generated_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct buf fresh;
        buf_init(&fresh);
        parts[i].write(&fresh);
        generated_check(MANUAL, parts[i].begin, parts[i].end, &fresh);
        buf_free(&fresh);
    }
}

/* The parts written by hand: every format is told, and docs/client.md tells of every command. */
static void test_written_parts(void **state)
{
    (void)state;
    char *manual = generated_read(MANUAL), *page = generated_read(XTCP_SOURCE_DIR "/docs/client.md");
    char words[64];
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
        const char *name = output_format_name(f);
        snprintf(words, sizeof(words), "\n.TP\n.B %s\n", name);
        if (!strstr(manual, words))
            fail_msg("the manual does not tell of the format %s", name);
        snprintf(words, sizeof(words), "`%s`", name);
        if (!strstr(page, words))
            fail_msg("docs/client.md does not tell of the format %s", name);
    }
    for (size_t i = 0; i < n_commands; i++) {
        snprintf(words, sizeof(words), "`%s", commands[i].name);
        if (!strstr(page, words))
            fail_msg("docs/client.md does not tell of the command %s", commands[i].name);
    }
    free(manual);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated_parts),
        cmocka_unit_test(test_written_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
