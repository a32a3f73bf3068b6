#include "client/show/terminal_text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "lib/utf8.h"

bool text_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void text_use_locale(void)
{
    setlocale(LC_CTYPE, "");
    setlocale(LC_CTYPE, text_utf8() ? "C.UTF-8" : "C");
}

/* Columns of the valid sequence at |s| on the terminal; 0: it must not go there. */
static size_t width_of(const uint8_t *s, size_t len, bool utf8)
{
    if (utf8_is_hidden(s, len) || (len > 1 && !utf8))
        return 0;
    int width = len == 1 ? 1 : wcwidth((wchar_t)utf8_code(s, len));
    return width > 0 ? (size_t)width : 0;
}

/* One piece of output: the bytes of a character, or its first byte escaped. */
struct piece {
    size_t used;  /* bytes of the input */
    size_t width; /* columns */
    bool escaped;
};

static struct piece next_piece(const uint8_t *s, size_t n, bool utf8)
{
    size_t len = utf8_length(s, n);
    size_t width = len ? width_of(s, len, utf8) : 0;
    if (width)
        return (struct piece){.used = len, .width = width};
    return (struct piece){.used = 1, .width = 4, .escaped = true};
}

static void write_piece(struct buf *b, const uint8_t *s, const struct piece *p)
{
    if (p->escaped)
        buf_printf(b, "\\x%02x", s[0]);
    else
        buf_bytes(b, s, p->used);
}

size_t text_clean(struct buf *b, const char *text, size_t n, size_t max)
{
    const uint8_t *s = (const uint8_t *)text;
    bool utf8 = text_utf8();
    size_t width = 0;
    size_t fits = 0; /* bytes of the input that leave a column for the mark */
    size_t i = 0;

    while (i < n) {
        struct piece p = next_piece(s + i, n - i, utf8);
        if (width + p.width > max)
            break;
        width += p.width;
        i += p.used;
        if (width < max)
            fits = i;
    }
    size_t end = i < n ? fits : n;
    width = 0;
    for (i = 0; i < end;) {
        struct piece p = next_piece(s + i, n - i, utf8);
        write_piece(b, s + i, &p);
        width += p.width;
        i += p.used;
    }
    if (end < n && max) {
        buf_str(b, utf8 ? "…" : "~");
        width++;
    }
    return width;
}

size_t text_clean_str(struct buf *b, const char *text)
{
    return text_clean(b, text, strlen(text), SIZE_MAX);
}
