/* Texts made from the option table: --help and the commented file. */
#include <string.h>

#include "config/config_internal.h"
#include "config/output_list.h"
#include "config/value.h"
#include "lib/utf8.h"

static void pad(struct buf *out, size_t n)
{
    while (n--)
        buf_char(out, ' ');
}

/* Appends the words of |text|, breaking before column |width|; |column| is where the output stands, and every
 * further line begins with |prefix|. */
static void wrap(struct buf *out, const char *text, size_t column, size_t width, const char *prefix)
{
    bool at_start = true;
    while (*(text += strspn(text, " "))) {
        size_t n = strcspn(text, " ");
        if (!at_start && column + 1 + n > width) {
            buf_char(out, '\n');
            buf_str(out, prefix);
            column = strlen(prefix);
            at_start = true;
        }
        if (!at_start) {
            buf_char(out, ' ');
            column++;
        }
        buf_bytes(out, text, n);
        column += n;
        text += n;
        at_start = false;
    }
}

/* ---- --help ---- */

#define HELP_COLUMN 32

static const char help_prefix[HELP_COLUMN + 1] = "                                ";

static void help_entry(struct buf *out, unsigned width, char short_name, const char *name,
                       const char *metavar, const char *help)
{
    char left[80];
    struct buf l;
    buf_init_fixed(&l, left, sizeof(left));
    if (short_name)
        buf_printf(&l, "  -%c, ", short_name);
    else
        buf_str(&l, "      ");
    buf_printf(&l, "--%s%s%s", name, metavar ? " " : "", metavar ? metavar : "");
    buf_bytes(out, left, l.len);
    if (l.len + 2 > HELP_COLUMN) {
        buf_char(out, '\n');
        l.len = 0;
    }
    pad(out, HELP_COLUMN - l.len);
    wrap(out, help, HELP_COLUMN, width, help_prefix);
    buf_char(out, '\n');
}

static void help_option(struct buf *out, unsigned width, const struct config_option *o)
{
    char flag[OPTION_FLAG_MAX];
    char storage[1024];
    struct buf help;
    option_flag(o->name, flag);
    buf_init_fixed(&help, storage, sizeof(storage));
    buf_str(&help, o->help);
    if (value_is_list(o))
        buf_str(&help, " Can be repeated.");
    buf_str(&help, " (");
    config_option_print_bounds(o, &help);
    if (*o->default_value) {
        buf_str(&help, "; default ");
        for (const char *p = o->default_value; *p; p++) { /* a list may break at its commas */
            buf_char(&help, *p);
            buf_str(&help, *p == ',' ? " " : "");
        }
    }
    buf_str(&help, ")");
    help_entry(out, width, 0, flag, o->metavar, buf_cstr(&help));
}

void config_print_help(struct buf *out, unsigned width, const char *synopsis, const char *intro,
                       const struct config_program_option *own, size_t n_own)
{
    const char *section = "";
    buf_printf(out, "Usage: %s\n\n", synopsis);
    wrap(out, intro, 0, width, "");
    buf_str(out, "\n\n");
    for (size_t i = 0; i < n_own; i++)
        help_entry(out, width, own[i].short_name, own[i].name, own[i].metavar, own[i].help);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(section, config_options[i].section) != 0)
            buf_printf(out, "\n%s:\n", config_options[i].section);
        section = config_options[i].section;
        help_option(out, width, &config_options[i]);
    }
}

/* ---- The file ---- */

#define YAML_WIDTH 100

static void yaml_list(struct buf *out, const struct config_strings *list)
{
    if (list->n == 0)
        buf_str(out, " []");
    for (size_t i = 0; i < list->n; i++) {
        buf_str(out, "\n  - ");
        yaml_string(out, list->items[i], strlen(list->items[i]));
    }
}

static void yaml_groups(struct buf *out, const struct config_option *o, groups_t groups)
{
    if (groups == 0)
        buf_str(out, " []");
    for (unsigned i = 0; i < o->n_names; i++) {
        if (groups & GROUP_BIT(i))
            buf_printf(out, "\n  - %s", o->names[i]);
    }
}

/* One output on a line, in the flow style. */
static void yaml_outputs(struct buf *out, const struct config_outputs *list, bool secrets)
{
    if (list->n == 0)
        buf_str(out, " []");
    for (size_t i = 0; i < list->n; i++) {
        buf_str(out, "\n  - ");
        output_config_print(&list->items[i], secrets, out);
    }
}

static void yaml_value(struct buf *out, const struct config_option *o, const struct config *c, bool secrets)
{
    const void *field = value_field_const(o, c);
    switch (o->type) {
    case CONFIG_LIST:
        yaml_list(out, field);
        break;
    case CONFIG_GROUPS:
        yaml_groups(out, o, *(const groups_t *)field);
        break;
    case CONFIG_OUTPUTS:
        yaml_outputs(out, field, secrets);
        break;
    case CONFIG_STRING: {
        struct buf text;
        buf_init(&text);
        if (secrets && o->secret_url)
            buf_str(&text, *(char *const *)field);
        else
            config_option_print(o, c, &text);
        buf_char(out, ' ');
        yaml_string(out, buf_cstr(&text), text.len);
        out->failed |= text.failed;
        buf_free(&text);
        break;
    }
    case CONFIG_DURATION:
    case CONFIG_UINT:
    case CONFIG_BOOL:
    case CONFIG_ENUM:
    case CONFIG_SIZE:
    case CONFIG_PAIRS: /* of outputs alone */
        buf_char(out, ' ');
        config_option_print(o, c, out);
        break;
    }
}

/* One line with the origin behind the value, or, for a list, behind the name. */
static void effective_option(struct buf *out, const struct config_builder *b, const struct config_option *o,
                             const struct config *c)
{
    char quoted[VALUE_QUOTED_MAX];
    const void *field = value_field_const(o, c);
    bool fitted = !value_equal(o, field, value_field_const(o, b->config)) &&
                  o != &config_options[CONFIG_OPTION_hostname];
    struct buf note;
    buf_init(&note);
    buf_printf(&note, "  # %s%s", value_quote(config_builder_origin(b, o), quoted),
               fitted ? ", fitted to poll_frequency" : "");
    buf_printf(out, "%s:", o->name);
    bool block = value_has_items(o, field);
    if (block)
        buf_str(out, buf_cstr(&note));
    yaml_value(out, o, c, false);
    if (!block)
        buf_str(out, buf_cstr(&note));
    buf_char(out, '\n');
    out->failed |= note.failed;
    buf_free(&note);
}

void config_dump_effective(const struct config_builder *b, const struct config *c, struct buf *out)
{
    buf_str(out, "# The configuration of xtcp2 and where each value comes from.\n");
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        effective_option(out, b, &config_options[i], c);
}

void yaml_pair(struct buf *out, const struct config_option *o, const struct config *c)
{
    buf_printf(out, "%s:", o->name);
    yaml_value(out, o, c, true);
    buf_char(out, '\n');
}

static void yaml_option(struct buf *out, const struct config_option *o, const struct config *c)
{
    char storage[512];
    struct buf note;
    buf_init_fixed(&note, storage, sizeof(storage));
    buf_str(&note, "Allowed: ");
    config_option_print_bounds(o, &note);
    buf_str(&note, o->reload == CONFIG_HOT ? "." : ". Takes effect at the next start.");
    buf_str(out, "\n# ");
    wrap(out, o->help, 2, YAML_WIDTH, "# ");
    buf_str(out, "\n# ");
    wrap(out, buf_cstr(&note), 2, YAML_WIDTH, "# ");
    buf_char(out, '\n');
    yaml_pair(out, o, c);
}

void config_dump_yaml(const struct config *c, struct buf *out)
{
    const char *section = "";
    buf_str(
        out,
        "# Configuration of xtcp2, read with --config FILE; on SIGHUP the daemon reads it again.\n"
        "# Options that are not given here have their defaults; environment and command line take precedence over this file.\n"
        "# Durations: ns, us, ms, s, m, h, d, as in 250ms or 1m30s.\n");
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(section, config_options[i].section) != 0)
            buf_printf(out, "\n# ---- %s ----\n", config_options[i].section);
        section = config_options[i].section;
        yaml_option(out, &config_options[i], c);
    }
}
