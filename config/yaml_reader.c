/* The events of YAML, one at a time, with their lines in errors. */
#include <errno.h>
#include <string.h>

#include "config/yaml_internal.h"

/* Line of the current event, from 1. */
size_t yaml_line_of(const struct yaml_reader *r)
{
    return r->event.start_mark.line + 1;
}

int yaml_place(struct yaml_reader *r, int rc)
{
    if (r->filename)
        err_prefix(r->e, "%s:%zu", r->filename, yaml_line_of(r));
    return rc;
}

/* An error of the current line, about |key| (NULL: about none). */
int yaml_fail(struct yaml_reader *r, int code, const char *key, const char *sentence)
{
    err_set(r->e, code, "%s%s%s", key ? key : "", key ? ": " : "", sentence);
    return yaml_place(r, code);
}

/* The problem that libyaml names is a constant string. Where its reader fails (encoding), it knows the byte but not the
 * line. */
static int syntax_error(struct yaml_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    r->broken = true;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, -ENOMEM, "out of memory");
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < p->problem_offset; i++)
            line += r->data[i] == '\n';
    }
    err_set(r->e, ERR_MALFORMED, "not valid YAML: %s", p->problem ? p->problem : "unknown problem");
    if (r->filename)
        err_prefix(r->e, "%s:%zu", r->filename, line);
    return ERR_MALFORMED;
}

/* Goes to the next event. */
int yaml_advance(struct yaml_reader *r)
{
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? 0 : syntax_error(r);
}

/* The current node must have neither anchor nor tag and be no alias. |key| is the key that it belongs to, or
 * NULL. */
int yaml_check_plain(struct yaml_reader *r, const char *key)
{
    const yaml_event_t *ev = &r->event;
    const void *anchor = NULL;
    const void *tag = NULL;
    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        return yaml_fail(r, ERR_UNSUPPORTED, key, "aliases (*NAME) are not allowed");
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
        return yaml_fail(r, ERR_UNSUPPORTED, key, "anchors (&NAME) are not allowed");
    return tag ? yaml_fail(r, ERR_UNSUPPORTED, key, "tags (!NAME) are not allowed") : 0;
}

/* Goes to the end of the current node: from the start of a list or mapping to its end. */
int yaml_skip_node(struct yaml_reader *r)
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
        int rc = yaml_advance(r);
        if (rc)
            return rc;
    }
}

/* |rc| is the code of an error in the current node, which belongs to |o| (NULL: to none), or 0. When all errors are
 * wanted, the error is told and the node skipped, and 0 returned; else |rc| is. */
int yaml_pass_over(struct yaml_reader *r, const struct config_option *o, int rc)
{
    if (rc == 0)
        return 0;
    if (!r->broken && r->tell)
        rc = r->tell(r->tell_arg, o, r->e);
    return rc ? rc : yaml_skip_node(r);
}

/* The text of the current scalar, or NULL when it holds a NUL and is therefore no text. */
const char *yaml_scalar_text(const struct yaml_reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    return strlen(text) == r->event.data.scalar.length ? text : NULL;
}

/* Whether the current scalar is YAML's null: nothing at all, or one of the words without quotes. */
bool yaml_is_null(const struct yaml_reader *r)
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
