/* The grammar:
 *
 *     or   := and { ("or" | "|" | "||") and }
 *     and  := unit { ["and" | "&" | "&&"] unit }
 *     unit := ("not" | "!") unit | "(" or ")" | term
 */
#include "filter/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint16_t parse_or(struct parser *p);

static bool enter(struct parser *p)
{
    if (++p->depth <= FILTER_DEPTH_MAX)
        return true;
    parser_fail(p, p->token.at, ERR_LIMIT, "at most %d parentheses and negations inside of each other",
                FILTER_DEPTH_MAX);
    return false;
}

static bool is_and(const struct token *t)
{
    return t->kind == TOKEN_AND || lex_is(t, "and");
}

static bool is_or(const struct token *t)
{
    return t->kind == TOKEN_OR || lex_is(t, "or");
}

static uint16_t parse_unit(struct parser *p)
{
    uint16_t node = NODE_NONE;
    if (p->rc || !enter(p))
        return NODE_NONE;
    if (p->token.kind == TOKEN_NOT || lex_is(&p->token, "not")) {
        parser_advance(p);
        node = parser_not(p, parse_unit(p));
    } else if (p->token.kind == TOKEN_OPEN) {
        parser_advance(p);
        node = parse_or(p);
        if (!p->rc && p->token.kind != TOKEN_CLOSE)
            node = parser_expected(p, "and, or or )");
        parser_advance(p);
    } else if (p->token.kind == TOKEN_WORD && !is_and(&p->token) && !is_or(&p->token)) {
        node = parse_term(p);
    } else {
        node = parser_expected(p, "a comparison");
    }
    p->depth--;
    return p->rc ? NODE_NONE : node;
}

static uint16_t parse_and(struct parser *p)
{
    uint16_t node = parse_unit(p);
    while (!p->rc && p->token.kind != TOKEN_END && p->token.kind != TOKEN_CLOSE && !is_or(&p->token)) {
        if (is_and(&p->token))
            parser_advance(p);
        node = parser_join(p, NODE_AND, node, parse_unit(p));
    }
    return node;
}

static uint16_t parse_or(struct parser *p)
{
    uint16_t node = parse_and(p);
    while (!p->rc && is_or(&p->token)) {
        parser_advance(p);
        node = parser_join(p, NODE_OR, node, parse_and(p));
    }
    return node;
}

static int parse_all(struct parser *p)
{
    if (strnlen(p->text, FILTER_TEXT_MAX + 1) > FILTER_TEXT_MAX) {
        parser_fail(p, p->text, ERR_LIMIT, "the expression is longer than %d bytes", FILTER_TEXT_MAX);
        return p->rc;
    }
    p->token = lex_next(p->text);
    if (p->token.kind == TOKEN_END)
        return 0;
    p->f->root = parse_or(p);
    if (!p->rc && p->token.kind != TOKEN_END)
        parser_expected(p, "and, or or the end");
    return p->rc;
}

/* ---- The filter ---- */

/* The attributes that the nodes need from the kernel. */
static groups_t groups_of(const struct filter *f)
{
    groups_t groups = 0;
    for (uint16_t i = 0; i < f->count; i++) {
        const struct record_field *field = f->nodes[i].field;
        if (field && field->group != GROUP_NONE)
            groups |= GROUP_BIT(field->group);
    }
    return groups;
}

/* |node| in canonical form, on the heap; NULL without memory. */
static char *text_of(const struct filter *f, uint16_t node)
{
    struct buf out;
    buf_init(&out);
    if (node != NODE_NONE)
        filter_print(&out, f, node);
    char *text = out.failed ? NULL : strdup(buf_cstr(&out));
    buf_free(&out);
    return text;
}

static int make_parts(struct filter *f)
{
    bool several = f->root != NODE_NONE && f->nodes[f->root].kind == NODE_AND;
    uint16_t first = several ? f->nodes[f->root].first : f->root;
    size_t count = 0;
    for (uint16_t i = first; i != NODE_NONE; i = f->nodes[i].next)
        count++;
    f->parts = calloc(count ? count : 1, sizeof(*f->parts));
    if (!f->parts)
        return -ENOMEM;
    for (uint16_t i = first; i != NODE_NONE; i = f->nodes[i].next) {
        struct part *part = &f->parts[f->part_count];
        *part = (struct part){.node = i, .text = text_of(f, i)};
        if (!part->text)
            return -ENOMEM;
        f->part_count++;
    }
    return 0;
}

/* Properties that are derived from the nodes. */
static int finish(struct filter *f)
{
    if (f->pool.failed)
        return -ENOMEM;
    f->groups = groups_of(f);
    f->text = text_of(f, f->root);
    f->found = calloc(1, sizeof(*f->found));
    if (!f->found)
        return -ENOMEM;
    return f->text ? make_parts(f) : -ENOMEM;
}

int filter_parse_by(const struct filter_table *t, const char *text, struct filter **out,
                    struct filter_error *e)
{
    *e = (struct filter_error){0};
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(&e->err, -ENOMEM, "out of memory");
    (*out)->table = t;
    atomic_init(&(*out)->refs, 1);
    (*out)->root = NODE_NONE;
    buf_init(&(*out)->pool);
    struct parser p = {.text = text, .f = *out, .e = e};
    int rc = parse_all(&p);
    if (!rc && (rc = finish(*out)))
        err_set(&e->err, rc, "out of memory");
    if (rc) {
        filter_unref(*out);
        *out = NULL;
    }
    return rc;
}

int filter_parse(const char *text, struct filter **out, struct filter_error *e)
{
    return filter_parse_by(&filter_record_table, text, out, e);
}

struct filter *filter_ref(struct filter *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void filter_unref(struct filter *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < f->part_count; i++)
        free(f->parts[i].text);
    free(f->parts);
    free(f->nodes);
    free(f->text);
    free((void *)f->found);
    buf_free(&f->pool);
    free(f);
}

const char *filter_text(const struct filter *f)
{
    return f->text;
}

groups_t filter_groups(const struct filter *f)
{
    return f->groups;
}

bool filter_is_empty(const struct filter *f)
{
    return f->root == NODE_NONE;
}

size_t filter_part_count(const struct filter *f)
{
    return f->part_count;
}

const char *filter_part_text(const struct filter *f, size_t i)
{
    return f->parts[i].text;
}
