#include "server/listen/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

int door_open(const struct door_plan *plan, const struct door_means *means, bool beside, struct door **out,
              struct err *e)
{
    struct door *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, -ENOMEM, "out of memory");
    *d = (struct door){.kind = plan->kind, .where = plan->where, .asks_clients = plan->asks_clients};
    int rc;
    if (plan->kind == DOOR_TLS) {
        const struct rpc_tls_listener_options options = {
            .tls = means->tls, .ask_clients = plan->asks_clients, .beside = beside};
        rc = rpc_tls_listener_open(means->server, plan->text, &options, &d->tls, e);
    } else {
        const struct rpc_listener_options options = {
            .socket_mode = means->socket_mode, .socket_group = means->socket_group, .beside = beside};
        rc = rpc_listener_open(plan->text, &options, &d->plain, e);
    }
    if (rc) {
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

bool door_serves(const struct door *d, const struct door_plan *plan)
{
    return (d->kind == DOOR_TLS) == (plan->kind == DOOR_TLS) && d->asks_clients == plan->asks_clients &&
           d->where.len == plan->where.len && memcmp(&d->where.addr, &plan->where.addr, d->where.len) == 0;
}

void door_share(struct door *d, bool on)
{
    if (d->tls)
        rpc_tls_listener_share(d->tls, on);
    else
        rpc_listener_share(d->plain, on);
}

void door_log(const struct door *d, const char *what)
{
    static const char *const kinds[] = {[DOOR_PLAIN] = "", [DOOR_PROBE] = " (health only)"};
    if (d->tls)
        log_info("gate", "%s %s (TLS%s)", what, rpc_tls_listener_text(d->tls),
                 d->asks_clients ? ", client certificates" : "");
    else
        log_info("gate", "%s %s%s", what, rpc_listener_text(d->plain), kinds[d->kind]);
}

uint16_t door_port(const struct door *d)
{
    return d->tls ? rpc_tls_listener_port(d->tls) : rpc_listener_port(d->plain);
}

void door_close(struct door *d)
{
    if (!d)
        return;
    rpc_listener_close(d->plain);
    rpc_tls_listener_close(d->tls);
    free(d);
}

void door_free(struct door *d)
{
    if (!d)
        return;
    rpc_listener_close(d->plain);
    rpc_tls_listener_free(d->tls);
    free(d);
}
