/* From struct config to XtcpConfig: what every response of ConfigService carries. */
#include <errno.h>
#include <string.h>

#include "rpc/codec/config/msg_config_int.h"

#define DEFAULT_PORT 8889 /* what grpc_port says when there is no TCP listener */

/* protobuf-c has no const strings; packing does not write to them. */
static char *wire_text(const char *text)
{
    return text ? (char *)(uintptr_t)text : (char *)protobuf_c_empty_string;
}

uint32_t config_view_port(const struct config *c, const struct config_msg_extra *extra)
{
    if (extra->grpc_port)
        return extra->grpc_port;
    for (size_t i = 0; i < c->grpc_listen.n; i++) {
        struct config_listen listen;
        if (config_listen_parse(c->grpc_listen.items[i], &listen, NULL) == 0 &&
            listen.kind == CONFIG_LISTEN_TCP && listen.port != 0)
            return listen.port;
    }
    return DEFAULT_PORT;
}

/* ---- One function for each kind of field ---- */

struct view_args {
    struct config_view *view;
    const struct config *c;
    const struct config_msg_extra *extra;
    const struct config_field *row;
    const ProtobufCFieldDescriptor *f;
    void *at; /* the field in the view's message */
};

static const void *option_value(const struct view_args *a)
{
    return (const char *)a->c + config_option_find(a->row->option)->offset;
}

static void view_fixed(const struct view_args *a)
{
    switch (a->f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)a->at = (uint32_t)a->row->fixed_number;
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)a->at = a->row->fixed_number;
        break;
    case PROTOBUF_C_TYPE_STRING:
        if (a->f->label != PROTOBUF_C_LABEL_REPEATED)
            *(char **)a->at = wire_text(a->row->fixed_text);
        break;
    default:
        break; /* a bool that is false, a Duration that is absent */
    }
}

Google__Protobuf__Duration *config_view_duration(struct config_view *v, int64_t ns)
{
    Google__Protobuf__Duration *d = &v->durations[v->n_durations++];
    google__protobuf__duration__init(d);
    config_duration_set(d, ns);
    return d;
}

static void view_duration(const struct view_args *a)
{
    *(Google__Protobuf__Duration **)a->at = config_view_duration(a->view, *(const int64_t *)option_value(a));
}

static void view_number(const struct view_args *a)
{
    const void *value = option_value(a);
    switch (a->f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)a->at = *(const bool *)value;
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)a->at = *(const uint32_t *)value;
        break;
    default:
        *(uint32_t *)a->at = *(const uint32_t *)value;
    }
}

static void view_text(const struct view_args *a)
{
    *(char **)a->at = wire_text(*(char *const *)option_value(a));
}

static void view_groups(const struct view_args *a)
{
    struct config_view *v = a->view;
    xtcp_config__v1__enabled_deserializers__init(&v->deserializers);
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        xtcp_config__v1__enabled_deserializers__enabled_entry__init(&v->entries[i]);
        v->entries[i].key = wire_text(group_names[i]);
        v->entries[i].value = (a->c->groups & GROUP_BIT(i)) != 0;
        v->entry_list[i] = &v->entries[i];
    }
    v->deserializers.n_enabled = GROUP_COUNT;
    v->deserializers.enabled = v->entry_list;
    v->message.enabled_deserializers = &v->deserializers;
}

static void view_debug_level(const struct view_args *a)
{
    a->view->message.debug_level = a->c->debug_level;
}

static void view_port(const struct view_args *a)
{
    a->view->message.grpc_port = config_view_port(a->c, a->extra);
}

static void view_version(const struct view_args *a)
{
    a->view->message.daemon_version = wire_text(a->extra->daemon_version);
}

static void view_generation(const struct view_args *a)
{
    a->view->message.generation = a->c->generation;
}

static void view_options(const struct view_args *a)
{
    config_view_options(a->view, a->c);
}

static void (*const view_functions[])(const struct view_args *) = {
    [CONFIG_FIELD_FIXED] = view_fixed,
    [CONFIG_FIELD_DURATION] = view_duration,
    [CONFIG_FIELD_NUMBER] = view_number,
    [CONFIG_FIELD_TEXT] = view_text,
    [CONFIG_FIELD_GROUPS] = view_groups,
    [CONFIG_FIELD_DEBUG_LEVEL] = view_debug_level,
    [CONFIG_FIELD_PORT] = view_port,
    [CONFIG_FIELD_VERSION] = view_version,
    [CONFIG_FIELD_GENERATION] = view_generation,
    [CONFIG_FIELD_OPTIONS] = view_options,
};

void config_view_init(struct config_view *v, const struct config *c, const struct config_msg_extra *extra)
{
    xtcp_config__v1__xtcp_config__init(&v->message);
    v->n_durations = 0;
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        struct view_args a = {.view = v, .c = c, .extra = extra, .row = &config_fields[i]};
        a.f = config_field_descriptor(a.row);
        a.at = config_field_at(&v->message, a.f);
        view_functions[a.row->kind](&a);
    }
}

int config_msg_pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    char *to = buf_reserve(out, n);
    if (!to)
        return -ENOMEM;
    out->len += protobuf_c_message_pack(message, (uint8_t *)to);
    return 0;
}

int config_msg_encode_reply(const struct config *c, const struct config_msg_extra *extra,
                            const char *const *changed, size_t n_changed, struct buf *out)
{
    struct config_view v;
    config_view_init(&v, c, extra);
    char *names[CONFIG_MSG_CHANGED_MAX];
    /* The other responses with a configuration are a SetResponse without |changed|. */
    XtcpConfig__V1__SetResponse reply = XTCP_CONFIG__V1__SET_RESPONSE__INIT;
    reply.config = &v.message;
    reply.changed = names;
    for (; reply.n_changed < n_changed && reply.n_changed < CONFIG_MSG_CHANGED_MAX; reply.n_changed++)
        names[reply.n_changed] = wire_text(changed[reply.n_changed]);
    return config_msg_pack(&reply.base, out);
}
