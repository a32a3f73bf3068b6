#include "rpc/server/own_sockets.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/decimal.h"

/* The number that socket option |name| has at |fd|, -1 when it has none. */
static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* Describes |fd|. Returns whether it is a TCP socket with a port. */
static bool describe(int fd, struct rpc_own_socket *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } a = {0};
    socklen_t len = sizeof(a);
    *out = (struct rpc_own_socket){.fd = fd};
    if (option(fd, SO_PROTOCOL) != IPPROTO_TCP || getsockname(fd, &a.any, &len) != 0)
        return false;
    out->port = ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in4.sin_port);
    out->listens = option(fd, SO_ACCEPTCONN) == 1;
    return out->port != 0;
}

int rpc_own_sockets(void (*visit)(void *arg, const struct rpc_own_socket *s), void *arg)
{
    DIR *list = opendir("/proc/self/fd");
    if (!list)
        return -errno;
    for (const struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        uint64_t number;
        if (decimal_parse(entry->d_name, INT_MAX, &number) || (int)number == dirfd(list) ||
            option((int)number, SO_PROTOCOL) != IPPROTO_TCP)
            continue;
        /* Another thread may close it and open something else under its number at any moment, so a duplicate
         * of our own is looked at. */
        int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
        struct rpc_own_socket s;
        if (fd >= 0 && describe(fd, &s))
            visit(arg, &s);
        if (fd >= 0)
            close(fd);
    }
    closedir(list);
    return 0;
}
