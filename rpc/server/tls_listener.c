#include "rpc/server/tls_listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "lib/log.h"
#include "rpc/server/own_sockets.h"
#include "rpc/server/server_internal.h"

struct rpc_tls_listener {
    struct rpc_server *server;
    struct rpc_tls_listener_options options;
    struct core_server *core_server; /* the one that accepts; NULL while there is none */
    bool started;
    struct config_listen where;
    char text[80]; /* as gRPC takes it, with the port that it has been given */
};

/* Finds the reason why gRPC cannot listen: it does not tell, but the system does when asked for the same. */
static int try_bind(const struct config_listen *where, bool beside)
{
    int on = 1;
    int fd = socket(where->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (beside && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        bind(fd, &where->addr.any, where->len) != 0)
        rc = -errno;
    close(fd);
    return rc;
}

static void describe(struct rpc_tls_listener *l)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool v6 = l->where.addr.any.sa_family == AF_INET6;
    inet_ntop(l->where.addr.any.sa_family,
              v6 ? (const void *)&l->where.addr.in6.sin6_addr : (const void *)&l->where.addr.in4.sin_addr,
              host, sizeof(host));
    snprintf(l->text, sizeof(l->text), v6 ? "[%s]:%u" : "%s:%u", host, l->where.port);
}

/* Makes a core server that has the port. */
static int bind_core_server(struct rpc_tls_listener *l, bool beside, struct err *e)
{
    struct core_server *f;
    int rc = try_bind(&l->where, beside);
    if (rc)
        return err_set(e, rc, "cannot listen on %s (TLS): %s", l->text, err_name(rc));
    rc = rpc_server_poll_too(l->server, e);
    if (rc == 0)
        rc = core_server_new(l->server, RPC_ROLE_HEALTH, beside, rpc_server_turn(l->server), &f, e);
    if (rc)
        return rc;
    f->secure = true;
    f->verified = l->options.ask_clients;
    grpc_server_credentials *credentials =
        rpc_tls_credentials(l->options.tls, l->options.ask_clients, &f->tls_state);
    int port = credentials ? grpc_server_add_http2_port(f->core, l->text, credentials) : 0;
    if (credentials)
        grpc_server_credentials_release(credentials);
    if (port <= 0) {
        /* gRPC wants to be started and shut down before it is destroyed, also when it has got no port. */
        core_server_start(f);
        core_server_shutdown(f);
        return err_set(e, ERR_UNAVAILABLE,
                       "cannot listen on %s (TLS): gRPC takes neither the address nor the certificate",
                       l->text);
    }
    l->core_server = f;
    l->where.port = (uint16_t)port;
    if (l->where.addr.any.sa_family == AF_INET6)
        l->where.addr.in6.sin6_port = htons((uint16_t)port);
    else
        l->where.addr.in4.sin_port = htons((uint16_t)port);
    describe(l);
    return 0;
}

int rpc_tls_listener_open(struct rpc_server *s, const char *where,
                          const struct rpc_tls_listener_options *options, struct rpc_tls_listener **out,
                          struct err *e)
{
    struct rpc_tls_listener *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, -ENOMEM, "out of memory");
    l->server = s;
    l->options = *options;
    rpc_tls_ref(options->tls);
    core_server_reap(s); /* listeners may come and go often */
    int rc = config_listen_parse(where, &l->where, e);
    if (rc == 0 && l->where.kind != CONFIG_LISTEN_TCP)
        rc = err_set(e, ERR_RANGE, "is no TCP address");
    if (rc) {
        err_prefix(e, "cannot listen on %s (TLS)", where);
    } else {
        describe(l);
        rc = bind_core_server(l, options->beside, e);
    }
    if (rc == 0) {
        if (options->beside)
            rpc_tls_listener_share(l, false);
        *out = l;
    } else {
        rpc_tls_listener_free(l);
    }
    return rc;
}

void rpc_tls_listener_start(struct rpc_tls_listener *l)
{
    l->started = true;
    if (l->core_server)
        core_server_start(l->core_server);
}

struct share {
    uint16_t port;
    int on;
};

static void share_socket(void *arg, const struct rpc_own_socket *s)
{
    const struct share *wanted = arg;
    if (s->listens && s->port == wanted->port) /* if it fails, the other one cannot be opened */
        (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &wanted->on, sizeof(wanted->on));
}

void rpc_tls_listener_share(struct rpc_tls_listener *l, bool on)
{
    struct share wanted = {.port = l->where.port, .on = on};
    int rc = rpc_own_sockets(share_socket, &wanted);
    if (rc)
        log_warn("rpc", "/proc/self/fd: %s: listener %s cannot be replaced in place", err_name(rc), l->text);
}

/* Closes the port; calls that are under way go on. */
static void drop_core_server(struct rpc_tls_listener *l)
{
    if (!l->core_server)
        return;
    if (!l->started)
        core_server_start(l->core_server); /* it cannot be shut down before */
    core_server_shutdown(l->core_server);
    l->core_server = NULL;
}

void rpc_tls_listener_close(struct rpc_tls_listener *l)
{
    if (l)
        drop_core_server(l);
    rpc_tls_listener_free(l);
}

void rpc_tls_listener_free(struct rpc_tls_listener *l)
{
    if (!l)
        return;
    rpc_tls_unref(l->options.tls);
    free(l);
}

const char *rpc_tls_listener_text(const struct rpc_tls_listener *l)
{
    return l->text;
}

uint16_t rpc_tls_listener_port(const struct rpc_tls_listener *l)
{
    return l->where.port;
}

int rpc_tls_listener_rebuild(struct rpc_tls_listener *l, struct err *e)
{
    drop_core_server(l);
    core_server_reap(l->server); /* frees the earlier ones: strangers can make this happen again and again */
    int rc = bind_core_server(l, false, e);
    if (rc == 0)
        core_server_start(l->core_server);
    return rc;
}

void rpc_tls_on_loss(void (*fn)(void *arg), void *arg)
{
    rpc_core_on_accept_failure(fn, arg);
}
