#include "outputs/format/escape.h"

#include <stdbool.h>

#include "lib/utf8.h"

/* The letter for |c|, or 0. */
static char letter_of(const struct escape *e, uint8_t c)
{
    for (const char *p = e->letters; *p; p += 2)
        if ((uint8_t)p[0] == c)
            return p[1];
    return 0;
}

static void put_escaped(struct buf *out, const struct escape *e, uint8_t c)
{
    char letter = letter_of(e, c);
    if (!letter) {
        e->put_byte(out, c);
        return;
    }
    buf_char(out, '\\');
    buf_char(out, letter);
}

/* Whether |c| is of ASCII and stands for itself. */
static bool is_plain(const struct escape *e, uint8_t c)
{
    return c >= 0x20 && c < 0x7f && !letter_of(e, c);
}

void escape_bytes(struct buf *out, const struct escape *e, const void *data, size_t n)
{
    const uint8_t *s = data;
    for (size_t i = 0; i < n; i++) {
        if (is_plain(e, s[i]))
            buf_char(out, (char)s[i]);
        else
            put_escaped(out, e, s[i]);
    }
}

void escape_text(struct buf *out, const struct escape *e, const void *text, size_t n)
{
    const uint8_t *s = text;
    for (size_t i = 0, len; i < n; i += len ? len : 1) {
        len = utf8_length(s + i, n - i);
        if (len > 1 && !utf8_is_hidden(s + i, len))
            buf_bytes(out, s + i, len);
        else if (len == 0 && e->invalid)
            buf_str(out, e->invalid);
        else
            escape_bytes(out, e, s + i, len ? len : 1);
    }
}
