/* The reader of YAML, for the files that read its events. */
#ifndef XTCP_CONFIG_YAML_INTERNAL_H
#define XTCP_CONFIG_YAML_INTERNAL_H

#include <yaml.h>

#include "config/config_internal.h"

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event;             /* the current one; owned */
    struct config_builder *builder; /* that gets what is read; NULL: a value alone is read */
    /* Takes an error about |o| (NULL: about none), and returns 0 when the reading is to go on. NULL: it never is. */
    int (*tell)(void *arg, const struct config_option *o, const struct err *e);
    void *tell_arg;
    const char *filename; /* NULL: a text, whose errors have no line */
    const uint8_t *data;
    size_t lines[CONFIG_OPTION_COUNT]; /* where an option was given; 0: not yet */
    bool broken;                       /* it is no YAML from here on */
    struct err *e;
};

/* ---- yaml_reader.c ---- */

/* Line of the current event, from 1. */
size_t yaml_line_of(const struct yaml_reader *r);

/* Puts file and line of the current event, if there is a file, before the error in r->e. Returns |rc|. */
int yaml_place(struct yaml_reader *r, int rc);

/* An error of the current line, about |key| (NULL: about none). */
int yaml_fail(struct yaml_reader *r, int code, const char *key, const char *sentence);

/* Goes to the next event. */
int yaml_advance(struct yaml_reader *r);

/* The current node must have neither anchor nor tag and be no alias. |key| is the key that it belongs to, or NULL. */
int yaml_check_plain(struct yaml_reader *r, const char *key);

/* Goes to the end of the current node: from the start of a list or mapping to its end. */
int yaml_skip_node(struct yaml_reader *r);

/* |rc| is the code of an error in the current node, which belongs to |o| (NULL: to none), or 0. When all errors are
 * wanted, the error is told and the node skipped, and 0 returned; else |rc| is. */
int yaml_pass_over(struct yaml_reader *r, const struct config_option *o, int rc);

/* The text of the current scalar, or NULL when it holds a NUL and is therefore no text. */
const char *yaml_scalar_text(const struct yaml_reader *r);

/* Whether the current scalar is YAML's null: nothing at all, or one of the words without quotes. */
bool yaml_is_null(const struct yaml_reader *r);

/* ---- yaml_outputs.c ---- */

/* The current event begins the value of |o| (NULL: none), the option |outputs|: reads it into |list|, whose contents it replaces, up to
 * the event of its end. */
int yaml_parse_output_list(struct yaml_reader *r, const struct config_option *o, struct config_outputs *list);

/* Reads the text form of |outputs|, a list in YAML's flow style, and appends what it has to |list|. Returns 0 or a code
 * with |e|; |list| may then have more than before. */
int yaml_parse_outputs(const char *text, struct config_outputs *list, struct err *e);

#endif
