#include "nswatch/text.h"

#include "lib/utf8.h"
#include "nswatch/nswatch.h"

#include <stdlib.h>
#include <string.h>

const char *const nswatch_kind_names[NSWATCH_KINDS] = {"own", "named", "anonymous"};
const char *const nswatch_event_names[NSWATCH_EVENTS] = {
    [NSWATCH_ADDED] = "added",           [NSWATCH_READY] = "ready",     [NSWATCH_CHANGED] = "changed",
    [NSWATCH_FAILED] = "failed",         [NSWATCH_REMOVED] = "removed", [NSWATCH_SYNCED] = "synced",
    [NSWATCH_RECONCILED] = "reconciled", [NSWATCH_DEAD] = "dead",
};

char *text_escape(const char *in, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    char *out = malloc(4 * n + 1);
    if (!out)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(in + i, n - i);
        if (length && in[i] != '\\' && !utf8_is_hidden(in + i, length)) {
            memcpy(out + used, in + i, length);
            used += length;
            i += length;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[(unsigned char)in[i] >> 4];
        out[used++] = hex[in[i] & 15];
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
