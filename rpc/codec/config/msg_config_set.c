/* Set and SetPollFrequency: from a request to a changed copy of the configuration. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/url.h"
#include "rpc/codec/config/msg_config_internal.h"
#include "rpc/codec/msg_check.h"

#define WEEK_S 604800

/* ---- One function for each kind of field ---- */

/* A field that is set. */
struct field_args {
    struct config_apply *a;
    const struct config_field *row;
    const XtcpConfig__V1__XtcpConfig *m;
    struct config_place p; /* its place in |m| */
};

/* The error for a |value| other than |in_force|, which this daemon cannot change. */
static int refuse(const struct field_args *x, const char *value, const char *in_force)
{
    return err_set(x->a->e, ERR_UNSUPPORTED,
                   "%s: value \"%s\" is not supported by this daemon, which has \"%s\": %s", x->row->name,
                   value, in_force, x->row->why);
}

static int refuse_number(const struct field_args *x, uint64_t in_force)
{
    uint64_t value = config_place_number(&x->p);
    char texts[2][24];
    if (value == in_force)
        return 0;
    if (x->p.f->type == PROTOBUF_C_TYPE_BOOL)
        return refuse(x, value ? "true" : "false", in_force ? "true" : "false");
    snprintf(texts[0], sizeof(texts[0]), "%" PRIu64, value);
    snprintf(texts[1], sizeof(texts[1]), "%" PRIu64, in_force);
    return refuse(x, texts[0], texts[1]);
}

static int refuse_text(const struct field_args *x, const char *in_force)
{
    const char *value = *(char *const *)x->p.at;
    char quoted[CONFIG_QUOTE_MAX], quoted_in_force[CONFIG_QUOTE_MAX];
    if (strcmp(value, in_force) == 0)
        return 0;
    return refuse(x, x->row->secret ? "***" : config_quote(value, quoted),
                  config_quote(in_force, quoted_in_force));
}

static int apply_fixed(const struct field_args *x)
{
    if (x->p.f->label == PROTOBUF_C_LABEL_REPEATED)
        return err_set(x->a->e, ERR_UNSUPPORTED, "%s: not supported by this daemon, which has none: %s",
                       x->row->name, x->row->why);
    if (x->p.f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const Google__Protobuf__Duration *d = *(Google__Protobuf__Duration *const *)x->p.at;
        return err_set(x->a->e, ERR_UNSUPPORTED,
                       "%s: value \"%" PRId64 ".%09" PRId32
                       "s\" is not supported by this daemon, which has none: %s",
                       x->row->name, d->seconds, d->nanos, x->row->why);
    }
    if (x->p.f->type == PROTOBUF_C_TYPE_STRING)
        return refuse_text(x, x->row->fixed_text ? x->row->fixed_text : "");
    return refuse_number(x, x->row->fixed_number);
}

/* When a key comes twice, the last value counts, as in every map. */
static int apply_groups(const struct field_args *x, groups_t *out)
{
    const XtcpConfig__V1__EnabledDeserializers *set = x->m->enabled_deserializers;
    groups_t groups = 0;
    for (size_t i = 0; i < set->n_enabled; i++) {
        char quoted[CONFIG_QUOTE_MAX];
        int group = group_by_name(set->enabled[i]->key);
        if (group < 0)
            return err_set(x->a->e, ERR_UNKNOWN, "%s: there is no \"%s\"", x->row->name,
                           config_quote(set->enabled[i]->key, quoted));
        groups = set->enabled[i]->value ? groups | GROUP_BIT(group) : groups & ~GROUP_BIT(group);
    }
    *out = groups;
    return 0;
}

/* Whether |text| is how |value|, a URL, is shown. */
static bool is_shown(const char *text, const char *value)
{
    char *safe = url_safe(value);
    bool same = safe && strcmp(safe, text) == 0;
    free(safe);
    return same;
}

/* A hostname that was the machine's own stays so when it is told back, as does a secret that was not shown. */
static int apply_text(const struct field_args *x, const struct config_option *option, char **value)
{
    const char *text = *(char *const *)x->p.at;
    if (strcmp(text, *value) == 0 || (option->secret_url && is_shown(text, *value)))
        return 0;
    return config_set_string(x->a->candidate, value, text);
}

/* The value is within the bounds of the field; those of the option are checked with the whole configuration. */
static int apply_option(const struct field_args *x)
{
    const struct config_option *option = config_field_option(x->row);
    void *value = (char *)x->a->candidate + option->offset;
    switch (option->type) {
    case CONFIG_DURATION:
        return config_duration_ns(*(Google__Protobuf__Duration *const *)x->p.at, x->row->name, value,
                                  x->a->e);
    case CONFIG_UINT:
        *(uint32_t *)value = (uint32_t)config_place_number(&x->p);
        return 0;
    case CONFIG_BOOL:
        *(bool *)value = config_place_number(&x->p) != 0;
        return 0;
    case CONFIG_STRING:
        return apply_text(x, option, value);
    case CONFIG_GROUPS:
        return apply_groups(x, value);
    default:
        return config_apply_option(x->a, option, &x->p);
    }
}

static int apply_debug_level(const struct field_args *x)
{
    config_set_debug_level(x->a->candidate, x->m->debug_level);
    return 0;
}

static int apply_port(const struct field_args *x)
{
    uint32_t port = x->m->grpc_port;
    if (port == config_port_of(x->a->in_force, x->a->extra))
        return 0;
    x->a->port = port;
    return config_apply_port(x->a, port);
}

static int apply_version(const struct field_args *x)
{
    return refuse_text(x, x->a->extra->daemon_version ? x->a->extra->daemon_version : "");
}

static int apply_generation(const struct field_args *x)
{
    if (x->m->generation == x->a->in_force->generation)
        return 0;
    return err_set(x->a->e, ERR_STALE,
                   "generation: value \"%" PRIu64 "\" is not the one in force, \"%" PRIu64 "\"",
                   x->m->generation, x->a->in_force->generation);
}

static int apply_options(const struct field_args *x)
{
    return config_apply_options(x->a, x->m);
}

static int (*const apply_functions[])(const struct field_args *) = {
    [CONFIG_FIELD_FIXED] = apply_fixed,
    [CONFIG_FIELD_OPTION] = apply_option,
    [CONFIG_FIELD_DEBUG_LEVEL] = apply_debug_level,
    [CONFIG_FIELD_PORT] = apply_port,
    [CONFIG_FIELD_VERSION] = apply_version,
    [CONFIG_FIELD_GENERATION] = apply_generation,
    [CONFIG_FIELD_OPTIONS] = apply_options,
};

/* ---- The whole message ---- */

/* Whether the field at |p| is absent or zero, which only messages distinguish. */
static bool is_zero(const struct config_field *row, const struct config_place *p)
{
    if (config_place_absent(p) || row->required || config_place_kind(p) != CONFIG_PLACE_DURATION)
        return config_place_absent(p);
    const Google__Protobuf__Duration *d = *(Google__Protobuf__Duration *const *)p->at;
    return d->seconds == 0 && d->nanos == 0;
}

/* A required number whose bounds include zero: in proto3 its absence looks like its zero. */
static bool zero_is_value(const struct config_field *row, const struct config_place *p)
{
    return row->required && row->min == 0 && p->f->type != PROTOBUF_C_TYPE_MESSAGE;
}

/* Whether every required field that cannot be zero is present. */
static bool is_complete(const XtcpConfig__V1__XtcpConfig *m)
{
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *row = &config_fields[i];
        struct config_place p = config_field_place(row, m);
        if (row->required && !zero_is_value(row, &p) && is_zero(row, &p))
            return false;
    }
    return true;
}

static int apply_message(struct config_apply *a, const XtcpConfig__V1__XtcpConfig *m)
{
    bool complete = is_complete(m);
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *row = &config_fields[i];
        struct field_args x = {.a = a, .row = row, .m = m, .p = config_field_place(row, m)};
        if (is_zero(row, &x.p) && !(zero_is_value(row, &x.p) && complete))
            continue;
        int rc = config_field_check(row, &x.p, a->e);
        if (rc == 0)
            rc = apply_functions[row->kind](&x);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- Reset ---- */

static int apply_reset(struct config_apply *a, char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char quoted[CONFIG_QUOTE_MAX];
        const struct config_field *row = config_field_find(names[i]);
        const struct config_option *option = row ? config_field_option(row) : config_option_by_wire(names[i]);
        if (!row && !option)
            return err_set(a->e, ERR_UNKNOWN, "reset: there is no field \"%s\"",
                           config_quote(names[i], quoted));
        if (option == &config_options[CONFIG_OPTION_log_level])
            config_set_debug_level(a->candidate, 0); /* the number follows from the name: config_normalise */
        /* A field without an option has one value, so it is at its default. */
        int rc = option ? config_set_text(a->candidate, option, option->default_value, a->e) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- The result ---- */

/* Refuses a candidate that differs in an option which takes a restart. */
static int check_reload(const struct config_apply *a)
{
    const struct config_option *changed[CONFIG_OPTION_COUNT];
    size_t n = config_diff(a->in_force, a->candidate, changed, CONFIG_OPTION_COUNT);
    for (size_t i = 0; i < n; i++) {
        if (changed[i]->reload == CONFIG_HOT)
            continue;
        char storage[128];
        struct buf value;
        buf_init_fixed(&value, storage, sizeof(storage));
        config_option_print(changed[i], a->in_force, &value);
        return err_set(
            a->e, ERR_UNSUPPORTED,
            "%s: cannot be changed while the daemon runs; in force is \"%s\" (option %s, at the next start)",
            changed[i]->wire, buf_cstr(&value), changed[i]->name);
    }
    return 0;
}

static void add_name(struct config_msg_set *set, const char *name)
{
    if (set->n_changed < CONFIG_MSG_CHANGED_MAX)
        set->changed[set->n_changed++] = name;
}

/* The options that differ from those in force. */
struct changes {
    const struct config_option *list[CONFIG_OPTION_COUNT];
    size_t n;
};

static bool has_changed(const struct changes *changes, const struct config_option *option)
{
    for (size_t i = 0; i < changes->n; i++) {
        if (changes->list[i] == option)
            return true;
    }
    return false;
}

/* Names every field that shows a changed option. */
static void list_changes(const struct config *in_force, struct config_msg_set *set)
{
    struct changes changes;
    const struct config_option *option;
    changes.n = config_diff(in_force, set->candidate, changes.list, CONFIG_OPTION_COUNT);
    set->n_changed = 0;
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *row = &config_fields[i];
        /* The number can change without the level that it means. */
        bool number =
            row->kind == CONFIG_FIELD_DEBUG_LEVEL && in_force->debug_level != set->candidate->debug_level;
        if (number || has_changed(&changes, config_field_option(row)))
            add_name(set, row->name);
    }
    for (size_t i = 0; (option = config_nested_option(i)); i++) {
        if (has_changed(&changes, option))
            add_name(set, option->wire);
    }
}

/* Completes and checks the candidate, and hands it over to the caller; frees it when that fails, or when |rc| is an
 * error already. */
static int finish(struct config_apply *a, int rc, struct config_msg_set *out)
{
    if (rc == 0)
        rc = config_normalise(a->candidate);
    if (rc == 0)
        rc = config_validate(a->candidate, a->e);
    if (rc == 0)
        rc = check_reload(a);
    if (rc < 0) {
        config_unref(a->candidate);
        return rc == -ENOMEM ? err_set(a->e, rc, "out of memory") : rc;
    }
    out->candidate = a->candidate;
    list_changes(a->in_force, out);
    return 0;
}

int config_msg_apply_set(const void *request, size_t len, const struct config *in_force,
                         const struct config_msg_extra *extra, struct config_msg_set *out, struct err *e)
{
    ProtobufCMessage *unpacked;
    *out = (struct config_msg_set){0};
    int rc = msg_check_unpack(&xtcp_config__v1__set_request__descriptor, request, len, true, &unpacked, e);
    if (rc < 0)
        return rc;
    const XtcpConfig__V1__SetRequest *m = (const XtcpConfig__V1__SetRequest *)unpacked;
    struct config_apply a = {
        .in_force = in_force, .extra = extra, .candidate = config_copy(in_force), .e = e};
    if (!a.candidate) {
        rc = err_set(e, -ENOMEM, "out of memory");
    } else {
        rc = apply_reset(&a, m->reset, m->n_reset);
        if (rc == 0 && m->config)
            rc = apply_message(&a, m->config);
        rc = finish(&a, rc, out);
    }
    if (rc == 0)
        out->dry_run = m->dry_run;
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return rc;
}

/* ---- SetPollFrequency ---- */

/* Reads a required duration of the request. */
static int required_duration(const Google__Protobuf__Duration *d, const char *name, bool above, int64_t *ns,
                             struct err *e)
{
    if (!d)
        return err_set(e, ERR_RANGE, "%s: is required; allowed %s 0s, at most %us", name,
                       above ? "more than" : "at least", WEEK_S);
    int rc = config_duration_ns(d, name, ns, e);
    return rc < 0 ? rc : config_duration_check(*ns, name, 0, WEEK_S, above, e);
}

int config_msg_apply_poll_frequency(const void *request, size_t len, const struct config *in_force,
                                    struct config_msg_set *out, struct err *e)
{
    ProtobufCMessage *unpacked;
    *out = (struct config_msg_set){0};
    int rc = msg_check_unpack(&xtcp_config__v1__set_poll_frequency_request__descriptor, request, len, true,
                              &unpacked, e);
    if (rc < 0)
        return rc;
    const XtcpConfig__V1__SetPollFrequencyRequest *m =
        (const XtcpConfig__V1__SetPollFrequencyRequest *)unpacked;
    struct config_apply a = {.in_force = in_force, .candidate = config_copy(in_force), .e = e};
    if (!a.candidate) {
        rc = err_set(e, -ENOMEM, "out of memory");
    } else {
        rc = required_duration(m->poll_frequency, "poll_frequency", true, &a.candidate->poll_frequency, e);
        if (rc == 0)
            rc = required_duration(m->poll_timeout, "poll_timeout", false, &a.candidate->poll_timeout, e);
        rc = finish(&a, rc, out);
    }
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return rc;
}
