/* The list types: lists of strings, sets of attribute groups, which are given as lists of names, and pairs of a key and
 * a value. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"

void strings_clear(struct config_strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_strings){0};
}

int strings_add(struct config_strings *list, const char *text)
{
    char **items = realloc(list->items, (list->n + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->n] = strdup(text);
    if (!items[list->n]) {
        if (list->n == 0) {
            free(items);
            list->items = NULL;
        }
        return -ENOMEM;
    }
    list->n++;
    return 0;
}

/* ---- One item ---- */

/* Whether one of the first |n| items of |list| means the same as |item|. */
static bool list_has(const struct config_option *o, const struct config_strings *list, size_t n,
                     const char *item)
{
    for (size_t i = 0; i < n; i++) {
        if (o->same_item(list->items[i], item))
            return true;
    }
    return false;
}

void value_list_once(const struct config_option *o, struct config_strings *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (list_has(o, list, kept, list->items[i]))
            free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->n = kept;
}

static int list_add(const struct config_option *o, void *field, const char *item, struct err *e)
{
    struct config_strings *list = field;
    char quoted[VALUE_QUOTED_MAX];
    struct err why = {0};
    int rc = value_check_text(item, &why);
    if (!rc && strchr(item, ','))
        rc = err_set(&why, ERR_MALFORMED, "holds a comma, which separates values");
    if (!rc)
        rc = o->check_item(item, &why);
    if (rc)
        return err_set(e, rc, "value \"%s\" %s", value_quote(item, quoted), why.text);
    if (list_has(o, list, list->n, item))
        return 0;
    if (list->n >= (size_t)o->max)
        return value_error(o, ERR_RANGE, item, e, "is one value too many");
    rc = strings_add(list, item);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

static int groups_add(const struct config_option *o, void *field, const char *item, struct err *e)
{
    groups_t *groups = field;
    int group = group_by_name(item);
    if (group < 0)
        return value_error(o, ERR_UNKNOWN, item, e, "is unknown");
    *groups |= GROUP_BIT(group);
    return 0;
}

/* ---- Items of both ---- */

typedef int add_fn(const struct config_option *o, void *field, const char *item, struct err *e);

static add_fn *adder(const struct config_option *o)
{
    return o->type == CONFIG_GROUPS ? groups_add : list_add;
}

int value_add(const struct config_option *o, void *field, const char *item, struct err *e)
{
    return adder(o)(o, field, item, e);
}

static int add_items(const struct config_option *o, void *field, const char *text, add_fn *add, struct err *e)
{
    if (!*text)
        return 0;
    for (;; text++) { /* over the comma */
        size_t len = strcspn(text, ",");
        char *item = strndup(text, len);
        if (!item)
            return err_set(e, -ENOMEM, "out of memory");
        int rc = add(o, field, item, e);
        free(item);
        text += len;
        if (rc || !*text)
            return rc;
    }
}

int value_add_items(const struct config_option *o, void *field, const char *text, struct err *e)
{
    return add_items(o, field, text, adder(o), e);
}

size_t value_count(const struct config_option *o, const void *field)
{
    return o->type == CONFIG_GROUPS ? (size_t)__builtin_popcount(*(const groups_t *)field)
                                    : ((const struct config_strings *)field)->n;
}

bool value_has_items(const struct config_option *o, const void *field)
{
    if (o->type == CONFIG_OUTPUTS)
        return ((const struct config_outputs *)field)->n > 0;
    return value_is_list(o) && value_count(o, field) > 0;
}

int value_check_count(const struct config_option *o, const void *field, struct err *e)
{
    if (value_count(o, field) >= (size_t)o->min)
        return 0;
    return value_error(o, ERR_RANGE, "", e, "is an empty list");
}

/* ---- Lists of strings ---- */

static int list_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    struct config_strings fresh = {0};
    int rc = add_items(o, &fresh, text, list_add, e);
    if (!rc)
        rc = value_check_count(o, &fresh, e);
    if (rc) {
        strings_clear(&fresh);
        return rc;
    }
    strings_clear(field);
    *(struct config_strings *)field = fresh;
    return 0;
}

static int list_check(const struct config_option *o, const void *field, struct err *e)
{
    const struct config_strings *list = field;
    struct config_strings again = {0};
    char quoted[VALUE_QUOTED_MAX];
    int rc = value_check_count(o, list, e);
    for (size_t i = 0; !rc && i < list->n; i++) {
        const char *item = list->items[i];
        if (list_has(o, list, i, item))
            rc = err_set(e, ERR_DUPLICATE, "value \"%s\" is given twice", value_quote(item, quoted));
        else
            rc = list_add(o, &again, item, e);
    }
    strings_clear(&again);
    return rc;
}

static void list_print(const struct config_option *o, const void *field, struct buf *out)
{
    (void)o;
    const struct config_strings *list = field;
    for (size_t i = 0; i < list->n; i++) {
        buf_str(out, i ? "," : "");
        buf_str(out, list->items[i]);
    }
}

static bool list_equal(const void *a, const void *b)
{
    const struct config_strings *x = a;
    const struct config_strings *y = b;
    if (x->n != y->n)
        return false;
    for (size_t i = 0; i < x->n; i++) {
        if (strcmp(x->items[i], y->items[i]) != 0)
            return false;
    }
    return true;
}

static int list_copy(void *to, const void *from)
{
    const struct config_strings *list = from;
    for (size_t i = 0; i < list->n; i++) {
        int rc = strings_add(to, list->items[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static void list_clear(void *field)
{
    strings_clear(field);
}

const struct value_type value_list = {
    .noun = "a list",
    .set = list_set,
    .check = list_check,
    .print = list_print,
    .equal = list_equal,
    .copy = list_copy,
    .clear = list_clear,
};

/* ---- Pairs: strings "KEY=VALUE", of which no two have the same key ---- */

static bool same_key(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

static int check_pair(const char *pair, struct err *e)
{
    size_t n = strcspn(pair, "=");
    if (n == 0 || !pair[n])
        return err_set(e, ERR_MALFORMED, "is not KEY=VALUE");
    return value_check_text(pair, e);
}

int value_add_pair(const struct config_option *o, void *field, const char *key, const char *value,
                   struct err *e)
{
    struct config_strings *list = field;
    char *pair, quoted[VALUE_QUOTED_MAX];
    if (strchr(key, '='))
        return err_set(e, ERR_MALFORMED, "key \"%s\" has a '='", value_quote(key, quoted));
    if (asprintf(&pair, "%s=%s", key, value) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    struct err why;
    int rc = check_pair(pair, &why);
    if (rc)
        err_set(e, rc, "key \"%s\" or its value %s", value_quote(key, quoted), why.text);
    for (size_t i = 0; !rc && i < list->n; i++)
        if (same_key(pair, list->items[i]))
            rc = err_set(e, ERR_DUPLICATE, "key \"%s\" is given twice", value_quote(key, quoted));
    if (!rc && list->n >= (size_t)o->max)
        rc = err_set(e, ERR_RANGE, "more than %lld keys", (long long)o->max);
    if (!rc && strings_add(list, pair))
        rc = err_set(e, -ENOMEM, "out of memory");
    free(pair);
    return rc;
}

/* Pairs have no text form of their own: a mapping is read pair by pair. */
static int pairs_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    if (*text)
        return value_error(o, ERR_TYPE, text, e, "is no mapping");
    strings_clear(field);
    return 0;
}

static int pairs_check(const struct config_option *o, const void *field, struct err *e)
{
    const struct config_strings *list = field;
    int rc = list->n > (size_t)o->max ? err_set(e, ERR_RANGE, "more than %lld keys", (long long)o->max) : 0;
    for (size_t i = 0; !rc && i < list->n; i++)
        rc = check_pair(list->items[i], e);
    return rc;
}

const struct value_type value_pairs = {
    .noun = "a mapping",
    .set = pairs_set,
    .check = pairs_check,
    .print = list_print,
    .equal = list_equal,
    .copy = list_copy,
    .clear = list_clear,
};

/* ---- Attribute groups ---- */

static int groups_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    groups_t fresh = 0;
    int rc = add_items(o, &fresh, text, groups_add, e);
    if (!rc)
        *(groups_t *)field = fresh;
    return rc;
}

static int groups_check(const struct config_option *o, const void *field, struct err *e)
{
    const groups_t *groups = field;
    char bits[16];
    if ((*groups & ~GROUPS_ALL) == 0)
        return 0;
    snprintf(bits, sizeof(bits), "0x%x", *groups);
    return value_error(o, ERR_RANGE, bits, e, "has bits that are no group");
}

static void groups_print(const struct config_option *o, const void *field, struct buf *out)
{
    groups_t groups = *(const groups_t *)field;
    const char *separator = "";
    for (unsigned i = 0; i < o->n_names; i++) {
        if (groups & GROUP_BIT(i)) {
            buf_str(out, separator);
            buf_str(out, o->names[i]);
            separator = ",";
        }
    }
}

const struct value_type value_groups = {
    .noun = "a list",
    .size = sizeof(groups_t),
    .set = groups_set,
    .check = groups_check,
    .print = groups_print,
};
