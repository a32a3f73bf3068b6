/* The jobs sockets and namespaces: connections that are at rest, in network namespaces of their own.
 *
 * Descriptors are limited, so several processes hold them. Each ends when the pipe |end| closes, which only
 * the first process keeps open: whatever happens to that one, the others follow. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/tool/tool.h"

#define SPARE_FDS 64

/* Of four connections, one is of IPv6. */
#define IPV6_EVERY 4

struct holders {
    int ready[2]; /* each process writes a byte when it has all it shall hold */
    int end[2];
    size_t count;
};

static size_t descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("setrlimit");
    return limit.rlim_max - SPARE_FDS;
}

static void make_namespace(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET))
        die("cannot make a network namespace");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r))
        die("cannot raise lo");
    close(fd);
}

/* ---- Connections ---- */

/* Ends a connection without TIME_WAIT, so that nothing of one measurement is left for the next. */
static void end_at_once(int fd)
{
    struct linger none = {.l_onoff = 1};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)))
        die("SO_LINGER");
}

/* A request and its answer, so that a connection has figures to show. */
static void talk(int client, int server)
{
    char text[256] = "bench";
    if (write(client, text, 100) != 100 || read(server, text, 100) != 100 ||
        write(server, text, 256) != 256 || read(client, text, 256) != 256)
        die("cannot talk over a connection");
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A listener on loopback; its address in |to|. */
static int listen_on(int family, union address *to, socklen_t *len)
{
    *to = (union address){0};
    to->any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        to->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        to->v6.sin6_addr = in6addr_loopback;
    *len = family == AF_INET ? sizeof(to->v4) : sizeof(to->v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &to->any, *len) || listen(fd, 128) || getsockname(fd, &to->any, len))
        die("cannot listen");
    return fd;
}

/* |pairs| connections to a listener that is closed when they stand: two sockets each, and no other. Every
 * listener has a port of its own, so the ephemeral ports suffice for those of all processes. */
static void connect_pairs(int family, size_t pairs)
{
    union address to;
    socklen_t len;
    if (pairs == 0)
        return;
    int listener = listen_on(family, &to, &len);
    for (size_t i = 0; i < pairs; i++) {
        int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client < 0 || connect(client, &to.any, len))
            die("cannot connect");
        int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (server < 0)
            die("cannot accept");
        end_at_once(client);
        end_at_once(server);
        talk(client, server);
    }
    close(listener);
}

static void open_sockets(size_t count)
{
    size_t pairs = count / 2, v6 = pairs / IPV6_EVERY;
    connect_pairs(AF_INET, pairs - v6);
    connect_pairs(AF_INET6, v6);
}

/* ---- Processes ---- */

static void holders_init(struct holders *h)
{
    *h = (struct holders){0};
    if (pipe2(h->ready, O_CLOEXEC) || pipe2(h->end, O_CLOEXEC))
        die("pipe");
}

/* Forks a child: returns true in it. It holds everything that it opens until holder_wait. */
static bool holder_start(struct holders *h)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    h->count++;
    if (pid == 0)
        close(h->end[1]);
    return pid == 0;
}

static _Noreturn void holder_wait(struct holders *h)
{
    char c;
    if (write(h->ready[1], "", 1) != 1)
        die("cannot report");
    while (read(h->end[0], &c, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static void holders_wait_ready(struct holders *h)
{
    char c;
    close(h->ready[1]); /* a child that dies is noticed */
    for (size_t i = 0; i < h->count; i++) {
        if (read(h->ready[0], &c, 1) != 1)
            die_text("sockets", "a process that was to hold them has failed");
    }
}

static void holders_end(struct holders *h)
{
    close(h->end[1]);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
}

static void wait_for_end_of_input(void)
{
    char line[16];
    while (next_line(line, sizeof(line)))
        ;
}

/* One namespace, this process's, with COUNT sockets. Says: ready. */
int job_sockets(int argc, char **argv)
{
    (void)argc;
    size_t left = number(argv[0], 0), most = descriptors() & ~(size_t)1;
    struct holders h;
    holders_init(&h);
    make_namespace();
    while (left >= 2) {
        size_t mine = left < most ? left : most;
        if (holder_start(&h)) {
            open_sockets(mine);
            holder_wait(&h);
        }
        left -= mine;
    }
    holders_wait_ready(&h);
    say("ready");
    wait_for_end_of_input();
    holders_end(&h);
    return 0;
}

/* ---- Many namespaces ---- */

static void name_of(const char *directory, size_t i, char *out, size_t size)
{
    snprintf(out, size, "%s/ns%05zu", directory, i);
}

/* Makes the namespace number |i| with its sockets, and gives it its name. */
static void make_named(const char *directory, size_t i, size_t sockets)
{
    char path[4096];
    name_of(directory, i, path, sizeof(path));
    make_namespace();
    open_sockets(sockets);
    int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0 || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL))
        die(path);
    close(fd);
}

/* COUNT namespaces of SOCKETS sockets, bind-mounted in DIRECTORY as ip-netns does it. Says: ready. */
int job_namespaces(int argc, char **argv)
{
    (void)argc;
    const char *directory = argv[0];
    size_t count = number(argv[1], 1), sockets = number(argv[2], 0), most = descriptors();
    size_t share = sockets < 2 ? count : most / sockets;
    struct holders h;
    if (share == 0)
        die_text("namespaces", "too many sockets for one process");
    holders_init(&h);
    for (size_t from = 0; from < count; from += share) {
        if (!holder_start(&h))
            continue;
        for (size_t i = from; i < count && i < from + share; i++)
            make_named(directory, i, sockets);
        holder_wait(&h);
    }
    holders_wait_ready(&h);
    say("ready");
    wait_for_end_of_input();
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        name_of(directory, i, path, sizeof(path));
        umount2(path, MNT_DETACH);
        unlink(path);
    }
    holders_end(&h);
    return 0;
}
