/* UTF-8 as the Unicode standard defines it, for text that comes from outside. */
#ifndef XTCP_LIB_UTF8_H
#define XTCP_LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* U+FFFD, for a byte that is not part of a valid sequence. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Whether |c| goes on with a character that an earlier byte has begun. */
static inline bool utf8_goes_on(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Length of the valid sequence at |text|, which has |n| > 0 bytes left; 0 when there is none (Unicode, table
 * 3-7: overlong forms, surrogates and code points beyond U+10FFFF are invalid). */
static inline size_t utf8_length(const void *text, size_t n)
{
    const unsigned char *s = text;
    unsigned char c = s[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (!utf8_goes_on((char)s[i]))
            return 0;
    }
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* Characters (code points) of |text|, which is valid UTF-8. */
static inline size_t utf8_characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += !utf8_goes_on(*text);
    return n;
}

/* Whether the valid sequence at |text| is a control character (C0, DEL or C1), which would break a line or
 * drive a terminal. */
static inline bool utf8_is_control(const void *text, size_t len)
{
    const unsigned char *s = text;
    return len == 1 ? s[0] < 0x20 || s[0] == 0x7f : len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

/* The code point of the valid sequence of |len| bytes at |text|. */
static inline uint32_t utf8_code(const void *text, size_t len)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *s = text;
    uint32_t code = s[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (s[i] & 0x3fU);
    return code;
}

/* Whether the valid sequence at |text| is an invisible character that changes the visible text: a control
 * character, a separator of lines or paragraphs, a mark that turns the direction of text, and all others that
 * the Unicode standard declares to be for formatting (the category Cf) or invisible
 * (Default_Ignorable_Code_Point): of zero width, joiners, selectors, tags, fillers. */
bool utf8_is_hidden(const void *text, size_t len);

/* The longest text of utf8_escape, its NUL included: two escapes. */
#define UTF8_ESCAPE_MAX 13

/* The valid sequence at |text| as JSON escapes it: \u200f, beyond U+FFFF \udb40\udc01. Returns its length. */
size_t utf8_escape(const void *text, size_t len, char out[UTF8_ESCAPE_MAX]);

/* Length of the longest beginning of |text|, |n| bytes at most, that does not end inside of a sequence: for a
 * text that was cut at |n|. */
static inline size_t utf8_cut(const char *text, size_t n)
{
    for (size_t back = 1; back <= n && back <= 4; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if (utf8_goes_on(text[n - back]))
            continue;
        size_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        return len > back ? n - back : n;
    }
    return n;
}

/* |text|, whatever bytes it has, as an error quotes it: hidden characters and invalid UTF-8 become '?', and
 * "..." stands for a part that does not fit. Into |out| of |size| bytes, 8 or more; returns |out|. */
const char *utf8_quote(const char *text, char *out, size_t size);

#endif
