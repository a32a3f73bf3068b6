#include "server/listen/token_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void token_table_clear(struct token_table *t)
{
    if (t->items)
        explicit_bzero(t->items, TOKEN_TABLE_MAX * sizeof(*t->items));
    free(t->items);
    *t = (struct token_table){0};
}

static int parse_line(const char *line, size_t len, struct token_table *out, struct err *e)
{
    const char *colon = memchr(line, ':', len);
    enum rpc_role role = RPC_ROLE_READ;
    size_t role_len = colon ? (size_t)(colon - line) : 0;
    while (role < RPC_ROLES &&
           (strlen(rpc_role_names[role]) != role_len || strncmp(line, rpc_role_names[role], role_len) != 0))
        role++;
    if (!colon || role == RPC_ROLES)
        return err_set(e, ERR_MALFORMED, "expected read:TOKEN or control:TOKEN");
    const char *text = colon + 1;
    size_t n = len - role_len - 1;
    if (n < TOKEN_LENGTH_MIN || n > TOKEN_LENGTH_MAX)
        return err_set(e, ERR_RANGE, "a token has %d to %d characters", TOKEN_LENGTH_MIN, TOKEN_LENGTH_MAX);
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return err_set(e, ERR_MALFORMED, "a token has printable ASCII characters without spaces");
    }
    if (out->n == TOKEN_TABLE_MAX)
        return err_set(e, ERR_RANGE, "there are more than %d tokens", TOKEN_TABLE_MAX);
    struct token *t = &out->items[out->n++];
    memcpy(t->text, text, n);
    t->role = role;
    return 0;
}

int token_table_parse(const char *text, size_t len, struct token_table *out, struct err *e)
{
    *out = (struct token_table){.items = calloc(TOKEN_TABLE_MAX, sizeof(*out->items))};
    if (!out->items)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = 0;
    for (unsigned number = 1; len > 0 && rc == 0; number++) {
        const char *newline = memchr(text, '\n', len);
        size_t n = newline ? (size_t)(newline - text) : len;
        if (n > 0 && text[0] != '#')
            rc = parse_line(text, n, out, e);
        if (rc)
            err_prefix(e, "line %u", number);
        n += newline != NULL;
        text += n;
        len -= n;
    }
    if (rc)
        token_table_clear(out);
    return rc;
}
