#include "server/unknown.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/nearest.h"
#include "record/fields.h"

#define ALGORITHMS "/proc/sys/net/ipv4/tcp_available_congestion_control"
#define SHOWN_MAX  100 /* bytes of a name in a sentence */

__attribute__((format(printf, 2, 3))) static void say(struct unknown *u, const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    if (u->n < UNKNOWN_MAX && vasprintf(&text, format, args) >= 0)
        u->texts[u->n++] = text;
    va_end(args);
}

void unknown_free(struct unknown *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->texts[i]);
    u->n = 0;
}

/* ---- Namespaces ---- */

/* A pattern that is held against all namespaces. */
struct search {
    const char *pattern;
    bool inodes; /* it may be an inode number */
    bool found;
    struct nearest nearest;
    char name[INVENTORY_NAME_MAX]; /* of |nearest| */
};

static bool on_namespace(void *arg, const struct nswatch_ns *ns)
{
    struct search *s = arg;
    char *pattern[] = {(char *)(uintptr_t)s->pattern}; /* nobody writes to it */
    const struct selection one = {.netns = pattern, .n_netns = 1};
    s->found = s->inodes ? selection_wants_netns(&one, ns->netns, ns->inode)
                         : filter_text_fits(s->pattern, ns->netns);
    const char *before = s->nearest.name;
    nearest_offer(&s->nearest, ns->netns);
    if (s->nearest.name != before) {
        snprintf(s->name, sizeof(s->name), "%s", ns->netns);
        s->nearest.name = s->name;
    }
    return !s->found;
}

struct finding {
    struct inventory *inventory;
    struct unknown *out;
};

static void find_namespace(const struct finding *f, const char *pattern, bool inodes)
{
    struct search s = {.pattern = pattern, .inodes = inodes, .nearest = {.typed = pattern}};
    inventory_visit(f->inventory, on_namespace, &s);
    if (!s.found)
        say(f->out, "no namespace that is polled is called %.*s%s%s%s", SHOWN_MAX, pattern,
            s.nearest.name ? "; did you mean " : "", s.nearest.name ? s.nearest.name : "",
            s.nearest.name ? "?" : "");
}

static void on_netns_text(void *arg, const char *pattern)
{
    find_namespace(arg, pattern, false);
}

/* ---- Algorithms ---- */

static void on_algorithm_text(void *arg, const char *pattern)
{
    struct finding *f = arg;
    char known[1024], names[sizeof(known)];
    FILE *file = fopen(ALGORITHMS, "re");
    bool any = file && fgets(known, sizeof(known), file);
    if (file)
        fclose(file);
    if (!any)
        return;
    known[strcspn(known, "\n")] = '\0';
    memcpy(names, known, sizeof(names));
    char *rest = names;
    for (char *name; (name = strsep(&rest, " "));) {
        if (*name && filter_text_fits(pattern, name))
            return;
    }
    say(f->out, "no congestion control algorithm of this host is called %.*s; there are: %s", SHOWN_MAX,
        pattern, known);
}

void unknown_find(struct inventory *r, const struct selection *s, struct unknown *out)
{
    struct finding f = {.inventory = r, .out = out};
    out->n = 0;
    for (size_t i = 0; i < s->n_netns && out->n < UNKNOWN_MAX; i++)
        find_namespace(&f, s->netns[i], true);
    if (!s->filter)
        return;
    filter_visit_texts(s->filter, &record_fields[FIELD_netns], on_netns_text, &f);
    filter_visit_texts(s->filter, &record_fields[FIELD_congestion_algorithm_string], on_algorithm_text, &f);
}
