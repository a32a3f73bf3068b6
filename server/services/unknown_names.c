#include "server/services/unknown_names.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/nearest.h"
#include "lib/netns_pattern.h"
#include "lib/utf8.h"
#include "record/fields.h"

#define ALGORITHMS "/proc/sys/net/ipv4/tcp_available_congestion_control"
#define SHOWN_MAX  100 /* bytes of a name in a sentence */

__attribute__((format(printf, 2, 3))) static void say(struct unknown_names *u, const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    if (u->n < UNKNOWN_MAX && vasprintf(&text, format, args) >= 0)
        u->texts[u->n++] = text;
    va_end(args);
}

void unknown_names_free(struct unknown_names *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->texts[i]);
    u->n = 0;
}

/* One search: the names that are looked for, and where. */
struct finding {
    struct inventory *inventory;
    struct unknown_names *out;
    bool algorithms_read;
    char algorithms[1024]; /* of this host, with spaces between them; "" when they cannot be read */
};

static bool has_room(const struct finding *f)
{
    return f->out->n < UNKNOWN_MAX;
}

/* ---- Namespaces ---- */

/* A pattern that is compared with all namespaces. */
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
    s->found = s->inodes ? netns_wanted(&s->pattern, 1, ns->netns, ns->inode)
                         : filter_text_fits(s->pattern, ns->netns);
    return !s->found;
}

static bool offer_namespace(void *arg, const struct nswatch_ns *ns)
{
    struct search *s = arg;
    const char *before = s->nearest.name;
    nearest_offer(&s->nearest, ns->netns);
    if (s->nearest.name != before) {
        snprintf(s->name, sizeof(s->name), "%s", ns->netns);
        s->nearest.name = s->name;
    }
    return true;
}

static void find_namespace(const struct finding *f, const char *pattern, bool inodes)
{
    struct search s = {.pattern = pattern, .inodes = inodes, .nearest = {.typed = pattern}};
    char shown[SHOWN_MAX + 1];
    char meant[INVENTORY_NAME_MAX];
    if (!has_room(f))
        return;
    inventory_visit(f->inventory, on_namespace, &s);
    if (s.found)
        return;
    inventory_visit(f->inventory, offer_namespace, &s); /* costs far more: only for a sentence that is told */
    say(f->out, "no namespace that is polled is called %s%s%s%s", utf8_quote(pattern, shown, sizeof(shown)),
        s.nearest.name ? "; did you mean " : "",
        s.nearest.name ? utf8_quote(s.nearest.name, meant, sizeof(meant)) : "", s.nearest.name ? "?" : "");
}

static void on_netns_text(void *arg, const char *pattern)
{
    find_namespace(arg, pattern, false);
}

/* ---- Algorithms ---- */

static void read_algorithms(struct finding *f)
{
    if (f->algorithms_read)
        return;
    f->algorithms_read = true;
    FILE *file = fopen(ALGORITHMS, "re");
    if (!file || !fgets(f->algorithms, sizeof(f->algorithms), file))
        f->algorithms[0] = '\0';
    if (file)
        fclose(file);
    f->algorithms[strcspn(f->algorithms, "\n")] = '\0';
}

static void on_algorithm_text(void *arg, const char *pattern)
{
    struct finding *f = arg;
    char names[sizeof(f->algorithms)];
    char shown[SHOWN_MAX + 1];
    if (!has_room(f))
        return;
    read_algorithms(f);
    if (!*f->algorithms)
        return;
    memcpy(names, f->algorithms, sizeof(names));
    char *rest = names;
    for (char *name; (name = strsep(&rest, " "));) {
        if (*name && filter_text_fits(pattern, name))
            return;
    }
    say(f->out, "no congestion control algorithm of this host is called %s; there are: %s",
        utf8_quote(pattern, shown, sizeof(shown)), f->algorithms);
}

void unknown_names_find(struct inventory *r, const struct selection *s, struct unknown_names *out)
{
    struct finding f = {.inventory = r, .out = out};
    out->n = 0;
    for (size_t i = 0; i < s->n_netns && has_room(&f); i++)
        find_namespace(&f, s->netns[i], true);
    if (!s->filter)
        return;
    filter_visit_texts(s->filter, &record_fields[FIELD_netns], on_netns_text, &f);
    filter_visit_texts(s->filter, &record_fields[FIELD_congestion_algorithm_string], on_algorithm_text, &f);
}
