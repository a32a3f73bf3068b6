/* How the listeners follow the configuration: all that can fail is done before it is in force. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/log.h"
#include "rpc/server/guard.h"
#include "server/listen/address_owner.h"
#include "server/listen/listeners_internal.h"

struct listeners_change {
    const struct config *config;
    struct access_users users;
    bool list;                            /* listeners change at all; the next members are about them */
    struct listener *next[LISTENERS_MAX]; /* in the order of the configuration */
    enum listener_kind kinds[LISTENERS_MAX];
    bool fresh[LISTENERS_MAX]; /* opened for this change */
    size_t n;
    struct listener *leaving[LISTENERS_MAX];
    size_t n_leaving;
    struct rpc_tls *tls; /* certificates shown from now on; NULL: they stay */
    bool permitted;      /* mode or group of unix sockets may have been changed */
    struct {
        struct config_listen where;
        struct err why;
    } refused[LISTENERS_MAX]; /* could not be opened; told once it is known whether it goes on without them */
    size_t n_refused;
    bool too_few; /* so the change fails */
};

/* ---- Wanted listeners ---- */

mode_t listeners_socket_mode(const struct config *c)
{
    static const mode_t modes[] = {
        [CONFIG_SOCKET_0600] = 0600, [CONFIG_SOCKET_0660] = 0660, [CONFIG_SOCKET_0666] = 0666};
    return modes[c->unix_socket_mode];
}

static struct rpc_tls_files tls_files(const struct config *c)
{
    return (struct rpc_tls_files){
        .cert = c->tls_cert_file, .key = c->tls_key_file, .client_ca = c->tls_client_ca_file};
}

int listeners_read_tls(const struct config *c, struct rpc_tls **out, struct err *e)
{
    const struct rpc_tls_files files = tls_files(c);
    *out = NULL;
    if (c->grpc_tls_listen.n == 0)
        return 0;
    if (!*files.cert || !*files.key)
        return err_set(e, ERR_RANGE, "grpc_tls_listen needs tls_cert_file and tls_key_file");
    return rpc_tls_new(&files, out, e);
}

/* Whether |a| and |b| make the same listeners. */
static bool same_listeners(const struct config *a, const struct config *b)
{
    static const char *const names[] = {
        "grpc_listen",        "grpc_tls_listen",  "grpc_health_listen", "tls_cert_file", "tls_key_file",
        "tls_client_ca_file", "unix_socket_mode", "unix_socket_group",  "ipv4_ttl",      "ipv6_hop_limit"};
    const struct config_option *differ[CONFIG_OPTION_COUNT];
    size_t n_differ = config_diff(a, b, differ, CONFIG_OPTION_COUNT);
    for (size_t i = 0; i < n_differ; i++) {
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (strcmp(differ[i]->name, names[k]) == 0)
                return false;
        }
    }
    return true;
}

/* Appends plans for the addresses in |list|. */
static size_t plan_list(const struct config_strings *list, enum listener_kind kind, bool asks_clients,
                        struct listener_plan *out)
{
    for (size_t i = 0; i < list->n; i++) {
        out[i] = (struct listener_plan){.text = list->items[i], .kind = kind, .asks_clients = asks_clients};
        config_listen_parse(out[i].text, &out[i].where, NULL); /* checked when it was configured */
    }
    return list->n;
}

static size_t plan_listeners(const struct config *c, struct listener_plan out[LISTENERS_MAX])
{
    size_t n = plan_list(&c->grpc_listen, LISTENER_PLAIN, false, out);
    n += plan_list(&c->grpc_health_listen, LISTENER_PROBE, false, out + n);
    return n + plan_list(&c->grpc_tls_listen, LISTENER_TLS, *c->tls_client_ca_file, out + n);
}

/* Whether |c| has the default listeners, which nobody has asked for. */
static bool is_default(const struct config *c)
{
    struct buf text;
    const struct config_option *o = config_option_find("grpc_listen");
    buf_init(&text);
    config_option_print(o, c, &text);
    bool same = !text.failed && strcmp(buf_cstr(&text), o->default_value) == 0;
    buf_free(&text);
    return same;
}

/* ---- Prepare ---- */

/* Certificates: read now, unless these files are in use. */
static int prepare_tls(const struct listeners *g, struct listeners_change *ch, struct err *e)
{
    const struct rpc_tls_files files = tls_files(ch->config);
    bool in_use = g->tls && g->config->grpc_tls_listen.n > 0 && rpc_tls_same_files(g->tls, &files);
    return in_use ? 0 : listeners_read_tls(ch->config, &ch->tls, e);
}

/* Finds the listeners that stay. |plan| i gets ch->next[i], NULL when it is to be opened. */
static void match(const struct listeners *g, const struct listener_plan *plans, size_t n,
                  struct listeners_change *ch)
{
    bool stays[LISTENERS_MAX] = {false};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < g->n && !ch->next[i]; k++) {
            if (!stays[k] && listener_serves(g->list[k], &plans[i])) {
                ch->next[i] = g->list[k];
                stays[k] = true;
            }
        }
        ch->kinds[i] = plans[i].kind;
    }
    for (size_t k = 0; k < g->n; k++) {
        if (!stays[k])
            ch->leaving[ch->n_leaving++] = g->list[k];
    }
}

/* A listener that leaves may have a port that another one wants. Returns whether there is such a listener. */
static bool share(const struct listeners_change *ch, uint16_t port, bool on)
{
    bool any = false;
    for (size_t i = 0; i < ch->n_leaving && port; i++) {
        if (listener_port(ch->leaving[i]) == port) {
            listener_share(ch->leaving[i], on);
            any = true;
        }
    }
    return any;
}

/* Without the guard strangers could bring the daemon down, so only users of this machine may have
 * listeners. */
static int check_guard(const struct listener_plan *plan, struct err *e)
{
    if (rpc_guard_works() || (plan->kind == LISTENER_PLAIN && config_listen_is_local(&plan->where)))
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "cannot listen on %s: the guard against floods does not work here (%s)", plan->text,
                   rpc_guard_failure());
}

static int open_listener(struct listeners *g, struct listeners_change *ch, const struct listener_plan *plan,
                         struct listener **out, struct err *e)
{
    const struct listener_means means = {.server = g->server,
                                         .tls = g->tls ? g->tls : ch->tls,
                                         .socket_mode = listeners_socket_mode(ch->config),
                                         .socket_group = ch->config->unix_socket_group};
    int rc = check_guard(plan, e);
    if (rc)
        return rc;
    bool beside = share(ch, plan->where.port, true);
    rc = listener_open(plan, &means, beside, out, e);
    if (beside)
        share(ch, plan->where.port, false);
    if (rc || !(*out)->plain)
        return rc;
    listen_socket_set_hops((*out)->plain, ch->config->ipv4_ttl, ch->config->ipv6_hop_limit);
    /* epoll tells nothing yet, but it is certain that it will. */
    listeners_give_source(g, *out);
    rc = event_source_add(g->epoll, listen_socket_fd((*out)->plain), 0, &(*out)->source->event);
    if (rc == 0)
        return 0;
    err_set(e, rc, "listener %s: %s", listen_socket_text((*out)->plain), err_name(rc));
    listener_close(*out);
    return rc;
}

static int note_refused(struct listeners_change *ch, const struct listener_plan *plan, const struct err *why)
{
    ch->refused[ch->n_refused].where = plan->where;
    ch->refused[ch->n_refused++].why = *why;
    return why->code;
}

/* Opens the listeners that are missing. |ch| then has all open listeners, without gaps. Some of the default
 * ones may be missing. */
static int open_listeners(struct listeners *g, const struct listener_plan *plans, size_t n,
                          struct listeners_change *ch, struct err *e)
{
    bool optional = is_default(ch->config);
    size_t plain = 0;
    int rc = 0;
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        struct listener *d = ch->next[i];
        bool fresh = !d;
        ch->next[i] = NULL;
        if (fresh)
            rc = open_listener(g, ch, &plans[i], &d, e);
        if (rc) {
            failed = note_refused(ch, &plans[i], e);
            if (!optional || plans[i].kind != LISTENER_PLAIN) {
                ch->too_few = true;
                return failed;
            }
            rc = 0;
            continue;
        }
        plain += plans[i].kind == LISTENER_PLAIN;
        ch->next[ch->n] = d;
        ch->fresh[ch->n] = fresh;
        ch->kinds[ch->n++] = plans[i].kind;
    }
    ch->too_few = plain == 0 && failed;
    return ch->too_few ? failed : 0;
}

/* Gives the unix sockets that stay mode and group of |c|. */
static int permit(const struct listeners_change *ch, const struct config *c, struct err *e)
{
    const struct listen_socket_options options = {.socket_mode = listeners_socket_mode(c),
                                                  .socket_group = c->unix_socket_group};
    int rc = 0;
    for (size_t i = 0; i < ch->n && rc == 0; i++) {
        if (ch->next[i]->plain && !ch->fresh[i])
            rc = listen_socket_permit(ch->next[i]->plain, &options, e);
    }
    return rc;
}

static bool same_permission(const struct config *a, const struct config *b)
{
    return a->unix_socket_mode == b->unix_socket_mode &&
           strcmp(a->unix_socket_group, b->unix_socket_group) == 0;
}

static int prepare_listeners(struct listeners *g, struct listeners_change *ch, struct err *e)
{
    struct listener_plan plans[LISTENERS_MAX];
    size_t n = plan_listeners(ch->config, plans);
    match(g, plans, n, ch);
    int rc = open_listeners(g, plans, n, ch, e);
    if (rc == 0 && g->config && !same_permission(g->config, ch->config)) {
        ch->permitted = true;
        rc = permit(ch, ch->config, e);
    }
    return rc;
}

/* The tokens of another file than before must be good; later changes of that file need not. */
static int check_tokens(const struct listeners *g, const struct config *c, struct err *e)
{
    struct tokens *tokens;
    if (!g->config || strcmp(g->config->token_file, c->token_file) == 0)
        return 0;
    int rc = tokens_new(c->token_file, &tokens, e);
    if (rc == 0)
        tokens_free(tokens);
    return rc;
}

/* Reads all files, which may take its time, without the lock: main needs it. The members of |g| read here
 * change only with a change of the configuration. */
static int read_all(const struct listeners *g, struct listeners_change *ch, struct err *e)
{
    int rc = check_tokens(g, ch->config, e);
    if (rc == 0)
        rc = access_users_find(ch->config, &ch->users, e);
    if (rc == 0 && ch->list)
        rc = prepare_tls(g, ch, e);
    return rc;
}

/* Undoes what has been done for |ch|, whose listeners are those in |ch->next|, and which the caller frees. The
 * lock is held. */
static void undo(struct listeners *g, struct listeners_change *ch)
{
    struct err e;
    if (ch->permitted && permit(ch, g->config, &e))
        log_error("listen", "%s", e.text);
    for (size_t i = 0; i < ch->n; i++) {
        if (ch->fresh[i])
            listener_close(ch->next[i]);
    }
    rpc_tls_unref(ch->tls);
    access_users_clear(&ch->users);
    config_unref(ch->config);
}

/* Tells which listeners could not be opened, and who has their addresses: as warnings when the change
 * succeeds without them, all in |e| when they are the reason why it fails (|rc|), and not at all when the
 * reason is another. Takes its time: the lock is not held. */
static void tell_refused(const struct listeners_change *ch, int rc, struct err *e)
{
    struct buf all;
    if (rc && !ch->too_few)
        return;
    buf_init(&all);
    for (size_t i = 0; i < ch->n_refused; i++) {
        const struct err *why = &ch->refused[i].why;
        char holder[ADDRESS_OWNER_TEXT_MAX] = "";
        if (why->code == -EADDRINUSE)
            address_owner_find(&ch->refused[i].where, holder);
        if (rc == 0)
            log_warn("listen", "%s%s%s: going on without it", why->text, *holder ? ", by " : "", holder);
        else
            buf_printf(&all, "%s%s%s%s", all.len ? "; " : "", why->text, *holder ? ", by " : "", holder);
    }
    if (rc && all.len && !all.failed)
        err_set(e, rc, "%s", buf_cstr(&all));
    buf_free(&all);
}

/* A failure here is not the fault of the client that asks. Returns the code for it. */
static int blame(struct err *e, int rc)
{
    if (rc == 0 || rc == ERR_UNAVAILABLE || rc == -ENOMEM)
        return rc;
    return e->code = ERR_PRECONDITION;
}

static struct listeners_change *new_change(const struct listeners *g, const struct config *c)
{
    struct listeners_change *ch = calloc(1, sizeof(*ch));
    if (!ch)
        return NULL;
    ch->config = config_ref(c);
    ch->list = !g->config || !same_listeners(g->config, c);
    return ch;
}

int listeners_try(struct listeners *g, const struct config *c, struct err *e)
{
    struct listeners_change *ch = new_change(g, c);
    if (!ch)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = read_all(g, ch, e);
    undo(g, ch); /* nothing but memory: the lock is not needed */
    free(ch);
    return blame(e, rc);
}

int listeners_prepare(struct listeners *g, const struct config *c, struct listeners_change **out,
                      struct err *e)
{
    struct listeners_change *ch = new_change(g, c);
    if (!ch)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = read_all(g, ch, e);
    pthread_mutex_lock(&g->lock);
    if (rc == 0 && g->closed)
        rc = err_set(e, ERR_UNAVAILABLE, "the daemon is stopping");
    if (rc == 0 && ch->list)
        rc = prepare_listeners(g, ch, e);
    if (rc) {
        undo(g, ch);
    } else {
        g->changing = true;
        *out = ch;
    }
    pthread_mutex_unlock(&g->lock);
    tell_refused(ch, rc, e);
    if (rc)
        free(ch);
    return blame(e, rc);
}

/* The lock is held. */
static void end_change(struct listeners *g)
{
    g->changing = false;
    pthread_cond_broadcast(&g->changed);
}

void listeners_abort(struct listeners *g, struct listeners_change *ch)
{
    if (!ch)
        return;
    pthread_mutex_lock(&g->lock);
    undo(g, ch);
    end_change(g);
    pthread_mutex_unlock(&g->lock);
    free(ch);
}

/* ---- Commit ---- */

static void close_leaving(struct listeners *g, struct listeners_change *ch)
{
    for (size_t i = 0; i < ch->n_leaving; i++) {
        struct listener *d = ch->leaving[i];
        if (d->plain)
            listeners_let_in(g, d, ch->config, LISTENERS_LAST_BUDGET);
        listener_log(d, "no longer listening on");
        listener_close(d);
    }
}

/* Shows the certificates of |tls| from now on. */
static void show_certificates(struct listeners *g, struct rpc_tls *tls)
{
    if (tls && g->tls)
        rpc_tls_exchange(g->tls, tls);
    else if (tls)
        g->tls = rpc_tls_ref(tls);
}

static void open_up(const struct listeners *g, struct listener *d)
{
    int rc = 0;
    d->open = !d->tls;
    if (d->tls)
        rpc_tls_listener_start(d->tls);
    else
        rc = event_source_change(g->epoll, listen_socket_fd(d->plain), EPOLLIN, &d->source->event);
    if (rc)
        log_error("listen", "listener %s: %s", listen_socket_text(d->plain), err_name(rc));
    listener_log(d, "listening on");
}

/* Notes the port that the daemon tells. */
static void note_port(struct listeners *g)
{
    uint16_t first = 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct listener *d = g->list[i];
        if (d->kind == LISTENER_PLAIN && first == 0)
            first = listener_port(d);
    }
    atomic_store(&g->port, first);
}

static void commit_listeners(struct listeners *g, struct listeners_change *ch)
{
    close_leaving(g, ch); /* first: none of them shall ever show a certificate that is not meant for it */
    show_certificates(g, ch->tls);
    for (size_t i = 0; i < ch->n; i++) {
        struct listener *d = ch->next[i];
        bool other = !ch->fresh[i] && d->kind != ch->kinds[i];
        d->kind = ch->kinds[i];
        if (ch->fresh[i])
            open_up(g, d);
        else if (other)
            listener_log(d, "now listening on");
        if (d->plain)
            listen_socket_set_hops(d->plain, ch->config->ipv4_ttl, ch->config->ipv6_hop_limit);
        g->list[i] = d;
    }
    g->n = ch->n;
    note_port(g);
}

void listeners_commit(struct listeners *g, struct listeners_change *ch)
{
    pthread_mutex_lock(&g->lock);
    if (ch->list)
        commit_listeners(g, ch);
    access_users_clear(&g->users);
    g->users = ch->users;
    config_unref(g->config);
    g->config = ch->config;
    end_change(g);
    pthread_mutex_unlock(&g->lock);
    rpc_tls_unref(ch->tls);
    free(ch);
}
