#include "inet_diag/socket_lookup.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/diag_request.h"

/* Requests that are sent at once. Each answer takes some 2 KiB of the socket's receive buffer, which holds
 * 208 KiB by default. */
#define BATCH 32

/* Room for one answer: 500 bytes, and 300 for each MD5 key of the socket. Not a power of two, with which all
 * answers would compete for the same lines of the cache. */
#define ANSWER_SIZE 4160

struct socket_lookup {
    int own_netns_fd;
    int fd;     /* -1: left */
    int own_fd; /* kept open: the daemon's own namespace is not let go anyway. -1: none yet */
    uint64_t cookie;
    uint64_t own_cookie; /* of own_fd's namespace */
    uint64_t inode;
    uint32_t seq;
    uint8_t requests[BATCH * LOOKUP_REQUEST_SIZE];
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_nl senders[BATCH];
    _Alignas(struct nlmsghdr) uint8_t answers[BATCH][ANSWER_SIZE];
};

/* ---- The messages ---- */

void lookup_identity(const struct record_source *s, struct lookup_socket *out)
{
    struct inet_diag_msg m;
    memcpy(&m, s->data[PART_MSG], sizeof(m));
    *out = (struct lookup_socket){.family = m.idiag_family, .id = m.id};
}

void lookup_put_request(uint8_t *out, const struct lookup_socket *s, uint8_t ext, uint32_t seq)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = seq},
        .body = {.sdiag_family = s->family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_ext = ext,
                 .idiag_states = ~0u,
                 .id = s->id},
    };
    _Static_assert(sizeof(request) == LOOKUP_REQUEST_SIZE, "no padding but what netlink has anyway");
    memcpy(out, &request, sizeof(request));
}

static bool any_cookie(const struct lookup_socket *s)
{
    return s->id.idiag_cookie[0] == INET_DIAG_NOCOOKIE && s->id.idiag_cookie[1] == INET_DIAG_NOCOOKIE;
}

/* Whether |s| is the socket that was asked for. The kernel has looked it up by these values, so this detects
 * messages from other senders. */
static bool is_answer(const struct record_source *s, const struct lookup_socket *wanted)
{
    struct lookup_socket got;
    lookup_identity(s, &got);
    if (got.id.idiag_sport != wanted->id.idiag_sport)
        return false;
    return any_cookie(wanted) ||
           memcmp(got.id.idiag_cookie, wanted->id.idiag_cookie, sizeof(got.id.idiag_cookie)) == 0;
}

size_t lookup_take_answers(const void *data, size_t len, const struct lookup_asked *asked)
{
    struct diag_reader r;
    size_t count = 0;
    diag_reader_init(&r);
    diag_reader_feed(&r, data, len);
    for (enum diag_event event; (event = diag_reader_next(&r)) != DIAG_END;) {
        uint32_t i = r.seq - asked->first_seq; /* sequence numbers wrap, and so does this */
        bool found = event == DIAG_SOCKET;
        if ((!found && event != DIAG_ERROR) || i >= asked->n || asked->answered[i])
            continue;
        if (found && !is_answer(&r.source, &asked->sockets[i]))
            continue;
        if (found && asked->devices)
            devices_name(asked->devices, &r.source);
        asked->answered[i] = 1;
        count++;
        asked->fn(asked->arg, asked->base + i, found ? &r.source : NULL, found ? 0 : r.error);
    }
    return count;
}

/* ---- Life ---- */

int lookup_new(int own_netns_fd, struct socket_lookup **out)
{
    struct socket_lookup *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->own_netns_fd = own_netns_fd;
    x->fd = x->own_fd = -1;
    for (size_t i = 0; i < BATCH; i++) {
        x->vectors[i] = (struct iovec){.iov_base = x->answers[i], .iov_len = ANSWER_SIZE};
        x->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &x->senders[i], .msg_iov = &x->vectors[i], .msg_iovlen = 1};
    }
    *out = x;
    return 0;
}

void lookup_free(struct socket_lookup *x)
{
    if (!x)
        return;
    lookup_leave(x);
    if (x->own_fd >= 0)
        close(x->own_fd);
    free(x);
}

uint64_t lookup_cookie(const struct socket_lookup *x)
{
    return x->cookie;
}

uint64_t lookup_inode(const struct socket_lookup *x)
{
    return x->inode;
}

/* ---- The namespace ---- */

struct opening {
    struct socket_lookup *x;
    uint64_t want;
    bool own;
};

static int open_socket(void *arg, struct err *e)
{
    const struct opening *o = arg;
    struct socket_lookup *x = o->x;
    bool kept = o->own && x->own_fd >= 0; /* a socket stays in its namespace, so its cookie is known */
    x->cookie = kept ? x->own_cookie : 0;
    x->fd = kept ? x->own_fd : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (x->fd < 0)
        return err_set(e, -errno, "cannot open a NETLINK_SOCK_DIAG socket: %s", err_name(-errno));
    return kept ? 0 : netns_expect(x->fd, o->want, &x->cookie, e);
}

int lookup_enter(struct socket_lookup *x, const struct netns_ref *ns, bool *lost, struct err *e)
{
    struct opening o = {.x = x, .want = ns->cookie, .own = ns->own};
    lookup_leave(x);
    struct netns_entry entry;
    int rc = netns_inside(x->own_netns_fd, ns, open_socket, &o, &entry, e);
    x->inode = entry.inode;
    *lost = entry.lost;
    if (rc) {
        lookup_leave(x);
    } else if (ns->own) {
        x->own_fd = x->fd;
        x->own_cookie = x->cookie;
    }
    return rc;
}

void lookup_leave(struct socket_lookup *x)
{
    if (x->fd >= 0 && x->fd != x->own_fd)
        close(x->fd);
    x->fd = -1;
    x->cookie = 0;
}

/* ---- Asking ---- */

static int send_requests(struct socket_lookup *x, size_t n)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    for (;;) {
        ssize_t sent = sendto(x->fd, x->requests, n * LOOKUP_REQUEST_SIZE, 0,
                              (const struct sockaddr *)&kernel, sizeof(kernel));
        if (sent >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* Receives the datagrams that have come, up to BATCH. Returns their number, or -errno. */
static int receive_datagrams(struct socket_lookup *x)
{
    for (size_t i = 0; i < BATCH; i++)
        x->messages[i].msg_hdr.msg_namelen = sizeof(x->senders[i]);
    int n = recvmmsg(x->fd, x->messages, BATCH, MSG_DONTWAIT, NULL);
    return n < 0 ? -errno : n;
}

static bool from_kernel(const struct socket_lookup *x, int i)
{
    return x->messages[i].msg_hdr.msg_namelen == sizeof(x->senders[i]) &&
           x->senders[i].nl_family == AF_NETLINK && x->senders[i].nl_pid == 0;
}

/* Receives until all answers have come or no more are there. Returns 0, or the reason why some are missing:
 * an answer was lost for want of memory (ENOBUFS), or was cut. */
static int receive_answers(struct socket_lookup *x, const struct lookup_asked *asked)
{
    size_t count = 0;
    int lost = ERR_MALFORMED;
    while (count < asked->n) {
        int got = receive_datagrams(x);
        if (got == -EINTR)
            continue;
        if (got == -ENOBUFS) {
            lost = -ENOBUFS;
            continue;
        }
        if (got <= 0)
            return got == -EAGAIN || got == 0 ? lost : got;
        for (int i = 0; i < got; i++) {
            if (from_kernel(x, i))
                count += lookup_take_answers(x->answers[i], x->messages[i].msg_len, asked);
        }
    }
    return 0;
}

/* At most BATCH sockets. Returns 0, or the reason why no more can be asked. */
static int ask_batch(struct socket_lookup *x, struct lookup_asked *asked, uint8_t ext)
{
    uint8_t answered[BATCH] = {0};
    asked->first_seq = x->seq;
    asked->answered = answered;
    for (size_t i = 0; i < asked->n; i++)
        lookup_put_request(x->requests + i * LOOKUP_REQUEST_SIZE, &asked->sockets[i], ext, x->seq++);
    int rc = send_requests(x, asked->n);
    int why = rc ? rc : receive_answers(x, asked);
    for (size_t i = 0; i < asked->n; i++) {
        if (!answered[i])
            asked->fn(asked->arg, asked->base + i, NULL, why);
    }
    asked->answered = NULL;
    return why == ERR_MALFORMED || why == -ENOBUFS ? 0 : why;
}

int lookup_ask(struct socket_lookup *x, const struct lookup_socket *sockets, size_t n, groups_t groups,
               lookup_fn *fn, void *arg)
{
    uint8_t ext = diag_request_extensions(groups);
    struct devices devices = {.fd = x->fd};
    int rc = 0;
    for (size_t at = 0; at < n; at += BATCH) {
        struct lookup_asked asked = {.sockets = sockets + at,
                                     .n = n - at < BATCH ? n - at : BATCH,
                                     .base = at,
                                     .devices = &devices,
                                     .fn = fn,
                                     .arg = arg};
        if (rc == 0)
            rc = ask_batch(x, &asked, ext);
        else
            for (size_t i = 0; i < asked.n; i++)
                fn(arg, at + i, NULL, rc);
    }
    return rc;
}
