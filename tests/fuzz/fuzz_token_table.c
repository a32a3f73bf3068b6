/* The token file: any bytes either give an error that names a line and repeats no token, or a table whose
 * tokens, written as lines, make the same table. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "server/listen/token_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No error has a long piece of what may be a token of the file: those are secrets. */
static void check_error(const struct err *e, const uint8_t *data, size_t size)
{
    enum { SECRET = 24 };
    if (strncmp(e->text, "line ", 5) != 0)
        abort();
    for (size_t i = 0; i + SECRET <= size; i++) {
        char part[SECRET + 1];
        memcpy(part, data + i, SECRET);
        part[SECRET] = '\0';
        /* The words of our own sentences may stand in a file, too. */
        if (strlen(part) == SECRET && !strpbrk(part, " :") && strstr(e->text, part))
            abort();
    }
}

static void check_again(const struct token_table *t)
{
    struct token_table again;
    struct err e = {0};
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < t->n; i++) {
        size_t n = strlen((const char *)t->items[i].text);
        if (n < TOKEN_LENGTH_MIN || n > TOKEN_LENGTH_MAX || t->items[i].role >= RPC_ROLES)
            abort();
        buf_printf(&text, "%s:%s\n", rpc_role_names[t->items[i].role], t->items[i].text);
    }
    if (token_table_parse(buf_cstr(&text), text.len, &again, &e))
        abort();
    if (again.n != t->n || (t->n && memcmp(again.items, t->items, t->n * sizeof(*t->items)) != 0))
        abort();
    token_table_clear(&again);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_table t;
    struct err e = {0};
    int rc = token_table_parse((const char *)data, size, &t, &e);
    if (rc) {
        check_error(&e, data, size);
        return 0;
    }
    check_again(&t);
    token_table_clear(&t);
    return 0;
}
