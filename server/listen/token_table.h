/* The contents of a token file. Pure: bytes in, table out. */
#ifndef XTCP_SERVER_LISTEN_TOKEN_TABLE_H
#define XTCP_SERVER_LISTEN_TOKEN_TABLE_H

#include <stddef.h>

#include "lib/err.h"
#include "model/role.h"

#define TOKEN_LENGTH_MIN 16
#define TOKEN_LENGTH_MAX 255
#define TOKEN_TABLE_MAX  256

/* Padded with zeros, so that all comparisons are of the same length. */
struct token {
    unsigned char text[TOKEN_LENGTH_MAX + 1];
    enum rpc_role role;
};

struct token_table {
    struct token *items;
    size_t n;
};

/* Reads |len| bytes of |text|: ROLE:TOKEN in each line that is neither empty nor begins with #. Returns 0 and
 * the tokens in |out|, to be freed with token_table_clear, or a code with |e| naming the line, and nothing to
 * free. No error repeats what is in the file. */
int token_table_parse(const char *text, size_t len, struct token_table *out, struct err *e);

/* Frees it and leaves no token in memory. */
void token_table_clear(struct token_table *t);

#endif
