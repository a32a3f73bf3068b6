#include "server/listen/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/server/socket_file.h"
#include "server/listen/access.h"
#include "server/listen/listeners_internal.h"

/* ---- Checks of the files and users that a configuration names ---- */

static int check_tls(const struct config *c, struct err *e)
{
    struct rpc_tls *tls = NULL;
    int rc = listeners_read_tls(c, &tls, e);
    rpc_tls_unref(tls);
    return rc;
}

static int check_tokens(const struct config *c, struct err *e)
{
    struct tokens *tokens = NULL;
    int rc = tokens_new(c->token_file, &tokens, e);
    tokens_free(tokens);
    return rc;
}

/* Only unix sockets need the group. */
static int check_group(const struct config *c, struct err *e)
{
    gid_t group;
    int rc = 0;
    for (size_t i = 0; i < c->grpc_listen.n + c->grpc_health_listen.n && rc == 0; i++) {
        struct config_listen l;
        const char *text = i < c->grpc_listen.n ? c->grpc_listen.items[i]
                                                : c->grpc_health_listen.items[i - c->grpc_listen.n];
        if (config_listen_parse(text, &l, NULL) == 0 && l.kind == CONFIG_LISTEN_UNIX)
            rc = rpc_socket_file_group(c->unix_socket_group, &group, e);
    }
    return rc;
}

int listeners_check(const struct config *c, config_error_fn *told, void *arg)
{
    static int (*const checks[])(const struct config *c, struct err *e) = {check_tls, check_tokens,
                                                                           check_group};
    int wrong = 0;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct err e = {0};
        int rc = checks[i](c, &e);
        if (rc) {
            wrong = rc;
            told(arg, &e);
        }
    }
    return wrong;
}

/* ---- Life ---- */

int listeners_new(const struct config *c, int epoll, struct listeners **out, struct err *e)
{
    struct listeners *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, -ENOMEM, "out of memory");
    g->epoll = epoll;
    g->own = geteuid();
    listeners_init_sources(g);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    int rc = peer_rate_new(&g->rate);
    if (rc == 0)
        rc = rpc_peer_finder_new(&g->finder);
    if (rc)
        err_set(e, rc, "listeners: %s", err_name(rc));
    if (rc == 0)
        rc = tls_restart_new(epoll, &g->on_restart, &g->tls_restart, e);
    if (rc == 0)
        rc = tokens_new(c->token_file, &g->tokens, e);
    if (rc) {
        listeners_free(g);
        return rc;
    }
    *out = g;
    return 0;
}

int listeners_start(struct listeners *g, const struct config *c, struct rpc_server *server, struct err *e)
{
    struct listeners_change *change;
    g->server = server;
    int rc = listeners_prepare(g, c, &change, e);
    if (rc == 0)
        listeners_commit(g, change);
    return rc;
}

uint16_t listeners_port(const struct listeners *g)
{
    return atomic_load(&g->port);
}

void listeners_close(struct listeners *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    while (g->changing)
        pthread_cond_wait(&g->changed, &g->lock);
    size_t kept = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (g->list[i]->tls)
            g->list[kept++] = g->list[i];
        else
            listener_close(g->list[i]);
    }
    g->n = kept;
    g->closed = true;
    pthread_mutex_unlock(&g->lock);
}

void listeners_free(struct listeners *g)
{
    if (!g)
        return;
    tls_restart_free(g->tls_restart);
    for (size_t i = 0; i < g->n; i++)
        listener_free(g->list[i]);
    rpc_tls_unref(g->tls);
    tokens_free(g->tokens);
    rpc_peer_finder_free(g->finder);
    peer_rate_free(g->rate);
    access_users_clear(&g->users);
    config_unref(g->config);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* ---- Looking after them ---- */

/* Whether the file of |d| is gone. */
static bool is_lost(const struct listener *d)
{
    return d->plain && !listen_socket_is_there(d->plain);
}

void listeners_look(struct listeners *g)
{
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < g->n; i++) {
        struct listener *d = g->list[i];
        bool lost = is_lost(d);
        if (lost && !d->lost)
            log_warn(
                "listen",
                "listener %s: the socket has been removed or replaced: nobody can connect any more; SIGHUP makes it again",
                listen_socket_text(d->plain));
        d->lost = lost;
    }
    pthread_mutex_unlock(&g->lock);
}

/* Puts the socket file of |d| back at its path and watches it again. The lock is held. */
static int restore(struct listeners *g, struct listener *d, struct err *e)
{
    int rc;
    const struct listen_socket_options options = {.socket_mode = listeners_socket_mode(g->config),
                                                  .socket_group = g->config->unix_socket_group};
    if (is_lost(d)) {
        listeners_let_in(g, d, g->config, LISTENERS_LAST_BUDGET);
        rc = listen_socket_restore(d->plain, &options, e);
        if (rc)
            return rc;
        d->deaf = true; /* epoll knew the socket from before */
    }
    rc = event_source_add(g->epoll, listen_socket_fd(d->plain), EPOLLIN, &d->source->event);
    if (rc)
        return err_set(e, rc, "listener %s: %s", listen_socket_text(d->plain), err_name(rc));
    d->deaf = false;
    return 0;
}

void listeners_restore(struct listeners *g)
{
    struct err e;
    pthread_mutex_lock(&g->lock);
    /* A change of the configuration may give the existing files another mode; the restored ones shall get it
     * too. The thread that makes the change does not wait for main. */
    while (g->changing)
        pthread_cond_wait(&g->changed, &g->lock);
    for (size_t i = 0; i < g->n; i++) {
        struct listener *d = g->list[i];
        if (!is_lost(d) && !d->deaf)
            continue;
        if (restore(g, d, &e))
            log_error("listen", "%s", e.text);
        else
            listener_log(d, "again listening on");
        d->lost = is_lost(d);
    }
    pthread_mutex_unlock(&g->lock);
}

int listeners_call_role(struct listeners *g, const struct config *c, const struct rpc_caller *caller,
                        struct rpc_grant *out, struct err *e)
{
    int rc = access_call_role(c, g->tokens, caller, out, e);
    if (rc == ERR_UNAUTHENTICATED)
        atomic_fetch_add(&g->tokens_refused, 1);
    return rc;
}

int listeners_admit(struct listeners *g, const struct config *c, const char *peer, struct err *e)
{
    if (peer_rate_admit(g->rate, peer, c->control_calls_max, clock_mono_ns()))
        return 0;
    atomic_fetch_add(&g->control_refused, 1);
    return err_set(
        e, ERR_LIMIT,
        "more than %u calls that change something came within a second from this peer (control_calls_max)",
        c->control_calls_max);
}

void listeners_stats(struct listeners *g, struct listeners_stats *out)
{
    *out = (struct listeners_stats){.control_refused = atomic_load(&g->control_refused),
                                    .tokens_refused = atomic_load(&g->tokens_refused)};
    pthread_mutex_lock(&g->lock);
    out->no_descriptor = g->no_descriptor;
    pthread_mutex_unlock(&g->lock);
}

void listeners_refresh(struct listeners *g, const struct config *c, bool anyway)
{
    tokens_refresh(g->tokens, c->token_file, anyway);
    pthread_mutex_lock(&g->lock);
    if (g->tls && c->grpc_tls_listen.n)
        rpc_tls_refresh(g->tls, anyway);
    pthread_mutex_unlock(&g->lock);
}
