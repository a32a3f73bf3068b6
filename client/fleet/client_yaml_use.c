/* Looks up the contents of client.yaml and puts them into effect. */
#include <string.h>

#include "client/fleet/client_yaml.h"
#include "lib/nearest.h"

const struct client_yaml_node *client_yaml_node(const struct client_yaml *s, const char *name)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (strcmp(s->nodes[i].name, name) == 0)
            return &s->nodes[i];
    return NULL;
}

const struct client_yaml_group *client_yaml_group(const struct client_yaml *s, const char *name)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (strcmp(s->groups[i].name, name) == 0)
            return &s->groups[i];
    return NULL;
}

const char *client_yaml_like(const struct client_yaml *s, const char *typed)
{
    struct nearest nearest = {.typed = typed};
    for (size_t i = 0; i < s->n_nodes; i++)
        nearest_offer(&nearest, s->nodes[i].name);
    for (size_t i = 0; i < s->n_groups; i++)
        nearest_offer(&nearest, s->groups[i].name);
    return nearest.name;
}

static bool has_setting(const struct client_yaml_list *list, const struct option_def *d)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (list->items[i].option == d)
            return true;
    return false;
}

/* Whether |o| itself says that TLS is to be used: then plaintext of the file does not count. */
static bool asks_for_tls(const struct options *o)
{
    return o->tls || o->insecure || o->ca || o->cert || o->server_name;
}

/* Applies |from| to |o|, except options that |before| has; either the options of nodes or the others. */
static void apply(const struct client_yaml_list *from, const struct client_yaml_list *before, bool of_nodes,
                  const struct options *asked, struct options *o)
{
    struct err e;
    for (size_t i = 0; i < from->n; i++) {
        const struct setting *s = &from->items[i];
        bool flag = s->option->kind == OPTION_FLAG;
        if (s->of_node != of_nodes)
            continue;
        if (options_given(s->option, asked) || has_setting(before, s->option))
            continue;
        if (flag && strcmp(s->value, "true") != 0)
            continue;
        if (s->option->offset == offsetof(struct options, plaintext) && asks_for_tls(asked))
            continue;
        options_store(s->option, flag ? NULL : s->value, o, &e);
    }
}

void client_yaml_apply_defaults(const struct client_yaml *s, struct options *o)
{
    const struct options asked = *o;
    apply(&s->options, NULL, false, &asked, o);
}

void client_yaml_apply(const struct client_yaml *s, const struct client_yaml_node *node, struct options *o)
{
    const struct options asked = *o;
    if (node)
        apply(&node->options, NULL, true, &asked, o);
    apply(&s->options, node ? &node->options : NULL, true, &asked, o);
}
