/* The client's own configuration file, client.yaml: default options, nodes by name, groups of nodes. The
 * sample is docs/client.yaml. Pure but for client_yaml_find and client_yaml_load; one thread. */
#ifndef XTCP_CLIENT_FLEET_CLIENT_YAML_H
#define XTCP_CLIENT_FLEET_CLIENT_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "client/options.h"
#include "lib/err.h"

#define CLIENT_YAML_ENV "XTCP2_CLIENT_CONFIG" /* environment variable with the path of the file */
#define CLIENT_YAML_MAX (1024 * 1024)         /* bytes of the file */

/* One option of the file. */
struct setting {
    const struct option_def *option;
    char *value;  /* "false": a flag that is not set */
    bool of_node; /* an option of connecting: nodes may have it as well */
};

struct client_yaml_list {
    struct setting *items;
    size_t n;
};

struct client_yaml_node {
    char *name;
    char *address;
    struct client_yaml_list options; /* options of connecting to it */
};

struct client_yaml_group {
    char *name;
    char **members; /* names of nodes and groups, addresses */
    size_t n_members;
};

struct client_yaml {
    char *path; /* NULL: no file was read */
    char **targets;
    size_t n_targets;
    struct client_yaml_list options; /* for all commands and all nodes */
    struct client_yaml_node *nodes;
    size_t n_nodes;
    struct client_yaml_group *groups;
    size_t n_groups;
};

/* The path of the file: |given| (--config), else $XTCP2_CLIENT_CONFIG, else client.yaml in the folder xtcp2
 * of $XDG_CONFIG_HOME or ~/.config. |*required| tells whether it must exist. Returns a text for free(), or
 * NULL when there is no place for it. */
char *client_yaml_find(const char *given, bool *required);

/* Reads the file |path| into |out|, for client_yaml_free. Errors are "FILE:LINE: KEY: …". Returns 0, or a code
 * with |e|; |out| is empty then. A file that is not there is an empty one unless |required|. */
int client_yaml_load(const char *path, bool required, struct client_yaml *out, struct err *e);

/* The same for the |len| bytes at |text|, which came from |path|. Relative paths in it are relative to the
 * folder of |path|, "~/" is the home of the user. */
int client_yaml_parse(const char *path, const char *text, size_t len, struct client_yaml *out, struct err *e);
void client_yaml_free(struct client_yaml *s);

/* NULL when there is none of that name. */
const struct client_yaml_node *client_yaml_node(const struct client_yaml *s, const char *name);
const struct client_yaml_group *client_yaml_group(const struct client_yaml *s, const char *name);

/* The name of a node or group that is like |typed|, or NULL. */
const char *client_yaml_like(const struct client_yaml *s, const char *typed);

/* Puts those options that do not depend on the node and that |o| does not have into |o|, which then points
 * into |s|. */
void client_yaml_apply_defaults(const struct client_yaml *s, struct options *o);

/* Puts those options of |node| (may be NULL) and of the file that |o| does not have into |o|, which then
 * points into |s|. A wrong value has been found when the file was read. */
void client_yaml_apply(const struct client_yaml *s, const struct client_yaml_node *node, struct options *o);

#endif
