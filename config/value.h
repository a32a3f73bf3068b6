/* Values of options: how each type is read, checked, printed, compared. Inside config/ only.
 *
 * An operation takes the option and the place of a value, a member of a struct config. Errors are sentences without the
 * option's name: `value "TEXT" …`. */
#ifndef XTCP_CONFIG_VALUE_H
#define XTCP_CONFIG_VALUE_H

#include "config/config.h"

/* ---- value_error.c: bounds and errors ---- */

#define VALUE_QUOTED_MAX 132

/* |text| made fit for an error sentence: bytes that are not printable UTF-8 become '?', and it is cut at about
 * 120 bytes. */
const char *value_quote(const char *text, char out[VALUE_QUOTED_MAX]);

/* Checks that |text| is valid UTF-8 without control characters. */
int value_check_text(const char *text, struct err *e);

/* Appends |v|, a number of the option |o|, as its text form has it. */
void value_print_number(const struct config_option *o, int64_t v, struct buf *out);

/* `value "TEXT" SENTENCE; allowed BOUNDS` in |e|; returns |code|. The text is cut and cleaned, since anything may have
 * been given. */
int value_error(const struct config_option *o, int code, const char *text, struct err *e,
                const char *sentence);

/* ---- value.c: types ---- */

/* The operations on a value of one type. */
struct value_type {
    const char *noun; /* "a duration such as 250ms or 1m30s" */
    size_t size;      /* of a value that is copied and compared byte by byte */
    int (*set)(const struct config_option *o, void *field, const char *text, struct err *e);
    int (*check)(const struct config_option *o, const void *field, struct err *e); /* NULL: all are right */
    void (*print)(const struct config_option *o, const void *field, struct buf *out);

    /* Of a value that owns memory, else NULL. */
    bool (*equal)(const void *a, const void *b);
    int (*copy)(void *to, const void *from); /* |to| is cleared; 0 or -ENOMEM */
    void (*clear)(void *field);              /* to zero, freeing what it owns */
};

/* The operations of |o|'s type. */
const struct value_type *value_type(const struct config_option *o);

bool value_equal(const struct config_option *o, const void *a, const void *b);

/* Copies a value to |to|, which is cleared. Returns 0 or -ENOMEM. */
int value_copy(const struct config_option *o, void *to, const void *from);

/* Makes the value zero, freeing what it owns. */
void value_clear(const struct config_option *o, void *field);

/* The place of |o|'s value in |c|. */
static inline void *value_field(const struct config_option *o, struct config *c)
{
    return (char *)c + o->offset;
}

static inline const void *value_field_const(const struct config_option *o, const struct config *c)
{
    return (const char *)c + o->offset;
}

/* ---- value_list.c: lists ---- */

extern const struct value_type value_list, value_groups, value_pairs;

/* ---- value_outputs.c ---- */

extern const struct value_type value_outputs;

/* Whether |o| has a list of values. The functions below are for such options alone. */
static inline bool value_is_list(const struct config_option *o)
{
    return o->type == CONFIG_LIST || o->type == CONFIG_GROUPS;
}

/* Adds one item, unless it is there already. */
int value_add(const struct config_option *o, void *field, const char *item, struct err *e);

/* Adds KEY=VALUE to the value of an option of the type CONFIG_PAIRS. */
int value_add_pair(const struct config_option *o, void *field, const char *key, const char *value,
                   struct err *e);

/* Splits |text| at its commas and adds the items; nothing for an empty text. */
int value_add_items(const struct config_option *o, void *field, const char *text, struct err *e);

/* As the |set| of a string, without its checks: for defaults. Returns 0 or -ENOMEM. */
int value_string_set(void *field, const char *text);

/* The number of items. */
size_t value_count(const struct config_option *o, const void *field);

/* Whether the value of |o| is a list that is not empty. Of any option. */
bool value_has_items(const struct config_option *o, const void *field);

/* Whether a complete list has enough items. */
int value_check_count(const struct config_option *o, const void *field, struct err *e);

/* Frees the strings of |list|, which is empty afterwards. */
void strings_clear(struct config_strings *list);

/* Removes duplicates from |list|: of items that mean the same for |o| only the first stays. */
void value_list_once(const struct config_option *o, struct config_strings *list);

/* Appends a copy of |text|. Returns 0 or -ENOMEM. */
int strings_add(struct config_strings *list, const char *text);

#endif
