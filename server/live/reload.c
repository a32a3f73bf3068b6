#include "server/live/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/file.h"
#include "lib/linux/path_watch.h"
#include "lib/log.h"
#include "server/live/file_watch.h"

enum {
    CONFIG_FILE,
    CERT_FILE,
    KEY_FILE,
    CLIENT_CA_FILE,
    TOKEN_FILE,
    SOCKETS,
    FILES = SOCKETS + 2 * CONFIG_LISTEN_MAX
};

_Static_assert((int)FILES <= FILE_WATCH_MAX, "all of them can be watched");

struct reload {
    struct file_watch *watch;
    char *config_file;
    uint64_t generation; /* of the configuration that is followed; 0: none yet */
    bool late;           /* changes are noticed by time, and that has been said */
};

int reload_new(const char *config_file, int epoll, const struct event_source *source, struct reload **out,
               struct err *e)
{
    struct reload *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(e, -ENOMEM, "out of memory");
    /* An open descriptor is no file that somebody replaces. */
    r->config_file = strdup(config_file && !file_is_input(config_file) ? config_file : "");
    int rc = r->config_file ? file_watch_new(&r->watch) : -ENOMEM;
    if (rc == 0)
        rc = event_source_add(epoll, file_watch_fd(r->watch), EPOLLIN, source);
    if (rc) {
        reload_free(r);
        return err_set(e, rc, "cannot watch files: %s", err_name(rc));
    }
    *out = r;
    return 0;
}

void reload_free(struct reload *r)
{
    if (!r)
        return;
    file_watch_free(r->watch);
    free(r->config_file);
    free(r);
}

/* Appends the files of the unix sockets in |list| to the |n| |paths|; |listen| holds the texts. Returns the
 * new number of paths. */
static size_t add_sockets(const struct config_strings *list, const char *paths[FILES],
                          struct config_listen listen[2 * CONFIG_LISTEN_MAX], size_t n)
{
    for (size_t i = 0; i < list->n; i++) {
        struct config_listen *l = &listen[n - SOCKETS];
        if (config_listen_parse(list->items[i], l, NULL) == 0 && l->kind == CONFIG_LISTEN_UNIX)
            paths[n++] = l->addr.un.sun_path;
    }
    return n;
}

void reload_follow(struct reload *r, const struct config *c)
{
    const char *paths[FILES] = {
        [CONFIG_FILE] = r->config_file, [CERT_FILE] = c->tls_cert_file,
        [KEY_FILE] = c->tls_key_file,   [CLIENT_CA_FILE] = c->tls_client_ca_file,
        [TOKEN_FILE] = c->token_file,
    };
    struct config_listen listen[2 * CONFIG_LISTEN_MAX];
    if (r->generation == c->generation)
        return;
    r->generation = c->generation;
    size_t n = add_sockets(&c->grpc_listen, paths, listen, SOCKETS);
    n = add_sockets(&c->grpc_health_listen, paths, listen, n);
    int rc = file_watch_set(r->watch, paths, n, c->config_watch == CONFIG_WATCH_ON);
    if (rc && !r->late)
        log_warn("config",
                 "cannot watch the files of the configuration: %s: looking at them every %d seconds",
                 path_watch_reason(rc), (int)(FILE_WATCH_INTERVAL_NS / NS_PER_S));
    r->late = rc != 0;
}

void reload_known(struct reload *r)
{
    file_watch_known(r->watch);
}

struct reload_due reload_read(struct reload *r)
{
    uint64_t changed = file_watch_read(r->watch);
    const uint64_t secrets = (1U << SOCKETS) - 1 - (1U << CONFIG_FILE);
    return (struct reload_due){
        .config = changed & 1U << CONFIG_FILE, .secrets = changed & secrets, .sockets = changed >> SOCKETS};
}
