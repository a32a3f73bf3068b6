#include "rpc/server/listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "rpc/server/socket_file.h"

/* A peer whose kernel has not acknowledged our data for this long is dead, even if keepalive finds it
 * alive. */
#define TCP_USER_TIMEOUT_MS 20000

/* The time between two looks at a listener that cannot even turn a connection away. */
#define TURNED_AWAY_MS 10

struct listen_socket {
    int fd;
    int reserve; /* an open descriptor to give up when there is none left to accept with */
    struct config_listen where;
    struct rpc_socket_file file; /* of a unix socket */
    char text[160];
};

static int bind_socket(struct listen_socket *l, int fd, mode_t mode, gid_t group)
{
    if (l->where.kind == CONFIG_LISTEN_UNIX)
        return rpc_socket_file_bind(&l->file, fd, mode, group);
    return bind(fd, &l->where.addr.any, l->where.len) == 0 ? 0 : -errno;
}

static int share(int fd, bool on)
{
    int value = on;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int open_socket(struct listen_socket *l, mode_t mode, gid_t group, bool beside)
{
    const struct config_listen *where = &l->where;
    int on = 1;
    int fd = socket(where->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (where->kind == CONFIG_LISTEN_TCP)
        rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 ? 0 : -errno;
    /* [::] means IPv6: 0.0.0.0 can be listened on beside it. */
    if (rc == 0 && where->addr.any.sa_family == AF_INET6)
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0 ? 0 : -errno;
    if (rc == 0 && beside && where->kind == CONFIG_LISTEN_TCP)
        rc = share(fd, true);
    if (rc == 0)
        rc = bind_socket(l, fd, mode, group);
    /* As long as possible: a full backlog is an error to clients of a unix socket. */
    if (rc == 0)
        rc = listen(fd, SOMAXCONN) == 0 ? 0 : -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* Writes the address that |l| is bound to, and its port, which may have been chosen by the system. */
static void describe(struct listen_socket *l, const char *configured)
{
    char host[INET6_ADDRSTRLEN] = "";
    snprintf(l->text, sizeof(l->text), "%s", configured);
    if (l->where.kind != CONFIG_LISTEN_TCP)
        return;
    socklen_t len = sizeof(l->where.addr);
    if (getsockname(l->fd, &l->where.addr.any, &len) != 0)
        return;
    bool v6 = l->where.addr.any.sa_family == AF_INET6;
    const void *address =
        v6 ? (const void *)&l->where.addr.in6.sin6_addr : (const void *)&l->where.addr.in4.sin_addr;
    l->where.port = ntohs(v6 ? l->where.addr.in6.sin6_port : l->where.addr.in4.sin_port);
    inet_ntop(l->where.addr.any.sa_family, address, host, sizeof(host));
    snprintf(l->text, sizeof(l->text), v6 ? "[%s]:%u" : "%s:%u", host, l->where.port);
}

static void keep_reserve(struct listen_socket *l)
{
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The text of |rc| where something is to listen. */
static const char *reason(int rc)
{
    return rc == -EEXIST    ? "a file that is no socket is in the way"
           : rc == ERR_GONE ? "somebody has removed or replaced the socket while it was made"
                            : err_name(rc);
}

int listen_socket_open(const char *text, const struct listen_socket_options *options,
                       struct listen_socket **out, struct err *e)
{
    struct err why = {0};
    struct listen_socket *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, -ENOMEM, "out of memory");
    l->fd = l->reserve = l->file.lock = l->file.file = -1;
    int rc = config_listen_parse(text, &l->where, &why);
    if (rc) {
        err_set(e, rc, "cannot listen on %s: %s", text, why.text);
        goto fail;
    }
    gid_t group = (gid_t)-1;
    if (l->where.kind == CONFIG_LISTEN_UNIX &&
        (rc = rpc_socket_file_group(options->socket_group, &group, &why)) != 0) {
        err_set(e, rc, "cannot listen on %s: %s", text, why.text);
        goto fail;
    }
    if (l->where.kind == CONFIG_LISTEN_UNIX)
        rc = rpc_socket_file_claim(&l->file, l->where.addr.un.sun_path);
    if (rc == 0)
        l->fd = rc = open_socket(l, options->socket_mode, group, options->beside);
    if (rc < 0) {
        err_set(e, rc, "cannot listen on %s: %s", text, reason(rc));
        goto fail;
    }
    keep_reserve(l);
    describe(l, text);
    listen_socket_share(l, false); /* from now on nobody else can have the port */
    *out = l;
    return 0;
fail:
    rc = e ? e->code : rc;
    rpc_socket_file_release(&l->file);
    free(l);
    return rc;
}

void listen_socket_close(struct listen_socket *l)
{
    if (!l)
        return;
    rpc_socket_file_release(&l->file);
    close(l->fd);
    if (l->reserve >= 0)
        close(l->reserve);
    free(l);
}

void listen_socket_share(struct listen_socket *l, bool on)
{
    if (l->where.kind == CONFIG_LISTEN_TCP)
        share(l->fd, on); /* if it fails, the other one cannot be opened, and reports that */
}

int listen_socket_permit(struct listen_socket *l, const struct listen_socket_options *options, struct err *e)
{
    struct err why = {0};
    gid_t group;
    if (l->where.kind != CONFIG_LISTEN_UNIX)
        return 0;
    int rc = rpc_socket_file_group(options->socket_group, &group, &why);
    if (rc == 0)
        rc = rpc_socket_file_permit(&l->file, options->socket_mode, group);
    if (rc == 0)
        return 0;
    return err_set(e, rc, "listener %s: %s", l->text, why.code ? why.text : err_name(rc));
}

bool listen_socket_is_there(const struct listen_socket *l)
{
    return l->where.kind != CONFIG_LISTEN_UNIX || rpc_socket_file_is_there(&l->file);
}

int listen_socket_restore(struct listen_socket *l, const struct listen_socket_options *options, struct err *e)
{
    struct err why = {0};
    gid_t group;
    int fd = -1;
    int rc = rpc_socket_file_group(options->socket_group, &group, &why);
    if (rc == 0)
        rc = rpc_socket_file_claim_again(&l->file);
    int file = l->file.file;
    if (rc == 0) {
        l->file.file = -1;
        rc = fd = open_socket(l, options->socket_mode, group, false);
    }
    if (rc < 0) {
        if (l->file.file != file) {
            rpc_socket_file_unbind(&l->file);
            l->file.file = file;
        }
        return err_set(e, rc, "cannot listen on %s: %s", l->text, why.code ? why.text : reason(rc));
    }
    if (file >= 0)
        close(file);
    close(l->fd);
    l->fd = fd;
    return 0;
}

int listen_socket_fd(const struct listen_socket *l)
{
    return l->fd;
}

const char *listen_socket_text(const struct listen_socket *l)
{
    return l->text;
}

uint16_t listen_socket_port(const struct listen_socket *l)
{
    return l->where.port;
}

void listen_socket_set_hops(struct listen_socket *l, unsigned ipv4_ttl, unsigned ipv6_hop_limit)
{
    if (l->where.kind != CONFIG_LISTEN_TCP)
        return;
    /* Connections inherit it. -1 stands for the kernel's own (ip(7), ipv6(7)). */
    bool v6 = l->where.addr.any.sa_family == AF_INET6;
    unsigned wanted = v6 ? ipv6_hop_limit : ipv4_ttl;
    int hops = wanted ? (int)wanted : -1;
    int rc = v6 ? setsockopt(l->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops))
                : setsockopt(l->fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
    if (rc != 0)
        log_warn("rpc", "listener %s: cannot limit hops to %u: %s", l->text, wanted, err_name(-errno));
}

/* accept4() itself would call the hook made for gRPC (rpc/server/hook.c). */
static int accept_own(int fd, int flags)
{
    return (int)syscall(SYS_accept4, fd, NULL, NULL, flags);
}

/* No descriptor is left: without accepting, the listener would stay readable and the loop would spin. So the
 * reserve is given up for a moment, and the connection is accepted and closed. Another thread may take the
 * descriptor in that moment: until there is a reserve again, the loop at least does not spin. */
static void turn_away(struct listen_socket *l)
{
    if (l->reserve < 0) {
        poll(NULL, 0, TURNED_AWAY_MS);
        return;
    }
    close(l->reserve);
    int fd = accept_own(l->fd, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    keep_reserve(l);
}

int listen_socket_accept(struct listen_socket *l)
{
    int fd = accept_own(l->fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int rc = -errno;
        if (rc == -EMFILE || rc == -ENFILE) {
            log_limited(LOG_WARN, "rpc", "listener %s: a connection is turned away: %s", l->text,
                        err_name(rc));
            turn_away(l);
        }
        return rc;
    }
    if (l->reserve < 0)
        keep_reserve(l);
    if (l->where.kind == CONFIG_LISTEN_TCP) {
        int on = 1;
        int timeout = TCP_USER_TIMEOUT_MS;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    }
    return fd;
}
