#include "outputs/sink/net_address.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static uint16_t port_of(const struct url_host *h, uint16_t port)
{
    return h->port ? h->port : port;
}

void net_name(const struct url *u, size_t i, uint16_t port, char out[NET_NAME_MAX])
{
    if (u->n_hosts == 0) {
        snprintf(out, NET_NAME_MAX, "%s:%s", u->scheme, u->path);
        return;
    }
    const struct url_host *h = &u->hosts[i];
    bool six = strchr(h->name, ':') != NULL;
    snprintf(out, NET_NAME_MAX, "%s:%s%.255s%s:%u", u->scheme, six ? "[" : "", h->name, six ? "]" : "",
             (unsigned)port_of(h, port));
}

int net_check_path(const struct url *u, struct err *e)
{
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1; /* unix(7) */
    if (strlen(u->path) <= most)
        return 0;
    return err_set(e, ERR_RANGE, "the path of a unix socket is longer than %zu bytes", most);
}

static int unix_address(const struct url *u, struct resolve_result *out, struct err *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc = net_check_path(u, e);
    if (rc)
        return rc;
    memcpy(address.sun_path, u->path, strlen(u->path) + 1);
    memcpy(&out->list[0].address, &address, sizeof(address));
    out->list[0].len = sizeof(address);
    out->n = 1;
    return 0;
}

int net_addresses(const struct sink_host *host, const struct url *u, size_t i, uint16_t port, int type,
                  int64_t deadline_ns, struct resolve_result *out, struct err *e)
{
    if (u->n_hosts == 0)
        return unix_address(u, out, e);
    struct resolve *r;
    const struct url_host *h = &u->hosts[i];
    int rc = resolve_start(h->name, port_of(h, port), type, &r, e);
    if (rc)
        return rc;
    struct pollfd ready = {.fd = resolve_fd(r), .events = POLLIN};
    rc = host->wait(host->arg, &ready, 1, deadline_ns);
    if (rc > 0)
        return resolve_take(r, out, e);
    resolve_cancel(r);
    if (rc < 0)
        return err_set(e, rc, "%s", err_name(rc));
    return err_set(e, ERR_TIMEOUT, "the name has not been resolved in time");
}
