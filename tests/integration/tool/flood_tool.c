/* flood_tool: a load that no honest client makes, for the integration tests; only ever against their own
 * daemon.
 *
 *     flood_tool [OPTION...] KIND TARGET CONNECTIONS SECONDS
 *     flood_tool [OPTION...] probe TARGET METHOD
 *     flood_tool discard LISTEN
 *
 * Sends frames of HTTP/2 as fast as the sockets take them, over so many connections at the same time, and
 * tells at the end in one line of JSON what it did. TARGET is HOST:PORT, unix:PATH or unix-abstract:NAME,
 * with tls: before it for TLS, in which the certificate of the daemon is not looked at.
 *
 *     resets        calls of Health.Check that are cancelled at once
 *     calls         whole calls, whose answers are read
 *     unread        whose answers are not read
 *     trickle       a byte of them each 10 ms
 *     settings, ping, window, priority, unknown, data      such frames, as small as they can be
 *     continuation  a block of fields that never ends: frames without content, and full ones
 *     field         a field of a gigabyte
 *     headers       blocks of fields that say little and mean 49 MB
 *     opened        calls whose request never comes
 *     body          calls whose request of 60 KiB lacks its last byte
 *     gzip, deflate calls whose compressed request is one of 60 MiB
 *     watch         Health.Watch, whose answers are not read
 *     connect       connections that are closed when they are there
 *     idle          connections that say no more than hello
 *     mixed         all of them, in turn
 *
 *     --uid N       become that user before connecting
 *     --from HOST   connect from that address
 *     --once        do not come back when the daemon closes a connection
 *     --cert FILE, --key FILE      of the client, with TLS
 *
 * "probe" is an honest caller beside it: flood_probe.h.
 *
 * "discard" listens, tells where, and throws away what comes, until its standard input ends: what such a load
 * costs the machine where nobody looks at it. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/tool/flood_kinds.h"
#include "tests/integration/tool/flood_link.h"
#include "tests/integration/tool/flood_probe.h"
#include "tests/integration/tool/flood_reader.h"

#define BUFFER_BYTES    PIECE_MAX
#define READ_BYTES      65536u
#define TICK_MS         10
#define LAST_ID         0x7ffffff0u
#define CONNECTIONS_MAX 20000u
#define SECONDS_MAX     600.0
#define TURN_MS         100 /* of a kind on a connection, when they are mixed */

enum state { ABSENT, COMING, OPEN, STAYS_AWAY };

struct conn {
    enum state state;
    struct link link;
    struct kind *kind;
    struct reader reader;
    size_t turns;
    uint64_t until_ms; /* its turn */
    uint32_t events;   /* that are waited for */
    bool begun;
    uint32_t next_id;
    uint64_t window;
    uint8_t *buffer;
    size_t len, sent;
    uint32_t frames, calls; /* in the buffer */
};

struct figures {
    uint64_t opened, reconnects, refused, closed_by_peer;
    uint64_t bytes, frames, calls;
    uint64_t bytes_read, answers, resets, goaways;
};

struct tool {
    struct kind *kind; /* NULL: mixed */
    struct address target, from;
    bool has_from, once, probes;
    long uid;
    SSL_CTX *tls;
    size_t n;
    struct conn *conns;
    double seconds;
    int epoll;
    uint64_t now_ms;
    struct figures did;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "flood_tool: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- The daemon's answers ---- */

struct hearing {
    struct figures *did;
    struct conn *c;
};

static void frame_came(void *context, const struct frame *f)
{
    const struct hearing *h = context;
    if (f->type == FRAME_HEADERS && f->flags & FLAG_END_STREAM)
        h->did->answers++;
    else if (f->type == FRAME_RST_STREAM)
        h->did->resets++;
    else if (f->type == FRAME_GOAWAY)
        h->did->goaways++;
    else if (f->type == FRAME_WINDOW && f->stream == 0)
        h->c->window += get_u32(f->begin);
}

/* ---- Connections ---- */

static void wait_for(struct tool *t, struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (c->events == events)
        return;
    if (epoll_ctl(t->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->link.fd, &e))
        die("epoll_ctl");
    c->events = events;
}

static struct kind *kind_of(const struct tool *t, const struct conn *c)
{
    return t->kind ? t->kind : &kinds[((size_t)(c - t->conns) + c->turns) % n_kinds];
}

static void dial(struct tool *t, struct conn *c)
{
    int fd = link_dial(&t->target, t->has_from ? &t->from : NULL);
    if (fd < 0) {
        t->did.refused++;
        return;
    }
    *c = (struct conn){.state = COMING,
                       .link = {.fd = fd},
                       .kind = kind_of(t, c),
                       .turns = c->turns + 1,
                       .until_ms = t->now_ms + TURN_MS,
                       .next_id = 1,
                       .window = WINDOW,
                       .buffer = c->buffer};
    wait_for(t, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

/* Counts the part of the buffer that was sent, in proportion. */
static void count_sent(struct tool *t, const struct conn *c)
{
    if (c->len) {
        t->did.frames += (uint64_t)c->frames * c->sent / c->len;
        t->did.calls += (uint64_t)c->calls * c->sent / c->len;
    }
}

static void leave(struct tool *t, struct conn *c)
{
    count_sent(t, c);
    link_close(&c->link);
    c->state = ABSENT;
    c->len = 0;
}

static void come_back(struct tool *t, struct conn *c)
{
    t->did.reconnects++;
    dial(t, c);
}

static void lost(struct tool *t, struct conn *c)
{
    bool refused = c->state == COMING;
    leave(t, c);
    if (refused) /* the next tick tries again */
        t->did.refused++;
    else
        t->did.closed_by_peer++;
    if (t->once)
        c->state = STAYS_AWAY;
    else if (!refused)
        come_back(t, c);
}

/* ---- Sending ---- */

static bool append(struct conn *c, const struct piece *p)
{
    if (c->len + p->len > BUFFER_BYTES || p->window > c->window)
        return false;
    piece_put(p, c->next_id, c->buffer + c->len);
    c->len += p->len;
    c->frames += p->frames;
    c->calls += p->calls;
    c->window -= p->window;
    if (p->n_ids)
        c->next_id += 2;
    return true;
}

static void fill(struct conn *c)
{
    const struct kind *k = c->kind;
    c->len = c->sent = c->frames = c->calls = 0;
    if (!c->begun) {
        append(c, &preface);
        c->begun = true;
    }
    if (!k->make_again)
        return;
    while (c->next_id < LAST_ID && append(c, c->next_id == 1 ? &k->first : &k->again)) {
    }
}

/* Returns whether the connection is still there. */
static bool send_more(struct tool *t, struct conn *c)
{
    if (c->sent == c->len) {
        count_sent(t, c);
        fill(c);
    }
    ssize_t n = c->len ? link_write(&c->link, c->buffer + c->sent, c->len - c->sent) : 0;
    if (n < 0) {
        lost(t, c);
        return false;
    }
    c->sent += (size_t)n;
    t->did.bytes += (uint64_t)n;
    if (c->next_id < LAST_ID || c->sent < c->len)
        return true;
    leave(t, c); /* its numbers are used up */
    come_back(t, c);
    return false;
}

static bool read_some(struct tool *t, struct conn *c, size_t room)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n = link_read(&c->link, bytes, room);
    if (n < 0) {
        lost(t, c);
        return false;
    }
    t->did.bytes_read += (uint64_t)n;
    stream_reader_take(&c->reader, bytes, (size_t)n, frame_came, &(struct hearing){&t->did, c});
    return true;
}

/* ---- Events ---- */

/* Whether there is something to send, or may be as soon as there is room. */
static bool wants_to_send(const struct conn *c)
{
    const struct kind *k = c->kind;
    if (c->sent < c->len || !c->begun)
        return true;
    return k->make_again && c->window >= (c->next_id == 1 ? k->first.window : k->again.window);
}

static void wait_again(struct tool *t, struct conn *c)
{
    uint32_t events = EPOLLRDHUP;
    if (c->kind->reading == READ_ALL)
        events |= EPOLLIN;
    if (wants_to_send(c))
        events |= EPOLLOUT;
    wait_for(t, c, events);
}

static void finish(struct tool *t, struct conn *c)
{
    int result = link_finish(&c->link, t->tls);
    if (result < 0) {
        lost(t, c);
    } else if (result > 0) {
        wait_for(t, c, EPOLLRDHUP | (t->tls && SSL_want_read(c->link.ssl) ? EPOLLIN : EPOLLOUT));
    } else {
        c->state = OPEN;
        t->did.opened++;
        if (c->kind->closes) {
            leave(t, c);
            come_back(t, c);
        } else {
            wait_again(t, c);
        }
    }
}

static void on_event(struct tool *t, struct conn *c, uint32_t events)
{
    if (c->state == COMING) {
        finish(t, c);
        return;
    }
    if (c->state != OPEN)
        return;
    if (events & EPOLLIN && !read_some(t, c, READ_BYTES))
        return;
    if (!(events & EPOLLIN) && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        lost(t, c);
        return;
    }
    if (events & EPOLLOUT && !send_more(t, c))
        return;
    wait_again(t, c);
}

/* Each 10 ms: a byte is read, turns end, who was refused tries again. */
static void tick(struct tool *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct conn *c = &t->conns[i];
        if (c->state == ABSENT) {
            dial(t, c);
        } else if (c->state == OPEN && !t->kind && t->now_ms >= c->until_ms) {
            leave(t, c);
            come_back(t, c);
        } else if (c->state == OPEN && c->kind->reading == READ_A_BYTE) {
            if (read_some(t, c, 1))
                wait_again(t, c);
        }
    }
}

static void run(struct tool *t)
{
    struct epoll_event events[256];
    uint64_t end = now_ms() + (uint64_t)(t->seconds * 1000);
    uint64_t next_tick = 0;
    while ((t->now_ms = now_ms()) < end) {
        if (t->now_ms >= next_tick) {
            tick(t);
            next_tick = t->now_ms + TICK_MS;
        }
        int n = epoll_wait(t->epoll, events, 256, TICK_MS);
        for (int i = 0; i < n; i++)
            on_event(t, events[i].data.ptr, events[i].events);
    }
    for (size_t i = 0; i < t->n; i++)
        if (t->conns[i].state == OPEN || t->conns[i].state == COMING)
            leave(t, &t->conns[i]);
}

static void tell(const struct tool *t, const char *kind)
{
    const struct figures *f = &t->did;
    printf("{\"kind\": \"%s\", \"opened\": %lu, \"reconnects\": %lu, \"refused\": %lu, \"closed_by_peer\": "
           "%lu, ",
           kind, f->opened, f->reconnects, f->refused, f->closed_by_peer);
    printf("\"bytes_sent\": %lu, \"frames_sent\": %lu, \"calls_sent\": %lu, \"seconds\": %.3f, ", f->bytes,
           f->frames, f->calls, t->seconds);
    printf("\"bytes_read\": %lu, \"answers\": %lu, \"resets\": %lu, \"goaways\": %lu}\n", f->bytes_read,
           f->answers, f->resets, f->goaways);
}

/* ---- The other end ---- */

static void tell_where(int listener)
{
    struct sockaddr_in own = {0};
    socklen_t len = sizeof(own);
    if (getsockname(listener, (struct sockaddr *)&own, &len) == 0 && own.sin_family == AF_INET)
        printf("127.0.0.1:%u\n", ntohs(own.sin_port));
    else
        printf("unix\n");
    fflush(stdout);
}

static int listen_at(const struct address *a)
{
    int fd = socket(a->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a->bytes, a->len) || listen(fd, 4096))
        die("listen");
    return fd;
}

static void watch_fd(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        die("epoll_ctl");
}

static void discard(const char *where)
{
    static char bytes[65536];
    struct address a;
    struct epoll_event e;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!address_parse(where, &a))
        die(where);
    int listener = listen_at(&a);
    watch_fd(epoll, listener);
    watch_fd(epoll, STDIN_FILENO);
    tell_where(listener);
    for (;;) {
        if (epoll_wait(epoll, &e, 1, -1) != 1)
            continue;
        int fd = e.data.fd;
        if (fd == STDIN_FILENO)
            return;
        if (fd == listener) {
            int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (peer >= 0)
                watch_fd(epoll, peer);
        } else if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
            close(fd);
        }
    }
}

/* ---- Arguments ---- */

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: flood_tool [--uid N] [--from HOST] [--once] [--cert FILE --key FILE] KIND TARGET "
                    "CONNECTIONS SECONDS\n       flood_tool [OPTION...] probe TARGET METHOD\n"
                    "       flood_tool discard LISTEN\n");
    exit(2);
}

static void parse_target(struct tool *t, const char *text, const char *cert, const char *key)
{
    if (strncmp(text, "tls:", 4) == 0) {
        text += 4;
        t->tls = link_tls(cert, key);
        if (!t->tls)
            die("TLS");
    }
    if (!address_parse(text, &t->target))
        die(text);
}

static void parse_kind(struct tool *t, const char *name)
{
    if (strcmp(name, "mixed") == 0) {
        for (size_t i = 0; i < n_kinds; i++)
            kind_make(&kinds[i]);
        return;
    }
    t->kind = kind_find(name);
    if (!t->kind)
        usage();
    kind_make(t->kind);
}

static void parse(struct tool *t, int argc, char **argv)
{
    static const struct option options[] = {{"uid", 1, NULL, 'u'},  {"from", 1, NULL, 'f'},
                                            {"once", 0, NULL, 'o'}, {"cert", 1, NULL, 'c'},
                                            {"key", 1, NULL, 'k'},  {NULL, 0, NULL, 0}};
    const char *cert = NULL, *key = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'u':
            t->uid = atol(optarg);
            break;
        case 'f':
            t->has_from = address_of_host(optarg, &t->from);
            break;
        case 'o':
            t->once = true;
            break;
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        default:
            usage();
        }
    }
    if (argc - optind < 3)
        usage();
    parse_target(t, argv[optind + 1], cert, key);
    t->probes = strcmp(argv[optind], "probe") == 0;
    if (t->probes)
        return;
    if (argc - optind != 4)
        usage();
    parse_kind(t, argv[optind]);
    t->n = strtoul(argv[optind + 2], NULL, 10);
    t->seconds = atof(argv[optind + 3]);
    if (t->n < 1 || t->n > CONNECTIONS_MAX || !(t->seconds > 0 && t->seconds <= SECONDS_MAX))
        usage();
}

/* The end of the parent is this one's: that has to be said anew by another user. */
static void become(long uid)
{
    gid_t gid = (gid_t)uid;
    if (uid >= 0 &&
        (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid)))
        die("setresuid");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL))
        die("prctl");
}

static void more_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        die("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files))
        die("setrlimit");
}

static void prepare(struct tool *t)
{
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->conns = calloc(t->n, sizeof(*t->conns));
    if (t->epoll < 0 || !t->conns)
        die("memory");
    for (size_t i = 0; i < t->n; i++) {
        t->conns[i].buffer = malloc(BUFFER_BYTES);
        if (!t->conns[i].buffer)
            die("memory");
    }
}

static void give_up(struct tool *t)
{
    for (size_t i = 0; t->conns && i < t->n; i++)
        free(t->conns[i].buffer);
    free(t->conns);
    SSL_CTX_free(t->tls);
}

int main(int argc, char **argv)
{
    struct tool t = {.uid = -1};
    signal(SIGPIPE, SIG_IGN);
    more_descriptors();
    if (argc == 3 && strcmp(argv[1], "discard") == 0) {
        become(-1);
        discard(argv[2]);
        return 0;
    }
    parse(&t, argc, argv);
    become(t.uid);
    if (t.probes) {
        probe(&t.target, t.has_from ? &t.from : NULL, t.tls, argv[argc - 1]);
    } else {
        prepare(&t);
        run(&t);
        tell(&t, argv[argc - 4]);
    }
    give_up(&t);
    return 0;
}
