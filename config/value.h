/* Values of options: how each type is read, checked, printed, compared. Inside config/ only. */
#ifndef XTCP_CONFIG_VALUE_H
#define XTCP_CONFIG_VALUE_H

#include "config/config.h"

/* What there is to do with a value of one type; |field| is the value's place in a struct config. Errors are
 * sentences without the option's name: `value "TEXT" …`. */
struct value_type {
    const char *noun; /* "a duration such as 250ms or 1m30s" */
    int (*set)(const struct config_option *o, struct config *c, const char *text, struct err *e);
    int (*check)(const struct config_option *o, const struct config *c, struct err *e);
    void (*print)(const void *field, const struct config_option *o, struct buf *out);
    void (*bounds)(const struct config_option *o, struct buf *out);
    bool (*equal)(const void *a, const void *b);
    int (*copy)(void *to, const void *from); /* |to| is cleared */
    void (*clear)(void *field);              /* to zero, freeing what it owns */

    /* CONFIG_LIST and CONFIG_GROUPS, else NULL: adds one item, unless it is there already;
     * counts them. */
    int (*add)(const struct config_option *o, void *field, const char *item, struct err *e);
    size_t (*count)(const void *field);
};

extern const struct value_type value_duration, value_uint, value_bool, value_string, value_enum; /* value.c */
extern const struct value_type value_list, value_groups; /* value_list.c */

/* The operations of |o|'s type. */
const struct value_type *value_type(const struct config_option *o);

/* The place of |o|'s value in |c|. */
static inline void *value_field(const struct config_option *o, struct config *c)
{
    return (char *)c + o->offset;
}

static inline const void *value_field_const(const struct config_option *o, const struct config *c)
{
    return (const char *)c + o->offset;
}

/* Whether |o| has a list of values. */
static inline bool value_is_list(const struct config_option *o)
{
    return value_type(o)->add != NULL;
}

/* Whether a complete list has enough items. */
int value_check_count(const struct config_option *o, const void *field, struct err *e);

/* Splits |text| at its commas and adds the items; nothing for an empty text. */
int value_add_items(const struct config_option *o, void *field, const char *text, struct err *e);

/* Frees the strings of |list|, which is empty afterwards. */
void strings_clear(struct config_strings *list);

/* Keeps of items of |list| that mean the same, as |o| has it, the first. */
void value_list_once(const struct config_option *o, struct config_strings *list);

/* Appends a copy of |text|. Returns 0 or -ENOMEM. */
int strings_add(struct config_strings *list, const char *text);

/* Checks that |text| is valid UTF-8 without control characters. */
int value_check_text(const char *text, struct err *e);

/* `value "TEXT" SENTENCE; allowed BOUNDS` in |e|; returns |code|. The text is cut and cleaned, since anything
 * may have been given. */
int value_error(const struct config_option *o, int code, const char *text, struct err *e,
                const char *sentence);

#define VALUE_QUOTED_MAX 132

/* |text| fit for an error sentence: what is not printable UTF-8 becomes '?', and it is cut at about 120
 * bytes. */
const char *value_quote(const char *text, char out[VALUE_QUOTED_MAX]);

#endif
