/* The YAML front end: a configuration needs few of libyaml's events. Every other one is refused with its line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/config_internal.h"
#include "config/value.h"
#include "lib/file.h"
#include "lib/nearest.h"

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; owned */
    struct config_builder *builder;
    const char *filename;
    const uint8_t *data;
    size_t lines[CONFIG_OPTION_COUNT]; /* where an option was given; 0: not yet */
    bool broken;                       /* it is no YAML from here on */
    struct err *e;
};

/* Line of the current event, from 1. */
static size_t line_of(const struct yaml_reader *r)
{
    return r->event.start_mark.line + 1;
}

/* An error of the current line, about |key| (NULL: about none). */
static int fail(struct yaml_reader *r, int code, const char *key, const char *sentence)
{
    return err_set(r->e, code, "%s:%zu: %s%s%s", r->filename, line_of(r), key ? key : "", key ? ": " : "",
                   sentence);
}

/* The problem that libyaml names is a constant string. Where its reader fails (encoding), it knows the byte but not the
 * line. */
static int syntax_error(struct yaml_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    r->broken = true;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, -ENOMEM, "%s: out of memory", r->filename);
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < p->problem_offset; i++)
            line += r->data[i] == '\n';
    }
    return err_set(r->e, ERR_MALFORMED, "%s:%zu: not valid YAML: %s", r->filename, line,
                   p->problem ? p->problem : "unknown problem");
}

/* Goes to the next event. */
static int advance(struct yaml_reader *r)
{
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? 0 : syntax_error(r);
}

/* The current node must have neither anchor nor tag and be no alias. |key| is the key that it belongs to, or
 * NULL. */
static int check_plain(struct yaml_reader *r, const char *key)
{
    const yaml_event_t *ev = &r->event;
    const void *anchor = NULL;
    const void *tag = NULL;
    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        return fail(r, ERR_UNSUPPORTED, key, "aliases (*NAME) are not allowed");
    case YAML_SCALAR_EVENT:
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return fail(r, ERR_UNSUPPORTED, key, "anchors (&NAME) are not allowed");
    return tag ? fail(r, ERR_UNSUPPORTED, key, "tags (!NAME) are not allowed") : 0;
}

/* Goes to the end of the current node: from the start of a list or mapping to its end. */
static int skip_node(struct yaml_reader *r)
{
    size_t depth = 0;
    for (;;) {
        yaml_event_type_t type = r->event.type;
        depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
        if (depth == 0)
            return 0;
        depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
        if (depth == 0)
            return 0;
        int rc = advance(r);
        if (rc)
            return rc;
    }
}

/* |rc| is the code of an error in the current node, which belongs to |o| (NULL: to none), or 0. When all errors are
 * wanted, the error is told and the node skipped, and 0 returned; else |rc| is. */
static int pass_over(struct yaml_reader *r, const struct config_option *o, int rc)
{
    if (rc == 0)
        return 0;
    if (!r->broken)
        rc = builder_tell(r->builder, o, r->e);
    return rc ? rc : skip_node(r);
}

/* The text of the current scalar, or NULL when it holds a NUL and is therefore no text. */
static const char *scalar_text(const struct yaml_reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    return strlen(text) == r->event.data.scalar.length ? text : NULL;
}

/* Whether the current scalar is YAML's null: nothing at all, or one of the words without quotes. */
static bool is_null(const struct yaml_reader *r)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
        if (strcmp((const char *)r->event.data.scalar.value, nulls[i]) == 0)
            return true;
    }
    return false;
}

static int wrong_node(struct yaml_reader *r, const struct config_option *o, const char *expected)
{
    static const char *const kinds[] = {
        [YAML_SCALAR_EVENT] = "a single value",
        [YAML_SEQUENCE_START_EVENT] = "a list",
        [YAML_MAPPING_START_EVENT] = "a mapping",
    };
    char storage[256];
    struct buf sentence;
    buf_init_fixed(&sentence, storage, sizeof(storage));
    buf_printf(&sentence, "%s where %s is expected; allowed ", kinds[r->event.type], expected);
    config_option_print_bounds(o, &sentence);
    return fail(r, ERR_TYPE, o->name, buf_cstr(&sentence));
}

/* The current scalar as a value of |o|: *|text|, valid until the next event. */
static int take_scalar(struct yaml_reader *r, const struct config_option *o, const char **text)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return wrong_node(r, o, value_is_list(o) ? "a single value in the list" : value_type(o)->noun);
    if (is_null(r))
        return fail(r, ERR_TYPE, o->name,
                    "has no value; give one (\"\" for an empty text) or remove the line");
    *text = scalar_text(r);
    return *text ? 0 : fail(r, ERR_MALFORMED, o->name, "holds a NUL");
}

/* Puts FILE:LINE and the name before the sentence of a value's error. */
static int value_failed(struct yaml_reader *r, const struct config_option *o, int rc)
{
    err_prefix(r->e, "%s:%zu: %s", r->filename, line_of(r), o->name);
    return rc;
}

static int parse_item(struct yaml_reader *r, const struct config_option *o)
{
    const char *item = NULL;
    int rc = check_plain(r, o->name);
    if (!rc)
        rc = take_scalar(r, o, &item);
    if (rc)
        return rc;
    rc = value_add(o, value_field(o, r->builder->config), item, r->e);
    return rc ? value_failed(r, o, rc) : 0;
}

/* The items of a sequence, one after the other, so that an error names the item's own line. */
static int parse_list(struct yaml_reader *r, const struct config_option *o)
{
    void *field = value_field(o, r->builder->config);
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return wrong_node(r, o, value_type(o)->noun);
    value_clear(o, field);
    int rc;
    while (!(rc = advance(r)) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        rc = pass_over(r, o, parse_item(r, o));
        if (rc)
            return rc;
    }
    if (rc || r->builder->wrong[option_index(o)])
        return rc;
    rc = value_check_count(o, field, r->e);
    return rc ? value_failed(r, o, rc) : 0;
}

static int parse_scalar(struct yaml_reader *r, const struct config_option *o)
{
    const char *text;
    int rc = take_scalar(r, o, &text);
    if (rc)
        return rc;
    rc = config_set_value(r->builder->config, o, text, r->e);
    return rc ? value_failed(r, o, rc) : 0;
}

/* The value of |o| (may be NULL) is not known, so the rules about it are not checked. */
static void doubt(struct yaml_reader *r, const struct config_option *o)
{
    if (o)
        r->builder->wrong[option_index(o)] = true;
}

static int unknown_key(struct yaml_reader *r, const char *key)
{
    char quoted[VALUE_QUOTED_MAX];
    struct nearest nearest = {.typed = key};
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        nearest_offer(&nearest, config_options[i].name);
    doubt(r, nearest.name ? config_option_find(nearest.name) : NULL);
    return err_set(r->e, ERR_UNKNOWN, "%s:%zu: %s: no such option%s%s%s", r->filename, line_of(r),
                   value_quote(key, quoted), nearest.name ? "; did you mean " : "",
                   nearest.name ? nearest.name : "", nearest.name ? "?" : "");
}

/* Notes where |o| is given; it must be the first time. */
static int mark_given(struct yaml_reader *r, const struct config_option *o)
{
    size_t *line = &r->lines[option_index(o)];
    if (*line) {
        doubt(r, o);
        return err_set(r->e, ERR_DUPLICATE, "%s:%zu: %s: given twice, first in line %zu", r->filename,
                       line_of(r), o->name, *line);
    }
    *line = line_of(r);
    return 0;
}

/* The current event is a key: its option, or NULL with the error in |rc|. */
static const struct config_option *parse_key(struct yaml_reader *r, int *rc)
{
    if (r->event.type != YAML_SCALAR_EVENT) {
        *rc = fail(r, ERR_TYPE, NULL, "a list or mapping where the name of an option is expected");
        return NULL;
    }
    const char *key = scalar_text(r);
    if (!key) {
        *rc = fail(r, ERR_MALFORMED, NULL, "the name of an option holds a NUL");
        return NULL;
    }
    const struct config_option *o = config_option_find(key);
    *rc = o ? mark_given(r, o) : unknown_key(r, key);
    return *rc ? NULL : o;
}

/* Lets the builder know where |o| was given. */
static int note_origin(struct yaml_reader *r, const struct config_option *o)
{
    char *origin;
    if (asprintf(&origin, "%s:%zu", r->filename, r->lines[option_index(o)]) < 0)
        return err_set(r->e, -ENOMEM, "%s: out of memory", r->filename);
    int rc = builder_set_origin(r->builder, o, origin, r->e);
    free(origin);
    return rc;
}

/* The current event is a key; goes to the end of its value. */
static int parse_pair(struct yaml_reader *r)
{
    const struct config_option *o = NULL;
    int rc = check_plain(r, NULL);
    if (!rc)
        o = parse_key(r, &rc);
    rc = pass_over(r, NULL, rc);
    if (!rc)
        rc = advance(r);
    if (rc || !o)
        return rc ? rc : skip_node(r);
    rc = check_plain(r, o->name);
    if (!rc)
        rc = value_is_list(o) ? parse_list(r, o) : parse_scalar(r, o);
    rc = pass_over(r, o, rc);
    return rc ? rc : note_origin(r, o);
}

static int parse_options(struct yaml_reader *r)
{
    int rc;
    while (!(rc = advance(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        rc = parse_pair(r);
        if (rc)
            return rc;
    }
    return rc;
}

/* The one document: a mapping, or nothing. */
static int parse_document(struct yaml_reader *r)
{
    int rc = advance(r);
    if (!rc)
        rc = check_plain(r, NULL);
    if (rc)
        return rc;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        rc = parse_options(r);
    else if (r->event.type != YAML_SCALAR_EVENT || !is_null(r))
        rc = fail(r, ERR_TYPE, NULL, "the file is not a mapping of options (NAME: VALUE)");
    return rc ? rc : advance(r); /* the document's end */
}

static int parse_stream(struct yaml_reader *r)
{
    int rc = advance(r); /* the stream's start */
    if (!rc)
        rc = advance(r);
    if (rc || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = parse_document(r);
    if (!rc)
        rc = advance(r);
    if (!rc && r->event.type != YAML_STREAM_END_EVENT)
        rc = fail(r, ERR_UNSUPPORTED, NULL, "more than one document in the file");
    return rc;
}

int config_parse_yaml(struct config_builder *b, const void *data, size_t len, const char *filename,
                      struct err *e)
{
    struct err unused;
    struct yaml_reader r = {.builder = b, .filename = filename, .data = data, .e = e ? e : &unused};
    if (len > CONFIG_FILE_MAX)
        return err_set(e, ERR_LIMIT, "%s: larger than %d bytes", filename, CONFIG_FILE_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, -ENOMEM, "%s: out of memory", filename);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, data, len);
    int rc = parse_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

/* ---- Files ---- */

/* Applies the |len| bytes read from |path|, unless |rc| is the error of reading it; frees them. */
static int apply_file(struct config_builder *b, int rc, char *data, size_t len, const char *path,
                      struct err *e)
{
    if (rc)
        return rc;
    rc = config_parse_yaml(b, data, len, path, e);
    free(data);
    return rc;
}

int config_read_file(struct config_builder *b, const char *path, struct err *e)
{
    char *data = NULL;
    size_t len = 0;
    int rc = file_read(path, CONFIG_FILE_MAX, &data, &len, NULL, e);
    return apply_file(b, rc, data, len, path, e);
}

int config_read_input(struct config_builder *b, const char *path, struct err *e)
{
    char *data = NULL;
    size_t len = 0;
    int rc = file_read_input(path, CONFIG_FILE_MAX, -1, &data, &len, e);
    return apply_file(b, rc, data, len, path, e);
}
