#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/duration.h"
#include "lib/utf8.h"

static const struct value_type *const types[] = {
    [CONFIG_DURATION] = &value_duration, [CONFIG_UINT] = &value_uint, [CONFIG_BOOL] = &value_bool,
    [CONFIG_STRING] = &value_string,     [CONFIG_ENUM] = &value_enum, [CONFIG_LIST] = &value_list,
    [CONFIG_GROUPS] = &value_groups,
};

const struct value_type *value_type(const struct config_option *o)
{
    return types[o->type];
}

const char *value_quote(const char *text, char out[VALUE_QUOTED_MAX])
{
    return utf8_quote(text, out, VALUE_QUOTED_MAX);
}

int value_error(const struct config_option *o, int code, const char *text, struct err *e,
                const char *sentence)
{
    char quoted[VALUE_QUOTED_MAX];
    char storage[256];
    struct buf allowed;
    buf_init_fixed(&allowed, storage, sizeof(storage));
    config_option_print_bounds(o, &allowed);
    return err_set(e, code, "value \"%s\" %s; allowed %s", value_quote(text, quoted), sentence,
                   buf_cstr(&allowed));
}

/* The text of |o|'s value in |c|, as an error about it says it. */
static int value_error_at(const struct config_option *o, int code, const struct config *c, struct err *e,
                          const char *sentence)
{
    char storage[VALUE_QUOTED_MAX + 1];
    struct buf text;
    buf_init_fixed(&text, storage, sizeof(storage));
    value_type(o)->print(value_field_const(o, c), o, &text);
    return value_error(o, code, buf_cstr(&text), e, sentence);
}

/* ---- Numbers: durations and unsigned integers ---- */

static bool in_bounds(const struct config_option *o, int64_t v)
{
    return (v >= o->min && v <= o->max) || (v == 0 && o->zero);
}

static void number_bounds(const struct config_option *o, struct buf *out,
                          void (*print)(struct buf *, int64_t))
{
    if (o->zero)
        buf_printf(out, "0 for %s, or ", o->zero);
    print(out, o->min);
    buf_str(out, " to ");
    print(out, o->max);
}

static void append_duration(struct buf *out, int64_t ns)
{
    char text[DURATION_TEXT_MAX];
    duration_format(ns, text);
    buf_str(out, text);
}

static int duration_set(const struct config_option *o, struct config *c, const char *text, struct err *e)
{
    int64_t ns;
    int rc = duration_parse(text, &ns);
    if (rc == ERR_MALFORMED)
        return value_error(o, rc, text, e, "is not a duration such as 250ms or 1m30s");
    if (rc || !in_bounds(o, ns))
        return value_error(o, ERR_RANGE, text, e, "is out of range");
    *(int64_t *)value_field(o, c) = ns;
    return 0;
}

static int duration_check(const struct config_option *o, const struct config *c, struct err *e)
{
    const int64_t *ns = value_field_const(o, c);
    return in_bounds(o, *ns) ? 0 : value_error_at(o, ERR_RANGE, c, e, "is out of range");
}

static void duration_print(const void *field, const struct config_option *o, struct buf *out)
{
    (void)o;
    append_duration(out, *(const int64_t *)field);
}

static void duration_bounds(const struct config_option *o, struct buf *out)
{
    number_bounds(o, out, append_duration);
}

static bool duration_equal(const void *a, const void *b)
{
    return *(const int64_t *)a == *(const int64_t *)b;
}

static int duration_copy(void *to, const void *from)
{
    *(int64_t *)to = *(const int64_t *)from;
    return 0;
}

static void duration_clear(void *field)
{
    *(int64_t *)field = 0;
}

const struct value_type value_duration = {
    .noun = "a duration such as 250ms or 1m30s",
    .set = duration_set,
    .check = duration_check,
    .print = duration_print,
    .bounds = duration_bounds,
    .equal = duration_equal,
    .copy = duration_copy,
    .clear = duration_clear,
};

/* Digits only: strtoul would take signs and spaces. Saturates. */
static int parse_uint(const char *text, int64_t *out)
{
    int64_t v = 0;
    if (!*text)
        return ERR_MALFORMED;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return ERR_MALFORMED;
        if (v <= UINT32_MAX)
            v = 10 * v + (*text - '0');
    }
    *out = v;
    return 0;
}

static int uint_set(const struct config_option *o, struct config *c, const char *text, struct err *e)
{
    int64_t v;
    if (parse_uint(text, &v))
        return value_error(o, ERR_MALFORMED, text, e, "is not a whole number");
    if (!in_bounds(o, v))
        return value_error(o, ERR_RANGE, text, e, "is out of range");
    *(uint32_t *)value_field(o, c) = (uint32_t)v;
    return 0;
}

static int uint_check(const struct config_option *o, const struct config *c, struct err *e)
{
    const uint32_t *v = value_field_const(o, c);
    return in_bounds(o, *v) ? 0 : value_error_at(o, ERR_RANGE, c, e, "is out of range");
}

static void uint_print(const void *field, const struct config_option *o, struct buf *out)
{
    (void)o;
    buf_u64(out, *(const uint32_t *)field);
}

static void uint_bounds(const struct config_option *o, struct buf *out)
{
    number_bounds(o, out, buf_i64);
}

static bool uint_equal(const void *a, const void *b)
{
    return *(const uint32_t *)a == *(const uint32_t *)b;
}

static int uint_copy(void *to, const void *from)
{
    *(uint32_t *)to = *(const uint32_t *)from;
    return 0;
}

static void uint_clear(void *field)
{
    *(uint32_t *)field = 0;
}

const struct value_type value_uint = {
    .noun = "a whole number",
    .set = uint_set,
    .check = uint_check,
    .print = uint_print,
    .bounds = uint_bounds,
    .equal = uint_equal,
    .copy = uint_copy,
    .clear = uint_clear,
};

/* ---- Switches ---- */

static int bool_set(const struct config_option *o, struct config *c, const char *text, struct err *e)
{
    bool on = strcmp(text, "true") == 0;
    if (!on && strcmp(text, "false") != 0)
        return value_error(o, ERR_MALFORMED, text, e, "is no switch");
    *(bool *)value_field(o, c) = on;
    return 0;
}

static int bool_check(const struct config_option *o, const struct config *c, struct err *e)
{
    (void)o;
    (void)c;
    (void)e;
    return 0;
}

static void bool_print(const void *field, const struct config_option *o, struct buf *out)
{
    (void)o;
    buf_str(out, *(const bool *)field ? "true" : "false");
}

static void bool_bounds(const struct config_option *o, struct buf *out)
{
    (void)o;
    buf_str(out, "true or false");
}

static bool bool_equal(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static int bool_copy(void *to, const void *from)
{
    *(bool *)to = *(const bool *)from;
    return 0;
}

static void bool_clear(void *field)
{
    *(bool *)field = false;
}

const struct value_type value_bool = {
    .noun = "true or false",
    .set = bool_set,
    .check = bool_check,
    .print = bool_print,
    .bounds = bool_bounds,
    .equal = bool_equal,
    .copy = bool_copy,
    .clear = bool_clear,
};

/* ---- Names: an enum has the size and representation of unsigned here ---- */

_Static_assert(sizeof(enum log_level) == sizeof(unsigned) && sizeof(enum log_format) == sizeof(unsigned),
               "enum options are read and written as unsigned");

static int enum_set(const struct config_option *o, struct config *c, const char *text, struct err *e)
{
    for (unsigned i = 0; i < o->n_names; i++) {
        if (strcmp(o->names[i], text) == 0) {
            *(unsigned *)value_field(o, c) = i;
            return 0;
        }
    }
    return value_error(o, ERR_UNKNOWN, text, e, "is unknown");
}

static void enum_print(const void *field, const struct config_option *o, struct buf *out)
{
    unsigned v = *(const unsigned *)field;
    if (v < o->n_names)
        buf_str(out, o->names[v]);
    else
        buf_u64(out, v); /* only in the error about it */
}

static int enum_check(const struct config_option *o, const struct config *c, struct err *e)
{
    const unsigned *v = value_field_const(o, c);
    return *v < o->n_names ? 0 : value_error_at(o, ERR_RANGE, c, e, "is unknown");
}

static void enum_bounds(const struct config_option *o, struct buf *out)
{
    for (size_t i = 0; i < o->n_names; i++) {
        buf_str(out, i == 0 ? "" : i + 1 == o->n_names ? " or " : ", ");
        buf_str(out, o->names[i]);
    }
}

const struct value_type value_enum = {
    .noun = "a name",
    .set = enum_set,
    .check = enum_check,
    .print = enum_print,
    .bounds = enum_bounds,
    .equal = uint_equal,
    .copy = uint_copy,
    .clear = uint_clear,
};

/* ---- Strings ---- */

int value_check_text(const char *text, struct err *e)
{
    size_t left = strlen(text);
    while (left) {
        size_t len = utf8_length(text, left);
        if (len == 0)
            return err_set(e, ERR_MALFORMED, "is not valid UTF-8");
        if (utf8_is_control(text, len))
            return err_set(e, ERR_MALFORMED, "holds a control character");
        text += len;
        left -= len;
    }
    return 0;
}

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

static int string_set(const struct config_option *o, struct config *c, const char *text, struct err *e)
{
    int rc = check_string(o, text, e);
    if (rc)
        return rc;
    rc = config_set_string(c, value_field(o, c), text);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

static int string_check(const struct config_option *o, const struct config *c, struct err *e)
{
    return check_string(o, *(char *const *)value_field_const(o, c), e);
}

static void string_print(const void *field, const struct config_option *o, struct buf *out)
{
    (void)o;
    buf_str(out, *(char *const *)field);
}

static void string_bounds(const struct config_option *o, struct buf *out)
{
    buf_printf(out, "at most %lld characters", (long long)o->max);
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

static void string_clear(void *field)
{
    free(*(char **)field);
    *(char **)field = NULL;
}

const struct value_type value_string = {
    .noun = "text",
    .set = string_set,
    .check = string_check,
    .print = string_print,
    .bounds = string_bounds,
    .equal = string_equal,
    .copy = string_copy,
    .clear = string_clear,
};
