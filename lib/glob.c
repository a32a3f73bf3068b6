#include "lib/glob.h"

#include <stddef.h>

/* Reads one character of a set at |p|, which is not at its end. */
static const char *set_char(const char *p, unsigned char *c)
{
    if (*p == '\\' && p[1])
        p++;
    *c = (unsigned char)*p;
    return p + 1;
}

/* |p| is behind the [ of a set: sets |*in| to whether |c| is in it. Returns the place behind the set, or NULL
 * when it is not closed. */
static const char *match_set(const char *p, unsigned char c, bool *in)
{
    bool inverted = *p == '!' || *p == '^';
    p += inverted;
    bool found = false;
    for (bool first = true; *p && (first || *p != ']'); first = false) {
        unsigned char low;
        p = set_char(p, &low);
        unsigned char high = low;
        if (*p == '-' && p[1] && p[1] != ']')
            p = set_char(p + 1, &high);
        found = found || (low <= c && c <= high);
    }
    *in = found != inverted;
    return *p == ']' ? p + 1 : NULL;
}

/* Matches |c| against the pattern at |p|, which is not at its end and no star. Returns the place behind it,
 * or NULL when it does not match. */
static const char *match_one(const char *p, unsigned char c)
{
    bool in;
    const char *behind = *p == '[' ? match_set(p + 1, c, &in) : NULL;
    if (behind)
        return in ? behind : NULL;
    if (*p == '?')
        return p + 1;
    if (*p == '\\' && p[1])
        p++;
    return (unsigned char)*p == c ? p + 1 : NULL;
}

/* Only the last star is extended: anything that an earlier one could take, the later one can take as well. */
bool glob_match(const char *pattern, const char *text)
{
    const char *behind_star = NULL;
    const char *star_end = NULL; /* of the text that the star stands for */
    while (*text) {
        if (*pattern == '*') {
            behind_star = ++pattern;
            star_end = text;
            continue;
        }
        const char *next = *pattern ? match_one(pattern, (unsigned char)*text) : NULL;
        if (next) {
            pattern = next;
            text++;
        } else if (behind_star) {
            pattern = behind_star;
            text = ++star_end;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
