/* The option table: its rows stand in three files, by topic, and the functions and names that they refer to in this
 * one. */
#include <limits.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/output_list.h"
#include "config/value.h"
#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/linux/users.h"
#include "lib/netns_pattern.h"

#define DAY (86400 * NS_PER_S)

static int check_listen(const char *item, struct err *e)
{
    struct config_listen listen;
    return config_listen_parse(item, &listen, e);
}

static bool same_listen(const char *a, const char *b)
{
    struct config_listen x, y;
    return config_listen_parse(a, &x, NULL) == 0 && config_listen_parse(b, &y, NULL) == 0 && x.len == y.len &&
           memcmp(&x.addr, &y.addr, x.len) == 0;
}

static int check_directory(const char *item, struct err *e)
{
    if (item[0] != '/')
        return err_set(e, ERR_MALFORMED, "is not an absolute path");
    if (strlen(item) >= PATH_MAX)
        return err_set(e, ERR_RANGE, "is too long; allowed a path of at most %d bytes", PATH_MAX - 1);
    return 0;
}

static int check_file(const char *item, struct err *e)
{
    if (item[0] != '/' || item[strlen(item) - 1] == '/')
        return err_set(e, ERR_MALFORMED, "is not the absolute path of a file");
    return 0;
}

/* Skips slashes at |at| that mean nothing: doubled ones but the last, and those at the end of the path. */
static const char *next_step(const char *at)
{
    while (at[0] == '/' && (at[1] == '/' || at[1] == '\0'))
        at++;
    return at;
}

/* Whether two absolute paths are the same but for doubled slashes and those at the end. */
static bool same_directory(const char *a, const char *b)
{
    for (;; a++, b++) {
        a = next_step(a);
        b = next_step(b);
        if (*a != *b)
            return false;
        if (!*a)
            return true;
    }
}

static const char *const socket_mode_names[] = {
    [CONFIG_SOCKET_0600] = "0600", [CONFIG_SOCKET_0660] = "0660", [CONFIG_SOCKET_0666] = "0666"};

static const char *const watch_names[] = {[CONFIG_WATCH_OFF] = "off", [CONFIG_WATCH_ON] = "on"};

static const char *const sandbox_names[] = {
    [CONFIG_SANDBOX_OFF] = "off", [CONFIG_SANDBOX_AUTO] = "auto", [CONFIG_SANDBOX_REQUIRED] = "required"};

static const char *const outputs_remote_names[] = {
    [CONFIG_OUTPUTS_OFF] = "off", [CONFIG_OUTPUTS_NETWORK] = "network", [CONFIG_OUTPUTS_ALL] = "all"};

#define OPTION(name_, member_, type_, reload_, ...)                                                          \
    {.name = #name_,                                                                                         \
     .type = (type_),                                                                                        \
     .offset = offsetof(struct config, member_),                                                             \
     .reload = (reload_),                                                                                    \
     __VA_ARGS__},

const struct config_option config_options[CONFIG_OPTION_COUNT] = {
#include "config/options_grpc.def"

#include "config/options_daemon.def"

#include "config/options_outputs.def"
};

const struct config_option *config_option_find(const char *name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].name, name) == 0)
            return &config_options[i];
    }
    return NULL;
}

void option_flag(const char *name, char out[OPTION_FLAG_MAX])
{
    size_t n = 0;
    for (; name[n] && n < OPTION_FLAG_MAX - 1; n++)
        out[n] = name[n] == '_' ? '-' : name[n];
    out[n] = '\0';
}

void option_variable(const char *name, char out[OPTION_VARIABLE_MAX])
{
    size_t n = sizeof(OPTION_VARIABLE_PREFIX) - 1;
    memcpy(out, OPTION_VARIABLE_PREFIX, n);
    for (; *name && n < OPTION_VARIABLE_MAX - 1; name++)
        out[n++] = ascii_upper(*name);
    out[n] = '\0';
}
