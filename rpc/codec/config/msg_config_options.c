/* XtcpConfig.options: our own settings, one sub-message per topic. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/duration.h"
#include "rpc/codec/config/msg_config_int.h"

const struct config_option_path config_option_paths[CONFIG_OPTION_PATHS] = {
    {"options.listeners.listen", "grpc_listen"},
    {"options.access.insecure", "grpc_insecure"},
    {"options.access.health_listen", "grpc_health_listen"},
    {"options.access.tls_listen", "grpc_tls_listen"},
    {"options.access.tls_cert_file", "tls_cert_file"},
    {"options.access.tls_key_file", "tls_key_file"},
    {"options.access.tls_client_ca_file", "tls_client_ca_file"},
    {"options.access.unix_socket_mode", "unix_socket_mode"},
    {"options.access.unix_socket_group", "unix_socket_group"},
    {"options.access.control_uids", "access_control_uids"},
    {"options.access.read_uids", "access_read_uids"},
    {"options.access.control_names", "access_control_names"},
    {"options.access.read_names", "access_read_names"},
    {"options.access.token_file", "token_file"},
    {"options.access.anonymous_role", "access_anonymous_role"},
    {"options.namespaces.directories", "netns_dirs"},
    {"options.namespaces.proc_scan_interval", "proc_scan_interval"},
    {"options.namespaces.include", "netns_include"},
    {"options.namespaces.exclude", "netns_exclude"},
    {"options.limits.queue_rows", "queue_rows"},
    {"options.limits.subscribers_max", "subscribers_max"},
    {"options.limits.focus_streams_max", "focus_streams_max"},
    {"options.limits.focus_sockets_max", "focus_sockets_max"},
    {"options.limits.focus_rate_max", "focus_rate_max"},
    {"options.limits.calls_max", "calls_max"},
    {"options.limits.queue_memory_max", "queue_memory_max"},
    {"options.limits.calls_rate_max", "calls_rate_max"},
    {"options.limits.user_share_percent", "user_share_percent"},
    {"options.limits.reserve.percent", "reserved_percent"},
    {"options.limits.cpu.max_percent", "max_cpu_percent"},
    {"options.limits.collector_threads_max", "collector_threads_max"},
    {"options.state.file", "state_file"},
    {"options.limits.connections_max", "connections_max"},
    {"options.limits.connection_calls_max", "connection_calls_max"},
    {"options.limits.control_calls_max", "control_calls_max"},
    {"options.process.sandbox", "sandbox"},
    {"options.process.config_watch", "config_watch"},
    {"options.log.level", "log_level"},
    {"options.log.format", "log_format"},
};

/* The proto name of |option| in DaemonOptions. */
static const char *path_of(const struct config_option *option)
{
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++) {
        if (strcmp(config_option_paths[i].option, option->name) == 0)
            return config_option_paths[i].path;
    }
    return NULL;
}

const char *config_wire_name(const struct config_option *option)
{
    const char *path = path_of(option);
    if (path)
        return path;
    return option->wire ? option->wire : option->name;
}

/* ---- Get ---- */

static XtcpConfig__V1__Texts *view_texts(XtcpConfig__V1__Texts *texts, const struct config_strings *list)
{
    xtcp_config__v1__texts__init(texts);
    texts->n_item = list->n;
    texts->item = list->items;
    return texts;
}

void config_view_options(struct config_view *v, const struct config *c)
{
    xtcp_config__v1__daemon_options__init(&v->options);
    xtcp_config__v1__listeners__init(&v->listeners);
    xtcp_config__v1__namespaces__init(&v->namespaces);
    xtcp_config__v1__namespace_directories__init(&v->directories);
    xtcp_config__v1__limits__init(&v->limits);
    xtcp_config__v1__cpu_budget__init(&v->cpu);
    xtcp_config__v1__reserve__init(&v->reserve);
    xtcp_config__v1__log__init(&v->log);
    xtcp_config__v1__state__init(&v->state);
    xtcp_config__v1__process__init(&v->process);

    v->listeners.n_listen = c->grpc_listen.n;
    v->listeners.listen = c->grpc_listen.items;
    v->directories.n_path = c->netns_dirs.n;
    v->directories.path = c->netns_dirs.items;
    v->namespaces.directories = &v->directories;
    v->namespaces.proc_scan_interval = config_view_duration(v, c->proc_scan_interval);
    v->namespaces.include = view_texts(&v->include, &c->netns_include);
    v->namespaces.exclude = view_texts(&v->exclude, &c->netns_exclude);
    v->limits.queue_rows = c->queue_rows;
    v->limits.subscribers_max = c->subscribers_max;
    v->limits.collector_threads_max = c->collector_threads_max;
    v->limits.connections_max = c->connections_max;
    v->limits.connection_calls_max = c->connection_calls_max;
    v->limits.control_calls_max = c->control_calls_max;
    v->limits.focus_streams_max = c->focus_streams_max;
    v->limits.focus_sockets_max = c->focus_sockets_max;
    v->limits.focus_rate_max = c->focus_rate_max;
    v->limits.calls_max = c->calls_max;
    v->limits.queue_memory_max = c->queue_memory_max;
    v->limits.calls_rate_max = c->calls_rate_max;
    v->limits.user_share_percent = c->user_share_percent;
    v->reserve.percent = c->reserved_percent;
    v->limits.reserve = &v->reserve;
    v->cpu.max_percent = c->max_cpu_percent;
    v->limits.cpu = &v->cpu;
    v->log.level = (char *)(uintptr_t)log_level_names[c->log_level];
    v->log.format = (char *)(uintptr_t)log_format_names[c->log_format];

    v->options.listeners = &v->listeners;
    config_view_access(v, c);
    v->options.access = &v->access;
    v->options.namespaces = &v->namespaces;
    v->options.limits = &v->limits;
    v->options.log = &v->log;
    v->state.file = c->state_file;
    v->options.state = &v->state;
    v->process.config_watch = (char *)(uintptr_t)config_option_find("config_watch")->names[c->config_watch];
    v->process.sandbox = (char *)(uintptr_t)config_option_find("sandbox")->names[c->sandbox];
    v->options.process = &v->process;
    v->message.options = &v->options;
}

/* ---- Set ---- */

/* An error of struct config names the option; the client knows the field: "queue_rows: value …" becomes
 * "options.limits.queue_rows: value …". */
static int rename_error(struct err *e, int rc, const struct config_option *option, const char *path)
{
    if (!e)
        return rc;
    size_t n = strlen(option->name);
    if (strncmp(e->text, option->name, n) == 0 && strncmp(e->text + n, ": ", 2) == 0)
        memmove(e->text, e->text + n + 2, strlen(e->text + n + 2) + 1);
    err_prefix(e, "%s", path);
    return rc;
}

int config_apply_text(struct config_apply *a, const char *name, const char *text)
{
    const struct config_option *option = config_option_find(name);
    int rc = config_set_text(a->candidate, option, text, a->e);
    return rc < 0 ? rename_error(a->e, rc, option, path_of(option)) : 0;
}

static int apply_uint(struct config_apply *a, const char *name, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof(text), "%" PRIu32, value);
    return config_apply_text(a, name, text);
}

/* A number whose zero says that it is not given. */
static int apply_number(struct config_apply *a, const char *name, uint32_t value)
{
    return value ? apply_uint(a, name, value) : 0;
}

static int apply_limits(struct config_apply *a, const XtcpConfig__V1__Limits *limits)
{
    const struct {
        const char *option;
        uint32_t value;
    } numbers[] = {
        {"queue_rows", limits->queue_rows},
        {"subscribers_max", limits->subscribers_max},
        {"collector_threads_max", limits->collector_threads_max},
        {"connections_max", limits->connections_max},
        {"connection_calls_max", limits->connection_calls_max},
        {"control_calls_max", limits->control_calls_max},
        {"focus_streams_max", limits->focus_streams_max},
        {"focus_sockets_max", limits->focus_sockets_max},
        {"focus_rate_max", limits->focus_rate_max},
        {"calls_max", limits->calls_max},
        {"queue_memory_max", limits->queue_memory_max},
        {"calls_rate_max", limits->calls_rate_max},
        {"user_share_percent", limits->user_share_percent},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && rc == 0; i++)
        rc = apply_number(a, numbers[i].option, numbers[i].value);
    if (rc == 0 && limits->reserve)
        rc = apply_uint(a, "reserved_percent", limits->reserve->percent);
    if (rc == 0 && limits->cpu)
        rc = apply_uint(a, "max_cpu_percent", limits->cpu->max_percent);
    return rc;
}

/* Whether |items| mean the same as |list|, one by one: localhost:1 and 127.0.0.1:1 do. */
static bool same_list(const struct config_option *option, const struct config_strings *list,
                      char *const *items, size_t n)
{
    if (n != list->n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!option->same_item(items[i], list->items[i]))
            return false;
    }
    return true;
}

int config_apply_list(struct config_apply *a, const char *name, char *const *items, size_t n)
{
    const struct config_option *option = config_option_find(name);
    char quoted[CONFIG_QUOTE_MAX];
    if (n < (uint64_t)option->min || n > (uint64_t)option->max)
        return err_set(a->e, ERR_RANGE, "%s: %zu entries; allowed %" PRId64 " to %" PRId64, path_of(option),
                       n, option->min, option->max);
    for (size_t i = 0; i < n; i++) {
        int rc = option->check_item(items[i], a->e);
        if (rc < 0) {
            err_prefix(a->e, "%s: \"%s\"", path_of(option), config_quote(items[i], quoted));
            return rc;
        }
    }
    struct config_strings *field = (struct config_strings *)((char *)a->candidate + option->offset);
    if (same_list(option, field, items, n))
        return 0;
    return config_set_strings(a->candidate, field, (const char *const *)items, n);
}

static int apply_namespaces(struct config_apply *a, const XtcpConfig__V1__Namespaces *ns)
{
    int rc = 0;
    if (ns->directories)
        rc = config_apply_list(a, "netns_dirs", ns->directories->path, ns->directories->n_path);
    if (rc == 0 && ns->include)
        rc = config_apply_list(a, "netns_include", ns->include->item, ns->include->n_item);
    if (rc == 0 && ns->exclude)
        rc = config_apply_list(a, "netns_exclude", ns->exclude->item, ns->exclude->n_item);
    if (rc < 0 || !ns->proc_scan_interval)
        return rc;
    const struct config_option *option = config_option_find("proc_scan_interval");
    int64_t interval;
    rc = config_duration_ns(ns->proc_scan_interval, path_of(option), &interval, a->e);
    if (rc < 0)
        return rc;
    if (interval < 0)
        return config_duration_check(interval, path_of(option), 0, 0, false, a->e);
    char text[DURATION_TEXT_MAX];
    duration_format(interval, text);
    return config_apply_text(a, option->name, text);
}

/* The level shows twice, as debug_level too: one of them may differ from what is in force, or both when they
 * agree. */
static int apply_log(struct config_apply *a, const XtcpConfig__V1__Log *log)
{
    int rc = 0;
    if (log->level[0] && strcmp(log->level, log_level_names[a->in_force->log_level]) != 0) {
        enum log_level by_number = a->candidate->log_level;
        rc = config_apply_text(a, "log_level", log->level);
        if (rc == 0 && a->candidate->debug_level != a->in_force->debug_level &&
            a->candidate->log_level != by_number)
            rc = err_set(a->e, ERR_RANGE,
                         "options.log.level: value \"%s\" contradicts debug_level, whose %" PRIu32
                         " means \"%s\"",
                         log->level, a->candidate->debug_level, log_level_names[by_number]);
    }
    if (rc == 0 && log->format[0])
        rc = config_apply_text(a, "log_format", log->format);
    return rc;
}

/* The first TCP listener of |c|, or c->grpc_listen.n. */
static size_t first_tcp(const struct config *c, struct config_listen *out)
{
    size_t i = 0;
    for (; i < c->grpc_listen.n; i++) {
        if (config_listen_parse(c->grpc_listen.items[i], out, NULL) == 0 && out->kind == CONFIG_LISTEN_TCP)
            break;
    }
    return i;
}

int config_apply_port(struct config_apply *a, uint32_t port)
{
    struct config_listen listen;
    char text[80];
    size_t i = first_tcp(a->candidate, &listen);
    if (i == a->candidate->grpc_listen.n)
        return err_set(a->e, ERR_RANGE,
                       "grpc_port: value \"%" PRIu32 "\": no listener in grpc_listen has a port", port);
    const char *old = a->candidate->grpc_listen.items[i];
    snprintf(text, sizeof(text), "%.*s:%" PRIu32, (int)(strrchr(old, ':') - old), old, port);
    const char *items[CONFIG_LISTEN_MAX];
    for (size_t k = 0; k < a->candidate->grpc_listen.n; k++)
        items[k] = k == i ? text : a->candidate->grpc_listen.items[k];
    return config_set_strings(a->candidate, &a->candidate->grpc_listen, items, a->candidate->grpc_listen.n);
}

/* A port shows twice, as grpc_port too: one of them may differ from what is in force, or both when they
 * agree. */
static int apply_listeners(struct config_apply *a, const XtcpConfig__V1__Listeners *listeners)
{
    struct config_listen listen;
    const struct config_option *option = config_option_find("grpc_listen");
    if (same_list(option, &a->in_force->grpc_listen, listeners->listen, listeners->n_listen))
        return 0;
    int rc = config_apply_list(a, "grpc_listen", listeners->listen, listeners->n_listen);
    if (rc || !a->port)
        return rc;
    if (first_tcp(a->candidate, &listen) < a->candidate->grpc_listen.n && listen.port == a->port)
        return 0;
    return err_set(a->e, ERR_RANGE,
                   "options.listeners.listen contradicts grpc_port, which is \"%" PRIu32 "\"", a->port);
}

int config_apply_options(struct config_apply *a, const XtcpConfig__V1__DaemonOptions *options)
{
    int rc = 0;
    if (options->listeners)
        rc = apply_listeners(a, options->listeners);
    if (rc == 0 && options->access)
        rc = config_apply_access(a, options->access);
    if (rc == 0 && options->namespaces)
        rc = apply_namespaces(a, options->namespaces);
    if (rc == 0 && options->limits)
        rc = apply_limits(a, options->limits);
    if (rc == 0 && options->state && options->state->file[0])
        rc = config_apply_text(a, "state_file", options->state->file);
    if (rc == 0 && options->process && options->process->sandbox[0])
        rc = config_apply_text(a, "sandbox", options->process->sandbox);
    if (rc == 0 && options->process && options->process->config_watch[0])
        rc = config_apply_text(a, "config_watch", options->process->config_watch);
    if (rc == 0 && options->log)
        rc = apply_log(a, options->log);
    return rc;
}
