/* Set: the fields in XtcpConfig.options, one message for each topic, and how each kind of field is read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/duration.h"
#include "rpc/codec/config/msg_config_internal.h"

/* ---- One value ---- */

/* An error of struct config names the option; the client knows the field: "queue_rows: value …" becomes
 * "options.limits.queue_rows: value …". */
static int rename_error(struct err *e, int rc, const struct config_option *option)
{
    if (!e)
        return rc;
    size_t n = strlen(option->name);
    if (strncmp(e->text, option->name, n) == 0 && strncmp(e->text + n, ": ", 2) == 0)
        memmove(e->text, e->text + n + 2, strlen(e->text + n + 2) + 1);
    err_prefix(e, "%s", option->wire);
    return rc;
}

/* Sets |option| of the candidate from its text form. */
static int apply_text(struct config_apply *a, const struct config_option *option, const char *text)
{
    int rc = config_set_text(a->candidate, option, text, a->e);
    return rc < 0 ? rename_error(a->e, rc, option) : 0;
}

static int apply_uint(struct config_apply *a, const struct config_option *option, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return apply_text(a, option, text);
}

static int apply_duration(struct config_apply *a, const struct config_option *option,
                          const Google__Protobuf__Duration *d)
{
    int64_t ns;
    char text[DURATION_TEXT_MAX];
    int rc = config_duration_ns(d, option->wire, &ns, a->e);
    if (rc < 0)
        return rc;
    if (ns < 0)
        return config_duration_check(ns, option->wire, 0, 0, false, a->e);
    duration_format(ns, text);
    return apply_text(a, option, text);
}

/* ---- Lists ---- */

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

/* Replaces the list |option| of the candidate. Its items are checked one by one, as they may hold the separator of the
 * text form. */
static int apply_list(struct config_apply *a, const struct config_option *option, char *const *items,
                      size_t n)
{
    char quoted[CONFIG_QUOTE_MAX];
    if (n < (uint64_t)option->min || n > (uint64_t)option->max)
        return err_set(a->e, ERR_RANGE, "%s: %zu entries; allowed %" PRId64 " to %" PRId64, option->wire, n,
                       option->min, option->max);
    for (size_t i = 0; i < n; i++) {
        int rc = option->check_item(items[i], a->e);
        if (rc < 0) {
            err_prefix(a->e, "%s: \"%s\"", option->wire, config_quote(items[i], quoted));
            return rc;
        }
    }
    struct config_strings *field = (struct config_strings *)((char *)a->candidate + option->offset);
    if (same_list(option, field, items, n))
        return 0;
    return config_set_strings(a->candidate, field, (const char *const *)items, n);
}

/* ---- Options that another field of XtcpConfig shows, too ---- */

/* The level shows as debug_level, too: one of them may differ from the value in force, or both when they agree. */
static int apply_log_level(struct config_apply *a, const struct config_option *option, const char *level)
{
    enum log_level by_number = a->candidate->log_level;
    if (strcmp(level, log_level_names[a->in_force->log_level]) == 0)
        return 0;
    int rc = apply_text(a, option, level);
    if (rc < 0 || a->candidate->debug_level == a->in_force->debug_level ||
        a->candidate->log_level == by_number)
        return rc;
    return err_set(a->e, ERR_RANGE,
                   "%s: value \"%s\" contradicts debug_level, whose %" PRIu32 " means \"%s\"", option->wire,
                   level, a->candidate->debug_level, log_level_names[by_number]);
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

/* A port shows as grpc_port, too: one of them may differ from the value in force, or both when they agree. */
static int apply_listeners(struct config_apply *a, const struct config_option *option, char *const *items,
                           size_t n)
{
    struct config_listen listen;
    if (same_list(option, &a->in_force->grpc_listen, items, n))
        return 0;
    int rc = apply_list(a, option, items, n);
    if (rc || !a->port)
        return rc;
    if (first_tcp(a->candidate, &listen) < a->candidate->grpc_listen.n && listen.port == a->port)
        return 0;
    return err_set(a->e, ERR_RANGE, "%s contradicts grpc_port, which is \"%" PRIu32 "\"", option->wire,
                   a->port);
}

/* ---- All of them ---- */

/* A zero says that a number is not given. A number that is alone in its message is given whenever the message is. */
static bool number_is_given(const struct config_place *p)
{
    return config_place_number(p) != 0 || p->parent->descriptor->n_fields == 1;
}

/* A list is given with the message around it. */
static int apply_list_at(struct config_apply *a, const struct config_option *option,
                         const struct config_place *p)
{
    struct config_place list = config_place_list(p);
    if (!list.f)
        return 0;
    char *const *items = *(char **const *)list.at;
    size_t n = *config_place_count(&list);
    if (option == &config_options[CONFIG_OPTION_grpc_listen])
        return apply_listeners(a, option, items, n);
    return apply_list(a, option, items, n);
}

int config_apply_option(struct config_apply *a, const struct config_option *option,
                        const struct config_place *p)
{
    bool given = !config_place_absent(p);
    switch (config_place_kind(p)) {
    case CONFIG_PLACE_NUMBER:
        return number_is_given(p) ? apply_uint(a, option, config_place_number(p)) : 0;
    case CONFIG_PLACE_BOOL:
        return given ? apply_text(a, option, "true") : 0;
    case CONFIG_PLACE_TEXT:
        if (given && option == &config_options[CONFIG_OPTION_log_level])
            return apply_log_level(a, option, *(char *const *)p->at);
        return given ? apply_text(a, option, *(char *const *)p->at) : 0;
    case CONFIG_PLACE_DURATION:
        return given ? apply_duration(a, option, *(Google__Protobuf__Duration *const *)p->at) : 0;
    case CONFIG_PLACE_LIST:
    case CONFIG_PLACE_WRAPPED:
        return apply_list_at(a, option, p);
    case CONFIG_PLACE_OUTPUTS:
        return config_apply_outputs(a, option, p);
    default:
        return 0; /* no option has such a field */
    }
}

int config_apply_options(struct config_apply *a, const XtcpConfig__V1__XtcpConfig *m)
{
    const struct config_option *option;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (option = config_nested_option(i)); i++) {
        struct config_place p = config_place_find(&m->base, option->wire);
        if (p.f)
            rc = config_apply_option(a, option, &p);
    }
    return rc;
}
