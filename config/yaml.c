/* The YAML front end: a configuration needs few of libyaml's events. Every other one is refused with its line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/config_internal.h"
#include "config/value.h"
#include "config/yaml_internal.h"
#include "lib/file.h"
#include "lib/nearest.h"

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
    return yaml_fail(r, ERR_TYPE, o->name, buf_cstr(&sentence));
}

/* The current scalar as a value of |o|: *|text|, valid until the next event. */
static int take_scalar(struct yaml_reader *r, const struct config_option *o, const char **text)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return wrong_node(r, o, value_is_list(o) ? "a single value in the list" : value_type(o)->noun);
    if (yaml_is_null(r))
        return yaml_fail(r, ERR_TYPE, o->name,
                         "has no value; give one (\"\" for an empty text) or remove the line");
    *text = yaml_scalar_text(r);
    return *text ? 0 : yaml_fail(r, ERR_MALFORMED, o->name, "holds a NUL");
}

/* Puts FILE:LINE and the name before the sentence of a value's error. */
static int value_failed(struct yaml_reader *r, const struct config_option *o, int rc)
{
    err_prefix(r->e, "%s:%zu: %s", r->filename, yaml_line_of(r), o->name);
    return rc;
}

static int parse_item(struct yaml_reader *r, const struct config_option *o)
{
    const char *item = NULL;
    int rc = yaml_check_plain(r, o->name);
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
    while (!(rc = yaml_advance(r)) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        rc = yaml_pass_over(r, o, parse_item(r, o));
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
    const char *text = NULL;
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
    return err_set(r->e, ERR_UNKNOWN, "%s:%zu: %s: no such option%s%s%s", r->filename, yaml_line_of(r),
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
                       yaml_line_of(r), o->name, *line);
    }
    *line = yaml_line_of(r);
    return 0;
}

/* The current event is a key: its option, or NULL with the error in |rc|. */
static const struct config_option *parse_key(struct yaml_reader *r, int *rc)
{
    if (r->event.type != YAML_SCALAR_EVENT) {
        *rc = yaml_fail(r, ERR_TYPE, NULL, "a list or mapping where the name of an option is expected");
        return NULL;
    }
    const char *key = yaml_scalar_text(r);
    if (!key) {
        *rc = yaml_fail(r, ERR_MALFORMED, NULL, "the name of an option holds a NUL");
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

static int parse_value(struct yaml_reader *r, const struct config_option *o)
{
    if (o->type == CONFIG_OUTPUTS)
        return yaml_parse_output_list(r, o, value_field(o, r->builder->config));
    return value_is_list(o) ? parse_list(r, o) : parse_scalar(r, o);
}

/* The current event is a key; goes to the end of its value. */
static int parse_pair(struct yaml_reader *r)
{
    const struct config_option *o = NULL;
    int rc = yaml_check_plain(r, NULL);
    if (!rc)
        o = parse_key(r, &rc);
    rc = yaml_pass_over(r, NULL, rc);
    if (!rc)
        rc = yaml_advance(r);
    if (rc || !o)
        return rc ? rc : yaml_skip_node(r);
    rc = yaml_check_plain(r, o->name);
    if (!rc)
        rc = parse_value(r, o);
    rc = yaml_pass_over(r, o, rc);
    return rc ? rc : note_origin(r, o);
}

static int parse_options(struct yaml_reader *r)
{
    int rc;
    while (!(rc = yaml_advance(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        rc = parse_pair(r);
        if (rc)
            return rc;
    }
    return rc;
}

/* The one document: a mapping, or nothing. */
static int parse_document(struct yaml_reader *r)
{
    int rc = yaml_advance(r);
    if (!rc)
        rc = yaml_check_plain(r, NULL);
    if (rc)
        return rc;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        rc = parse_options(r);
    else if (r->event.type != YAML_SCALAR_EVENT || !yaml_is_null(r))
        rc = yaml_fail(r, ERR_TYPE, NULL, "the file is not a mapping of options (NAME: VALUE)");
    return rc ? rc : yaml_advance(r); /* the document's end */
}

static int parse_stream(struct yaml_reader *r)
{
    int rc = yaml_advance(r); /* the stream's start */
    if (!rc)
        rc = yaml_advance(r);
    if (rc || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = parse_document(r);
    if (!rc)
        rc = yaml_advance(r);
    if (!rc && r->event.type != YAML_STREAM_END_EVENT)
        rc = yaml_fail(r, ERR_UNSUPPORTED, NULL, "more than one document in the file");
    return rc;
}

static int tell(void *arg, const struct config_option *o, const struct err *e)
{
    return builder_tell(arg, o, e);
}

int config_parse_yaml(struct config_builder *b, const void *data, size_t len, const char *filename,
                      struct err *e)
{
    struct err unused;
    struct yaml_reader r = {
        .builder = b, .tell = tell, .tell_arg = b, .filename = filename, .data = data, .e = e ? e : &unused};
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
