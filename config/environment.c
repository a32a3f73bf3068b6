/* The environment front end: XTCP2_POLL_FREQUENCY is poll_frequency. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/value.h"
#include "lib/nearest.h"

#define PREFIX     OPTION_VARIABLE_PREFIX
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* Variables that begin like ours but are no options. An option of such a name would win. */
static const char *const foreign[] = {
    "XTCP2_CONFIG",   /* the file: config_parse_args looks at it */
    "XTCP2_TARGET",   /* xtcp2client: where to connect */
    "XTCP2_CLIENT_*", /* the same program: its own settings */
    "XTCP2_PEER*",    /* tests and measurements */
    "XTCP2_BIN*",     /* the same */
    "XTCP2_SLOW",     /* the same */
    "XTCP2_SOAK",     /* the same */
    "XTCP2_BENCH*",   /* the same */
    "XTCP2_CAPTURES", /* the same */
    /* Kubernetes gives these to every pod beside a Service whose name begins with xtcp2. */
    "XTCP2_*SERVICE_HOST",
    "XTCP2_*SERVICE_PORT",
    "XTCP2_*SERVICE_PORT_*",
    "XTCP2_PORT",
    "XTCP2_*_PORT",
    "XTCP2_*PORT_[0-9]*",
};

static bool is_foreign(const char *name)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (fnmatch(foreign[i], name, 0) == 0)
            return true;
    }
    return false;
}

static const struct config_option *find_by_variable(const char *name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char variable[OPTION_VARIABLE_MAX];
        option_variable(config_options[i].name, variable);
        if (strcmp(variable, name) == 0)
            return &config_options[i];
    }
    return NULL;
}

static int unknown_variable(const char *name, struct err *e)
{
    char variables[CONFIG_OPTION_COUNT][OPTION_VARIABLE_MAX];
    char quoted[VALUE_QUOTED_MAX];
    struct nearest nearest = {.typed = name + PREFIX_LEN};
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        option_variable(config_options[i].name, variables[i]);
        nearest_offer(&nearest, variables[i] + PREFIX_LEN);
    }
    nearest_offer(&nearest, "CONFIG");
    return err_set(e, ERR_UNKNOWN, "%s: no such option%s%s%s", value_quote(name, quoted),
                   nearest.name ? "; did you mean " PREFIX : "", nearest.name ? nearest.name : "",
                   nearest.name ? "?" : "");
}

int config_parse_environment(struct config_builder *b, char *const environment[], struct err *e)
{
    struct err unused;
    if (!e)
        e = &unused;
    for (; environment && *environment; environment++) {
        const char *entry = *environment;
        const char *equals = strchr(entry, '=');
        if (strncmp(entry, PREFIX, PREFIX_LEN) != 0 || !equals)
            continue;
        char *name = strndup(entry, (size_t)(equals - entry));
        if (!name)
            return err_set(e, -ENOMEM, "out of memory");
        const struct config_option *option = find_by_variable(name);
        int rc = 0;
        if (option)
            rc = builder_set(b, option, equals + 1, name, e);
        else if (!is_foreign(name))
            rc = unknown_variable(name, e);
        free(name);
        if (rc && (rc = builder_tell(b, option, e)) != 0)
            return rc;
    }
    return 0;
}

const char *environment_file(char *const environment[])
{
    static const char variable[] = "XTCP2_CONFIG=";
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, variable, sizeof(variable) - 1) == 0 &&
            (*environment)[sizeof(variable) - 1])
            return *environment + sizeof(variable) - 1;
    }
    return NULL;
}
