/* From struct config to XtcpConfig, which every response of ConfigService carries. */
#include <errno.h>
#include <string.h>

#include "rpc/codec/config/msg_config_internal.h"

#define DEFAULT_PORT 8889 /* the value of grpc_port when there is no TCP listener */

uint32_t config_port_of(const struct config *c, const struct config_msg_extra *extra)
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

/* ---- Options ---- */

static int put_list(const struct config_place *p, const struct config_strings *strings)
{
    struct config_place list = config_place_make_list(p);
    int rc = list.f ? 0 : -ENOMEM;
    for (size_t i = 0; i < strings->n && rc == 0; i++)
        rc = config_place_add_text(&list, strings->items[i], strlen(strings->items[i]));
    return rc;
}

/* Every group there is, with whether it is in |groups|. */
static int put_groups(const struct config_place *p, groups_t groups)
{
    struct config_place list = config_place_make_list(p);
    int rc = list.f ? 0 : -ENOMEM;
    for (unsigned i = 0; i < GROUP_COUNT && rc == 0; i++)
        rc = config_place_add_group(&list, group_names[i], strlen(group_names[i]),
                                    (groups & GROUP_BIT(i)) != 0);
    return rc;
}

static int put_option(XtcpConfig__V1__XtcpConfig *m, const struct config_option *o, const struct config *c)
{
    const void *value = (const char *)c + o->offset;
    struct config_place p = config_place_make(&m->base, o->wire);
    if (!p.f)
        return -ENOMEM;
    switch (o->type) {
    case CONFIG_DURATION:
        return config_place_set_duration(&p, *(const int64_t *)value);
    case CONFIG_UINT:
        config_place_set_number(&p, *(const uint32_t *)value);
        break;
    case CONFIG_BOOL:
        config_place_set_number(&p, *(const bool *)value);
        break;
    case CONFIG_STRING:
        return o->secret_url ? config_place_set_url(&p, *(char *const *)value)
                             : config_place_set_text(&p, *(char *const *)value);
    case CONFIG_ENUM:
        return config_place_set_text(&p, o->names[*(const unsigned *)value]);
    case CONFIG_LIST:
        return put_list(&p, value);
    case CONFIG_GROUPS:
        return put_groups(&p, *(const groups_t *)value);
    case CONFIG_OUTPUTS:
        return config_put_outputs(&p, value, false);
    case CONFIG_SIZE:
    case CONFIG_PAIRS:
        break; /* of outputs alone */
    }
    return 0;
}

/* ---- The other fields ---- */

static int put_fixed(const struct config_field *row, const struct config_place *p)
{
    enum config_place_kind kind = config_place_kind(p);
    if (kind == CONFIG_PLACE_TEXT && row->fixed_text)
        return config_place_set_text(p, row->fixed_text);
    if (kind == CONFIG_PLACE_NUMBER)
        config_place_set_number(p, row->fixed_number);
    return 0;
}

static int put_field(XtcpConfig__V1__XtcpConfig *m, const struct config_field *row, const struct config *c,
                     const struct config_msg_extra *extra)
{
    struct config_place p = config_field_place(row, m);
    switch (row->kind) {
    case CONFIG_FIELD_FIXED:
        return put_fixed(row, &p);
    case CONFIG_FIELD_DEBUG_LEVEL:
        config_place_set_number(&p, c->debug_level);
        break;
    case CONFIG_FIELD_PORT:
        config_place_set_number(&p, config_port_of(c, extra));
        break;
    case CONFIG_FIELD_VERSION:
        return extra->daemon_version ? config_place_set_text(&p, extra->daemon_version) : 0;
    case CONFIG_FIELD_GENERATION:
        config_place_set_number(&p, c->generation);
        break;
    case CONFIG_FIELD_OPTION:
    case CONFIG_FIELD_OPTIONS:
        break; /* put_option */
    }
    return 0;
}

/* ---- The message ---- */

XtcpConfig__V1__XtcpConfig *config_message_of(const struct config *c, const struct config_msg_extra *extra)
{
    XtcpConfig__V1__XtcpConfig *m =
        (XtcpConfig__V1__XtcpConfig *)config_message_new(&xtcp_config__v1__xtcp_config__descriptor);
    int rc = m ? 0 : -ENOMEM;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT && rc == 0; i++)
        rc = put_option(m, &config_options[i], c);
    for (size_t i = 0; i < config_field_count && rc == 0; i++)
        rc = put_field(m, &config_fields[i], c, extra);
    if (rc == 0)
        return m;
    if (m)
        protobuf_c_message_free_unpacked(&m->base, NULL);
    return NULL;
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
    /* The other responses with a configuration are a SetResponse without |changed|. */
    XtcpConfig__V1__SetResponse reply = XTCP_CONFIG__V1__SET_RESPONSE__INIT;
    reply.config = config_message_of(c, extra);
    if (!reply.config)
        return -ENOMEM;
    reply.changed = (char **)(uintptr_t)changed; /* packing does not write to it */
    reply.n_changed = n_changed < CONFIG_MSG_CHANGED_MAX ? n_changed : CONFIG_MSG_CHANGED_MAX;
    int rc = config_msg_pack(&reply.base, out);
    protobuf_c_message_free_unpacked(&reply.config->base, NULL);
    return rc;
}
