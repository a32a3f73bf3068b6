#include "inet_diag/dump.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "inet_diag/capture.h"
#include "inet_diag/device.h"
#include "inet_diag/diag_parse.h"
#include "inet_diag/diag_request.h"
#include "inet_diag/enter.h"
#include "lib/clock.h"

/* libnl has error codes of its own, one of which stands for most of the system's; it leaves errno as the
 * failed system call has set it. |otherwise|: the code when none has failed. */
static int libnl_failed(struct err *e, const char *what, int libnl_code, int otherwise)
{
    int code = errno ? -errno : otherwise;
    return err_set(e, code, "cannot %s: %s", what, errno ? err_name(code) : nl_geterror(libnl_code));
}

int dump_open(struct dump *d, uint64_t cookie, struct err *e)
{
    *d = (struct dump){.fd = -1};
    errno = 0;
    d->socket = nl_socket_alloc();
    if (!d->socket)
        return err_set(e, -ENOMEM, "cannot open a NETLINK_SOCK_DIAG socket: out of memory");
    int rc = nl_connect(d->socket, NETLINK_SOCK_DIAG);
    if (rc) {
        rc = libnl_failed(e, "open a NETLINK_SOCK_DIAG socket", rc, -ENOMEM);
        goto fail;
    }
    d->fd = nl_socket_get_fd(d->socket);
    d->portid = nl_socket_get_local_port(d->socket);
    rc = netns_expect(d->fd, cookie, &d->cookie, e);
    if (rc)
        goto fail;
    return 0;

fail:
    dump_close(d);
    return rc;
}

void dump_close(struct dump *d)
{
    if (d->socket)
        nl_socket_free(d->socket);
    *d = (struct dump){.fd = -1};
}

int dump_request(struct dump *d, groups_t groups, struct err *e)
{
    return dump_request_new(d, &(struct diag_request){.groups = groups, .states = DIAG_STATES_ALL}, e);
}

int dump_request_new(struct dump *d, const struct diag_request *r, struct err *e)
{
    struct nl_msg *m = diag_request_new(r);
    if (!m)
        return err_set(e, -ENOMEM, "cannot build the request: out of memory");
    errno = 0;
    nl_complete_msg(d->socket, m);
    d->seq = nlmsg_hdr(m)->nlmsg_seq;
    int sent = nl_send(d->socket, m);
    int rc = sent < 0 ? libnl_failed(e, "send the request", sent, -EIO) : 0;
    nlmsg_free(m);
    return rc;
}

static int stop_wanted(const struct dump_options *o, struct err *e)
{
    if ((o->cancelled && atomic_load_explicit(o->cancelled, memory_order_acquire)) ||
        (o->stopping && atomic_load_explicit(o->stopping, memory_order_acquire)))
        return err_set(e, ERR_CANCELLED, "the dump was given up on request");
    if (clock_mono_ns() >= o->deadline_ns)
        return err_set(e, ERR_TIMEOUT, "the dump was not finished in time");
    return 0;
}

/* Waits for a datagram, for wake_fd, for the deadline, or until it has been silent for too long. */
static int wait_readable(const struct dump *d, const struct dump_options *o, struct err *e)
{
    int64_t left = o->deadline_ns - clock_mono_ns();
    bool silence_first = o->silence_ns && o->silence_ns < left;
    if (silence_first)
        left = o->silence_ns;
    struct timespec timeout = {0};
    if (left > 0)
        timeout = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    struct pollfd fds[] = {{.fd = d->fd, .events = POLLIN}, {.fd = o->wake_fd, .events = POLLIN}};
    int n = ppoll(fds, 2, &timeout, NULL);
    if (n < 0 && errno != EINTR)
        return err_set(e, -errno, "cannot wait for the answer: %s", err_name(-errno));
    if (n == 0 && silence_first)
        return err_set(e, ERR_TIMEOUT, "the kernel has not answered for %lld ms",
                       (long long)(o->silence_ns / NS_PER_MS));
    return 0;
}

/* Receives one datagram from the kernel into the buffer. Returns its length, 0 when there is none to be
 * looked at yet, or a negative code. |cut| tells that it was larger than the buffer. */
static ssize_t receive_datagram(const struct dump *d, const struct dump_options *o, bool *cut, struct err *e)
{
    struct sockaddr_nl sender = {0};
    struct iovec iov = {.iov_base = o->buffer, .iov_len = o->buffer_size};
    struct msghdr m = {.msg_name = &sender, .msg_namelen = sizeof(sender), .msg_iov = &iov, .msg_iovlen = 1};

    /* Never blocks here: the loop has to look at its flags first. */
    ssize_t n = recvmsg(d->fd, &m, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return wait_readable(d, o, e);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n < 0 && errno == ENOBUFS)
        return err_set(e, -ENOBUFS, "the kernel lost part of the answer (ENOBUFS)");
    if (n < 0)
        return err_set(e, -errno, "cannot receive the answer: %s", err_name(-errno));
    if (m.msg_namelen != sizeof(sender) || sender.nl_family != AF_NETLINK || sender.nl_pid != 0)
        return 0; /* not from the kernel: another process has sent it */
    *cut = (m.msg_flags & MSG_TRUNC) != 0;
    return n;
}

/* A dump being received: the contents of its datagrams so far. */
struct receiving {
    const struct dump_options *options;
    dump_socket_fn *fn;
    void *arg;
    struct dump_counts *counts;
    struct diag_reader reader;
    struct devices devices;
    int flaw;  /* ERR_TRUNCATED or ERR_MALFORMED: the answer has a hole */
    bool done; /* NLMSG_DONE was there, and said 0 */
};

static int take_socket(struct receiving *r)
{
    uint64_t cookie = diag_cookie(&r->reader.source);
    int added = cookie ? u64set_add(r->options->seen, cookie) : 1;
    if (added < 0)
        return added;
    if (added || !r->options->again) {
        r->counts->sockets++;
        r->counts->duplicates += !added;
    }
    if (!added)
        return 0;
    devices_name(&r->devices, &r->reader.source);
    return r->fn(r->arg, &r->reader.source);
}

/* A dump pulls all of the kernel's sockets through the caches, so the set of seen cookies is not in them. */
static void prefetch_seen(const struct receiving *r)
{
    uint64_t cookie;
    for (size_t at = 0; diag_reader_peek(&r->reader, &at, &cookie);)
        u64set_prefetch(r->options->seen, cookie);
}

/* Goes through one datagram. Returns 0 or the reason why the dump has ended. */
static int take_datagram(struct receiving *r, size_t n, struct err *e)
{
    int rc;
    diag_reader_feed(&r->reader, r->options->buffer, n);
    prefetch_seen(r);
    for (enum diag_event event; (event = diag_reader_next(&r->reader)) != DIAG_END;) {
        switch (event) {
        case DIAG_SOCKET:
            rc = take_socket(r);
            if (rc)
                return err_set(e, rc, "the dump was given up: %s", err_name(rc));
            break;
        case DIAG_DONE:
            r->done = r->reader.error == 0;
            if (!r->done)
                return err_set(e, r->reader.error, "the kernel ended the dump early: %s",
                               err_name(r->reader.error));
            return 0;
        case DIAG_ERROR:
            return err_set(e, r->reader.error, "the kernel refused the dump: %s", err_name(r->reader.error));
        case DIAG_OVERRUN:
            return err_set(e, -ENOBUFS, "the kernel lost part of the answer (NLMSG_OVERRUN)");
        case DIAG_BROKEN:
            if (!r->flaw)
                r->flaw = ERR_MALFORMED;
            break;
        case DIAG_REQUEST:
            r->counts->foreign++;
            break;
        case DIAG_END:
            break;
        }
    }
    return 0;
}

static int receive_all(struct dump *d, struct receiving *r, struct err *e)
{
    while (!r->done) {
        int rc = stop_wanted(r->options, e);
        if (rc)
            return rc;
        bool cut = false;
        ssize_t n = receive_datagram(d, r->options, &cut, e);
        if (n < 0)
            return (int)n;
        if (cut)
            r->flaw = ERR_TRUNCATED;
        if (n > 0) {
            if (r->options->capture)
                capture_add(r->options->capture, r->options->buffer, (size_t)n);
            rc = take_datagram(r, (size_t)n, e);
            if (rc)
                return rc;
        }
    }
    if (r->flaw == ERR_TRUNCATED)
        return err_set(e, ERR_TRUNCATED, "an answer was larger than the buffer of %zu bytes",
                       r->options->buffer_size);
    if (r->flaw)
        return err_set(e, r->flaw, "part of the answer was unreadable");
    if (r->reader.interrupted)
        return err_set(e, ERR_INTERRUPTED, "the sockets changed during the dump (NLM_F_DUMP_INTR)");
    return 0;
}

int dump_receive(struct dump *d, const struct dump_options *options, dump_socket_fn *fn, void *arg,
                 struct dump_counts *counts, struct err *e)
{
    struct receiving r = {.options = options, .fn = fn, .arg = arg, .counts = counts, .devices.fd = d->fd};
    diag_reader_init(&r.reader);
    diag_reader_expect(&r.reader, d->seq, d->portid);

    int rc = receive_all(d, &r, e);

    const struct diag_counts *seen = &r.reader.counts;
    counts->malformed += seen->malformed + seen->short_attrs;
    counts->unknown_attrs += seen->unknown_attrs;
    counts->foreign += seen->foreign + seen->stale;
    counts->interrupted |= r.reader.interrupted;
    return rc;
}

static int ask(struct dump *d, const struct diag_request *r, const struct dump_options *options,
               dump_socket_fn *fn, void *arg, struct dump_counts *counts, struct err *e)
{
    int rc = dump_request_new(d, r, e);
    return rc ? rc : dump_receive(d, options, fn, arg, counts, e);
}

int dump_filtered(struct dump *d, struct diag_request *r, const struct dump_options *options,
                  dump_socket_fn *fn, void *arg, struct dump_counts *counts, int *refused, struct err *e)
{
    *refused = 0;
    uint64_t before = counts->sockets;
    int rc = ask(d, r, options, fn, arg, counts, e);
    if (r->code_len == 0 || (rc != -EINVAL && rc != -EPERM) || counts->sockets != before)
        return rc;
    *refused = rc;
    r->code_len = 0;
    rc = ask(d, r, options, fn, arg, counts, e);
    if (rc == 0 && e)
        *e = (struct err){0};
    return rc;
}
