/* Bounds of options, and errors about values outside of them. */
#include <stdio.h>
#include <string.h>

#include "config/value.h"
#include "lib/duration.h"
#include "lib/size.h"
#include "lib/utf8.h"

const char *value_quote(const char *text, char out[VALUE_QUOTED_MAX])
{
    return utf8_quote(text, out, VALUE_QUOTED_MAX);
}

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

void value_print_number(const struct config_option *o, int64_t v, struct buf *out)
{
    char text[DURATION_TEXT_MAX > SIZE_TEXT_MAX ? DURATION_TEXT_MAX : SIZE_TEXT_MAX];
    if (o->type != CONFIG_DURATION && o->type != CONFIG_SIZE) {
        buf_i64(out, v);
        return;
    }
    if (o->type == CONFIG_SIZE)
        size_format((uint64_t)v, text);
    else
        duration_format(v, text);
    buf_str(out, text);
}

static void number_bounds(const struct config_option *o, struct buf *out)
{
    if (o->zero)
        buf_printf(out, "0 for %s, or ", o->zero);
    value_print_number(o, o->min, out);
    buf_str(out, " to ");
    value_print_number(o, o->max, out);
}

/* The names, with commas between them and |last| before the last one. */
static void name_bounds(const struct config_option *o, const char *last, struct buf *out)
{
    for (size_t i = 0; i < o->n_names; i++) {
        buf_str(out, i == 0 ? "" : i + 1 == o->n_names ? last : ", ");
        buf_str(out, o->names[i]);
    }
}

static void list_bounds(const struct config_option *o, struct buf *out)
{
    if (o->min)
        buf_printf(out, "%lld to %lld values", (long long)o->min, (long long)o->max);
    else
        buf_printf(out, "at most %lld values", (long long)o->max);
}

void config_option_print_bounds(const struct config_option *option, struct buf *out)
{
    switch (option->type) {
    case CONFIG_DURATION:
    case CONFIG_UINT:
    case CONFIG_SIZE:
        number_bounds(option, out);
        break;
    case CONFIG_BOOL:
        buf_str(out, "true or false");
        break;
    case CONFIG_STRING:
        buf_printf(out, "at most %lld characters", (long long)option->max);
        break;
    case CONFIG_ENUM:
        name_bounds(option, " or ", out);
        break;
    case CONFIG_LIST:
    case CONFIG_PAIRS:
    case CONFIG_OUTPUTS:
        list_bounds(option, out);
        break;
    case CONFIG_GROUPS:
        buf_str(out, "any of ");
        name_bounds(option, ", ", out);
        break;
    }
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
