/* Options of a table as documents have them: a row of a table in Markdown, an entry of a manual page in roff. */
#ifndef XTCP_TESTS_OPTION_TEXT_H
#define XTCP_TESTS_OPTION_TEXT_H

#include "config_test.h"

/* |text| as it may stand in a cell of a table. */
static inline void markdown_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        buf_str(out, *text == '|' ? "\\" : "");
        buf_char(out, *text);
    }
}

/* "| `name` | `default` | allowed | ", for the caller to go on. */
static inline void markdown_option(struct buf *out, const struct config_option *o)
{
    buf_printf(out, "| `%s` | ", o->name);
    if (*o->default_value)
        buf_printf(out, "`%s`", o->default_value);
    else
        buf_str(out, "empty");
    buf_str(out, " | ");
    config_option_print_bounds(o, out);
    buf_str(out, " | ");
}

/* |text| with what means something to troff escaped; '_' becomes '-' where |flag| is set. */
static inline void roff(struct buf *out, const char *text, bool flag)
{
    if (*text == '.' || *text == '\'')
        buf_str(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            buf_str(out, "\\e");
        else if (*text == '-' || (*text == '_' && flag))
            buf_str(out, "\\-");
        else
            buf_char(out, *text);
    }
}

/* Sentences begin on lines of their own. */
static inline void roff_sentences(struct buf *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, ". ");
        char sentence[512];
        size_t n = end ? (size_t)(end - text) + 1 : strlen(text);
        assert_true(n < sizeof(sentence));
        memcpy(sentence, text, n);
        sentence[n] = '\0';
        roff(out, sentence, false);
        buf_char(out, '\n');
        text += n + strspn(text + n, " ");
    }
}

static inline void roff_bounds(struct buf *out, const struct config_option *o)
{
    char storage[512];
    struct buf bounds;
    buf_init_fixed(&bounds, storage, sizeof(storage));
    config_option_print_bounds(o, &bounds);
    buf_str(out, "Allowed: ");
    roff(out, buf_cstr(&bounds), false);
    buf_str(out, ".\n");
}

static inline void roff_default(struct buf *out, const struct config_option *o)
{
    buf_str(out, "Default: ");
    if (*o->default_value) {
        buf_str(out, "\\fB");
        for (const char *p = o->default_value; *p; p++) { /* a list may break at its commas */
            buf_str(out, *p == '-' ? "\\-" : (char[]){*p, '\0'});
            buf_str(out, *p == ',' ? "\\:" : "");
        }
        buf_str(out, "\\fR");
    } else {
        buf_str(out, "empty");
    }
    buf_str(out, ".\n");
}

/* A key of a mapping in YAML. */
static inline void roff_key(struct buf *out, const struct config_option *o)
{
    buf_printf(out, ".TP\n\\fB%s\\fR: \\fI", o->name);
    roff(out, o->metavar, false);
    buf_str(out, "\\fR\n");
    roff_sentences(out, o->help);
    roff_bounds(out, o);
    roff_default(out, o);
}

#endif
