/* Outputs in YAML: a list of mappings, with mappings in them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/output_list.h"
#include "config/value.h"
#include "config/yaml_internal.h"
#include "lib/nearest.h"

#define OPTION  "outputs" /* its name */
#define KEY_MAX 64

/* An output that is being read. */
struct reading {
    struct yaml_reader *r;
    const struct config_option *outputs; /* the option; NULL: not known */
    struct output_config *c;
    uint32_t seen; /* rows of output_options that were given, as bits */
};

/* The name of the option for errors: where it is the only one that is read, the caller names it. */
static const char *name_in_file(const struct yaml_reader *r)
{
    return r->filename ? OPTION : NULL;
}

/* Puts |key| of an output and, in a file, the name of the option and the line before the sentence in r->e. */
static int failed(struct reading *x, int rc, const char *key)
{
    char quoted[VALUE_QUOTED_MAX];
    err_prefix(x->r->e, "%s", value_quote(key, quoted));
    if (name_in_file(x->r))
        err_prefix(x->r->e, "%s", name_in_file(x->r));
    return yaml_place(x->r, rc);
}

/* An error about |key| of an output, at the current line. */
static int fail(struct reading *x, int code, const char *key, const char *sentence)
{
    err_set(x->r->e, code, "%s", sentence);
    return failed(x, code, key);
}

/* The text of the current event, which must be a scalar: *|text|, valid until the next event. */
static int take_scalar(struct reading *x, const char *key, const char **text)
{
    if (x->r->event.type != YAML_SCALAR_EVENT)
        return fail(x, ERR_TYPE, key, "a list or mapping where a single value is expected");
    if (yaml_is_null(x->r))
        return fail(x, ERR_TYPE, key, "has no value; give one (\"\" for an empty text) or remove the line");
    *text = yaml_scalar_text(x->r);
    return *text ? 0 : fail(x, ERR_MALFORMED, key, "holds a NUL");
}

/* The current node, which belongs to |key|, must have neither anchor nor tag and be no alias. */
static int check_plain(struct reading *x, const char *key)
{
    char name[sizeof(OPTION) + 2 * KEY_MAX + 8];
    const char *option = name_in_file(x->r);
    snprintf(name, sizeof(name), "%s%s%s", option ? option : "", option ? ": " : "", key);
    return yaml_check_plain(x->r, name);
}

/* ---- Values ---- */

static int read_item(struct reading *x, const struct config_option *row)
{
    const char *item = NULL;
    int rc = check_plain(x, row->name);
    if (rc == 0)
        rc = take_scalar(x, row->name, &item);
    if (rc)
        return rc;
    rc = value_add(row, output_field(row, x->c), item, x->r->e);
    return rc ? failed(x, rc, row->name) : 0;
}

/* A list, or a single text with commas. */
static int read_list(struct reading *x, const struct config_option *row)
{
    int rc;
    value_clear(row, output_field(row, x->c));
    if (x->r->event.type == YAML_SCALAR_EVENT) {
        const char *text = NULL;
        rc = take_scalar(x, row->name, &text);
        if (rc)
            return rc;
        rc = value_add_items(row, output_field(row, x->c), text, x->r->e);
        return rc ? failed(x, rc, row->name) : 0;
    }
    if (x->r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail(x, ERR_TYPE, row->name, "a mapping where a list is expected");
    while (!(rc = yaml_advance(x->r)) && x->r->event.type != YAML_SEQUENCE_END_EVENT) {
        rc = yaml_pass_over(x->r, x->outputs, read_item(x, row));
        if (rc)
            return rc;
    }
    return rc;
}

/* The current event is a key of a mapping: its text in |key|. Goes to the value. */
static int read_key(struct reading *x, char key[KEY_MAX])
{
    int rc = yaml_check_plain(x->r, name_in_file(x->r));
    if (rc)
        return rc;
    const char *text = x->r->event.type == YAML_SCALAR_EVENT ? yaml_scalar_text(x->r) : NULL;
    if (!text)
        return fail(x, ERR_TYPE, "a key", "something else where its name is expected");
    if (snprintf(key, KEY_MAX, "%s", text) >= KEY_MAX)
        return fail(x, ERR_MALFORMED, "a key", "is longer than 63 bytes");
    return 0;
}

/* The current event is a key, for which |rc| was found: goes to its value, or, when the key is wrong, to the end of that, and
 * |*known| is false. */
static int go_to_value(struct reading *x, int rc, bool *known)
{
    *known = rc == 0;
    rc = yaml_pass_over(x->r, x->outputs, rc);
    if (rc == 0)
        rc = yaml_advance(x->r);
    return rc || *known ? rc : yaml_skip_node(x->r);
}

static int read_pair(struct reading *x, const struct config_option *row)
{
    char key[KEY_MAX];
    const char *value = NULL;
    bool known;
    int rc = go_to_value(x, read_key(x, key), &known);
    if (rc || !known)
        return rc;
    rc = check_plain(x, row->name);
    if (rc == 0)
        rc = take_scalar(x, key, &value);
    if (rc)
        return rc;
    rc = value_add_pair(row, output_field(row, x->c), key, value, x->r->e);
    return rc ? failed(x, rc, row->name) : 0;
}

/* Keys and values that nothing is known about here: those of the destination. */
static int read_pairs(struct reading *x, const struct config_option *row)
{
    int rc;
    if (x->r->event.type != YAML_MAPPING_START_EVENT)
        return fail(x, ERR_TYPE, row->name, "something else where a mapping is expected");
    while (!(rc = yaml_advance(x->r)) && x->r->event.type != YAML_MAPPING_END_EVENT) {
        rc = yaml_pass_over(x->r, x->outputs, read_pair(x, row));
        if (rc)
            return rc;
    }
    return rc;
}

static int read_value(struct reading *x, const struct config_option *row)
{
    const char *text = NULL;
    if (row->type == CONFIG_PAIRS)
        return read_pairs(x, row);
    if (row->type == CONFIG_LIST)
        return read_list(x, row);
    /* "null" is a destination, with and without quotes. */
    bool destination = row->offset == offsetof(struct output_config, to) &&
                       x->r->event.type == YAML_SCALAR_EVENT && yaml_is_null(x->r);
    int rc = destination && (text = yaml_scalar_text(x->r)) && strcmp(text, "null") == 0
                 ? 0
                 : take_scalar(x, row->name, &text);
    if (rc)
        return rc;
    rc = value_type(row)->set(row, output_field(row, x->c), text, x->r->e);
    return rc ? failed(x, rc, row->name) : 0;
}

/* ---- Keys ---- */

/* Whether |key| is a mapping of keys: "batch" of "batch.rows". */
static bool is_group(const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < output_option_count; i++)
        if (strncmp(output_options[i].name, key, n) == 0 && output_options[i].name[n] == '.')
            return true;
    return false;
}

static int unknown_key(struct reading *x, const char *key)
{
    char sentence[NEAREST_NAME_MAX + 64];
    struct nearest nearest = {.typed = key};
    if (strcmp(key, "events") == 0)
        return fail(x, ERR_UNSUPPORTED, key, "this daemon has no close events");
    for (size_t i = 0; i < output_option_count; i++)
        nearest_offer(&nearest, output_options[i].name);
    snprintf(sentence, sizeof(sentence), "no such key%s%s%s", nearest.name ? "; did you mean " : "",
             nearest.name ? nearest.name : "", nearest.name ? "?" : "");
    return fail(x, ERR_UNKNOWN, key, sentence);
}

static int mark_seen(struct reading *x, const struct config_option *row)
{
    uint32_t bit = UINT32_C(1) << (row - output_options);
    if (x->seen & bit)
        return fail(x, ERR_DUPLICATE, row->name, "given twice");
    x->seen |= bit;
    return 0;
}

static int read_mapping(struct reading *x, const char *group);

/* The current event is a key in the mapping |group| ("": that of the output); goes to the end of its value. */
static int read_entry(struct reading *x, const char *group)
{
    char key[KEY_MAX], name[2 * KEY_MAX + 1];
    bool known;
    int rc = read_key(x, key);
    if (rc)
        return go_to_value(x, rc, &known);
    snprintf(name, sizeof(name), "%s%s%s", group, *group ? "." : "", key);
    const struct config_option *row = output_option_find(name);
    bool inner = !row && !*group && is_group(key);
    if (!row && !inner)
        rc = unknown_key(x, name);
    else if (row)
        rc = mark_seen(x, row);
    rc = go_to_value(x, rc, &known);
    if (rc || !known)
        return rc;
    rc = check_plain(x, name);
    if (rc == 0)
        rc = row ? read_value(x, row) : read_mapping(x, key);
    return yaml_pass_over(x->r, x->outputs, rc);
}

static int read_mapping(struct reading *x, const char *group)
{
    int rc;
    if (x->r->event.type != YAML_MAPPING_START_EVENT)
        return fail(x, ERR_TYPE, *group ? group : "an output", "something else where a mapping is expected");
    while (!(rc = yaml_advance(x->r)) && x->r->event.type != YAML_MAPPING_END_EVENT) {
        rc = read_entry(x, group);
        if (rc)
            return rc;
    }
    return rc;
}

/* ---- The list ---- */

static int read_output(struct yaml_reader *r, const struct config_option *o, struct config_outputs *list)
{
    int rc = yaml_check_plain(r, name_in_file(r));
    if (rc)
        return rc;
    if (list->n >= OUTPUTS_MAX) {
        char sentence[64];
        snprintf(sentence, sizeof(sentence), "too many; allowed at most %d", OUTPUTS_MAX);
        return yaml_fail(r, ERR_RANGE, name_in_file(r), sentence);
    }
    struct reading x = {.r = r, .outputs = o, .c = outputs_add(list)};
    if (!x.c)
        return err_set(r->e, -ENOMEM, "out of memory");
    x.c->line = r->filename ? yaml_line_of(r) : 0;
    return read_mapping(&x, "");
}

int yaml_parse_output_list(struct yaml_reader *r, const struct config_option *o, struct config_outputs *list)
{
    int rc;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return yaml_fail(r, ERR_TYPE, name_in_file(r), "something else where a list of outputs is expected");
    outputs_clear(list);
    while (!(rc = yaml_advance(r)) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        rc = yaml_pass_over(r, o, read_output(r, o, list));
        if (rc)
            return rc;
    }
    return rc;
}

/* One document that is a list. */
static int parse_text(struct yaml_reader *r, const struct config_option *o, struct config_outputs *list)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < 3; i++) /* the starts of the stream, of the document and of its node */
        rc = yaml_advance(r);
    if (rc == 0)
        rc = yaml_check_plain(r, NULL);
    if (rc == 0)
        rc = yaml_parse_output_list(r, o, list);
    for (int i = 0; rc == 0 && i < 2; i++) /* the ends of the document and of the stream */
        rc = yaml_advance(r);
    if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT)
        rc = yaml_fail(r, ERR_MALFORMED, name_in_file(r), "more than one list");
    return rc;
}

int yaml_parse_outputs(const char *text, struct config_outputs *list, struct err *e)
{
    struct err unused;
    struct yaml_reader r = {.data = (const uint8_t *)text, .e = e ? e : &unused};
    if (strlen(text) > CONFIG_FILE_MAX)
        return err_set(e, ERR_LIMIT, "longer than %d bytes", CONFIG_FILE_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, -ENOMEM, "out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, r.data, strlen(text));
    int rc = parse_text(&r, NULL, list);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}
