#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "config/value.h"

/* ---- Life ---- */

static void config_free(struct config *c)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        value_clear(&config_options[i], value_field(&config_options[i], c));
    free(c);
}

static struct config *config_new(void)
{
    struct config *c = calloc(1, sizeof(*c));
    if (c)
        atomic_init(&c->refs, 1);
    return c;
}

int config_defaults(struct config **out)
{
    struct config *c = config_new();
    int rc = c ? 0 : -ENOMEM;
    for (size_t i = 0; !rc && i < CONFIG_OPTION_COUNT; i++)
        rc = config_set_text(c, &config_options[i], config_options[i].default_value, NULL);
    if (!rc)
        rc = config_normalise(c);
    if (rc) {
        config_unref(c);
        return rc;
    }
    *out = c;
    return 0;
}

struct config *config_copy(const struct config *c)
{
    struct config *copy = config_new();
    if (!copy)
        return NULL;
    copy->generation = c->generation;
    copy->hostname_given = c->hostname_given;
    copy->debug_level = c->debug_level;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        if (value_copy(o, value_field(o, copy), value_field_const(o, c))) {
            config_free(copy);
            return NULL;
        }
    }
    return copy;
}

/* The count is not part of the value: a reader of a const snapshot changes nothing that others read. */
static struct config *counted(const struct config *c)
{
    return (struct config *)(uintptr_t)c;
}

const struct config *config_ref(const struct config *c)
{
    atomic_fetch_add_explicit(&counted(c)->refs, 1, memory_order_relaxed);
    return c;
}

void config_unref(const struct config *c)
{
    if (c && atomic_fetch_sub_explicit(&counted(c)->refs, 1, memory_order_acq_rel) == 1)
        config_free(counted(c));
}

size_t config_diff(const struct config *a, const struct config *b, const struct config_option **out,
                   size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        if (value_equal(o, value_field_const(o, a), value_field_const(o, b)))
            continue;
        if (n < max)
            out[n] = o;
        n++;
    }
    return n;
}

static bool is_hostname(const struct config_option *option)
{
    return option == &config_options[CONFIG_OPTION_hostname];
}

void config_option_print(const struct config_option *option, const struct config *c, struct buf *out)
{
    if (!is_hostname(option) || c->hostname_given)
        value_type(option)->print(option, value_field_const(option, c), out);
}

/* ---- Changes ---- */

int prefix_option(struct err *e, const char *origin, const struct config_option *option)
{
    if (!origin)
        return err_prefix(e, "%s", option->name);
    char variable[OPTION_VARIABLE_MAX];
    option_variable(option->name, variable);
    if (strncmp(origin, "--", 2) == 0 || strcmp(origin, variable) == 0)
        return err_prefix(e, "%s", origin);
    return err_prefix(e, "%s: %s", origin, option->name);
}

int config_set_value(struct config *c, const struct config_option *option, const char *text, struct err *e)
{
    int rc = value_type(option)->set(option, value_field(option, c), text, e);
    if (!rc && is_hostname(option))
        c->hostname_given = *c->hostname != '\0';
    return rc;
}

int config_set_text(struct config *c, const struct config_option *option, const char *text, struct err *e)
{
    int rc = config_set_value(c, option, text, e);
    if (rc)
        prefix_option(e, NULL, option);
    return rc;
}

int config_set_string(struct config *c, char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    if (field == &c->hostname)
        c->hostname_given = *text != '\0';
    return 0;
}

int config_set_strings(struct config *c, struct config_strings *field, const char *const *items, size_t n)
{
    (void)c; /* as config_set_string, which needs it */
    struct config_strings fresh = {0};
    for (size_t i = 0; i < n; i++) {
        if (strings_add(&fresh, items[i])) {
            strings_clear(&fresh);
            return -ENOMEM;
        }
    }
    strings_clear(field);
    *field = fresh;
    return 0;
}

/* XtcpConfig.debug_level is a number from 0 to 1000; ours are the levels that begin at these. */
static const uint32_t debug_levels[LOG_LEVELS] = {
    [LOG_ERROR] = 0, [LOG_WARN] = 1, [LOG_INFO] = 10, [LOG_DEBUG] = 100, [LOG_TRACE] = DEBUG_LEVEL_MAX,
};

static enum log_level level_of(uint32_t debug_level)
{
    unsigned level = LOG_LEVELS - 1;
    while (level > 0 && debug_level < debug_levels[level])
        level--;
    return (enum log_level)level;
}

void config_set_debug_level(struct config *c, uint32_t debug_level)
{
    c->debug_level = debug_level;
    c->log_level = level_of(debug_level);
}

/* The name that uname(2) shows. It can hold any bytes; records and JSON cannot. */
static void machine_hostname(char out[HOST_NAME_MAX + 1])
{
    out[0] = '\0';
    if (gethostname(out, HOST_NAME_MAX + 1) != 0 || !*out)
        snprintf(out, HOST_NAME_MAX + 1, "localhost");
    for (char *p = out; *p; p++) {
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    }
}

int config_normalise(struct config *c)
{
    if (c->log_level < LOG_LEVELS && level_of(c->debug_level) != c->log_level)
        c->debug_level = debug_levels[c->log_level];
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        if (o->type == CONFIG_LIST)
            value_list_once(o, value_field(o, c));
    }
    if (!c->hostname || !*c->hostname) {
        char name[HOST_NAME_MAX + 1];
        machine_hostname(name);
        int rc = config_set_string(c, &c->hostname, name);
        if (rc)
            return rc;
        c->hostname_given = false;
    }
    return 0;
}
