#include "outputs/sink/net_stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "outputs/sink/net_address.h"
#include "outputs/sink/net_tls.h"

/* How long to wait before a unix socket is asked again whose queue of connections is full: nothing tells when there is
 * room. */
#define QUEUE_FULL_NS (20 * NS_PER_MS)

/* What is dropped at a time of what the peer sends. */
#define DISCARD_BYTES  4096
#define DISCARD_ROUNDS 16

struct net_stream {
    struct net_stream_options o;
    size_t at; /* the host of the connection, or the one that is tried next */
    char name[NET_NAME_MAX];
    int fd;              /* -1: not connected */
    struct net_tls *tls; /* NULL: none */
    uint64_t written;    /* bytes of this connection that are in the send buffer */
    bool begun;          /* further ones are on their way through TLS */
    uint64_t doubt;
};

/* ---- Life ---- */

static size_t hosts_of(const struct net_stream *s)
{
    return s->o.url->n_hosts ? s->o.url->n_hosts : 1;
}

static void choose_host(struct net_stream *s, size_t at)
{
    s->at = at % hosts_of(s);
    net_name(s->o.url, s->at, s->o.port, s->name);
}

int net_stream_new(const struct net_stream_options *o, struct net_stream **out, struct err *e)
{
    int rc = o->url->n_hosts ? 0 : net_check_path(o->url, e);
    if (rc)
        return rc;
    struct net_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->o = *o;
    s->fd = -1;
    choose_host(s, 0);
    *out = s;
    return 0;
}

void net_stream_free(struct net_stream *s)
{
    if (!s)
        return;
    net_stream_close(s);
    free(s);
}

bool net_stream_connected(const struct net_stream *s)
{
    return s->fd >= 0;
}

const char *net_stream_name(const struct net_stream *s)
{
    return s->name;
}

uint64_t net_stream_written(const struct net_stream *s)
{
    return s->written + s->begun;
}

uint64_t net_stream_doubt(const struct net_stream *s)
{
    return s->doubt;
}

/* ---- Waiting ---- */

/* Waits until |fd| (-1: nothing) is ready for |events|. Returns what it is ready for, 0 when the time is over, or
 * ERR_CANCELLED. */
static int wait_for(const struct net_stream *s, int fd, short events, int64_t deadline_ns)
{
    struct pollfd ready = {.fd = fd, .events = events};
    int n = s->o.host->wait(s->o.host->arg, &ready, fd >= 0 ? 1 : 0, deadline_ns);
    return n > 0 ? ready.revents : n;
}

static int set_cancelled(struct err *e)
{
    return err_set(e, ERR_CANCELLED, "cancelled");
}

/* |what| is the error, up to the duration. */
static int set_timeout(const struct net_stream *s, const char *what, struct err *e)
{
    char text[DURATION_TEXT_MAX];
    duration_format(s->o.timeout, text);
    return err_set(e, ERR_TIMEOUT, "%s %s", what, text);
}

static int set_errno(struct err *e, int error)
{
    return err_set(e, -error, "%s", err_name(-error));
}

/* ---- Moving bytes without waiting: 0, POLLIN or POLLOUT, or a code, as in net_tls.h ---- */

static int try_write(struct net_stream *s, const void *data, size_t len, bool more, size_t *n, struct err *e)
{
    if (s->tls)
        return net_tls_write(s->tls, data, len, more, n, e);
    ssize_t sent = send(s->fd, data, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? POLLOUT : set_errno(e, errno);
    *n = (size_t)sent;
    return 0;
}

static int try_read(struct net_stream *s, void *data, size_t max, size_t *n, struct err *e)
{
    if (s->tls)
        return net_tls_read(s->tls, data, max, n, e);
    ssize_t got = read(s->fd, data, max);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? POLLIN : set_errno(e, errno);
    if (got == 0)
        return err_set(e, ERR_GONE, "closed by the peer");
    *n = (size_t)got;
    return 0;
}

/* Drops what the peer has sent; a part of it if that is much. Returns 0 or a code. */
static int discard(struct net_stream *s, struct err *e)
{
    char bytes[DISCARD_BYTES];
    int rc = 0;
    for (unsigned i = 0; i < DISCARD_ROUNDS && rc == 0; i++) {
        size_t n;
        rc = try_read(s, bytes, sizeof(bytes), &n, e);
    }
    return rc < 0 ? rc : 0;
}

/* ---- The end of a connection ---- */

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* Whether the peer has closed the connection with nothing unread: if it leaves something unread, its system sends a
 * reset in place of an end, also over a unix socket. */
static bool ended_in_order(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 0 && socket_error(fd) == 0;
}

/* The bytes in the send buffer that the system of the peer has not taken yet. */
static uint64_t bytes_unsent(int fd)
{
    int n;
    return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

static void disconnect(struct net_stream *s, uint64_t doubt)
{
    s->doubt = doubt < net_stream_written(s) ? doubt : net_stream_written(s);
    net_tls_free(s->tls);
    s->tls = NULL;
    close(s->fd);
    s->fd = -1;
}

/* The connection is of no more use for the reason |rc|. Returns that. */
static int fail(struct net_stream *s, int rc, struct err *e)
{
    bool in_order = rc == ERR_GONE && ended_in_order(s->fd);
    disconnect(s, in_order ? bytes_unsent(s->fd) : UINT64_MAX);
    err_prefix(e, "%s", s->name);
    choose_host(s, s->at + 1);
    return rc;
}

void net_stream_close(struct net_stream *s)
{
    if (s->fd < 0)
        return;
    if (s->o.discard)
        (void)discard(s, NULL); /* what stays unread makes a reset of the end */
    if (s->tls)
        net_tls_bye(s->tls);
    disconnect(s, bytes_unsent(s->fd));
}

void net_stream_give_up(struct net_stream *s)
{
    if (s->fd < 0)
        return;
    net_stream_close(s);
    choose_host(s, s->at + 1);
}

/* ---- Connecting ---- */

/* A dead peer is noticed within the timeout, whether there is something to send or not (tcp(7)). */
static void set_tcp_options(int fd, int64_t timeout)
{
    const int on = 1;
    const int quarter_s = (int)(timeout / 4 / NS_PER_S) > 0 ? (int)(timeout / 4 / NS_PER_S) : 1;
    const int idle_s = 2 * quarter_s;
    const int probes = 2;
    const unsigned ms = (unsigned)(timeout / NS_PER_MS);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &quarter_s, sizeof(quarter_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Whether the socket has met itself: where nobody listens at a port that the system may also give to a client, a
 * client that is given it is connected to itself. */
static bool met_itself(int fd)
{
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own.ss_family != AF_UNIX &&
           own_len == peer_len && memcmp(&own, &peer, own_len) == 0;
}

/* Asks for a connection until the queue of the listener, if it is a unix socket, has room. Returns 0, -EINPROGRESS,
 * ERR_TIMEOUT, ERR_CANCELLED or -errno. */
static int request(const struct net_stream *s, int fd, const struct resolve_address *to, int64_t deadline_ns)
{
    while (connect(fd, (const struct sockaddr *)&to->address, to->len) != 0) {
        if (errno != EAGAIN)
            return -errno;
        int64_t now = clock_mono_ns();
        int rc = now < deadline_ns ? wait_for(s, -1, 0, clock_earlier(deadline_ns, now + QUEUE_FULL_NS))
                                   : ERR_TIMEOUT;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Connects |fd|, which does not block. Returns 0, ERR_TIMEOUT, ERR_CANCELLED or -errno. */
static int connect_socket(const struct net_stream *s, int fd, const struct resolve_address *to,
                          int64_t deadline_ns)
{
    int rc = request(s, fd, to, deadline_ns);
    if (rc == -EINPROGRESS) {
        rc = wait_for(s, fd, POLLOUT, deadline_ns);
        if (rc <= 0)
            return rc ? rc : ERR_TIMEOUT;
        rc = -socket_error(fd);
    }
    return rc == 0 && met_itself(fd) ? -ECONNREFUSED : rc;
}

/* Returns a connected socket, ERR_TIMEOUT, ERR_CANCELLED or -errno. */
static int open_socket(const struct net_stream *s, const struct resolve_address *to, int64_t deadline_ns)
{
    int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (to->address.ss_family != AF_UNIX)
        set_tcp_options(fd, s->o.timeout);
    int rc = connect_socket(s, fd, to, deadline_ns);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* Tries all addresses of |list|, each for its share of the time that is left. Returns a socket, or the first error: the
 * best address comes first. */
static int open_any(const struct net_stream *s, const struct resolve_result *list, int64_t deadline_ns,
                    struct err *e)
{
    int first = 0;
    for (size_t i = 0; i < list->n; i++) {
        int64_t now = clock_mono_ns();
        int rc = open_socket(s, &list->list[i], now + (deadline_ns - now) / (int64_t)(list->n - i));
        if (rc >= 0)
            return rc;
        if (rc == ERR_CANCELLED)
            return set_cancelled(e);
        first = first ? first : rc;
    }
    if (first == ERR_TIMEOUT)
        return set_timeout(s, "not connected within", e);
    return set_errno(e, -first);
}

static int shake_hands(struct net_stream *s, int64_t deadline_ns, struct err *e)
{
    int rc = net_tls_new(s->o.tls, s->o.url->hosts[s->at].name, s->fd, &s->tls, e);
    if (rc)
        return rc;
    for (;;) {
        rc = net_tls_handshake(s->tls, e);
        if (rc <= 0)
            return rc;
        rc = wait_for(s, s->fd, (short)rc, deadline_ns);
        if (rc < 0)
            return set_cancelled(e);
        if (rc == 0)
            return set_timeout(s, "TLS: no handshake within", e);
    }
}

/* Nothing has been sent over TLS yet when this fails. */
static int start_tls(struct net_stream *s, int64_t deadline_ns, struct err *e)
{
    int rc = shake_hands(s, deadline_ns, e);
    if (rc) {
        disconnect(s, 0);
        err_prefix(e, "%s", s->name);
    }
    return rc;
}

static int connect_host(struct net_stream *s, struct err *e)
{
    struct resolve_result list;
    int64_t deadline_ns = clock_mono_ns() + s->o.timeout;
    int rc = net_addresses(s->o.host, s->o.url, s->at, s->o.port, SOCK_STREAM, deadline_ns, &list, e);
    if (rc == 0)
        rc = open_any(s, &list, deadline_ns, e);
    if (rc < 0) {
        err_prefix(e, "%s", s->name);
        return rc;
    }
    s->fd = rc;
    s->written = 0;
    s->begun = false;
    return s->o.tls && !s->o.tls_later ? start_tls(s, deadline_ns, e) : 0;
}

int net_stream_connect(struct net_stream *s, struct err *e)
{
    int rc = ERR_UNAVAILABLE;
    s->doubt = 0;
    for (size_t i = 0; i < hosts_of(s) && rc; i++) {
        rc = connect_host(s, e);
        if (rc == ERR_CANCELLED)
            break;
        if (rc)
            choose_host(s, s->at + 1);
    }
    return rc;
}

int net_stream_start_tls(struct net_stream *s, struct err *e)
{
    int rc = start_tls(s, clock_mono_ns() + s->o.timeout, e);
    if (rc && rc != ERR_CANCELLED)
        choose_host(s, s->at + 1);
    return rc;
}

/* ---- Writing and reading ---- */

/* The progress of a write: without any, it ends. */
struct progress {
    uint64_t bytes; /* in the send buffer, TLS included */
    int64_t deadline_ns;
};

static uint64_t bytes_passed(const struct net_stream *s)
{
    return s->tls ? net_tls_sent(s->tls) : s->written;
}

/* Waits until the socket is ready for |events|, and meanwhile drops what the peer sends. Returns 0 or a code. */
static int wait_to_write(struct net_stream *s, short events, struct progress *p, struct err *e)
{
    int64_t now = clock_mono_ns();
    if (bytes_passed(s) != p->bytes)
        *p = (struct progress){.bytes = bytes_passed(s), .deadline_ns = now + s->o.timeout};
    if (now >= p->deadline_ns)
        return set_timeout(s, "the peer has taken nothing for", e);
    int rc = wait_for(s, s->fd, (short)(events | (s->o.discard ? POLLIN : 0)), p->deadline_ns);
    if (rc < 0)
        return set_cancelled(e);
    return rc & POLLIN && s->o.discard ? discard(s, e) : 0;
}

static int write_all(struct net_stream *s, const uint8_t *data, size_t len, bool more, struct err *e)
{
    struct progress p = {.bytes = bytes_passed(s), .deadline_ns = clock_mono_ns() + s->o.timeout};
    while (len > 0) {
        size_t n = 0;
        int rc = try_write(s, data, len, more, &n, e);
        s->begun = s->tls && rc > 0;
        s->written += n;
        data += n;
        len -= n;
        if (rc > 0)
            rc = wait_to_write(s, (short)rc, &p, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* There is no connection. */
static int not_connected(const struct net_stream *s, struct err *e)
{
    return err_set(e, ERR_PRECONDITION, "%s: not connected", s->name);
}

/* The result of an operation. With one of |left| (0: none) the connection stays. */
static int result_of(struct net_stream *s, int rc, int left, struct err *e)
{
    if (rc == 0)
        return 0;
    if (rc != ERR_CANCELLED && rc != left)
        return fail(s, rc, e);
    err_prefix(e, "%s", s->name);
    return rc;
}

int net_stream_write(struct net_stream *s, const void *data, size_t len, bool more, struct err *e)
{
    if (s->fd < 0)
        return not_connected(s, e);
    int rc = write_all(s, data, len, more, e);
    if (rc == -EPIPE)
        rc = set_errno(e, ECONNRESET); /* the same, and noticed later */
    return result_of(s, rc, s->o.discard ? 0 : -ECONNRESET, e);
}

static int read_some(struct net_stream *s, void *data, size_t max, size_t *n, int64_t deadline_ns,
                     struct err *e)
{
    for (;;) {
        int rc = try_read(s, data, max, n, e);
        if (rc <= 0)
            return rc;
        rc = wait_for(s, s->fd, (short)rc, deadline_ns);
        if (rc < 0)
            return set_cancelled(e);
        if (rc == 0)
            return err_set(e, ERR_TIMEOUT, "no answer in time");
    }
}

int net_stream_read(struct net_stream *s, void *data, size_t max, size_t *n, int64_t deadline_ns,
                    struct err *e)
{
    if (s->fd < 0)
        return not_connected(s, e);
    return result_of(s, read_some(s, data, max, n, deadline_ns, e), ERR_TIMEOUT, e);
}

int net_stream_check(struct net_stream *s, struct err *e)
{
    if (s->fd < 0)
        return not_connected(s, e);
    return result_of(s, discard(s, e), 0, e);
}
