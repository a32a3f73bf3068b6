/* Names to roles: lists of users and of names of certificates, and who calls. The input is words separated by
 * NULs, the first byte of each tells its kind. The role is the one that a plain walk over the lists gives.
 */
#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/listen/access.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum list { CONTROL_NAMES, READ_NAMES, CALLER, CONTROL_USERS, READ_USERS, LISTS };

struct words {
    char *items[LISTS][WORDS_MAX];
    size_t n[LISTS];
};

static struct config_strings strings(struct words *w, enum list list)
{
    return (struct config_strings){.items = w->items[list], .n = w->n[list]};
}

static bool any_fits(struct words *w, enum list patterns)
{
    for (size_t i = 0; i < w->n[patterns]; i++)
        for (size_t k = 0; k < w->n[CALLER]; k++)
            if (fnmatch(w->items[patterns][i], w->items[CALLER][k], 0) == 0)
                return true;
    return false;
}

static void check_certificate(struct config *c, struct words *w)
{
    struct rpc_caller caller = {.secure = true,
                                .verified = true,
                                .names = (const char *const *)w->items[CALLER],
                                .n_names = w->n[CALLER]};
    struct rpc_grant grant;
    struct err e;
    enum rpc_role expected = any_fits(w, CONTROL_NAMES) ? RPC_ROLE_CONTROL
                             : any_fits(w, READ_NAMES)  ? RPC_ROLE_READ
                                                        : RPC_ROLE_HEALTH;
    if (access_call_role(c, NULL, &caller, &grant, &e) != 0 || grant.role != expected)
        abort();
    caller.verified = false; /* then whatever it is called counts for nothing */
    if (access_call_role(c, NULL, &caller, &grant, &e) != 0 ||
        grant.role != (enum rpc_role)c->access_anonymous_role)
        abort();
}

static bool is_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Whether one of |list| is everybody or the number |uid|; the users of this machine are not known here. */
static bool surely_has(struct words *w, enum list list, uid_t uid)
{
    for (size_t i = 0; i < w->n[list]; i++)
        if (strcmp(w->items[list][i], "*") == 0 ||
            (is_digits(w->items[list][i]) && strtoull(w->items[list][i], NULL, 10) == uid))
            return true;
    return false;
}

static void check_users(struct config *c, struct words *w)
{
    struct access_users users;
    struct err e = {0};
    int rc = access_users_find(c, &users, &e);
    if (rc != 0) {
        if (rc > 0 || e.code != rc || !*e.text || users.control.n || users.read.n)
            abort();
        return;
    }
    static const uid_t uids[] = {0, 1, 7, 1000, 65534, 4294967294u};
    for (size_t i = 0; i < sizeof(uids) / sizeof(uids[0]); i++) {
        const struct rpc_peer peer = {.kind = RPC_PEER_USER, .uid = uids[i]};
        enum rpc_role role = access_peer_role(c, &users, &peer, 7);
        enum rpc_role least = uids[i] == 0 || uids[i] == 7 || surely_has(w, CONTROL_USERS, uids[i])
                                  ? RPC_ROLE_CONTROL
                              : surely_has(w, READ_USERS, uids[i]) ? RPC_ROLE_READ
                                                                   : RPC_ROLE_HEALTH;
        bool listed = w->n[CONTROL_USERS] + w->n[READ_USERS] > 0;
        if (role < least || (!listed && role != least))
            abort();
    }
    access_users_clear(&users);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config *defaults;
    struct words w = {0};
    char *text = calloc(1, size + 1);
    if (!text || (!defaults && config_defaults(&defaults) != 0))
        abort();
    if (size)
        memcpy(text, data, size);
    for (size_t at = 0, n; at < size; at += n + 1) {
        n = strlen(text + at);
        enum list list = (enum list)((unsigned char)text[at] % LISTS);
        if (n && w.n[list] < WORDS_MAX)
            w.items[list][w.n[list]++] = text + at + 1;
    }
    struct config c = *defaults;
    c.access_control_names = strings(&w, CONTROL_NAMES);
    c.access_read_names = strings(&w, READ_NAMES);
    c.access_control_uids = strings(&w, CONTROL_USERS);
    c.access_read_uids = strings(&w, READ_USERS);
    c.access_anonymous_role = (enum rpc_role)(size % RPC_ROLES);
    check_certificate(&c, &w);
    check_users(&c, &w);
    free(text);
    return 0;
}
