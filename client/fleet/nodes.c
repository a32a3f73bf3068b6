#include "client/fleet/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/fleet/target.h"
#include "lib/buf.h"
#include "lib/file.h"

#define GROUPS_DEPTH_MAX 8 /* of groups in groups */

struct resolver {
    const struct options *options;
    const struct client_yaml *client_yaml;
    struct nodes *out;
    struct err *e;
    const struct client_yaml_node *node; /* node whose addresses are being looked up; NULL: a plain target */
};

static int no_memory(struct resolver *r)
{
    return err_set(r->e, -ENOMEM, "out of memory");
}

static void node_free(struct node *n)
{
    if (!n)
        return;
    free(n->name);
    free(n->address);
    free(n->told);
    free(n->host);
    free(n);
}

static bool is_known(const struct nodes *nodes, const char *name, const char *address)
{
    for (size_t i = 0; i < nodes->n; i++)
        if (strcmp(nodes->items[i]->address, address) == 0 && strcmp(nodes->items[i]->name, name) == 0)
            return true;
    return false;
}

/* The node |name| at |address|, whose certificate is for |host| when that is not NULL. */
static struct node *node_new(struct resolver *r, const char *name, const char *address, const char *host)
{
    struct node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    size_t extra = strlen(name) > strlen(address) ? strlen(name) - strlen(address) : 0;
    bool same = strcmp(name + extra, address) == 0; /* it has the address in it */
    n->name = strdup(name);
    n->address = strdup(address);
    if (same ? !(n->told = strdup(name)) : asprintf(&n->told, "%s (%s)", name, address) < 0)
        n->told = NULL;
    if (!n->name || !n->address || !n->told) {
        node_free(n);
        return NULL;
    }
    n->options = *r->options;
    client_yaml_apply(r->client_yaml, r->node, &n->options);
    n->options.target = n->told;
    n->options.address = n->address;
    bool tls = n->options.tls || n->options.ca || n->options.cert;
    if (host && tls && !n->options.server_name) {
        /* Its certificate is for the name, not for the address. */
        n->host = strdup(host);
        n->options.server_name = n->host;
    }
    return n;
}

static int add(struct resolver *r, const char *name, const char *address, const char *host)
{
    struct nodes *nodes = r->out;
    if (is_known(nodes, name, address))
        return 0;
    if (nodes->n == NODES_MAX)
        return err_set(r->e, ERR_LIMIT, "more than %d targets", NODES_MAX);
    struct node **grown = reallocarray(nodes->items, nodes->n + 1, sizeof(struct node *));
    if (!grown)
        return no_memory(r);
    nodes->items = grown;
    grown[nodes->n] = node_new(r, name, address, host);
    return grown[nodes->n] ? (nodes->n++, 0) : no_memory(r);
}

static int found_address(void *context, const char *address, const char *host)
{
    struct resolver *r = context;
    char name[2 * TARGET_MAX];
    if (!r->node)
        return add(r, address, address, host);
    snprintf(name, sizeof(name), "%s/%s", r->node->name, address);
    return add(r, name, address, host);
}

/* Adds the address |text|, of |node|; NULL: it was given as an address. */
static int add_address(struct resolver *r, const struct client_yaml_node *node, const char *text)
{
    char address[TARGET_MAX];
    struct err unknown;
    bool all;
    int rc = target_normalize(text, address, &all, r->e);
    if (rc != 0)
        return rc;
    r->node = node;
    if ((all || r->options->all_addresses) && target_is_name(address)) {
        rc = target_addresses(address, found_address, r, &unknown);
        if (rc != ERR_UNAVAILABLE)
            return rc;
    }
    return add(r, node ? node->name : address, address, NULL);
}

static int ignore_address(void *context, const char *address, const char *host)
{
    (void)context, (void)address, (void)host;
    return 0;
}

/* A single word that is like a name of client.yaml, or like flags of ss, but no host: probably a typing
 * error. */
static int check_word(struct resolver *r, const char *text)
{
    char address[TARGET_MAX];
    struct err unknown;
    bool all;
    const char *like = strpbrk(text, ".:/[") ? NULL : client_yaml_like(r->client_yaml, text);
    const char *flags = r->options->flags_target;
    bool like_flags = flags && strcmp(text, flags) == 0;
    if ((!like && !like_flags) || target_normalize(text, address, &all, &unknown) != 0 ||
        target_addresses(address, ignore_address, NULL, &unknown) == 0)
        return 0;
    if (like_flags)
        return options_no_flags(text, r->e);
    return err_set(r->e, ERR_USAGE, "target \"%s\": neither a host nor a name of %s; did you mean %s?", text,
                   r->client_yaml->path, like);
}

static int add_target(struct resolver *r, const char *text, int depth)
{
    const struct client_yaml_group *group = client_yaml_group(r->client_yaml, text);
    const struct client_yaml_node *node = client_yaml_node(r->client_yaml, text);
    if (node)
        return add_address(r, node, node->address);
    if (!group) {
        int wrong = check_word(r, text);
        return wrong ? wrong : add_address(r, NULL, text);
    }
    if (depth == GROUPS_DEPTH_MAX)
        return err_set(r->e, ERR_USAGE, "%s: group %s: groups within groups, more than %d deep",
                       r->client_yaml->path, text, GROUPS_DEPTH_MAX);
    int rc = 0;
    for (size_t i = 0; i < group->n_members && rc == 0; i++)
        rc = add_target(r, group->members[i], depth + 1);
    return rc;
}

/* The targets in |text|, separated by commas; a path may have commas. */
static int add_list(struct resolver *r, const char *text)
{
    char one[TARGET_MAX];
    bool path = strncmp(text, "unix:", 5) == 0;
    int rc = 0;
    while (rc == 0) {
        text += strspn(text, " \t");
        size_t n = path ? strlen(text) : strcspn(text, ",");
        size_t used = n;
        while (used && strchr(" \t\r", text[used - 1]))
            used--;
        if (used >= sizeof(one))
            return err_set(r->e, ERR_USAGE, "target \"%.40s…\": is too long", text);
        memcpy(one, text, used);
        one[used] = 0;
        if (used)
            rc = add_target(r, one, 0);
        if (!text[n])
            break;
        text += n + 1;
    }
    return rc;
}

/* One target, or several with commas, on each line; "#" begins a comment. */
static int add_file(struct resolver *r, const char *path)
{
    char *text;
    size_t len, number = 0;
    int rc = file_read_input(path, TARGETS_MAX, -1, &text, &len, r->e);
    if (rc)
        return rc;
    const char *end = text + len;
    for (char *line = text, *next; rc == 0 && line < end; line = next) {
        next = line + strcspn(line, "\n");
        number++;
        if (!*next && next < end) {
            rc = err_set(r->e, ERR_USAGE, "%s:%zu: holds a NUL byte", path, number);
            break;
        }
        if (*next)
            *next++ = 0;
        line[strcspn(line, "#")] = 0;
        rc = add_list(r, line);
        if (rc != 0)
            err_prefix(r->e, "%s:%zu", path, number);
    }
    free(text);
    if (rc == 0 && r->out->n == 0)
        rc = err_set(r->e, ERR_USAGE, "%s: has no targets", path);
    return rc;
}

static int add_all(struct resolver *r)
{
    const struct options *o = r->options;
    const char *environment = getenv(OPTIONS_TARGET_ENV);
    int rc = 0;
    for (size_t i = 0; i < o->targets.n && rc == 0; i++)
        rc = add_list(r, o->targets.items[i]);
    if (rc == 0 && o->targets_file)
        rc = add_file(r, o->targets_file);
    if (rc != 0 || o->targets.n || o->targets_file)
        return rc;
    if (environment && *environment) {
        rc = add_list(r, environment);
        if (rc != 0)
            err_prefix(r->e, "$" OPTIONS_TARGET_ENV);
        return rc;
    }
    for (size_t i = 0; i < r->client_yaml->n_targets && rc == 0; i++)
        rc = add_list(r, r->client_yaml->targets[i]);
    if (rc != 0)
        err_prefix(r->e, "%s", r->client_yaml->path);
    return rc != 0 || r->out->n ? rc : add_list(r, OPTIONS_TARGET_DEFAULT);
}

int nodes_resolve(const struct options *o, const struct client_yaml *s, struct nodes *out, struct err *e)
{
    struct resolver r = {.options = o, .client_yaml = s, .out = out, .e = e};
    *out = (struct nodes){0};
    int rc = add_all(&r);
    if (rc == 0 && out->n == 0)
        rc = err_set(e, ERR_USAGE, "--target: names no daemon");
    if (rc != 0)
        nodes_free(out);
    for (size_t i = 0; i < out->n; i++)
        out->items[i]->options.several = out->n > 1;
    return rc;
}

void nodes_free(struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++)
        node_free(nodes->items[i]);
    free(nodes->items);
    *nodes = (struct nodes){0};
}
