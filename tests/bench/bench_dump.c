/* What a collection costs, against a loop that only receives the kernel's answers.
 *
 *   bench_dump [-n SOCKETS] [-r ROUNDS]       as root; 20000 sockets and 30 rounds by default
 *
 * Holder processes keep the sockets, idle loopback connections, in a network namespace of their own, which
 * ends with them. This process measures from outside, as the daemon does, CPU time of the thread that works:
 *
 *   bare     enter, ask, receive, leave; nothing is looked at but where the answer ends
 *   parse    the same with the parser and the set of seen cookies
 *   collect  a collector: the same with encoding into batches, which are thrown away
 *
 * The variants take turns within a round, and the median round counts, so that what else runs on the machine
 * hits all of them. One line of JSON each. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
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

#include "collectors/collector.h"
#include "collectors/diag_request.h"
#include "collectors/dump.h"
#include "lib/clock.h"
#include "lib/netns.h"

#define EXIT_SKIP   77
#define SPARE_FDS   64
#define MAX_ROUNDS  1000
#define PATIENCE_NS (60 * NS_PER_S)

enum variant { BARE, PARSE, COLLECT, VARIANTS };
static const char *const variant_names[VARIANTS] = {"bare", "parse", "collect"};

static void die(const char *what)
{
    fprintf(stderr, "bench_dump: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Holders ---- */

struct holders {
    pid_t leader; /* the first one, in whose namespace the others are */
    int hold;     /* they end when this pipe closes */
    char path[64];
};

/* One listener and |pairs| connections to it. */
static void open_sockets(size_t pairs)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(to);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&to, len) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&to, &len))
        die("cannot listen");
    for (size_t i = 0; i < pairs; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, len) || accept(listener, NULL, NULL) < 0)
            die("cannot connect");
    }
}

static void make_namespace(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET)) {
        perror("bench_dump: skipped: cannot make a network namespace");
        _exit(EXIT_SKIP);
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r))
        die("cannot raise lo");
    close(fd);
}

/* Sockets that one process can hold; its hard limit of descriptors becomes the limit in force. */
static size_t sockets_per_holder(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max - SPARE_FDS;
}

/* The body of the first holder, which starts the others; each says so once its sockets are there. */
static _Noreturn void hold(size_t sockets, int ready, int end)
{
    size_t most = sockets_per_holder();
    while (sockets > most) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        sockets = pid == 0 ? most : sockets - most;
        if (pid == 0)
            break;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_sockets(sockets / 2);
    if (write(ready, "", 1) != 1)
        die("cannot report");
    close(ready);
    char c;
    while (read(end, &c, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static void holders_start(struct holders *h, size_t sockets)
{
    int ready[2], end[2];
    char c;
    if (pipe(ready) || pipe(end))
        die("pipe");
    h->leader = fork();
    if (h->leader < 0)
        die("fork");
    if (h->leader == 0) {
        close(ready[0]);
        close(end[1]);
        make_namespace();
        hold(sockets, ready[1], end[0]);
    }
    close(ready[1]);
    close(end[0]);
    h->hold = end[1];
    snprintf(h->path, sizeof(h->path), "/proc/%d/ns/net", (int)h->leader);
    size_t most = sockets_per_holder();
    for (size_t holders = (sockets + most - 1) / most; holders > 0; holders--) {
        int status = 0;
        if (read(ready[0], &c, 1) == 1)
            continue;
        close(h->hold);
        waitpid(h->leader, &status, 0);
        exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
    }
    close(ready[0]);
}

static void holders_end(struct holders *h)
{
    close(h->hold);
    waitpid(h->leader, NULL, 0);
}

/* ---- The three variants; each returns its CPU time ---- */

static uint8_t buffer[DUMP_BUFFER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));

/* The end of a dump is a message of its own, or the last one of its datagram. */
static bool is_end(size_t n)
{
    struct nlmsghdr first, last = {0};
    size_t done = NLMSG_ALIGN(NLMSG_LENGTH(sizeof(int)));
    memcpy(&first, buffer, sizeof(first));
    if (n >= done)
        memcpy(&last, buffer + n - done, sizeof(last));
    return first.nlmsg_type == NLMSG_DONE || (last.nlmsg_type == NLMSG_DONE && last.nlmsg_len == done);
}

static int64_t run_bare(const char *path, int home)
{
    int64_t start = clock_thread_cpu_ns();
    struct {
        struct nlmsghdr h;
        struct inet_diag_req r;
    } request = {.h = {.nlmsg_len = sizeof(request),
                       .nlmsg_type = TCPDIAG_GETSOCK,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .r = {.idiag_ext = diag_request_extensions(GROUPS_DEFAULT), .idiag_states = 0xfff}};
    if (netns_enter(path))
        die("cannot enter");
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || netns_enter_fd(home) || send(fd, &request, sizeof(request), 0) != sizeof(request))
        die("cannot ask");
    for (ssize_t n; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0 && !is_end((size_t)n);)
        ;
    close(fd);
    return clock_thread_cpu_ns() - start;
}

static int count_socket(void *arg, const struct record_source *s)
{
    *(uint64_t *)arg += s->data[PART_MSG] != NULL;
    return 0;
}

static int64_t run_parse(const char *path, int home, struct u64set *seen, uint64_t *sockets)
{
    int64_t start = clock_thread_cpu_ns();
    struct dump d;
    struct dump_counts counts = {0};
    struct err e = {0};
    struct dump_options options = {.buffer = buffer,
                                   .buffer_size = sizeof(buffer),
                                   .seen = seen,
                                   .wake_fd = -1,
                                   .deadline_ns = clock_mono_ns() + PATIENCE_NS};
    *sockets = 0;
    int rc = netns_enter(path);
    if (!rc)
        rc = dump_open(&d, 0, &e);
    if (!rc)
        rc = netns_enter_fd(home);
    if (!rc)
        rc = dump_request(&d, GROUPS_DEFAULT, &e);
    if (!rc)
        rc = dump_receive(&d, &options, count_socket, sockets, &counts, &e);
    if (rc) {
        fprintf(stderr, "bench_dump: %s\n", e.code ? e.text : err_name(rc));
        exit(1);
    }
    dump_close(&d);
    u64set_clear(seen, SIZE_MAX);
    return clock_thread_cpu_ns() - start;
}

struct sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    struct collector_result result;
};

static void sink_batch(void *arg, struct batch *b)
{
    (void)arg;
    batch_unref(b);
}

static void sink_done(void *arg, const struct collector_result *result)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    s->done = true;
    s->result = *result;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static int64_t run_collect(struct collector *c, struct sink *s, uint64_t *rows)
{
    struct collector_order *o = collector_order_new();
    if (!o)
        die("order");
    o->poll_id = 1;
    o->timestamp_ns = clock_wall_ns();
    o->deadline_ns = clock_mono_ns() + PATIENCE_NS;
    o->groups = GROUPS_DEFAULT;
    o->hostname = strdup("bench");
    s->done = false;
    if (collector_poll(c, o))
        die("order refused");
    pthread_mutex_lock(&s->lock);
    while (!s->done)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    collector_order_unref(o);
    if (s->result.err.code) {
        fprintf(stderr, "bench_dump: %s\n", s->result.err.text);
        exit(1);
    }
    *rows = s->result.rows;
    return s->result.cpu_ns;
}

/* ---- Rounds ---- */

struct figures {
    unsigned rounds;
    uint64_t sockets;
    int64_t cpu_ns[VARIANTS][MAX_ROUNDS];
};

static void measure(struct figures *f, const char *path)
{
    struct sink s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct batch_pool *pool = batch_pool_new(4);
    struct collectors_options options = {.pool = pool, .sink = {sink_batch, sink_done, &s}};
    struct collector_ns ns = {.id = 1, .name = "bench", .path = path};
    struct collectors *set;
    struct collector *c;
    struct u64set seen;
    struct err e = {0};
    int home = netns_open_self();
    if (!pool || home < 0 || collectors_new(&options, &set, &e) || collector_start(set, &ns, &c, &e)) {
        fprintf(stderr, "bench_dump: %s\n", e.text);
        exit(1);
    }
    u64set_init(&seen);
    for (unsigned round = 0; round <= f->rounds; round++) { /* the first one warms up */
        unsigned at = round ? round - 1 : 0;
        uint64_t parsed, rows;
        f->cpu_ns[BARE][at] = run_bare(path, home);
        f->cpu_ns[PARSE][at] = run_parse(path, home, &seen, &parsed);
        f->cpu_ns[COLLECT][at] = run_collect(c, &s, &rows);
        if (parsed != rows) {
            fprintf(stderr, "bench_dump: %llu sockets parsed, %llu collected\n", (unsigned long long)parsed,
                    (unsigned long long)rows);
            exit(1);
        }
        f->sockets = rows;
    }
    u64set_free(&seen);
    collector_stop(c);
    collector_join(c);
    collectors_free(set);
    batch_pool_free(pool);
    close(home);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(struct figures *f)
{
    double bare = 0;
    for (unsigned v = 0; v < VARIANTS; v++) {
        qsort(f->cpu_ns[v], f->rounds, sizeof(f->cpu_ns[v][0]), compare);
        unsigned middle = f->rounds / 2;
        double median = (double)f->cpu_ns[v][middle];
        if (v == BARE)
            bare = median;
        printf("{\"bench\":\"dump\",\"variant\":\"%s\",\"sockets\":%llu,\"rounds\":%u,\"cpu_ns_per_socket\":%"
               ".1f,"
               "\"ratio_to_bare\":%.3f}\n",
               variant_names[v], (unsigned long long)f->sockets, f->rounds, median / (double)f->sockets,
               median / bare);
    }
}

int main(int argc, char **argv)
{
    static struct figures f = {.rounds = 30};
    struct holders h;
    size_t sockets = 20000;
    for (int option; (option = getopt(argc, argv, "n:r:")) != -1;) {
        if (option == 'n')
            sockets = strtoul(optarg, NULL, 10);
        else if (option == 'r')
            f.rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    if (sockets < 2 || f.rounds < 1 || f.rounds > MAX_ROUNDS) {
        fprintf(stderr, "bench_dump: at least 2 sockets, 1 to %d rounds\n", MAX_ROUNDS);
        return 2;
    }
    holders_start(&h, sockets);
    measure(&f, h.path);
    holders_end(&h);
    report(&f);
    return 0;
}
