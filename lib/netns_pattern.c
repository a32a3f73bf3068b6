#include "lib/netns_pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/decimal.h"
#include "lib/glob.h"

enum subject { NAME, PATH, KIND, COOKIE, INODE, SUBJECTS };

static const char *const prefixes[SUBJECTS] = {
    [NAME] = "name:", [PATH] = "path:", [KIND] = "kind:", [COOKIE] = "cookie:", [INODE] = "inode:"};

/* The label of a namespace without a name in records: netns:[NUMBER]. */
static const char label[] = "netns:[";

static const char *const kinds[] = {"own", "named", "anonymous"};

static bool is_label(const char *text)
{
    return strncmp(text, label, strlen(label)) == 0;
}

/* The subject of |text|; |*rest| is its pattern. SUBJECTS: it starts with a word that is none of
 * ours. */
static enum subject split(const char *text, const char **rest)
{
    *rest = text;
    if (*text == '/')
        return PATH;
    if (is_label(text)) {
        *rest = text + strlen(label);
        return INODE;
    }
    if (!strchr(text, ':'))
        return NAME;
    for (enum subject s = NAME; s < SUBJECTS; s++) {
        size_t n = strlen(prefixes[s]);
        if (strncmp(text, prefixes[s], n) == 0) {
            *rest = text + n;
            return s;
        }
    }
    return SUBJECTS;
}

/* The number that |text| begins with, 0 when there is none. */
static uint64_t number_at(const char *text)
{
    uint64_t number = 0;
    decimal_read(text, strspn(text, "0123456789"), UINT64_MAX, &number);
    return number;
}

/* |end|: the text behind the digits. */
static int check_number(const char *text, const char *end, struct err *e)
{
    size_t digits = strspn(text, "0123456789");
    if (!digits || strcmp(text + digits, end) != 0)
        return err_set(e, ERR_MALFORMED, "is no number after the colon");
    uint64_t number;
    if (decimal_read(text, digits, UINT64_MAX, &number) || number == 0)
        return err_set(e, ERR_RANGE, "is out of range; allowed 1 to 18446744073709551615");
    return 0;
}

static int check_kind(const char *text, struct err *e)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i], text) == 0)
            return 0;
    }
    return err_set(e, ERR_UNKNOWN, "is no kind; allowed kind:own, kind:named and kind:anonymous");
}

int netns_pattern_check(const char *text, struct err *e)
{
    const char *rest;
    enum subject s = split(text, &rest);
    if (s == SUBJECTS)
        return err_set(
            e, ERR_UNKNOWN,
            "starts with an unknown word; allowed are name:, path:, kind:, cookie: and inode:, and names without a colon");
    if (!*rest)
        return err_set(e, ERR_MALFORMED, "selects nothing: a pattern is missing");
    if (strlen(text) > NETNS_PATTERN_MAX)
        return err_set(e, ERR_RANGE, "is too long; allowed at most %d bytes", NETNS_PATTERN_MAX);
    if (s == NAME && strchr(rest, '/'))
        return err_set(e, ERR_MALFORMED, "holds a slash, which names do not; a path starts with one");
    if (s == PATH && *rest != '/' && *rest != '*')
        return err_set(e, ERR_MALFORMED, "is not an absolute path");
    if (s == KIND)
        return check_kind(rest, e);
    if (s == COOKIE || s == INODE)
        return check_number(rest, is_label(text) ? "]" : "", e);
    return 0;
}

bool netns_pattern_same(const char *a, const char *b)
{
    const char *x, *y;
    enum subject s = split(a, &x);
    if (s != split(b, &y))
        return false;
    if (s == COOKIE || s == INODE)
        return number_at(x) == number_at(y);
    return strcmp(x, y) == 0;
}

static bool match_any(const char *glob, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (glob_match(glob, texts[i]))
            return true;
    }
    return false;
}

bool netns_pattern_match(const char *text, const struct netns_facts *f)
{
    const char *rest;
    switch (split(text, &rest)) {
    case NAME:
        return match_any(rest, f->names, f->n_names);
    case PATH:
        return match_any(rest, f->paths, f->n_paths);
    case KIND:
        return strcmp(rest, f->kind) == 0;
    case COOKIE:
        return f->cookie && number_at(rest) == f->cookie;
    case INODE:
        return f->inode && number_at(rest) == f->inode;
    case SUBJECTS:
        break;
    }
    return false;
}

static bool any(const struct netns_facts *f, char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (netns_pattern_match(patterns[i], f))
            return true;
    }
    return false;
}

bool netns_selected(const struct netns_facts *f, char *const *include, size_t n_include, char *const *exclude,
                    size_t n_exclude)
{
    return (n_include == 0 || any(f, include, n_include)) && !any(f, exclude, n_exclude);
}

bool netns_wanted(const char *const *list, size_t n, const char *name, uint64_t inode)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0 || glob_match(list[i], name) || decimal_is(list[i], inode))
            return true;
    }
    return n == 0;
}
