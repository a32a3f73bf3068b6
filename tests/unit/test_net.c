#include "tests/unit/test_net.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int must(int rc, const char *what)
{
    if (rc < 0) {
        perror(what);
        abort();
    }
    return rc;
}

int net_unshare(void)
{
    if (unshare(CLONE_NEWNET))
        return -errno;
    int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    must(ioctl(fd, SIOCSIFFLAGS, &r), "SIOCSIFFLAGS");
    close(fd);
    return 0;
}

void net_add(struct net_sockets *s, int fd)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->fds = realloc(s->fds, s->cap * sizeof(*s->fds));
        must(s->fds ? 0 : -1, "realloc");
    }
    s->fds[s->count++] = fd;
}

uint16_t net_listen(struct net_sockets *s, int family)
{
    int fd = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (family == AF_INET6)
        must(bind(fd, (struct sockaddr *)&six, sizeof(six)), "bind");
    else
        must(bind(fd, (struct sockaddr *)&four, sizeof(four)), "bind");
    must(listen(fd, 1024), "listen");
    socklen_t len = sizeof(six);
    must(getsockname(fd, (struct sockaddr *)&six, &len), "getsockname");
    net_add(s, fd);
    return ntohs(six.sin6_port); /* at the same place for both families */
}

void net_connect(struct net_sockets *s, int listener, uint16_t port, size_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < n; i++) {
        int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        must(connect(fd, (struct sockaddr *)&to, sizeof(to)), "connect");
        net_add(s, fd);
        net_add(s, must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept"));
    }
}

uint64_t net_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    must(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), "SO_COOKIE");
    return cookie;
}

void net_close(struct net_sockets *s)
{
    for (size_t i = 0; i < s->count; i++)
        close(s->fds[i]);
    free(s->fds);
    *s = (struct net_sockets){0};
}

static void process_main(size_t sockets, int ready, int hold)
{
    struct net_sockets s = {0};
    int rc = net_unshare();
    if (rc == 0 && sockets > 0) {
        uint16_t port = net_listen(&s, AF_INET);
        net_connect(&s, s.fds[0], port, (sockets - 1) / 2);
    }
    must((int)write(ready, &rc, sizeof(rc)), "write");
    char end;
    while (read(hold, &end, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

int net_process_start(struct net_process *p, size_t sockets)
{
    int ready[2], hold[2], rc;
    must(pipe(ready), "pipe");
    must(pipe(hold), "pipe");
    pid_t parent = getpid();
    p->pid = must(fork(), "fork");
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(hold[1]);
        if (getppid() != parent)
            _exit(0);
        process_main(sockets, ready[1], hold[0]);
    }
    close(ready[1]);
    close(hold[0]);
    p->hold = hold[1];
    snprintf(p->path, sizeof(p->path), "/proc/%d/ns/net", (int)p->pid);
    if (read(ready[0], &rc, sizeof(rc)) != sizeof(rc))
        rc = -EIO;
    close(ready[0]);
    if (rc)
        net_process_end(p);
    return rc;
}

void net_process_end(struct net_process *p)
{
    close(p->hold); /* not enough: processes started after it have a copy of this end */
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}
