#include "server/services/outputs_power.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/output_list.h"
#include "config/value.h"

/* A caller, and the configuration whose options say what it may do. */
struct caller {
    enum config_outputs_remote power;
    bool owner; /* root or the daemon's user: it could take the daemon's place anyway */
    const struct config *config;
};

/* Whether |call| comes from root or the daemon's own user. The name of a user is the kernel's word (docs/access.md). */
static bool is_owner(const struct rpc_call *call)
{
    char self[32];
    const struct quota_user *user = rpc_call_quota(call, NULL);
    const char *name = user ? quota_user_name(user) : "";
    snprintf(self, sizeof(self), "uid %u", (unsigned)geteuid());
    return strcmp(name, "uid 0") == 0 || strcmp(name, self) == 0;
}

/* ---- One output ---- */

/* Whether |path| is below |dir|, by their texts. */
static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int check_path(const struct caller *c, const char *what, const char *path, struct err *e)
{
    if (c->power != CONFIG_OUTPUTS_ALL)
        return err_set(e, ERR_PERMISSION, "%s: names a file, which outputs_remote (network) does not allow",
                       what);
    if (strstr(path, "/../") || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
        return err_set(e, ERR_PERMISSION, "%s: has \"..\" in its path", what);
    for (size_t i = 0; i < c->config->output_dirs.n; i++)
        if (is_below(path, c->config->output_dirs.items[i]))
            return 0;
    return err_set(e, ERR_PERMISSION, "%s: is in none of the directories of output_dirs", what);
}

/* Options of a library that would have it read files or run something else: a command is made of the names of Kerberos, and
 * providers are libraries. */
static bool is_dangerous(const char *key)
{
    static const char *const words[] = {"location", "path", "cmd",      "keytab",   "plugin",
                                        "engine",   "file", "provider", "kerberos", "debug"};
    size_t n = strcspn(key, "=");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *at = strstr(key, words[i]);
        if (at && at < key + n)
            return true;
    }
    return false;
}

/* "tls_ca_file=/x": the option names a file of ours. */
static bool names_file(const char *key)
{
    static const char suffix[] = "_file";
    size_t n = strcspn(key, "=");
    return n >= sizeof(suffix) - 1 &&
           strncmp(key + n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

static int check_options(const struct caller *c, const struct output_config *o,
                         const struct output_kind *kind, struct err *e)
{
    for (size_t i = 0; i < o->options.n; i++) {
        const char *key = o->options.items[i];
        size_t n = strcspn(key, "=");
        char what[80];
        snprintf(what, sizeof(what), "options: %.*s", n < 60 ? (int)n : 60, key);
        bool passed = kind->passed && strncmp(key, kind->passed, strlen(kind->passed)) == 0;
        int rc = 0;
        if (passed && !c->owner && is_dangerous(key))
            rc = err_set(e, ERR_PERMISSION,
                         "%s: is for the configuration file and the owner of the daemon alone", what);
        else if (!passed && names_file(key) && key[n] && key[n + 1])
            rc = check_path(c, what, key + n + 1, e);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_destination(const struct caller *c, const struct output_config *o,
                             const struct output_kind *kind, struct err *e)
{
    struct url url;
    if (!(kind->flags & OUTPUT_FILES))
        return 0;
    if (kind->url == URL_BARE) /* stdout, stderr */
        return c->power == CONFIG_OUTPUTS_ALL
                   ? 0
                   : err_set(e, ERR_PERMISSION, "to: outputs_remote (network) does not allow %s", kind->name);
    int rc = url_parse(o->to, kind->url, &url, e);
    if (rc)
        return rc;
    rc = check_path(c, "to", url.path, e);
    url_free(&url);
    return rc;
}

static int check_output(const struct caller *c, const struct output_config *o, struct err *e)
{
    const struct output_kind *kind = output_kind_of(o->to);
    int rc = kind ? check_destination(c, o, kind, e) : 0;
    if (rc == 0 && o->on_full == OUTPUT_SPOOL && c->power != CONFIG_OUTPUTS_ALL)
        rc = err_set(e, ERR_PERMISSION, "on_full: outputs_remote (network) does not allow a spool");
    if (rc == 0 && kind)
        rc = check_options(c, o, kind, e);
    if (rc)
        err_prefix(e, "outputs: %s", o->name);
    return rc;
}

/* ---- All of them ---- */

/* Checks those of |list| that |other| does not have, or has otherwise. */
static int check_differences(const struct caller *c, const struct config_outputs *list,
                             const struct config_outputs *other, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct output_config *o = &list->items[i];
        const struct output_config *same = outputs_find(other, o->name);
        int rc = same && output_config_equal(o, same) ? 0 : check_output(c, o, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* The output that the options dest and its like make, as a list of it or of none. */
static int default_list(const struct config *c, struct output_config *made, struct config_outputs *out,
                        struct err *e)
{
    int rc;
    bool is_made = output_config_default(c, made, &rc, e);
    *out = (struct config_outputs){.items = made, .n = is_made};
    return rc;
}

static int check_default(const struct caller *c, const struct config *in_force,
                         const struct config *candidate, struct err *e)
{
    struct output_config made[2];
    struct config_outputs was = {0}, is = {0};
    int rc = default_list(in_force, &made[0], &was, e);
    if (rc == 0)
        rc = default_list(candidate, &made[1], &is, e);
    bool same = value_equal(&config_options[CONFIG_OPTION_outputs], &was, &is);
    if (rc == 0 && !same && c->power == CONFIG_OUTPUTS_OFF)
        rc = err_set(e, ERR_PERMISSION,
                     "dest: outputs_remote (off) does not allow this caller to change outputs");
    if (rc == 0 && !same)
        rc = check_differences(c, &is, &was, e);
    if (rc == 0 && !same && !c->owner)
        rc = check_differences(c, &was, &is, e);
    for (int i = 0; i < 2; i++)
        if ((i ? is.n : was.n) > 0)
            output_config_free(&made[i]);
    return rc;
}

int outputs_power_compare(enum config_outputs_remote power, bool owner, const struct config *in_force,
                          const struct config *candidate, struct err *e)
{
    const struct caller c = {.power = power, .owner = owner, .config = in_force};
    const struct config_outputs *was = &in_force->outputs, *is = &candidate->outputs;
    bool same = value_equal(&config_options[CONFIG_OPTION_outputs], was, is);
    if (!same && power == CONFIG_OUTPUTS_OFF)
        return err_set(e, ERR_PERMISSION,
                       "options.outputs: outputs_remote (off) does not allow this caller to change outputs");
    int rc = same ? 0 : check_differences(&c, is, was, e);
    if (rc == 0 && !same && !owner) /* who may not have made it may not take it away */
        rc = check_differences(&c, was, is, e);
    return rc ? rc : check_default(&c, in_force, candidate, e);
}

int outputs_power_check(const struct rpc_call *call, const struct config *in_force,
                        const struct config *candidate, struct err *e)
{
    bool owner = is_owner(call);
    return outputs_power_compare(owner ? CONFIG_OUTPUTS_ALL : in_force->outputs_remote, owner, in_force,
                                 candidate, e);
}
