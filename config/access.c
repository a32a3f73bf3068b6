/* Values of the options about access, and the rule between them. */
#include <fnmatch.h>
#include <string.h>

#include "config/config_internal.h"
#include "lib/linux/users.h"

bool config_listen_is_local(const struct config_listen *l)
{
    if (l->kind != CONFIG_LISTEN_TCP)
        return true;
    if (l->addr.any.sa_family == AF_INET)
        return ntohl(l->addr.in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&l->addr.in6.sin6_addr);
}

int access_check_exposure(const struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->grpc_listen.n && !c->grpc_insecure; i++) {
        struct config_listen l;
        if (config_listen_parse(c->grpc_listen.items[i], &l, NULL) == 0 && !config_listen_is_local(&l))
            return err_set(e, ERR_RANGE,
                           "value \"%s\" can be reached from other machines, without encryption and without "
                           "proof of who calls; allowed with grpc_insecure: true",
                           c->grpc_listen.items[i]);
    }
    return 0;
}

int access_check_user(const char *item, struct err *e)
{
    return users_add(NULL, item, e);
}

int access_check_tls_listen(const char *item, struct err *e)
{
    struct config_listen l;
    int rc = config_listen_parse(item, &l, e);
    if (rc == 0 && l.kind != CONFIG_LISTEN_TCP)
        return err_set(e, ERR_RANGE, "is a unix socket; expected ADDRESS:PORT or [IPV6]:PORT");
    return rc;
}

bool config_names_have(const struct config_strings *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (fnmatch(list->items[i], name, 0) == 0)
            return true;
    }
    return false;
}

int access_check_name(const char *item, struct err *e)
{
    if (!*item || strlen(item) > 253)
        return err_set(e, ERR_RANGE, "is no pattern of a name; expected 1 to 253 bytes");
    return 0;
}

bool access_same_name(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}
