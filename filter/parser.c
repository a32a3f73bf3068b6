/* The state of a parser: its errors and its nodes. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/parse.h"
#include "lib/utf8.h"

/* ---- Errors ---- */

static void set_error(struct parser *p, const char *at, int code, const char *text)
{
    p->rc = code;
    p->e->column = lex_column(p->text, at);
    err_set(&p->e->err, code, "column %zu: %s", p->e->column, text);
}

uint16_t parser_fail(struct parser *p, const char *at, int code, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!p->rc)
        set_error(p, at, code, text);
    return NODE_NONE;
}

uint16_t parser_fail_err(struct parser *p, const char *at, const struct err *e)
{
    if (!p->rc)
        set_error(p, at, e->code, e->text);
    return NODE_NONE;
}

/* Bytes of a token that an error repeats. */
#define SHOWN_MAX 40

uint16_t parser_expected(struct parser *p, const char *what)
{
    const struct token *t = &p->token;
    if (t->kind == TOKEN_BAD)
        return parser_fail(p, t->at, ERR_MALFORMED, "%s", t->wrong);
    if (t->kind == TOKEN_END)
        return parser_fail(p, t->at, ERR_MALFORMED, "expected %s, but the expression ends here", what);
    int shown = t->len < SHOWN_MAX ? (int)t->len : (int)utf8_cut(t->at, SHOWN_MAX);
    return parser_fail(p, t->at, ERR_MALFORMED, "expected %s, not %.*s", what, shown, t->at);
}

void parser_advance(struct parser *p)
{
    const char *end = p->token.at + p->token.len + (p->token.kind == TOKEN_QUOTED);
    p->token = lex_next(end);
}

/* ---- Nodes ---- */

uint16_t parser_node(struct parser *p, const struct node *n)
{
    struct filter *f = p->f;
    if (f->count == p->nodes_cap) {
        size_t cap = p->nodes_cap ? p->nodes_cap * 2 : 8;
        struct node *grown = cap <= NODES_MAX ? realloc(f->nodes, cap * sizeof(*grown)) : NULL;
        if (!grown)
            return parser_fail(p, p->token.at, cap <= NODES_MAX ? -ENOMEM : ERR_LIMIT,
                               cap <= NODES_MAX ? "out of memory" : "the expression has too many parts");
        f->nodes = grown;
        p->nodes_cap = cap;
    }
    f->nodes[f->count] = *n;
    f->nodes[f->count].next = NODE_NONE;
    return f->count++;
}

uint16_t parser_not(struct parser *p, uint16_t a)
{
    if (a == NODE_NONE)
        return NODE_NONE;
    struct node *n = &p->f->nodes[a];
    if (n->kind == NODE_NOT)
        return n->first;
    if (n->kind == NODE_STATES) {
        n->states = (uint16_t)(FILTER_STATES_ALL & ~1u & ~n->states);
        return a;
    }
    return parser_node(p, &(struct node){.kind = NODE_NOT, .first = a});
}

/* The first and the last node of the chain that |a| adds to a node of |kind|. */
static void chain(const struct filter *f, enum node_kind kind, uint16_t a, uint16_t *first, uint16_t *last)
{
    *first = *last = f->nodes[a].kind == kind ? f->nodes[a].first : a;
    while (f->nodes[a].kind == kind && f->nodes[*last].next != NODE_NONE)
        *last = f->nodes[*last].next;
}

uint16_t parser_join(struct parser *p, enum node_kind kind, uint16_t a, uint16_t b)
{
    uint16_t first[2];
    uint16_t last[2];
    if (a == NODE_NONE || b == NODE_NONE)
        return NODE_NONE;
    uint16_t joined =
        p->f->nodes[a].kind == kind ? a : parser_node(p, &(struct node){.kind = kind, .first = a});
    if (joined == NODE_NONE)
        return NODE_NONE;
    chain(p->f, kind, joined, &first[0], &last[0]);
    chain(p->f, kind, b, &first[1], &last[1]);
    p->f->nodes[last[0]].next = first[1];
    return joined;
}
