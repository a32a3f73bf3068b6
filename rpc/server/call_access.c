/* The caller of a call, and whether it may be made. */
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/decimal.h"
#include "rpc/server/guard.h"
#include "rpc/server/peer.h"
#include "rpc/server/server_internal.h"

#define NAMES_MAX 32
#define TOKEN_MAX 1024
#define WHO_MAX   72
#define USER_MAX  320

/* N of a peer that gRPC calls "fd:N", -1 for any other. */
static int peer_fd(const char *core)
{
    if (!core || strncmp(core, "fd:", 3) != 0)
        return -1;
    uint64_t fd;
    return decimal_parse(core + 3, INT_MAX, &fd) ? -1 : (int)fd;
}

/* gRPC's "ipv6:%5Bfe80::1%252%5D:4711" as rpc_peer has addresses: "[fe80::1]:4711", without the scope. */
static void address_of(const char *core, char out[RPC_ADDRESS_MAX])
{
    const char *colon = strchr(core, ':');
    size_t n = 0;
    bool scope = false;
    for (const char *p = colon ? colon + 1 : core; *p && n < RPC_ADDRESS_MAX - 1; p++) {
        char c = *p;
        unsigned code;
        if (c == '%' && sscanf(p + 1, "%2x", &code) == 1 && p[1] && p[2]) {
            c = (char)code;
            p += 2;
        }
        scope = (scope || c == '%') && c != ']';
        if (!scope)
            out[n++] = c;
    }
    out[n] = '\0';
}

/* The peer as text, and the user of its connection. gRPC calls the connections that it was handed "fd:N"; the
 * socket itself tells more. For calls that change something the text has the user, too. */
void rpc_call_describe_peer(struct rpc_call *c)
{
    char *core = grpc_call_get_peer(c->call);
    c->fd = peer_fd(core);
    snprintf(c->peer, sizeof(c->peer), "%s", core ? core : "unknown");
    if (c->fd >= 0) {
        struct rpc_peer_finder *finder = NULL;
        struct rpc_peer peer;
        if (c->slot->spec && c->slot->spec->needs == RPC_ROLE_CONTROL)
            (void)rpc_peer_finder_new(&finder); /* without a finder the text has the address alone */
        rpc_peer_find(finder, c->fd, &peer);
        rpc_peer_finder_free(finder);
        snprintf(c->peer, sizeof(c->peer), "%s", peer.text);
        c->quota = rpc_guard_user(c->fd, &c->rank);
    } else if (core && c->slot->core_server->secure) {
        address_of(core, c->address);
        c->quota = rpc_guard_tls_user(c->address, &c->rank);
    }
    gpr_free(core);
}

/* Puts the names of the peer's certificate into |out|. The context owns them. */
static size_t certificate_names(const grpc_auth_context *context, const char *out[NAMES_MAX])
{
    static const char *const kinds[] = {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME};
    size_t n = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, kinds[k]);
        const grpc_auth_property *p;
        while (n < NAMES_MAX && (p = grpc_auth_property_iterator_next(&it)) != NULL) {
            if (strlen(p->value) == p->value_length) /* a name with a NUL inside is made to be misread */
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
        if (!ascii_begins(text, len, scheme))
            return false;
        text += sizeof(scheme) - 1;
        len -= sizeof(scheme) - 1;
        bool fits = len < TOKEN_MAX && !memchr(text, '\0', len);
        memcpy(out, text, fits ? len : 0);
        out[fits ? len : 0] = '\0'; /* no user has the empty token */
        return true;
    }
    return false;
}

/* Replaces everything in a name but visible ASCII: after a space it could continue as if it were another
 * user. */
static void make_visible(char *name)
{
    for (char *p = name; *p; p++)
        *p = *p > ' ' && *p <= '~' ? *p : '?';
}

/* The signs that tell the caller from others at its address: the first name of its certificate, and that it has a
 * token. */
static void describe(const struct rpc_caller *caller, char out[WHO_MAX])
{
    char name[WHO_MAX - 16] = "";
    if (caller->n_names)
        snprintf(name, sizeof(name), "%s", caller->names[0]);
    make_visible(name);
    snprintf(out, WHO_MAX, "%s%s%s", *name ? " name=" : "", name, caller->token ? " token" : "");
}

/* From now on |c| is accounted to the user called |kind| |name|. */
static void account_to(struct rpc_call *c, const char *kind, const char *name)
{
    char text[USER_MAX];
    snprintf(text, sizeof(text), "%s %s", kind, name);
    make_visible(text + strlen(kind) + 1);
    struct quota_user *u = c->server->options.quota ? quota_user(c->server->options.quota, text) : NULL;
    if (!u)
        return;
    quota_user_unref(c->quota);
    c->quota = u;
}

/* Finds the role of a call that comes with more than its connection, its caller, and the user it is accounted
 * to. */
static int ask_role(struct rpc_call *c, const char *token, enum rpc_role *role, char who[WHO_MAX],
                    struct err *e)
{
    const struct core_server *f = c->slot->core_server;
    const struct rpc_server_options *o = &c->server->options;
    const char *names[NAMES_MAX];
    struct rpc_caller caller = {
        .role = f->role, .secure = f->secure, .verified = f->verified, .token = token, .names = names};
    struct rpc_grant grant = {.role = *role};
    char number[16];
    grpc_auth_context *context = f->verified ? grpc_call_auth_context(c->call) : NULL;
    if (context)
        caller.n_names = certificate_names(context, names);
    int rc = o->role(o->app, &caller, &grant, e);
    *role = grant.role;
    describe(&caller, who);
    snprintf(number, sizeof(number), "%u", grant.token);
    if (rc == 0 && grant.token)
        account_to(c, "token", number);
    else if (rc == 0 && caller.n_names)
        account_to(c, "name", names[0]);
    grpc_auth_context_release(context);
    return rc;
}

/* The rank that |c| has with quotas: a role given by a token or a certificate has the budgets of that role,
 * too. */
static void set_rank(struct rpc_call *c, enum rpc_role role)
{
    if (role != RPC_ROLE_CONTROL) {
        c->rank =
            c->rank == QUOTA_CONTROL ? QUOTA_REMOTE : c->rank; /* from another call by the same connection */
        return;
    }
    if (c->rank != QUOTA_CONTROL)
        rpc_guard_promote(c->fd, c->fd < 0 ? c->address : NULL);
    c->rank = QUOTA_CONTROL;
}

/* Whether a permitted call may be made now; adds the caller to the text of the peer. */
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
    const struct core_server *f = c->slot->core_server;
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
    set_rank(c, role);
    c->role = role;
    if (role >= m->needs)
        return admit(c, m, who, e);
    atomic_fetch_add(&c->server->denied, 1);
    return err_set(e, ERR_PERMISSION,
                   "%s needs the role %s, this caller has %s: connect as root, or see access_%s_uids, "
                   "access_%s_names and token_file in the daemon's configuration",
                   m->path + 1, rpc_role_names[m->needs], rpc_role_names[role], rpc_role_names[m->needs],
                   rpc_role_names[m->needs]);
}
