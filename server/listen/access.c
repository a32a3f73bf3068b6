#include "server/listen/access.h"

static int find_list(const struct config_strings *list, const char *option, struct users *out, struct err *e)
{
    struct err why = {0};
    for (size_t i = 0; i < list->n; i++) {
        int rc = users_add(out, list->items[i], &why);
        if (rc)
            return err_set(e, rc, "%s: \"%s\" %s", option, list->items[i], why.text);
    }
    return 0;
}

int access_users_find(const struct config *c, struct access_users *out, struct err *e)
{
    *out = (struct access_users){0};
    int rc = find_list(&c->access_control_uids, "access_control_uids", &out->control, e);
    if (rc == 0)
        rc = find_list(&c->access_read_uids, "access_read_uids", &out->read, e);
    if (rc)
        access_users_clear(out);
    return rc;
}

void access_users_clear(struct access_users *users)
{
    users_clear(&users->control);
    users_clear(&users->read);
}

enum rpc_role access_peer_role(const struct config *c, const struct access_users *users,
                               const struct rpc_peer *peer, uid_t own)
{
    switch (peer->kind) {
    case RPC_PEER_USER:
        /* Root and the daemon's own user could take the daemon's place anyway. */
        if (peer->uid == 0 || peer->uid == own || users_have(&users->control, peer->uid))
            return RPC_ROLE_CONTROL;
        return users_have(&users->read, peer->uid) ? RPC_ROLE_READ : RPC_ROLE_HEALTH;
    case RPC_PEER_REMOTE:
        return c->access_anonymous_role;
    case RPC_PEER_NOBODY:
        break;
    }
    return RPC_ROLE_HEALTH;
}

/* The role of a client that has shown a certificate. */
static enum rpc_role certificate_role(const struct config *c, const struct rpc_caller *caller)
{
    enum rpc_role role = RPC_ROLE_HEALTH;
    for (size_t i = 0; i < caller->n_names; i++) {
        if (config_names_have(&c->access_control_names, caller->names[i]))
            return RPC_ROLE_CONTROL;
        if (config_names_have(&c->access_read_names, caller->names[i]))
            role = RPC_ROLE_READ;
    }
    return role;
}

int access_call_role(const struct config *c, struct tokens *tokens, const struct rpc_caller *caller,
                     struct rpc_grant *out, struct err *e)
{
    enum rpc_role role = caller->role;
    if (caller->secure)
        role = caller->verified ? certificate_role(c, caller) : (enum rpc_role)c->access_anonymous_role;
    *out = (struct rpc_grant){.role = role};
    /* Without a token_file, the header "authorization" is meant for somebody else. */
    if (!caller->token || !*c->token_file)
        return 0;
    struct rpc_grant by_token = {.role = RPC_ROLE_HEALTH};
    if (!tokens_find(tokens, c->token_file, caller->token, &by_token))
        return err_set(e, ERR_UNAUTHENTICATED,
                       "the token of this call is none of those in the daemon's token_file");
    out->token = by_token.token;
    if (by_token.role > out->role)
        out->role = by_token.role;
    return 0;
}
