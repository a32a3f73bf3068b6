#include "nswatch/mountinfo.h"

#include "lib/decimal.h"
#include "lib/err.h"

#include <limits.h>
#include <string.h>

/* The next word of the line between *|at| and |end|; its length, 0 when there is none. */
static size_t next_word(const char **at, const char *end, const char **word)
{
    while (*at < end && **at == ' ')
        (*at)++;
    *word = *at;
    while (*at < end && **at != ' ')
        (*at)++;
    return (size_t)(*at - *word);
}

static bool starts_with(const char *word, size_t n, const char *prefix)
{
    size_t length = strlen(prefix);
    return n >= length && !memcmp(word, prefix, length);
}

static int parse_line(const char *at, const char *end, struct mountinfo_entry *entry)
{
    const char *word;
    size_t n = next_word(&at, end, &word);
    *entry = (struct mountinfo_entry){0};
    uint64_t id;
    if (decimal_read(word, n, INT_MAX, &id))
        return ERR_MALFORMED;
    entry->id = (unsigned)id;
    /* Parent, major:minor and root are not needed. */
    for (int i = 0; i < 3; i++)
        if (!next_word(&at, end, &word))
            return ERR_MALFORMED;
    entry->point_len = next_word(&at, end, &entry->point);
    if (!entry->point_len || !next_word(&at, end, &word))
        return ERR_MALFORMED;
    /* The optional fields, up to a lone hyphen. */
    while ((n = next_word(&at, end, &word))) {
        if (n == 1 && *word == '-')
            return 1;
        entry->shared |= starts_with(word, n, "shared:");
        entry->slave |= starts_with(word, n, "master:");
    }
    return ERR_MALFORMED;
}

int mountinfo_next(const char **text, size_t *n, struct mountinfo_entry *entry)
{
    if (!*n)
        return 0;
    const char *line = *text;
    const char *newline = memchr(line, '\n', *n);
    const char *end = newline ? newline : line + *n;
    size_t used = (size_t)(end - line) + (newline ? 1 : 0);
    *text += used;
    *n -= used;
    return parse_line(line, end, entry);
}

/* The next character of an escaped mount point (the kernel writes space, tab, newline, backslash and # as
 * \ooo). */
static char unescaped(const char *s, size_t n, size_t *used)
{
    *used = 1;
    if (s[0] != '\\' || n < 4)
        return s[0];
    for (size_t i = 1; i < 4; i++)
        if (s[i] < '0' || s[i] > '7')
            return s[0];
    *used = 4;
    return (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
}

/* The length of the escaped |point| in bytes of |path| when it is |path| or leads to it, else 0. */
static size_t leads_to(const char *point, size_t n, const char *path)
{
    size_t at = 0;
    for (size_t i = 0, used; i < n; i += used, at++)
        if (!path[at] || unescaped(point + i, n - i, &used) != path[at])
            return 0;
    if (at == 1)
        return *path == '/'; /* the root leads everywhere */
    return path[at] == '/' || path[at] == '\0' ? at : 0;
}

bool mountinfo_find(const char *text, size_t n, const char *path, struct mountinfo_entry *entry)
{
    size_t best = 0;
    struct mountinfo_entry at;
    int rc;
    while ((rc = mountinfo_next(&text, &n, &at)) != 0) {
        size_t length = rc == 1 ? leads_to(at.point, at.point_len, path) : 0;
        if (length && length >= best) {
            best = length;
            *entry = at;
        }
    }
    return best > 0;
}
