#include "lib/utf8.h"

#include <stdio.h>
#include <string.h>

/* In ascending order, beyond the control characters. Code points of these blocks that mean nothing yet are
 * ignorable as well. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x034f, 0x034f},   /* combining grapheme joiner */
    {0x0600, 0x0605},   /* Arabic number signs */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x06dd, 0x06dd},   /* Arabic end of ayah */
    {0x070f, 0x070f},   /* Syriac abbreviation mark */
    {0x0890, 0x0891},   /* Arabic pound and piastre marks above */
    {0x08e2, 0x08e2},   /* Arabic disputed end of ayah */
    {0x115f, 0x1160},   /* Hangul fillers */
    {0x17b4, 0x17b5},   /* Khmer inherent vowels */
    {0x180b, 0x180f},   /* Mongolian variation selectors, vowel separator */
    {0x200b, 0x200f},   /* zero-width space, joiners, left-to-right and right-to-left marks */
    {0x2028, 0x202e},   /* line and paragraph separators, embeddings, overrides */
    {0x2060, 0x206f},   /* word joiner, invisible operators, isolates */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xfe00, 0xfe0f},   /* variation selectors */
    {0xfeff, 0xfeff},   /* zero-width no-break space, the byte order mark */
    {0xffa0, 0xffa0},   /* halfwidth Hangul filler */
    {0xfff0, 0xfffb},   /* interlinear annotation */
    {0x110bd, 0x110bd}, /* Kaithi number signs */
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, /* joiners of hieroglyphs */
    {0x1bca0, 0x1bca3},                     /* shorthand format controls */
    {0x1d173, 0x1d17a},                     /* musical format controls */
    {0xe0000, 0xe0fff},                     /* tags, variation selectors */
};

bool utf8_is_hidden(const void *text, size_t len)
{
    if (len == 1 || utf8_is_control(text, len))
        return utf8_is_control(text, len);
    uint32_t code = utf8_code(text, len);
    size_t i = 0;
    while (i < sizeof(hidden) / sizeof(hidden[0]) && hidden[i].last < code)
        i++;
    return i < sizeof(hidden) / sizeof(hidden[0]) && hidden[i].first <= code;
}

size_t utf8_escape(const void *text, size_t len, char out[UTF8_ESCAPE_MAX])
{
    uint32_t code = utf8_code(text, len);
    int n = code > 0xffff ? snprintf(out, UTF8_ESCAPE_MAX, "\\u%04x\\u%04x",
                                     0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff))
                          : snprintf(out, UTF8_ESCAPE_MAX, "\\u%04x", code);
    return (size_t)n;
}

const char *utf8_quote(const char *text, char *out, size_t size)
{
    static const char cut_mark[] = "...";
    size_t n = 0;
    for (size_t left = strlen(text), used; left > 0; text += used, left -= used) {
        size_t len = utf8_length(text, left);
        bool shown = len && !utf8_is_hidden(text, len);
        size_t put = shown ? len : 1;
        used = len ? len : 1;
        if (n + put > size - sizeof(cut_mark)) {
            memcpy(out + n, cut_mark, sizeof(cut_mark));
            return out;
        }
        memcpy(out + n, shown ? text : "?", put);
        n += put;
    }
    out[n] = '\0';
    return out;
}
