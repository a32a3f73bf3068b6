#include "nswatch/text.h"

#include "nswatch/nswatch.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const char *const nswatch_kind_names[NSWATCH_KINDS] = {"own", "named", "anonymous"};
const char *const nswatch_state_names[NSWATCH_STATES] = {"pending", "ready", "failed"};
const char *const nswatch_event_names[NSWATCH_EVENTS] = {
    [NSWATCH_ADDED] = "added",           [NSWATCH_READY] = "ready",     [NSWATCH_CHANGED] = "changed",
    [NSWATCH_FAILED] = "failed",         [NSWATCH_REMOVED] = "removed", [NSWATCH_SYNCED] = "synced",
    [NSWATCH_RECONCILED] = "reconciled", [NSWATCH_DEAD] = "dead",
};

/* The length of the UTF-8 sequence at |s| (RFC 3629: shortest form, no surrogates, up to U+10FFFF), 0 when
 * there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char first, last;          /* range of the first byte */
        unsigned char second_lo, second_hi; /* range of the second */
        unsigned char length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (forms[i].length > n || s[1] < forms[i].second_lo || s[1] > forms[i].second_hi)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* Whether the sequence of |length| bytes at |s| may stay as it is: no C0 or C1 control, no DEL, no backslash.
 */
static bool printable(const unsigned char *s, size_t length)
{
    if (length == 1)
        return s[0] >= 0x20 && s[0] != 0x7f && s[0] != '\\';
    return !(s[0] == 0xc2 && s[1] < 0xa0);
}

char *text_escape(const char *in, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)in;
    char *out = malloc(4 * n + 1);
    if (!out)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        size_t length = utf8_sequence(s + i, n - i);
        if (length && printable(s + i, length)) {
            memcpy(out + used, s + i, length);
            used += length;
            i += length;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[s[i] >> 4];
        out[used++] = hex[s[i] & 15];
        i++;
    }
    out[used] = '\0';
    return out;
}

/* Copies |text| to *|at|, moves *|at| behind it, returns the copy. */
static char *put_string(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

struct nswatch_ns *nswatch_ns_copy(const struct nswatch_ns *ns)
{
    size_t size = sizeof(*ns) + ns->name_count * sizeof(struct nswatch_name);
    size_t text = strlen(ns->netns) + strlen(ns->path) + strlen(ns->found_at) + 3;
    for (size_t i = 0; i < ns->name_count; i++)
        text += strlen(ns->names[i].dir) + strlen(ns->names[i].name) + strlen(ns->names[i].text) + 3;
    struct nswatch_ns *copy = malloc(size + text);
    if (!copy)
        return NULL;
    struct nswatch_name *names = (struct nswatch_name *)(copy + 1);
    char *at = (char *)copy + size;
    *copy = *ns;
    copy->netns = put_string(&at, ns->netns);
    copy->path = put_string(&at, ns->path);
    copy->found_at = put_string(&at, ns->found_at);
    for (size_t i = 0; i < ns->name_count; i++) {
        names[i].dir = put_string(&at, ns->names[i].dir);
        names[i].name = put_string(&at, ns->names[i].name);
        names[i].text = put_string(&at, ns->names[i].text);
    }
    copy->names = ns->name_count ? names : NULL;
    return copy;
}
