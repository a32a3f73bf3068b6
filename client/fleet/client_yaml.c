#include "client/fleet/client_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "client/fleet/target.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/nearest.h"

#define AT(field_) offsetof(struct options, field_)

/* Options that each node may have; below them, those that only the file as a whole may have. */
static const struct option_def node_options[] = {
    {"plaintext", 0, OPTION_FLAG, AT(plaintext), NULL, NULL},
    {"tls", 0, OPTION_FLAG, AT(tls), NULL, NULL},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL, NULL},
    {"cacert", 0, OPTION_TEXT, AT(ca), "FILE", NULL},
    {"cert", 0, OPTION_TEXT, AT(cert), "FILE", NULL},
    {"key", 0, OPTION_TEXT, AT(key), "FILE", NULL},
    {"servername", 0, OPTION_TEXT, AT(server_name), NULL, NULL},
    {"authority", 0, OPTION_TEXT, AT(authority), NULL, NULL},
    {"token-file", 0, OPTION_TEXT, AT(token_file), "FILE", NULL},
    {"header", 0, OPTION_LIST, AT(headers), NULL, NULL},
    {"connect-timeout", 0, OPTION_DURATION, AT(connect_timeout_ns), NULL, NULL},
    {"max-msg-sz", 0, OPTION_COUNT, AT(message_max), NULL, NULL},
    {0},
};

static const struct option_def file_options[] = {
    {"output", 0, OPTION_FORMAT, AT(output), NULL, NULL},
    {"columns", 0, OPTION_TEXT, AT(columns), NULL, NULL},
    {"sort-by", 0, OPTION_TEXT, AT(sort_by), NULL, NULL},
    {"numeric", 0, OPTION_FLAG, AT(numeric), NULL, NULL},
    {"no-header", 0, OPTION_FLAG, AT(no_header), NULL, NULL},
    {"time", 0, OPTION_FLAG, AT(time), NULL, NULL},
    {"quiet", 0, OPTION_FLAG, AT(quiet), NULL, NULL},
    {"all-addresses", 0, OPTION_FLAG, AT(all_addresses), NULL, NULL},
    {0},
};

/* ---- Reading ---- */

struct yaml_reader {
    yaml_document_t document;
    const char *path;
    struct client_yaml *out;
    struct options scratch; /* to check values with */
    struct err *e;
};

/* "FILE:LINE: KEY: " and the text. |key| may be NULL. */
__attribute__((format(printf, 5, 6))) static int fail(struct yaml_reader *r, int code, const yaml_node_t *at,
                                                      const char *key, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return err_set(r->e, code, "%s:%zu: %s%s%s", r->path, at->start_mark.line + 1, key ? key : "",
                   key ? ": " : "", text);
}

static int no_memory(struct yaml_reader *r)
{
    return err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
}

/* The text of a scalar; NULL and an error when it is none. */
static const char *text_of(struct yaml_reader *r, const yaml_node_t *node, const char *key)
{
    const char *text = (const char *)node->data.scalar.value;
    if (node->type != YAML_SCALAR_NODE)
        fail(r, ERR_TYPE, node, key, "a list or mapping where a single value is expected");
    else if (strlen(text) != node->data.scalar.length)
        fail(r, ERR_MALFORMED, node, key, "holds a NUL");
    else if (!*text)
        fail(r, ERR_TYPE, node, key, "has no value; give one or remove the line");
    else
        return text;
    return NULL;
}

/* |*list| of |n| entries of |size| bytes, with room for one more; NULL without memory. */
static void *one_more(void *list, size_t n, size_t size)
{
    return reallocarray(list, n + 1, size);
}

static int add_text(struct yaml_reader *r, char ***list, size_t *n, const char *text)
{
    char **grown = one_more(*list, *n, sizeof(*grown));
    if (!grown)
        return no_memory(r);
    *list = grown;
    grown[*n] = strdup(text);
    if (!grown[*n])
        return no_memory(r);
    (*n)++;
    return 0;
}

/* A single text, or a list of texts. */
static int read_texts(struct yaml_reader *r, const yaml_node_t *node, const char *key, char ***list,
                      size_t *n)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        const char *text = text_of(r, node, key);
        return text ? add_text(r, list, n, text) : r->e->code;
    }
    int rc = 0;
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top && rc == 0; i++) {
        const char *text = text_of(r, yaml_document_get_node(&r->document, *i), key);
        rc = text ? add_text(r, list, n, text) : r->e->code;
    }
    return rc;
}

/* |text| as it is for other options; as a path of a file for those that have one. */
static char *value_of(const struct yaml_reader *r, const struct option_def *d, const char *text)
{
    const char *slash = strrchr(r->path, '/');
    const char *home = getenv("HOME");
    char *out = NULL;
    int n;
    if (!d->value || text[0] == '/')
        return strdup(text);
    if (strncmp(text, "~/", 2) == 0 && home)
        n = asprintf(&out, "%s%s", home, text + 1);
    else if (slash)
        n = asprintf(&out, "%.*s/%s", (int)(slash - r->path), r->path, text);
    else
        return strdup(text);
    return n < 0 ? NULL : out;
}

static const struct option_def *find_option(const struct option_def *defs, const char *name)
{
    for (; defs->name; defs++)
        if (strcmp(defs->name, name) == 0)
            return defs;
    return NULL;
}

static int add_setting(struct yaml_reader *r, struct client_yaml_list *list, const struct option_def *d,
                       const yaml_node_t *node)
{
    const char *text = text_of(r, node, d->name);
    struct err e = {0};
    if (!text)
        return r->e->code;
    bool flag = d->kind == OPTION_FLAG;
    if (flag && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return fail(r, ERR_TYPE, node, d->name, "\"%s\": expected true or false", text);
    r->scratch = (struct options){0};
    if (!flag && options_store(d, text, &r->scratch, &e) != 0)
        return err_set(r->e, ERR_RANGE, "%s:%zu: %s", r->path, node->start_mark.line + 1,
                       strncmp(e.text, "--", 2) == 0 ? e.text + 2 : e.text);
    struct setting *grown = one_more(list->items, list->n, sizeof(*grown));
    if (!grown)
        return no_memory(r);
    list->items = grown;
    grown[list->n] = (struct setting){
        .option = d, .value = value_of(r, d, text), .of_node = find_option(node_options, d->name) != NULL};
    return grown[list->n++].value ? 0 : no_memory(r);
}

/* The option |d| of the file: one value, or a list of them for those that are repeatable. */
static int read_option(struct yaml_reader *r, struct client_yaml_list *list, const struct option_def *d,
                       const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE || d->kind != OPTION_LIST)
        return add_setting(r, list, d, node);
    int rc = 0;
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top && rc == 0; i++)
        rc = add_setting(r, list, d, yaml_document_get_node(&r->document, *i));
    return rc;
}

static int unknown_key(struct yaml_reader *r, const yaml_node_t *at, const char *key,
                       const char *const *others, const struct option_def *const *tables)
{
    struct nearest nearest = {.typed = key};
    for (; *others; others++)
        nearest_offer(&nearest, *others);
    for (; *tables; tables++)
        for (const struct option_def *d = *tables; d->name; d++)
            nearest_offer(&nearest, d->name);
    if (nearest.name)
        return fail(r, ERR_UNKNOWN, at, key, "is not known; did you mean %s?", nearest.name);
    return fail(r, ERR_UNKNOWN, at, key, "is not known");
}

/* Calls |take| with each pair of the mapping |node|, which is the value of |what|. */
static int each_pair(struct yaml_reader *r, const yaml_node_t *node, const char *what,
                     int (*take)(struct yaml_reader *r, void *context, const char *key, const yaml_node_t *at,
                                 const yaml_node_t *value),
                     void *context)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, ERR_TYPE, node, what, "expected a mapping (KEY: VALUE on each line)");
    const yaml_node_pair_t *first = node->data.mapping.pairs.start;
    for (const yaml_node_pair_t *p = first; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *at = yaml_document_get_node(&r->document, p->key);
        const char *key = text_of(r, at, what);
        if (!key)
            return r->e->code;
        for (const yaml_node_pair_t *q = first; q < p; q++) {
            const yaml_node_t *before = yaml_document_get_node(&r->document, q->key);
            if (strcmp((const char *)before->data.scalar.value, key) == 0)
                return fail(r, ERR_DUPLICATE, at, key, "is given twice, first in line %zu",
                            before->start_mark.line + 1);
        }
        int rc = take(r, context, key, at, yaml_document_get_node(&r->document, p->value));
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_address(struct yaml_reader *r, const yaml_node_t *at, const char *address)
{
    char normalized[TARGET_MAX];
    bool all;
    struct err e = {0};
    if (target_normalize(address, normalized, &all, &e) == 0)
        return 0;
    return fail(r, ERR_RANGE, at, "address", "%s", e.text);
}

static int take_node_key(struct yaml_reader *r, void *context, const char *key, const yaml_node_t *at,
                         const yaml_node_t *value)
{
    static const char *const others[] = {"address", NULL};
    static const struct option_def *const tables[] = {node_options, NULL};
    struct client_yaml_node *n = context;
    const struct option_def *d = find_option(node_options, key);
    if (d)
        return read_option(r, &n->options, d, value);
    if (strcmp(key, "address") != 0)
        return unknown_key(r, at, key, others, tables);
    const char *text = text_of(r, value, key);
    if (!text)
        return r->e->code;
    n->address = strdup(text);
    return n->address ? check_address(r, value, text) : no_memory(r);
}

/* Names that a target could be mistaken for. */
static int check_name(struct yaml_reader *r, const yaml_node_t *at, const char *name)
{
    if (strpbrk(name, ":/,[] \t"))
        return fail(r, ERR_RANGE, at, name, "a name must not have blanks or any of : / , [ ]");
    if (client_yaml_node(r->out, name) || client_yaml_group(r->out, name))
        return fail(r, ERR_DUPLICATE, at, name, "is a node and a group");
    return 0;
}

static int take_node(struct yaml_reader *r, void *context, const char *key, const yaml_node_t *at,
                     const yaml_node_t *value)
{
    struct client_yaml *s = context;
    int rc = check_name(r, at, key);
    if (rc != 0)
        return rc;
    struct client_yaml_node *grown = one_more(s->nodes, s->n_nodes, sizeof(*grown));
    if (!grown)
        return no_memory(r);
    s->nodes = grown;
    struct client_yaml_node *n = &grown[s->n_nodes++];
    *n = (struct client_yaml_node){.name = strdup(key)};
    if (!n->name)
        return no_memory(r);
    if (value->type == YAML_SCALAR_NODE) { /* node1: ADDRESS */
        rc = take_node_key(r, n, "address", at, value);
    } else {
        rc = each_pair(r, value, key, take_node_key, n);
        if (rc == 0 && !n->address)
            rc = fail(r, ERR_TYPE, at, key, "has no address");
    }
    return rc;
}

static int take_group(struct yaml_reader *r, void *context, const char *key, const yaml_node_t *at,
                      const yaml_node_t *value)
{
    struct client_yaml *s = context;
    int rc = check_name(r, at, key);
    if (rc != 0)
        return rc;
    struct client_yaml_group *grown = one_more(s->groups, s->n_groups, sizeof(*grown));
    if (!grown)
        return no_memory(r);
    s->groups = grown;
    struct client_yaml_group *g = &grown[s->n_groups++];
    *g = (struct client_yaml_group){.name = strdup(key)};
    return g->name ? read_texts(r, value, key, &g->members, &g->n_members) : no_memory(r);
}

static int take_key(struct yaml_reader *r, void *context, const char *key, const yaml_node_t *at,
                    const yaml_node_t *value)
{
    static const char *const others[] = {"target", "nodes", "groups", NULL};
    static const struct option_def *const tables[] = {node_options, file_options, NULL};
    struct client_yaml *s = context;
    const struct option_def *d = find_option(node_options, key);
    if (!d)
        d = find_option(file_options, key);
    if (d)
        return read_option(r, &s->options, d, value);
    if (strcmp(key, "target") == 0)
        return read_texts(r, value, key, &s->targets, &s->n_targets);
    if (strcmp(key, "nodes") == 0)
        return each_pair(r, value, key, take_node, s);
    if (strcmp(key, "groups") == 0)
        return each_pair(r, value, key, take_group, s);
    return unknown_key(r, at, key, others, tables);
}

static int syntax_error(const yaml_parser_t *p, const char *path, struct err *e)
{
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    return err_set(e, ERR_MALFORMED, "%s:%zu: not valid YAML: %s", path, p->problem_mark.line + 1,
                   p->problem ? p->problem : "unknown problem");
}

int client_yaml_parse(const char *path, const char *text, size_t len, struct client_yaml *out, struct err *e)
{
    struct err own = {0};
    struct yaml_reader r = {.path = path, .out = out, .e = e ? e : &own};
    yaml_parser_t parser;
    int rc = 0;
    *out = (struct client_yaml){0};
    if (!yaml_parser_initialize(&parser))
        return no_memory(&r);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &r.document)) {
        rc = syntax_error(&parser, path, r.e);
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&r.document);
        if (root) /* a file with only comments has none */
            rc = each_pair(&r, root, NULL, take_key, out);
        yaml_document_delete(&r.document);
    }
    yaml_parser_delete(&parser);
    if (rc == 0 && !(out->path = strdup(path)))
        rc = no_memory(&r);
    if (rc != 0)
        client_yaml_free(out);
    return rc;
}

char *client_yaml_find(const char *given, bool *required)
{
    const char *from_environment = getenv(CLIENT_YAML_ENV);
    const char *folder = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char *path = NULL;
    int n = -1;
    *required = true;
    if (given)
        return strdup(given);
    if (from_environment && *from_environment)
        return strdup(from_environment);
    *required = false;
    if (folder && folder[0] == '/')
        n = asprintf(&path, "%s/xtcp2/client.yaml", folder);
    else if (home && *home)
        n = asprintf(&path, "%s/.config/xtcp2/client.yaml", home);
    return n < 0 ? NULL : path;
}

int client_yaml_load(const char *path, bool required, struct client_yaml *out, struct err *e)
{
    char *text;
    size_t len;
    *out = (struct client_yaml){0};
    int rc = file_read_input(path, CLIENT_YAML_MAX, -1, &text, &len, e);
    if ((rc == -ENOENT || rc == -ENOTDIR) && !required)
        return 0;
    if (rc)
        return rc;
    rc = client_yaml_parse(path, text, len, out, e);
    free(text);
    return rc;
}

static void free_texts(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

static void free_list(struct client_yaml_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].value);
    free(list->items);
}

void client_yaml_free(struct client_yaml *s)
{
    free(s->path);
    free_texts(s->targets, s->n_targets);
    free_list(&s->options);
    for (size_t i = 0; i < s->n_nodes; i++) {
        free(s->nodes[i].name);
        free(s->nodes[i].address);
        free_list(&s->nodes[i].options);
    }
    free(s->nodes);
    for (size_t i = 0; i < s->n_groups; i++) {
        free(s->groups[i].name);
        free_texts(s->groups[i].members, s->groups[i].n_members);
    }
    free(s->groups);
    *s = (struct client_yaml){0};
}
