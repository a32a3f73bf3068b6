/* DaemonOptions.access: all of its fields follow from the type of their option. */
#include "rpc/codec/config/msg_config_int.h"

#define MEMBER(field) offsetof(XtcpConfig__V1__Access, field)

static const struct {
    const char *option;
    size_t member; /* offset in the message: Texts * of a list, a boolean of a switch, else char * */
} rows[] = {
    {"grpc_insecure", MEMBER(insecure)},
    {"grpc_health_listen", MEMBER(health_listen)},
    {"grpc_tls_listen", MEMBER(tls_listen)},
    {"tls_cert_file", MEMBER(tls_cert_file)},
    {"tls_key_file", MEMBER(tls_key_file)},
    {"tls_client_ca_file", MEMBER(tls_client_ca_file)},
    {"unix_socket_mode", MEMBER(unix_socket_mode)},
    {"unix_socket_group", MEMBER(unix_socket_group)},
    {"access_control_uids", MEMBER(control_uids)},
    {"access_read_uids", MEMBER(read_uids)},
    {"access_control_names", MEMBER(control_names)},
    {"access_read_names", MEMBER(read_names)},
    {"token_file", MEMBER(token_file)},
    {"access_anonymous_role", MEMBER(anonymous_role)},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- Get ---- */

static void view_list(struct config_view *v, const struct config_strings *list, XtcpConfig__V1__Texts **out)
{
    XtcpConfig__V1__Texts *texts = &v->texts[v->n_texts++];
    xtcp_config__v1__texts__init(texts);
    texts->n_item = list->n;
    texts->item = list->items;
    *out = texts;
}

void config_view_access(struct config_view *v, const struct config *c)
{
    xtcp_config__v1__access__init(&v->access);
    v->n_texts = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const struct config_option *o = config_option_find(rows[i].option);
        const void *field = (const char *)c + o->offset;
        void *member = (char *)&v->access + rows[i].member;
        if (o->type == CONFIG_LIST)
            view_list(v, field, member);
        else if (o->type == CONFIG_BOOL)
            *(protobuf_c_boolean *)member = *(const bool *)field;
        else if (o->type == CONFIG_ENUM)
            *(char **)member = (char *)(uintptr_t)o->names[*(const unsigned *)field];
        else
            *(char **)member = *(char *const *)field;
    }
}

/* ---- Set ---- */

static int apply_row(struct config_apply *a, const struct config_option *o, const void *member)
{
    if (o->type == CONFIG_LIST) {
        const XtcpConfig__V1__Texts *texts = *(XtcpConfig__V1__Texts *const *)member;
        return texts ? config_apply_list(a, o->name, texts->item, texts->n_item) : 0;
    }
    if (o->type == CONFIG_BOOL)
        return *(const protobuf_c_boolean *)member ? config_apply_text(a, o->name, "true") : 0;
    const char *text = *(char *const *)member;
    return *text ? config_apply_text(a, o->name, text) : 0;
}

int config_apply_access(struct config_apply *a, const XtcpConfig__V1__Access *access)
{
    int rc = 0;
    for (size_t i = 0; i < ROWS && rc == 0; i++)
        rc = apply_row(a, config_option_find(rows[i].option), (const char *)access + rows[i].member);
    return rc;
}
