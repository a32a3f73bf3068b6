#include <string.h>

#include "filter/node.h"
#include "lib/ascii.h"
#include "lib/nearest.h"

const char *const filter_keywords[] = {
    "state",  "exclude",   "excl", "src",   "dst", "sport", "dport", "dev", "fwmark",
    "cgroup", "autobound", "idle", "limit", "not", "and",   "or",    NULL,
};

#define NAME_MAX_BYTES 64

static uint16_t index_of(const struct filter_table *t, const struct record_field *f)
{
    return (uint16_t)(f - t->fields);
}

/* The field whose own name is |name|, or NULL. */
static const struct record_field *by_name(const struct filter_table *t, const char *name, size_t n)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (t->fields[i].name_len == n && memcmp(t->fields[i].name, name, n) == 0)
            return &t->fields[i];
    }
    return NULL;
}

/* The same in |names|, a list of |count| further names. */
static const struct record_field *by_other_name(const struct filter_table *t, const struct filter_name *names,
                                                size_t count, const char *name, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i].name) == n && memcmp(names[i].name, name, n) == 0)
            return &t->fields[names[i].field];
    }
    return NULL;
}

static const struct record_field *by_prefix(const struct filter_table *t, size_t i, const char *name,
                                            size_t n)
{
    char whole[NAME_MAX_BYTES];
    const struct filter_prefix *p = &t->prefixes[i];
    size_t alias = strlen(p->alias);
    size_t proto = strlen(p->proto);
    if (n <= alias || memcmp(name, p->alias, alias) != 0 || proto + n - alias > sizeof(whole))
        return NULL;
    memcpy(whole, p->proto, proto);
    memcpy(whole + proto, name + alias, n - alias);
    const struct record_field *f = by_name(t, whole, proto + n - alias);
    return f && index_of(t, f) != t->bare ? f : NULL;
}

const struct record_field *filter_table_field(const struct filter_table *t, const char *typed, size_t n)
{
    char name[NAME_MAX_BYTES];
    if (n > sizeof(name))
        return NULL;
    for (size_t i = 0; i < n; i++)
        name[i] = ascii_fold_name(typed[i]);
    const struct record_field *f = by_name(t, name, n);
    if (!f)
        f = by_other_name(t, t->short_names, t->n_short_names, name, n);
    if (!f)
        f = by_other_name(t, t->titles, t->n_titles, name, n);
    for (size_t i = 0; !f && i < t->n_prefixes; i++)
        f = by_prefix(t, i, name, n);
    return f;
}

static bool is_keyword(const char *name)
{
    for (size_t i = 0; filter_keywords[i]; i++) {
        if (strcmp(filter_keywords[i], name) == 0)
            return true;
    }
    return false;
}

/* The name of |f| with prefix |i| taken off, without an alias' prefix of its own; NULL when it leads
 * elsewhere. */
static const char *stripped(const struct filter_table *t, const struct record_field *f, size_t i)
{
    const struct filter_prefix *p = &t->prefixes[i];
    size_t n = strlen(p->proto);
    if (*p->alias || strncmp(f->name, p->proto, n) != 0)
        return NULL;
    const char *name = f->name + n;
    return filter_table_field(t, name, strlen(name)) == f && !is_keyword(name) ? name : NULL;
}

/* The short name |*i| of |f|, titles left out; NULL when it has fewer; |*i| is then less by their number. */
static const char *short_name(const struct filter_table *t, const struct record_field *f, size_t *i)
{
    for (size_t k = 0; k < t->n_short_names; k++) {
        if (t->short_names[k].field == index_of(t, f) && (*i)-- == 0)
            return t->short_names[k].name;
    }
    for (size_t k = 0; k < t->n_prefixes; k++) {
        const char *name = stripped(t, f, k);
        if (name && (*i)-- == 0)
            return name;
    }
    return NULL;
}

const char *filter_table_alias(const struct filter_table *t, const struct record_field *f, size_t i)
{
    const char *name = short_name(t, f, &i);
    if (name)
        return name;
    for (size_t k = 0; k < t->n_titles; k++) {
        if (t->titles[k].field == index_of(t, f) && i-- == 0)
            return t->titles[k].name;
    }
    return NULL;
}

const char *filter_table_name(const struct filter_table *t, const struct record_field *f)
{
    size_t first = 0;
    const char *name = short_name(t, f, &first);
    return name ? name : f->name;
}

/* ---- Suggestions ---- */

#define ALLOWED_MAX 3 /* changes from a name to the one that was meant */

/* A search for the name that |name| was meant to be. */
struct search {
    const char *name;
    size_t n;
    size_t limit;     /* a candidate must need fewer changes */
    const char *best; /* NULL: none is like it */
};

static struct search search_for(const char *name, size_t n)
{
    return (struct search){.name = name, .n = n, .limit = 1 + (n < 4 ? 1 : n < 8 ? 2 : ALLOWED_MAX)};
}

/* Of several that are equally close the first one counts. */
static void offer(struct search *s, const char *candidate)
{
    if (!s->limit)
        return;
    size_t d = nearest_distance(s->name, s->n, candidate, strlen(candidate), s->limit - 1);
    if (d >= s->limit)
        return;
    s->best = candidate;
    s->limit = d;
}

const char *filter_suggest(const char *const *names, size_t count, const char *name, size_t n)
{
    struct search s = search_for(name, n);
    for (size_t i = 0; i < count; i++)
        offer(&s, names[i]);
    return s.best;
}

/* Offers the name of |f|, and the rest of it without a prefix. */
static void offer_field(struct search *s, const struct filter_table *t, const struct record_field *f)
{
    offer(s, f->name);
    for (size_t k = 0; index_of(t, f) != t->bare && k < t->n_prefixes; k++) {
        size_t prefix = strlen(t->prefixes[k].proto);
        if (!*t->prefixes[k].alias && strncmp(f->name, t->prefixes[k].proto, prefix) == 0)
            offer(s, f->name + prefix);
    }
}

const char *filter_field_suggest(const struct filter_table *t, const char *typed, size_t n)
{
    char name[NAME_MAX_BYTES];
    if (n > sizeof(name))
        return NULL;
    for (size_t i = 0; i < n; i++)
        name[i] = ascii_fold_name(typed[i]);
    struct search s = search_for(name, n);
    for (size_t i = 0; filter_keywords[i]; i++) {
        if (strlen(filter_keywords[i]) != n ||
            memcmp(filter_keywords[i], name, n) != 0) /* it is none of |t| */
            offer(&s, filter_keywords[i]);
    }
    for (size_t i = 0; i < t->n_short_names; i++)
        offer(&s, t->short_names[i].name);
    for (size_t i = 0; i < t->n_titles; i++)
        offer(&s, t->titles[i].name);
    for (size_t i = 0; i < t->n_fields; i++)
        offer_field(&s, t, &t->fields[i]);
    return s.best;
}
