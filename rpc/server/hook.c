/* The functions by which gRPC accepts, watches, reads, writes, decrypts and closes, in place of those of the C
 * library and of OpenSSL: the guard (rpc/server/guard.h) stands in between. Calls that are not about a connection
 * under guard go straight on.
 *
 * This file is part of the program, not of a library: a program's own functions come first when the shared
 * libraries are bound (ld.so(8)). The system is called directly, not through the next function of the name,
 * so that a sanitizer does not check gRPC's memory. rpc_guard_prove finds out whether gRPC calls these. */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rpc/server/guard_internal.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): theirs are reserved */

#define HOOK __attribute__((visibility("default")))

/* Pieces of memory that are read into at once. */
#define PIECES 16

/* Copies the pieces of |m| to |out|, |room| bytes at most. Returns how many. */
static size_t shorten(const struct msghdr *m, size_t room, struct iovec out[PIECES])
{
    size_t n = 0;
    for (; n < PIECES && n < m->msg_iovlen && room > 0; n++) {
        out[n] = m->msg_iov[n];
        if (out[n].iov_len > room)
            out[n].iov_len = room;
        room -= out[n].iov_len;
    }
    return n;
}

HOOK ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    struct guard_conn *c = guard_find(fd);
    if (!c || flags & MSG_ERRQUEUE)
        return syscall(SYS_recvmsg, fd, m, flags);
    size_t room;
    struct iovec pieces[PIECES];
    int rc = guard_before_read(c, &room);
    if (rc) {
        errno = -rc;
        return -1;
    }
    struct iovec *asked = m->msg_iov;
    size_t n_asked = m->msg_iovlen;
    m->msg_iovlen = shorten(m, room, pieces);
    m->msg_iov = pieces;
    ssize_t n = syscall(SYS_recvmsg, fd, m, flags);
    m->msg_iov = asked;
    m->msg_iovlen = n_asked;
    if (n <= 0)
        return n;
    rc = guard_after_read(c, pieces, (size_t)n);
    if (rc == 0)
        return n;
    errno = -rc;
    return -1;
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    ssize_t n = syscall(SYS_sendmsg, fd, m, flags);
    struct guard_conn *c = guard_find(fd);
    if (!c)
        return n;
    int error = errno;
    size_t asked = 0;
    for (size_t i = 0; i < m->msg_iovlen; i++)
        asked += m->msg_iov[i].iov_len;
    guard_after_send(c, m->msg_iov, asked, n > 0 ? (size_t)n : 0);
    errno = error;
    return n;
}

HOOK int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    struct guard_conn *c = op == EPOLL_CTL_ADD ? guard_find(fd) : NULL;
    if (c)
        guard_watched(c, epoll, event);
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

HOOK int close(int fd)
{
    if (guard_find(fd))
        guard_closing(fd);
    return (int)syscall(SYS_close, fd);
}

/* Called by gRPC alone, for its listeners with TLS: our own listeners accept by themselves
 * (rpc/server/listen_socket.c). */
HOOK int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    for (;;) {
        socklen_t size = len ? *len : 0;
        int new = (int)syscall(SYS_accept4, fd, address, len ? &size : NULL, flags);
        if (new < 0 || !atomic_load(&guard_conns) || guard_accepted(new)) {
            if (len)
                *len = size;
            return new;
        }
        syscall(SYS_close, new);
    }
}

HOOK int SSL_read(SSL *ssl, void *buffer, int size)
{
    static int (*_Atomic next)(SSL * ssl, void *buffer, int size);
    int (*function)(SSL * ssl, void *buffer, int size) = atomic_load(&next);
    if (!function) {
        *(void **)&function = dlsym(RTLD_NEXT, "SSL_read");
        atomic_store(&next, function);
    }
    int n = function(ssl, buffer, size);
    if (n <= 0 || !atomic_load(&guard_conns) ||
        !SSL_is_server(ssl)) /* the clients are outputs: nobody floods these */
        return n;
    uint8_t random[TLS_RANDOM_SIZE];
    bool known = SSL_get_server_random(ssl, random, sizeof(random)) == sizeof(random) &&
                 guard_decrypted(random, buffer, (size_t)n);
    return known ? n : -1; /* gRPC takes that for the end of the connection */
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
