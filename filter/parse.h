/* The parser: its state (parser.c), the grammar (parse.c) and comparisons (term.c). Private to this folder. */
#ifndef XTCP_FILTER_PARSE_H
#define XTCP_FILTER_PARSE_H

#include "filter/lex.h"
#include "filter/node.h"

struct parser {
    const char *text;   /* the whole expression */
    struct token token; /* the next one */
    struct filter *f;
    struct filter_error *e;
    size_t nodes_cap;
    unsigned depth;
    unsigned terms;
    int rc; /* the first error */
};

/* ---- parser.c ---- */

/* On to the next token. */
void parser_advance(struct parser *p);

/* Puts the error |code| at |at| in the expression and remembers it. Returns NODE_NONE. */
uint16_t parser_fail(struct parser *p, const char *at, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with the sentence of |e|. */
uint16_t parser_fail_err(struct parser *p, const char *at, const struct err *e);

/* "…, not X": fails at the token that stands in place of the expected |what|. */
uint16_t parser_expected(struct parser *p, const char *what);

/* A new node, or NODE_NONE. It may move all others: use indexes. */
uint16_t parser_node(struct parser *p, const struct node *n);

/* |a| negated. */
uint16_t parser_not(struct parser *p, uint16_t a);

/* |a| and |b|, or |a| or |b|: |kind| is NODE_AND or NODE_OR. A node of that kind itself is taken apart. */
uint16_t parser_join(struct parser *p, enum node_kind kind, uint16_t a, uint16_t b);

/* ---- term.c ---- */

/* One comparison; the token is a word. */
uint16_t parse_term(struct parser *p);

#endif
