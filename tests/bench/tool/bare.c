/* The jobs bare, bare-all and bare-lookups: what the kernel's own work costs. They ask for what a collector,
 * or a watch, asks for and receive the answers, without a look at them. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "inet_diag/diag_request.h"
#include "inet_diag/dump.h"
#include "inet_diag/socket_lookup.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "tests/bench/tool/tool.h"

/* All that ss -a shows; bit 13 would walk the hash of bound sockets besides. */
#define STATES 0xfff

static uint8_t buffer[DUMP_BUFFER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));

static int open_diag(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        die("cannot open a netlink socket");
    return fd;
}

static void ask(int fd)
{
    struct {
        struct nlmsghdr h;
        struct inet_diag_req r;
    } request = {.h = {.nlmsg_len = sizeof(request),
                       .nlmsg_type = TCPDIAG_GETSOCK,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .r = {.idiag_ext = diag_request_extensions(GROUPS_DEFAULT), .idiag_states = STATES}};
    if (send(fd, &request, sizeof(request), 0) != sizeof(request))
        die("cannot ask");
}

/* The next answer; returns its bytes. */
static size_t receive(int fd)
{
    ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_TRUNC);
    if (n <= 0)
        die("cannot receive");
    if ((size_t)n > sizeof(buffer))
        die_text("an answer", "larger than the buffer");
    return (size_t)n;
}

/* The end of a dump is a message of its own, or the last one of its datagram. */
static bool is_end(size_t n)
{
    struct nlmsghdr first, last = {0};
    size_t done = NLMSG_ALIGN(NLMSG_LENGTH(sizeof(int)));
    memcpy(&first, buffer, sizeof(first));
    if (first.nlmsg_type == NLMSG_ERROR)
        die_text("a dump", "the kernel refused it");
    if (n >= done)
        memcpy(&last, buffer + n - done, sizeof(last));
    return first.nlmsg_type == NLMSG_DONE || (last.nlmsg_type == NLMSG_DONE && last.nlmsg_len == done);
}

static void dump(int fd)
{
    ask(fd);
    while (!is_end(receive(fd)))
        ;
}

/* Dumps once, and shows |fn| each socket. */
static void each_socket(int fd, void (*fn)(void *arg, const struct inet_diag_msg *m), void *arg)
{
    size_t n;
    ask(fd);
    do {
        n = receive(fd);
        long left = (long)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            struct inet_diag_msg m;
            if (h->nlmsg_type != TCPDIAG_GETSOCK)
                continue;
            memcpy(&m, NLMSG_DATA(h), sizeof(m));
            fn(arg, &m);
        }
    } while (!is_end(n));
}

static void count_one(void *arg, const struct inet_diag_msg *m)
{
    (void)m;
    ++*(uint64_t *)arg;
}

static uint64_t count_sockets(int fd)
{
    uint64_t count = 0;
    each_socket(fd, count_one, &count);
    return count;
}

/* In this process's namespace. Says: ready SOCKETS. Each line N: dumps N times, says: CPU_NS WALL_NS. */
int job_bare(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    char line[32];
    int fd = open_diag();
    say("ready %llu", (unsigned long long)count_sockets(fd));
    while (next_line(line, sizeof(line))) {
        uint64_t rounds = number(line, 1);
        int64_t cpu = clock_thread_cpu_ns(), wall = clock_mono_ns();
        for (uint64_t i = 0; i < rounds; i++)
            dump(fd);
        say("%lld %lld", (long long)(clock_thread_cpu_ns() - cpu), (long long)(clock_mono_ns() - wall));
    }
    return 0;
}

/* ---- Many namespaces, one after the other ---- */

struct names {
    char **path;
    size_t count;
};

static struct names read_names(const char *directory)
{
    struct names names = {0};
    struct dirent *entry;
    DIR *d = opendir(directory);
    if (!d)
        die(directory);
    while ((entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        names.path = reallocarray(names.path, names.count + 1, sizeof(*names.path));
        if (!names.path || asprintf(&names.path[names.count], "%s/%s", directory, entry->d_name) < 0)
            die("names");
        names.count++;
    }
    closedir(d);
    return names;
}

/* Enters each namespace, does |work| there with a netlink socket of it, and goes home at the end. */
static uint64_t in_each(const struct names *names, int home, uint64_t (*work)(int fd))
{
    uint64_t sum = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (netns_enter(names->path[i]))
            die(names->path[i]);
        int fd = open_diag();
        sum += work(fd);
        close(fd);
    }
    if (netns_enter_fd(home))
        die("cannot go home");
    return sum;
}

static uint64_t dump_once(int fd)
{
    dump(fd);
    return 0;
}

/* All namespaces of DIRECTORY. Says: ready NAMESPACES SOCKETS. Each line N: dumps all of them N times, says:
 * CPU_NS WALL_NS. */
int job_bare_all(int argc, char **argv)
{
    (void)argc;
    char line[32];
    struct names names = read_names(argv[0]);
    int home = netns_open_self();
    if (home < 0)
        die("own namespace");
    uint64_t sockets = in_each(&names, home, count_sockets);
    say("ready %zu %llu", names.count, (unsigned long long)sockets);
    while (next_line(line, sizeof(line))) {
        uint64_t rounds = number(line, 1);
        int64_t cpu = clock_thread_cpu_ns(), wall = clock_mono_ns();
        for (uint64_t i = 0; i < rounds; i++)
            in_each(&names, home, dump_once);
        say("%lld %lld", (long long)(clock_thread_cpu_ns() - cpu), (long long)(clock_mono_ns() - wall));
    }
    for (size_t i = 0; i < names.count; i++)
        free(names.path[i]);
    free(names.path);
    close(home);
    return 0;
}

/* ---- Chosen sockets, again and again ---- */

#define LOOKUPS_MAX 100
#define ANSWER_MAX  1000
#define MESSAGE     3000 /* about what ten records are */

struct lookups {
    const char *ports;
    int diag;
    int reader;
    size_t n;
    uint8_t requests[LOOKUPS_MAX * LOOKUP_REQUEST_SIZE];
    uint8_t answers[LOOKUPS_MAX][ANSWER_MAX];
    struct iovec vectors[LOOKUPS_MAX];
    struct mmsghdr messages[LOOKUPS_MAX];
};

/* Whether the list of numbers |ports| ("1,2") has |port|. */
static bool listed(const char *ports, uint16_t port)
{
    for (const char *at = ports; *at; at += strcspn(at, ","), at += *at == ',') {
        if (strtoul(at, NULL, 10) == port)
            return true;
    }
    return false;
}

/* Makes a request for the socket, if it has one of the local ports. */
static void add_lookup(void *arg, const struct inet_diag_msg *m)
{
    struct lookups *l = arg;
    if (l->n == LOOKUPS_MAX || !listed(l->ports, ntohs(m->id.idiag_sport)))
        return;
    lookup_put_request(l->requests + l->n * LOOKUP_REQUEST_SIZE,
                       &(struct lookup_socket){.family = m->idiag_family, .id = m->id},
                       diag_request_extensions(GROUPS_DEFAULT), (uint32_t)l->n);
    l->vectors[l->n] = (struct iovec){.iov_base = l->answers[l->n], .iov_len = ANSWER_MAX};
    l->messages[l->n].msg_hdr = (struct msghdr){.msg_iov = &l->vectors[l->n], .msg_iovlen = 1};
    l->n++;
}

/* A process that reads what it is sent, as a client does, and ends with this one. */
static int start_reader(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        die("socketpair");
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[1]);
        while (getppid() == parent && read(pair[0], buffer, sizeof(buffer)) > 0)
            continue;
        _exit(0);
    }
    close(pair[0]);
    return pair[1];
}

static void look_up(struct lookups *l)
{
    static const uint8_t message[MESSAGE];
    if (send(l->diag, l->requests, l->n * LOOKUP_REQUEST_SIZE, 0) < 0)
        die("cannot ask");
    for (size_t got = 0; got < l->n;) {
        int n = recvmmsg(l->diag, l->messages + got, (unsigned)(l->n - got), 0, NULL);
        if (n <= 0)
            die("cannot receive");
        got += (size_t)n;
    }
    if (write(l->reader, message, sizeof(message)) != sizeof(message))
        die("cannot send");
}

/* bare-lookups INTERVAL_MS PORTS: the sockets with these local ports. Says: ready SOCKETS. Each line N: asks
 * for all of them N times, one interval apart, and sends as much as their records to a process, says: CPU_NS
 * WALL_NS. */
int job_bare_lookups(int argc, char **argv)
{
    (void)argc;
    static struct lookups l;
    char line[32];
    int64_t interval = (int64_t)number(argv[0], 1) * NS_PER_MS;
    l.diag = open_diag();
    l.reader = start_reader();
    l.ports = argv[1];
    each_socket(l.diag, add_lookup, &l);
    say("ready %zu", l.n);
    while (next_line(line, sizeof(line))) {
        uint64_t rounds = number(line, 1);
        int64_t cpu = clock_thread_cpu_ns(), wall = clock_mono_ns();
        for (uint64_t i = 1; i <= rounds; i++) {
            int64_t due = wall + (int64_t)i * interval;
            struct timespec t = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
            look_up(&l);
        }
        say("%lld %lld", (long long)(clock_thread_cpu_ns() - cpu), (long long)(clock_mono_ns() - wall));
    }
    return 0;
}
