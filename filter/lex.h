/* The words of an expression. Private to this folder. */
#ifndef XTCP_FILTER_LEX_H
#define XTCP_FILTER_LEX_H

#include <stddef.h>

#include "filter/node.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_QUOTED, /* between double quotes, without them; a backslash takes the next character as it is */
    TOKEN_COMPARE,
    TOKEN_AND, /* & and && */
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_BAD, /* |wrong| tells why */
};

struct token {
    enum token_kind kind;
    const char *at; /* in the expression */
    size_t len;
    enum compare compare;
    const char *wrong;
};

/* The token that begins at |text| or behind the space there. Goes no further than the NUL. */
struct token lex_next(const char *text);

/* Whether |t| is the word |name|. */
bool lex_is(const struct token *t, const char *name);

/* The comparison that the word |t| stands for ("eq", "ge" …), or -1. */
int lex_compare(const struct token *t);

/* The number of the character of |text| at |at|, from 1 on. */
size_t lex_column(const char *text, const char *at);

#endif
