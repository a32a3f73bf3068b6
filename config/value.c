/* The types of options: the table of all, and those that are a single value. */
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "lib/decimal.h"
#include "lib/duration.h"
#include "lib/size.h"
#include "lib/url.h"
#include "lib/utf8.h"

/* An error about the value at |field|. */
static int value_error_at(const struct config_option *o, int code, const void *field, struct err *e,
                          const char *sentence)
{
    char storage[VALUE_QUOTED_MAX + 1];
    struct buf text;
    buf_init_fixed(&text, storage, sizeof(storage));
    value_type(o)->print(o, field, &text);
    return value_error(o, code, buf_cstr(&text), e, sentence);
}

/* ---- Numbers: durations and unsigned integers ---- */

static bool in_bounds(const struct config_option *o, int64_t v)
{
    return (v >= o->min && v <= o->max) || (v == 0 && o->zero);
}

static int duration_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    int64_t ns;
    int rc = duration_parse(text, &ns);
    if (rc == ERR_MALFORMED)
        return value_error(o, rc, text, e, "is not a duration such as 250ms or 1m30s");
    if (rc || !in_bounds(o, ns))
        return value_error(o, ERR_RANGE, text, e, "is out of range");
    *(int64_t *)field = ns;
    return 0;
}

static int duration_check(const struct config_option *o, const void *field, struct err *e)
{
    return in_bounds(o, *(const int64_t *)field) ? 0
                                                 : value_error_at(o, ERR_RANGE, field, e, "is out of range");
}

static void duration_print(const struct config_option *o, const void *field, struct buf *out)
{
    value_print_number(o, *(const int64_t *)field, out);
}

static const struct value_type value_duration = {
    .noun = "a duration such as 250ms or 1m30s",
    .size = sizeof(int64_t),
    .set = duration_set,
    .check = duration_check,
    .print = duration_print,
};

static int uint_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    uint64_t v;
    int rc = decimal_parse(text, UINT32_MAX, &v);
    if (rc == ERR_MALFORMED)
        return value_error(o, rc, text, e, "is not a whole number");
    if (rc || !in_bounds(o, v))
        return value_error(o, ERR_RANGE, text, e, "is out of range");
    *(uint32_t *)field = (uint32_t)v;
    return 0;
}

static int uint_check(const struct config_option *o, const void *field, struct err *e)
{
    return in_bounds(o, *(const uint32_t *)field) ? 0
                                                  : value_error_at(o, ERR_RANGE, field, e, "is out of range");
}

static void uint_print(const struct config_option *o, const void *field, struct buf *out)
{
    value_print_number(o, *(const uint32_t *)field, out);
}

static const struct value_type value_uint = {
    .noun = "a whole number",
    .size = sizeof(uint32_t),
    .set = uint_set,
    .check = uint_check,
    .print = uint_print,
};

/* ---- Sizes ---- */

static int size_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    uint64_t bytes;
    int rc = size_parse(text, &bytes);
    if (rc == ERR_MALFORMED)
        return value_error(o, rc, text, e, "is not a size such as 64KiB or 1GiB");
    if (rc || bytes > INT64_MAX || !in_bounds(o, (int64_t)bytes))
        return value_error(o, ERR_RANGE, text, e, "is out of range");
    *(uint64_t *)field = bytes;
    return 0;
}

static int size_check(const struct config_option *o, const void *field, struct err *e)
{
    const uint64_t *bytes = field;
    if (*bytes <= INT64_MAX && in_bounds(o, (int64_t)*bytes))
        return 0;
    return value_error_at(o, ERR_RANGE, field, e, "is out of range");
}

static void size_print(const struct config_option *o, const void *field, struct buf *out)
{
    (void)o;
    char text[SIZE_TEXT_MAX];
    size_format(*(const uint64_t *)field, text);
    buf_str(out, text);
}

static const struct value_type value_size = {
    .noun = "a size such as 64KiB or 1GiB",
    .size = sizeof(uint64_t),
    .set = size_set,
    .check = size_check,
    .print = size_print,
};

/* ---- Switches ---- */

static int bool_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    bool on = strcmp(text, "true") == 0;
    if (!on && strcmp(text, "false") != 0)
        return value_error(o, ERR_MALFORMED, text, e, "is no switch");
    *(bool *)field = on;
    return 0;
}

static void bool_print(const struct config_option *o, const void *field, struct buf *out)
{
    (void)o;
    buf_str(out, *(const bool *)field ? "true" : "false");
}

static const struct value_type value_bool = {
    .noun = "true or false",
    .size = sizeof(bool),
    .set = bool_set,
    .print = bool_print,
};

/* ---- Names: an enum has the size and representation of unsigned here ---- */

_Static_assert(sizeof(enum log_level) == sizeof(unsigned) && sizeof(enum log_format) == sizeof(unsigned),
               "enum options are read and written as unsigned");

static int enum_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    for (unsigned i = 0; i < o->n_names; i++) {
        if (strcmp(o->names[i], text) == 0) {
            *(unsigned *)field = i;
            return 0;
        }
    }
    return value_error(o, ERR_UNKNOWN, text, e, "is unknown");
}

static void enum_print(const struct config_option *o, const void *field, struct buf *out)
{
    unsigned v = *(const unsigned *)field;
    if (v < o->n_names)
        buf_str(out, o->names[v]);
    else
        buf_u64(out, v); /* only in the error about it */
}

static int enum_check(const struct config_option *o, const void *field, struct err *e)
{
    const unsigned *v = field;
    return *v < o->n_names ? 0 : value_error_at(o, ERR_RANGE, field, e, "is unknown");
}

static const struct value_type value_enum = {
    .noun = "a name",
    .size = sizeof(unsigned),
    .set = enum_set,
    .check = enum_check,
    .print = enum_print,
};

/* ---- Strings ---- */

static int check_string(const struct config_option *o, const char *text, struct err *e)
{
    struct err why;
    if (value_check_text(text, &why))
        return value_error(o, why.code, text, e, why.text);
    if (utf8_characters(text) > (size_t)o->max)
        return value_error(o, ERR_RANGE, text, e, "is too long");
    if (*text && o->check_item && o->check_item(text, &why))
        return value_error(o, why.code, text, e, why.text);
    return 0;
}

static void string_clear(void *field)
{
    free(*(char **)field);
    *(char **)field = NULL;
}

int value_string_set(void *field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    string_clear(field);
    *(char **)field = copy;
    return 0;
}

static int string_set(const struct config_option *o, void *field, const char *text, struct err *e)
{
    int rc = check_string(o, text, e);
    if (rc == 0 && value_string_set(field, text))
        rc = err_set(e, -ENOMEM, "out of memory");
    return rc;
}

static int string_check(const struct config_option *o, const void *field, struct err *e)
{
    return check_string(o, *(char *const *)field, e);
}

static void string_print(const struct config_option *o, const void *field, struct buf *out)
{
    const char *text = *(char *const *)field;
    if (o->secret_url)
        url_print_safe(text, out);
    else
        buf_str(out, text);
}

static bool string_equal(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

static int string_copy(void *to, const void *from)
{
    char *copy = strdup(*(char *const *)from);
    *(char **)to = copy;
    return copy ? 0 : -ENOMEM;
}

static const struct value_type value_string = {
    .noun = "text",
    .set = string_set,
    .check = string_check,
    .print = string_print,
    .equal = string_equal,
    .copy = string_copy,
    .clear = string_clear,
};

/* ---- All of them ---- */

static const struct value_type *const types[] = {
    [CONFIG_DURATION] = &value_duration, [CONFIG_UINT] = &value_uint, [CONFIG_BOOL] = &value_bool,
    [CONFIG_STRING] = &value_string,     [CONFIG_ENUM] = &value_enum, [CONFIG_LIST] = &value_list,
    [CONFIG_GROUPS] = &value_groups,     [CONFIG_SIZE] = &value_size, [CONFIG_PAIRS] = &value_pairs,
};

const struct value_type *value_type(const struct config_option *o)
{
    return o->operations ? o->operations : types[o->type];
}

bool value_equal(const struct config_option *o, const void *a, const void *b)
{
    const struct value_type *t = value_type(o);
    return t->equal ? t->equal(a, b) : memcmp(a, b, t->size) == 0;
}

int value_copy(const struct config_option *o, void *to, const void *from)
{
    const struct value_type *t = value_type(o);
    if (t->copy)
        return t->copy(to, from);
    memcpy(to, from, t->size);
    return 0;
}

void value_clear(const struct config_option *o, void *field)
{
    const struct value_type *t = value_type(o);
    if (t->clear)
        t->clear(field);
    else
        memset(field, 0, t->size);
}
