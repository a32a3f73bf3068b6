/* Whether a call may be made. */
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rpc/server_int.h"

#define NAMES_MAX 32
#define TOKEN_MAX 1024

/* The names that the peer's certificate carries, into |out|. The context owns them. */
static size_t certificate_names(const grpc_auth_context *context, const char *out[NAMES_MAX])
{
    static const char *const kinds[] = {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME};
    size_t n = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, kinds[k]);
        const grpc_auth_property *p;
        while (n < NAMES_MAX && (p = grpc_auth_property_iterator_next(&it)) != NULL) {
            if (strlen(p->value) == p->value_length) /* a NUL inside: a name made to be misread */
                out[n++] = p->value;
        }
    }
    return n;
}

/* The token that the call brings, copied to |out|; false when there is none, or none that could be valid. */
static bool find_token(const grpc_metadata_array *metadata, char out[TOKEN_MAX])
{
    static const char scheme[] = "Bearer ";
    for (size_t i = 0; i < metadata->count; i++) {
        grpc_slice value = metadata->metadata[i].value;
        size_t len = GRPC_SLICE_LENGTH(value);
        const char *text = (const char *)GRPC_SLICE_START_PTR(value);
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "authorization") != 0)
            continue;
        if (len < sizeof(scheme) - 1 || strncasecmp(text, scheme, sizeof(scheme) - 1) != 0)
            return false;
        text += sizeof(scheme) - 1;
        len -= sizeof(scheme) - 1;
        bool fits = len < TOKEN_MAX && !memchr(text, '\0', len);
        memcpy(out, text, fits ? len : 0);
        out[fits ? len : 0] = '\0'; /* the empty token is nobody's */
        return true;
    }
    return false;
}

/* The role of a call that comes with more than its connection. */
static int ask_role(struct rpc_call *c, const char *token, enum rpc_role *role, struct err *e)
{
    const struct rpc_face *f = c->slot->face;
    const struct rpc_server_options *o = &c->server->options;
    const char *names[NAMES_MAX];
    struct rpc_caller caller = {
        .role = f->role, .secure = f->secure, .verified = f->verified, .token = token, .names = names};
    grpc_auth_context *context = f->verified ? grpc_call_auth_context(c->call) : NULL;
    if (context)
        caller.n_names = certificate_names(context, names);
    int rc = o->role(o->app, &caller, role, e);
    grpc_auth_context_release(context);
    return rc;
}

int rpc_call_check(struct rpc_call *c, const struct rpc_method *m, struct err *e)
{
    const struct rpc_face *f = c->slot->face;
    enum rpc_role role = f->role;
    char token[TOKEN_MAX];
    bool has_token = !f->fixed && find_token(&c->metadata, token);
    if (!f->fixed && c->server->options.role && (f->secure || has_token)) {
        int rc = ask_role(c, has_token ? token : NULL, &role, e);
        explicit_bzero(token, sizeof(token));
        if (rc)
            return rc;
    }
    if (role >= m->needs) {
        const struct rpc_server_options *o = &c->server->options;
        return m->needs == RPC_ROLE_CONTROL && o->admit ? o->admit(o->app, c->peer, e) : 0;
    }
    atomic_fetch_add(&c->server->denied, 1);
    return err_set(e, ERR_PERMISSION,
                   "%s needs the role %s, this caller has %s: connect as root, or see access_%s_uids, "
                   "access_%s_names and token_file in the daemon's configuration",
                   m->path + 1, rpc_role_names[m->needs], rpc_role_names[role], rpc_role_names[m->needs],
                   rpc_role_names[m->needs]);
}
