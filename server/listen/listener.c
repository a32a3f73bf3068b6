#include "server/listen/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

int listener_open(const struct listener_plan *plan, const struct listener_means *means, bool beside,
                  struct listener **out, struct err *e)
{
    struct listener *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, -ENOMEM, "out of memory");
    *d = (struct listener){.kind = plan->kind, .where = plan->where, .asks_clients = plan->asks_clients};
    int rc;
    if (plan->kind == LISTENER_TLS) {
        const struct rpc_tls_listener_options options = {
            .tls = means->tls, .ask_clients = plan->asks_clients, .beside = beside};
        rc = rpc_tls_listener_open(means->server, plan->text, &options, &d->tls, e);
    } else {
        const struct listen_socket_options options = {
            .socket_mode = means->socket_mode, .socket_group = means->socket_group, .beside = beside};
        rc = listen_socket_open(plan->text, &options, &d->plain, e);
    }
    if (rc) {
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

bool listener_serves(const struct listener *d, const struct listener_plan *plan)
{
    return (d->kind == LISTENER_TLS) == (plan->kind == LISTENER_TLS) &&
           d->asks_clients == plan->asks_clients && d->where.len == plan->where.len &&
           memcmp(&d->where.addr, &plan->where.addr, d->where.len) == 0;
}

void listener_share(struct listener *d, bool on)
{
    if (d->tls)
        rpc_tls_listener_share(d->tls, on);
    else
        listen_socket_share(d->plain, on);
}

void listener_log(const struct listener *d, const char *what)
{
    static const char *const kinds[] = {[LISTENER_PLAIN] = "", [LISTENER_PROBE] = " (health only)"};
    if (d->tls)
        log_info("listen", "%s %s (TLS%s)", what, rpc_tls_listener_text(d->tls),
                 d->asks_clients ? ", client certificates" : "");
    else
        log_info("listen", "%s %s%s", what, listen_socket_text(d->plain), kinds[d->kind]);
}

uint16_t listener_port(const struct listener *d)
{
    return d->tls ? rpc_tls_listener_port(d->tls) : listen_socket_port(d->plain);
}

void listener_close(struct listener *d)
{
    if (!d)
        return;
    if (d->source)
        d->source->listener = NULL;
    listen_socket_close(d->plain);
    rpc_tls_listener_close(d->tls);
    free(d);
}

void listener_free(struct listener *d)
{
    if (!d)
        return;
    listen_socket_close(d->plain);
    rpc_tls_listener_free(d->tls);
    free(d);
}
