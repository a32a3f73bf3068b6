/* Who makes a call, and whether it may be made. */
#include <errno.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/peer.h"
#include "rpc/server_int.h"

#define NAMES_MAX 32
#define TOKEN_MAX 1024
#define WHO_MAX   72

/* N of a peer that gRPC calls "fd:N", -1 for any other. */
static int peer_fd(const char *core)
{
    if (!core || strncmp(core, "fd:", 3) != 0)
        return -1;
    char *end;
    errno = 0;
    long fd = strtol(core + 3, &end, 10);
    return errno || end == core + 3 || fd < 0 || fd > INT_MAX ? -1 : (int)fd;
}

/* The peer as text. gRPC calls the connections that it was handed "fd:N"; the socket itself knows more. Of
 * those who want to change something, the user too. */
void rpc_call_describe_peer(struct rpc_call *c)
{
    char *core = grpc_call_get_peer(c->call);
    int fd = peer_fd(core);
    snprintf(c->peer, sizeof(c->peer), "%s", core ? core : "unknown");
    if (fd >= 0) {
        struct rpc_peer_finder *finder = NULL;
        struct rpc_peer peer;
        if (c->slot->spec && c->slot->spec->needs == RPC_ROLE_CONTROL)
            (void)rpc_peer_finder_new(&finder); /* without one it is the address alone */
        rpc_peer_find(finder, fd, &peer);
        rpc_peer_finder_free(finder);
        snprintf(c->peer, sizeof(c->peer), "%s", peer.text);
    }
    gpr_free(core);
}

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

/* What tells the caller from others at its address: the first name of its certificate, and that it has a
 * token. Of the name only visible ASCII stays what it is: with a space it could go on as somebody else. */
static void describe(const struct rpc_caller *caller, char out[WHO_MAX])
{
    char name[WHO_MAX - 16] = "";
    if (caller->n_names)
        snprintf(name, sizeof(name), "%s", caller->names[0]);
    for (char *p = name; *p; p++)
        *p = *p > ' ' && *p <= '~' ? *p : '?';
    snprintf(out, WHO_MAX, "%s%s%s", *name ? " name=" : "", name, caller->token ? " token" : "");
}

/* The role of a call that comes with more than its connection, and who it is. */
static int ask_role(struct rpc_call *c, const char *token, enum rpc_role *role, char who[WHO_MAX],
                    struct err *e)
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
    describe(&caller, who);
    grpc_auth_context_release(context);
    return rc;
}

/* Whether a call that may be made may be made now; tells who makes it, in the peer. */
static int admit(struct rpc_call *c, const struct rpc_method *m, const char *who, struct err *e)
{
    const struct rpc_server_options *o = &c->server->options;
    if (m->needs != RPC_ROLE_CONTROL)
        return 0;
    int rc = o->admit ? o->admit(o->app, c->peer, e) : 0;
    size_t n = strlen(c->peer);
    snprintf(c->peer + n, sizeof(c->peer) - n, "%s", who);
    return rc;
}

int rpc_call_check(struct rpc_call *c, const struct rpc_method *m, struct err *e)
{
    const struct rpc_face *f = c->slot->face;
    enum rpc_role role = f->role;
    char token[TOKEN_MAX];
    char who[WHO_MAX] = "";
    bool has_token = !f->fixed && find_token(&c->metadata, token);
    if (!f->fixed && c->server->options.role && (f->secure || has_token)) {
        int rc = ask_role(c, has_token ? token : NULL, &role, who, e);
        explicit_bzero(token, sizeof(token));
        if (rc)
            return rc;
    }
    if (role >= m->needs)
        return admit(c, m, who, e);
    atomic_fetch_add(&c->server->denied, 1);
    return err_set(e, ERR_PERMISSION,
                   "%s needs the role %s, this caller has %s: connect as root, or see access_%s_uids, "
                   "access_%s_names and token_file in the daemon's configuration",
                   m->path + 1, rpc_role_names[m->needs], rpc_role_names[role], rpc_role_names[m->needs],
                   rpc_role_names[m->needs]);
}
