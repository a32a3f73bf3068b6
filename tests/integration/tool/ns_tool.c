/* ns_tool: namespaces by the thousand for the integration tests, and proof of their end.
 *
 *     ns_tool FOLDER
 *
 * Moves into mount and network namespaces of its own and mounts a tmpfs on FOLDER: programs that shall see
 * what it does there join its mount namespace. It takes a line at a time and answers each with one:
 *
 *     hold COUNT          makes COUNT namespaces n0, n1, ... with a listener each     "COUNT"
 *     drop                deletes them                                                "COUNT"
 *     churn COUNT MS      from now on makes COUNT namespaces c0, c1, ..., waits MS milliseconds, deletes
 *                         them, waits as long, and again until the next line          "0"
 *     rest                (or any other line) ends that, after a deletion             "ROUNDS"
 *     alive               how many of all that were made have not yet ended           "ALIVE"
 *
 * Each namespace gets an nsid in the tool's network namespace. The kernel takes it away, and says so
 * (RTM_DELNSID), when the last reference to the namespace is gone: not when its name goes. At the end of the
 * input everything ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES (32 * 1024 * 1024)

/* Deleted namespaces that the kernel has not ended yet: as many, and no new ones are made. */
#define DYING_MAX 400

struct tool {
    const char *folder;
    int home;     /* the tool's network namespace */
    int nsids;    /* netlink: tells of ends */
    int requests; /* netlink: gives nsids */
    int *sockets; /* of those that are held */
    size_t held;
    size_t created;
    size_t ended;
    int next_nsid;
    uint32_t seq;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "ns_tool: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void say(size_t n)
{
    printf("%zu\n", n);
    fflush(stdout);
}

/* ---- nsids ---- */

static int open_route(bool listen)
{
    struct sockaddr_nl own = {.nl_family = AF_NETLINK};
    int group = RTNLGRP_NSID;
    int bytes = RECEIVE_BYTES;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)))
        die("NETLINK_ROUTE");
    if (listen && (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
                   setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))))
        die("RTNLGRP_NSID");
    return fd;
}

static void *put(void *at, uint16_t type, const int *value)
{
    struct rtattr *a = at;
    a->rta_type = type;
    a->rta_len = RTA_LENGTH(sizeof(*value));
    memcpy(RTA_DATA(a), value, sizeof(*value));
    return (char *)at + RTA_SPACE(sizeof(*value));
}

/* Numbers only grow, so that no end is taken for another's. */
static void give_nsid(struct tool *t, int fd)
{
    union {
        struct nlmsghdr h;
        char bytes[128];
    } m = {.h = {.nlmsg_type = RTM_NEWNSID, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = ++t->seq}};
    int nsid = t->next_nsid++;
    char *end = put(m.bytes + NLMSG_SPACE(sizeof(struct rtgenmsg)), NETNSA_FD, &fd);
    end = put(end, NETNSA_NSID, &nsid);
    m.h.nlmsg_len = (uint32_t)(end - m.bytes);
    if (send(t->requests, &m, m.h.nlmsg_len, 0) < 0 || recv(t->requests, &m, sizeof(m), 0) < 0)
        die("RTM_NEWNSID");
    errno = -((struct nlmsgerr *)NLMSG_DATA(&m.h))->error;
    if (m.h.nlmsg_type != NLMSG_ERROR || errno)
        die("RTM_NEWNSID refused");
}

static void count_ended(struct tool *t)
{
    static char buffer[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
    ssize_t n;
    while ((n = recv(t->nsids, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
            t->ended += h->nlmsg_type == RTM_DELNSID;
    }
    if (errno != EAGAIN)
        die("RTM_DELNSID");
}

/* ---- Namespaces ---- */

static void path_of(const struct tool *t, char kind, size_t i, char path[4096])
{
    snprintf(path, 4096, "%s/%c%zu", t->folder, kind, i);
}

static int listener(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 1))
        die("listener");
    return fd;
}

/* Makes the namespace and its name. Returns a socket in it, or -1 without |socket|. */
static int make(struct tool *t, char kind, size_t i, bool socket)
{
    char path[4096];
    path_of(t, kind, i, path);
    if (unshare(CLONE_NEWNET))
        die("unshare");
    int sock = socket ? listener() : -1;
    int ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (ns < 0 || fd < 0 || mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL))
        die(path);
    close(fd);
    if (setns(t->home, CLONE_NEWNET))
        die("setns");
    give_nsid(t, ns);
    close(ns);
    t->created++;
    return sock;
}

static void delete (const struct tool *t, char kind, size_t i)
{
    char path[4096];
    path_of(t, kind, i, path);
    if (umount2(path, MNT_DETACH) || unlink(path))
        die(path);
}

static size_t hold(struct tool *t, size_t count)
{
    t->sockets = calloc(count, sizeof(*t->sockets));
    if (!t->sockets)
        die("calloc");
    for (t->held = 0; t->held < count; t->held++)
        t->sockets[t->held] = make(t, 'n', t->held, true);
    return count;
}

static size_t drop(struct tool *t)
{
    size_t count = t->held;
    for (size_t i = 0; i < count; i++) {
        close(t->sockets[i]);
        delete (t, 'n', i);
    }
    t->held = 0;
    free(t->sockets);
    t->sockets = NULL;
    return count;
}

/* Whether a line waits to be read, within |ms|. */
static bool line_waits(int ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

/* Until a line comes. Returns how many rounds. */
static size_t churn(struct tool *t, size_t count, int ms)
{
    size_t rounds = 0;
    for (; !line_waits(0); rounds++) {
        for (size_t i = 0; i < count; i++)
            make(t, 'c', i, false);
        line_waits(ms);
        for (size_t i = 0; i < count; i++)
            delete (t, 'c', i);
        line_waits(ms);
        count_ended(t);
        while (t->created - t->held - t->ended > DYING_MAX) {
            usleep(1000);
            count_ended(t);
        }
    }
    return rounds;
}

/* ---- */

static void move_in(struct tool *t)
{
    struct rlimit files;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || unshare(CLONE_NEWNS | CLONE_NEWNET) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", t->folder, "tmpfs", 0, NULL))
        die("a place of its own");
    if (getrlimit(RLIMIT_NOFILE, &files))
        die("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files))
        die("setrlimit");
    t->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    t->nsids = open_route(true);
    t->requests = open_route(false);
    t->next_nsid = 1;
}

int main(int argc, char **argv)
{
    struct tool t = {.folder = argc == 2 ? argv[1] : ""};
    char line[64];
    size_t rounds = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: ns_tool FOLDER\n");
        return 2;
    }
    move_in(&t);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll(2) shall see what has not been read */
    say(0);
    while (fgets(line, sizeof(line), stdin)) {
        size_t count;
        int ms;
        if (sscanf(line, "hold %zu", &count) == 1) {
            say(hold(&t, count));
        } else if (strcmp(line, "drop\n") == 0) {
            say(drop(&t));
        } else if (sscanf(line, "churn %zu %d", &count, &ms) == 2) {
            say(0);
            rounds = churn(&t, count, ms);
        } else if (strcmp(line, "alive\n") == 0) {
            count_ended(&t);
            say(t.created - t.ended);
        } else {
            say(rounds);
        }
    }
    return 0;
}
