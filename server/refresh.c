#include "server/refresh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/log.h"
#include "server/file_watch.h"

enum { CONFIG_FILE, CERT_FILE, KEY_FILE, CLIENT_CA_FILE, TOKEN_FILE, FILES };

_Static_assert((int)FILES <= FILE_WATCH_MAX, "all of them can be watched");

struct refresh {
    struct file_watch *watch;
    char *config_file;
    uint64_t generation; /* of the configuration that is followed; 0: none yet */
    bool incomplete;     /* some changes are not noticed, and that has been said */
};

int refresh_new(const char *config_file, int epoll, struct refresh **out, struct err *e)
{
    struct refresh *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(e, -ENOMEM, "out of memory");
    r->config_file = strdup(config_file ? config_file : "");
    int rc = r->config_file ? file_watch_new(&r->watch) : -ENOMEM;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};
    if (rc == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, file_watch_fd(r->watch), &event) != 0)
        rc = -errno;
    if (rc) {
        refresh_free(r);
        return err_set(e, rc, "cannot watch files: %s", err_name(rc));
    }
    *out = r;
    return 0;
}

void refresh_free(struct refresh *r)
{
    if (!r)
        return;
    file_watch_free(r->watch);
    free(r->config_file);
    free(r);
}

void refresh_follow(struct refresh *r, const struct config *c)
{
    const char *const paths[FILES] = {
        [CONFIG_FILE] = r->config_file, [CERT_FILE] = c->tls_cert_file,
        [KEY_FILE] = c->tls_key_file,   [CLIENT_CA_FILE] = c->tls_client_ca_file,
        [TOKEN_FILE] = c->token_file,
    };
    if (r->generation == c->generation)
        return;
    r->generation = c->generation;
    int rc = file_watch_set(r->watch, paths, c->config_watch == CONFIG_WATCH_ON ? FILES : 0);
    if (rc && !r->incomplete)
        log_warn("config", "some changes of files will not be noticed before SIGHUP: %s", err_name(rc));
    r->incomplete = rc != 0;
}

struct refresh_due refresh_read(struct refresh *r)
{
    unsigned changed = file_watch_read(r->watch);
    return (struct refresh_due){.config = changed & 1U << CONFIG_FILE,
                                .secrets = changed & ~(1U << CONFIG_FILE)};
}
