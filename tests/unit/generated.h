/* Parts of committed files that are made from tables: compared, or, with XTCP_UPDATE set in the environment,
 * written. */
#ifndef XTCP_TESTS_GENERATED_H
#define XTCP_TESTS_GENERATED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"

#define GENERATED_FILE_MAX (1 << 20)

static inline char *generated_read(const char *path)
{
    char *text = calloc(1, GENERATED_FILE_MAX);
    FILE *f = fopen(path, "r");
    if (!f || !text)
        fail_msg("cannot read %s", path);
    size_t n = fread(text, 1, GENERATED_FILE_MAX - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static inline void generated_write(const char *path, const char *head, size_t head_len,
                                   const struct buf *part, const char *tail)
{
    FILE *f = fopen(path, "w");
    if (!f)
        fail_msg("cannot write %s", path);
    assert_int_equal(fwrite(head, 1, head_len, f), head_len);
    assert_int_equal(fwrite(part->data, 1, part->len, f), part->len);
    assert_true(fputs(tail, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* The text in |path| behind |begin| up to a line that begins with |end| must be |fresh|. */
static inline void generated_check(const char *path, const char *begin, const char *end, struct buf *fresh)
{
    char *text = generated_read(path);
    char *from = strstr(text, begin);
    assert_false(fresh->failed);
    if (!from)
        fail_msg("%s: no line %s", path, begin);
    from += strlen(begin);
    char *to = from;
    while (*to && strncmp(to, end, strlen(end)) != 0)
        to += strcspn(to, "\n") + 1;
    if (!*to)
        fail_msg("%s: no line %s", path, end);
    if (getenv("XTCP_UPDATE")) {
        generated_write(path, text, (size_t)(from - text), fresh, to);
    } else {
        *to = '\0';
        assert_string_equal(from, buf_cstr(fresh));
    }
    free(text);
}

#endif
