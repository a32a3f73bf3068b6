/* The type of the option |outputs|: a list of outputs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/output_list.h"
#include "config/value.h"
#include "config/yaml_internal.h"

int outputs_set_text(struct config_outputs *list, const char *text, struct err *e)
{
    struct config_outputs fresh = {0};
    int rc = *text ? yaml_parse_outputs(text, &fresh, e) : 0;
    if (rc) {
        outputs_clear(&fresh);
        return rc;
    }
    outputs_clear(list);
    *list = fresh;
    return 0;
}

static int outputs_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    (void)o;
    return outputs_set_text(field, text, e);
}

/* The error is about output |i|: "archive (line 12): queue: value …". */
static int blame(const struct config_outputs *list, size_t i, struct err *e)
{
    const struct output_config *c = &list->items[i];
    char quoted[VALUE_QUOTED_MAX];
    if (*c->name && c->line)
        return err_prefix(e, "%s (line %zu)", value_quote(c->name, quoted), c->line);
    return *c->name ? err_prefix(e, "%s", value_quote(c->name, quoted)) : err_prefix(e, "number %zu", i + 1);
}

static int outputs_check(const struct config_option *o, const void *field, struct err *e)
{
    const struct config_outputs *list = field;
    if (list->n > (size_t)o->max)
        return err_set(e, ERR_RANGE, "%zu outputs; allowed at most %lld", list->n, (long long)o->max);
    for (size_t i = 0; i < list->n; i++) {
        int rc = output_config_check(&list->items[i], e);
        if (rc == 0 && outputs_find(list, list->items[i].name) != &list->items[i])
            rc = err_set(e, ERR_DUPLICATE, "name: another output has it");
        if (rc) {
            blame(list, i, e);
            return rc;
        }
    }
    return 0;
}

void outputs_print(const struct config_outputs *list, bool secrets, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        buf_str(out, i ? ", " : "");
        output_config_print(&list->items[i], secrets, out);
    }
    buf_char(out, ']');
}

static void print(const struct config_option *o, const void *field, struct buf *out)
{
    (void)o;
    const struct config_outputs *list = field;
    if (list->n)
        outputs_print(list, false, out);
}

static bool outputs_equal(const void *a, const void *b)
{
    const struct config_outputs *x = a, *y = b;
    bool same = x->n == y->n;
    for (size_t i = 0; same && i < x->n; i++)
        same = output_config_equal(&x->items[i], &y->items[i]);
    return same;
}

static int outputs_copy(void *to, const void *from)
{
    struct config_outputs *list = to;
    const struct config_outputs *source = from;
    *list = (struct config_outputs){0};
    if (source->n == 0)
        return 0;
    list->items = calloc(source->n, sizeof(*list->items));
    if (!list->items)
        return -ENOMEM;
    for (; list->n < source->n; list->n++)
        if (output_config_copy(&list->items[list->n], &source->items[list->n]))
            return -ENOMEM; /* the owner clears what there is */
    return 0;
}

static void clear(void *field)
{
    outputs_clear(field);
}

const struct value_type value_outputs = {
    .noun = "a list of outputs",
    .set = outputs_set,
    .check = outputs_check,
    .print = print,
    .equal = outputs_equal,
    .copy = outputs_copy,
    .clear = clear,
};

/* ---- Secrets that come back hidden ---- */

/* How many URL_HIDDEN are in |text|; each of them is overwritten by |by| unless that is 0. */
static size_t count_hidden(char *text, char by)
{
    size_t count = 0;
    for (; (text = strstr(text, URL_HIDDEN)); text += sizeof(URL_HIDDEN) - 1, count++)
        if (by)
            memset(text, by, sizeof(URL_HIDDEN) - 1);
    return count;
}

/* Whether |text| has a URL_HIDDEN where a secret can be. When something else is in its place, that is hidden as well;
 * anywhere else it is seen then. Returns 0 and |*hidden|, or -ENOMEM. */
static int find_hidden(const char *text, bool *hidden)
{
    char *other = strdup(text), *shown = url_safe(text), *other_shown = NULL;
    if (other) {
        size_t count = count_hidden(other, 'x');
        other_shown = url_safe(other);
        *hidden = shown && other_shown && count > count_hidden(shown, 0) - count_hidden(other_shown, 0);
    }
    int rc = shown && other_shown ? 0 : -ENOMEM;
    free(other);
    free(shown);
    free(other_shown);
    return rc;
}

/* The value that the output |old| has for the secret option |pair|, or NULL. */
static const char *known_pair(const struct output_config *old, const char *pair)
{
    size_t n = strcspn(pair, "=") + 1;
    for (size_t i = 0; i < old->options.n; i++)
        if (strncmp(old->options.items[i], pair, n) == 0)
            return old->options.items[i];
    return NULL;
}

/* Whether |pair| is passed to the library of |kind|. */
static bool is_passed(const struct output_kind *kind, const char *pair)
{
    return kind && kind->passed && strncmp(pair, kind->passed, strlen(kind->passed)) == 0;
}

static bool is_hidden_pair(const char *pair)
{
    return output_key_is_secret(pair) && strcmp(pair + strcspn(pair, "="), "=" URL_HIDDEN) == 0;
}

/* Whether |c| passes what |old| does to its library, with some of the secrets hidden, and nothing else. */
static bool passes_the_same(const struct output_config *c, const struct output_config *old)
{
    const struct output_kind *kind = output_kind_of(c->to);
    for (size_t i = 0; i < c->options.n; i++) {
        const char *pair = c->options.items[i], *known = known_pair(old, pair);
        if (is_passed(kind, pair) && !(known && (is_hidden_pair(pair) || strcmp(known, pair) == 0)))
            return false;
    }
    for (size_t i = 0; i < old->options.n; i++)
        if (is_passed(kind, old->options.items[i]) && !known_pair(c, old->options.items[i]))
            return false;
    return true;
}

/* The pair that the hidden |pair| of |c| stands for, or NULL. Where a library sends a secret depends on all that is passed to it. */
static const char *meant_pair(const struct output_config *c, const struct output_config *old,
                              const char *pair)
{
    if (!old || (is_passed(output_kind_of(c->to), pair) && !passes_the_same(c, old)))
        return NULL;
    return known_pair(old, pair);
}

static int unhide_options(struct output_config *c, const struct output_config *old, struct err *e)
{
    for (size_t i = 0; i < c->options.n; i++) {
        char **pair = &c->options.items[i];
        size_t n = strcspn(*pair, "=");
        if (!is_hidden_pair(*pair))
            continue;
        const char *known = meant_pair(c, old, *pair);
        if (!known)
            return err_set(e, ERR_RANGE,
                           "options: %.*s: value \"" URL_HIDDEN "\" stands for a secret that is not known",
                           (int)n, *pair);
        char *copy = strdup(known);
        if (!copy)
            return err_set(e, -ENOMEM, "out of memory");
        free(*pair);
        *pair = copy;
    }
    return 0;
}

/* |*same|: |c| has the destination |old_to|, in full or as it is shown, which becomes the full one. */
static int unhide_to(struct output_config *c, const char *old_to, bool *same, struct err *e)
{
    char *safe = url_safe(old_to);
    if (!safe)
        return err_set(e, -ENOMEM, "out of memory");
    bool shown = strcmp(c->to, safe) == 0;
    free(safe);
    *same = shown || strcmp(c->to, old_to) == 0;
    return shown && value_string_set(&c->to, old_to) ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* |old|: the output in force of the same name, or NULL. A secret goes nowhere but to the destination that it was given for. */
static int unhide(struct output_config *c, const struct output_config *old, struct err *e)
{
    bool same = false, hidden = false;
    int rc = old ? unhide_to(c, old->to, &same, e) : 0;
    if (rc)
        return rc;
    if (!same && find_hidden(c->to, &hidden))
        return err_set(e, -ENOMEM, "out of memory");
    if (hidden)
        return err_set(e, ERR_RANGE,
                       "to: \"" URL_HIDDEN "\" stands for a secret that is not known for this destination");
    return unhide_options(c, same ? old : NULL, e);
}

int outputs_unhide(struct config_outputs *c, const struct config_outputs *in_force, struct err *e)
{
    for (size_t i = 0; i < c->n; i++) {
        int rc = unhide(&c->items[i], outputs_find(in_force, c->items[i].name), e);
        if (rc) {
            blame(c, i, e);
            return rc;
        }
    }
    return 0;
}
