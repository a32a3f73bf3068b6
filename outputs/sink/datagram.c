/* The sinks udp and unixgram: each message is a datagram.
 *
 * Nobody says that a datagram has arrived. What can be known is told: a refusal by the peer's system, and for a unix
 * socket how much was still unread when the peer went away. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "outputs/sink/net_address.h"
#include "outputs/sink/sink.h"

/* A size that passes through networks in one piece: Ethernet's, less what tunnels may add. */
#define UDP_DEFAULT 1400
/* The longest datagram over IPv4: 65535 less two heads (RFC 768, RFC 791). */
#define UDP_LONGEST 65507

/* What a unix socket takes where net.core.wmem_default is what Linux sets it to. */
#define UNIX_DEFAULT (212992 - BUFFER_OVERHEAD)
/* The kernel needs most of a datagram in one piece of memory, and has none that are longer than a few MiB, whatever the
 * send buffer is. */
#define UNIX_LONGEST (1 << 20)
/* What the kernel takes off the send buffer for itself: unix_dgram_sendmsg, net/unix/af_unix.c. */
#define BUFFER_OVERHEAD 32

#define RESOLVE_NS (10 * NS_PER_S)

/* After this time without room in the queue of a unix peer, the error is told. */
#define FULL_NS (5 * NS_PER_S)

struct datagram_sink {
    const struct sink_host *host;
    const struct url *url;
    const struct output_datagram_options *options;
    uint16_t port;
    char name[NET_NAME_MAX];
    int fd;        /* -1: not connected */
    size_t most;   /* the longest datagram that the socket takes, if it is a unix socket */
    bool used;     /* something has been sent since it was connected */
    size_t unread; /* bytes that the peer had not read after the last datagram, that one included */
};

static bool is_unix(const struct datagram_sink *k)
{
    return k->url->n_hosts == 0;
}

/* ---- Life ---- */

static int datagram_open(const struct sink_env *env, void **out, struct err *e)
{
    if (env->url->n_hosts == 0) {
        int rc = net_check_path(env->url, e);
        if (rc)
            return rc;
    }
    struct datagram_sink *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, -ENOMEM, "out of memory");
    k->host = env->host;
    k->url = env->url;
    k->options = env->options;
    k->port = env->kind->port;
    k->fd = -1;
    k->most = SIZE_MAX;
    net_name(k->url, 0, k->port, k->name);
    *out = k;
    return 0;
}

static void disconnect(struct datagram_sink *k)
{
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}

static void datagram_close(void *sink)
{
    struct datagram_sink *k = sink;
    disconnect(k);
    free(k);
}

/* ---- The socket ---- */

static int socket_number(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : 0;
}

/* The size of datagrams by the options. */
static size_t wanted_size(const struct datagram_sink *k)
{
    size_t size = k->options->size, longest = is_unix(k) ? UNIX_LONGEST : UDP_LONGEST;
    if (size == 0)
        size = is_unix(k) ? UNIX_DEFAULT : UDP_DEFAULT;
    return size < longest ? size : longest;
}

/* Finds out what the unix socket |fd| takes. If that is less than |wanted|, asks for more: the system gives up to twice
 * net.core.wmem_max. */
static size_t size_buffer(int fd, size_t wanted)
{
    const int size = (int)wanted + BUFFER_OVERHEAD;
    if (socket_number(fd, SO_SNDBUF) < size)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    int got = socket_number(fd, SO_SNDBUF) - BUFFER_OVERHEAD;
    return got > 0 ? (size_t)got : 0;
}

/* Connecting a datagram socket waits for nothing. Returns 0 or -errno. */
static int open_socket(struct datagram_sink *k, const struct resolve_address *to)
{
    int fd = socket(to->address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&to->address, to->len) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    k->fd = fd;
    k->used = false;
    if (is_unix(k))
        k->most = size_buffer(fd, wanted_size(k));
    return 0;
}

/* Connects to the first address of |list| to which there is a way. */
static int open_any(struct datagram_sink *k, const struct resolve_result *list, struct err *e)
{
    int first = 0;
    for (size_t i = 0; i < list->n; i++) {
        int rc = open_socket(k, &list->list[i]);
        if (rc == 0)
            return 0;
        first = first ? first : rc;
    }
    return err_set(e, first, "%s", err_name(first));
}

static enum sink_result make_connection(struct datagram_sink *k, struct err *e)
{
    struct resolve_result list;
    k->unread = 0;
    int rc = net_addresses(k->host, k->url, 0, k->port, SOCK_DGRAM, clock_mono_ns() + RESOLVE_NS, &list, e);
    if (rc == 0)
        rc = open_any(k, &list, e);
    if (rc == 0)
        return SINK_DONE;
    err_prefix(e, "%s", k->name);
    return rc == ERR_CANCELLED ? SINK_AGAIN : SINK_BROKEN;
}

/* What the peer or the way to it says is wrong. */
static enum sink_result broken(struct datagram_sink *k, int error, struct err *e)
{
    err_set(e, -error, "%s: %s", k->name, err_name(-error));
    disconnect(k);
    return SINK_BROKEN;
}

static enum sink_result datagram_connect(void *sink, bool *fresh, struct err *e)
{
    struct datagram_sink *k = sink;
    enum sink_result result = SINK_DONE;
    int error = k->fd >= 0 ? socket_number(k->fd, SO_ERROR) : 0; /* what became of the last datagram */
    if (error)
        result = broken(k, error, e);
    else if (k->fd < 0)
        result = make_connection(k, e);
    if (result == SINK_DONE && !k->used)
        *fresh = true;
    return result;
}

/* ---- Datagrams ---- */

static size_t datagram_largest(const void *sink)
{
    const struct datagram_sink *k = sink;
    size_t size = wanted_size(k);
    return size < k->most ? size : k->most;
}

static size_t datagram_unsure(const void *sink)
{
    const struct datagram_sink *k = sink;
    return k->unread;
}

/* Notes what the peer may not have read: of a unix peer the kernel knows; of a peer by UDP nobody does, but if its
 * system refuses a datagram, that is the last one. */
static void note_sent(struct datagram_sink *k, size_t len)
{
    int n = 0;
    k->used = true;
    k->unread = len;
    if (is_unix(k) && ioctl(k->fd, SIOCOUTQ, &n) == 0 && n >= 0)
        k->unread = (size_t)n;
}

/* Sends at once. Returns 0 or errno. */
static int try_send(struct datagram_sink *k, const struct sink_message *m)
{
    ssize_t n = send(k->fd, m->data, m->len, MSG_NOSIGNAL);
    if (n < 0)
        return errno;
    note_sent(k, m->len);
    return 0;
}

/* Sends as soon as there is room. Returns 0, errno (EAGAIN: there was none for long), or ERR_CANCELLED. */
static int send_in_time(struct datagram_sink *k, const struct sink_message *m)
{
    int64_t deadline_ns = 0;
    for (;;) {
        int error = try_send(k, m);
        if (error != EAGAIN)
            return error;
        if (deadline_ns == 0)
            deadline_ns = clock_mono_ns() + FULL_NS;
        struct pollfd ready = {.fd = k->fd, .events = POLLOUT};
        int rc = k->host->wait(k->host->arg, &ready, 1, deadline_ns);
        if (rc <= 0)
            return rc ? ERR_CANCELLED : EAGAIN;
    }
}

static enum sink_result send_one(struct datagram_sink *k, const struct sink_message *m, struct err *e)
{
    int error = send_in_time(k, m);
    switch (error) {
    case 0:
        return SINK_DONE;
    case ERR_CANCELLED:
        err_set(e, ERR_CANCELLED, "%s: cancelled", k->name);
        return SINK_AGAIN;
    case EAGAIN:
        err_set(e, ERR_TIMEOUT, "%s: the queue of the peer is full", k->name);
        return SINK_AGAIN;
    case ENOBUFS:
    case ENOMEM:
        err_set(e, -error, "%s: %s", k->name, err_name(-error));
        return SINK_AGAIN;
    case EMSGSIZE:
        err_set(e, ERR_LIMIT, "%s: a datagram of %zu bytes is longer than the socket takes", k->name, m->len);
        return SINK_REFUSED;
    default:
        return broken(k, error, e);
    }
}

static void datagram_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    enum sink_result result = SINK_DONE;
    struct err *first = e;
    for (size_t i = 0; i < n; i++) {
        if (result == SINK_DONE || result == SINK_REFUSED)
            result = send_one(sink, &list[i], first);
        list[i].result = result;
        if (result != SINK_DONE)
            first = NULL;
    }
}

const struct sink_ops xtcp_sink_udp = {
    .abi = SINK_ABI,
    .open = datagram_open,
    .connect = datagram_connect,
    .send = datagram_send,
    .largest = datagram_largest,
    .unsure = datagram_unsure,
    .close = datagram_close,
};

const struct sink_ops xtcp_sink_unixgram = {
    .abi = SINK_ABI,
    .open = datagram_open,
    .connect = datagram_connect,
    .send = datagram_send,
    .largest = datagram_largest,
    .unsure = datagram_unsure,
    .close = datagram_close,
};
