/* The guard without gRPC: connections and their users, budgets, pauses and ends, TLS. This is linked without
 * rpc/server/hook.c, so it also shows what the guard makes of a program in which gRPC does not read through it; with
 * XTCP_HOOKED, the proof is that it does. */
#include "rpc_test.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "rpc/server/guard_internal.h"
#include "rpc/server/server.h"

#define RATE 2000

/* Calls beyond a budget: more than comes back while a busy machine gets on. */
#define DEBT 600

#ifndef XTCP_HOOKED
#define XTCP_HOOKED 0
#endif

static struct quota *quota;

static const struct rpc_peer alice = {.kind = RPC_PEER_USER, .uid = 7, .local = true, .user = "uid 7"};
static const struct rpc_peer bob = {
    .kind = RPC_PEER_USER, .uid = 8, .user = "uid 8", .address = "127.0.0.1:4711"};

static void begin(size_t connections)
{
    const struct rpc_guard_limits limits = {.connections = {connections, 50, 10}, .calls_rate = RATE};
    quota = quota_new();
    assert_int_equal(rpc_guard_start(quota, &limits, NULL), 0);
}

/* After each test: one that has failed has left it running, and it must not be started twice. */
static int stop_guard(void **state)
{
    (void)state;
    rpc_guard_stop();
    return 0;
}

static void end(void)
{
    rpc_guard_stop();
    for (int k = 0; k < QUOTA_KINDS; k++)
        assert_int_equal(quota_total(quota, (enum quota_kind)k), 0);
    quota_free(quota);
}

/* A connected pair; the second end is guarded. */
struct pair {
    int fds[2];
    struct guard_conn *conn;
};

static struct pair open_pair(const struct rpc_peer *peer, enum quota_rank rank)
{
    struct pair p;
    struct err e;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.fds), 0);
    if (rpc_guard_open(p.fds[1], peer, rank, &e))
        fail_msg("%s", e.text);
    p.conn = guard_find(p.fds[1]);
    if (!p.conn)
        abort();
    return p;
}

static void close_pair(const struct pair *p)
{
    guard_closing(p->fds[1]); /* what the hook does */
    assert_null(guard_find(p->fds[1]));
    close(p->fds[0]);
    close(p->fds[1]);
}

/* As if |n| bytes had been read. */
static int take(struct guard_conn *c, const void *data, size_t n)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
    return guard_after_read(c, &iov, n);
}

static int take_frames(struct guard_conn *c, uint8_t type, size_t n)
{
    const uint8_t frame[H2_HEADER_SIZE] = {0, 0, 0, type};
    int rc = 0;
    if (c->meter.preface == 0)
        rc = take(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2_PREFACE_SIZE);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = take(c, frame, sizeof(frame));
    return rc;
}

/* As if |sent| of |asked| bytes had been written. */
static void write_some(struct guard_conn *c, size_t asked, size_t sent)
{
    const struct iovec nothing = {0};
    guard_after_send(c, &nothing, asked, sent);
}

/* The value of |expression| under the guard's lock: its thread looks at connections whose answers are not
 * read. */
#define LOCKED(expression)                                                                                   \
    ({                                                                                                       \
        pthread_mutex_lock(&guard.lock);                                                                     \
        __typeof__(expression) value_ = (expression);                                                        \
        pthread_mutex_unlock(&guard.lock);                                                                   \
        value_;                                                                                              \
    })

/* As if |c| had read nothing of its answers for 30 seconds more. */
static void age(struct guard_conn *c)
{
    pthread_mutex_lock(&guard.lock);
    c->stuck_ns -= 30 * NS_PER_S;
    pthread_mutex_unlock(&guard.lock);
}

static int may_read(struct guard_conn *c)
{
    size_t room;
    return guard_before_read(c, &room);
}

/* ---- Connections and users ---- */

static void test_shares(void **state)
{
    (void)state;
    enum { MAX = 10 };
    begin(MAX);
    struct pair a[MAX / 2];
    struct err e;
    for (size_t i = 0; i < MAX / 2; i++)
        a[i] = open_pair(&alice, QUOTA_LOCAL);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(rpc_guard_open(fds[1], &alice, QUOTA_LOCAL, &e), ERR_LIMIT);
    assert_says(e, "uid 7");
    assert_says(e, "user_share_percent");
    close(fds[0]);
    close(fds[1]);
    struct pair b = open_pair(&bob, QUOTA_REMOTE);
    enum quota_rank rank;
    struct quota_user *u = rpc_guard_user(b.fds[1], &rank);
    assert_string_equal(quota_user_name(u), "uid 8");
    assert_int_equal(rank, QUOTA_REMOTE);
    quota_user_unref(u);
    rpc_guard_promote(b.fds[1], NULL);
    u = rpc_guard_user(b.fds[1], &rank);
    assert_int_equal(rank, QUOTA_CONTROL);
    quota_user_unref(u);
    assert_null(rpc_guard_user(b.fds[0], &rank));
    for (size_t i = 0; i < MAX / 2; i++)
        close_pair(&a[i]);
    close_pair(&b);
    end();
}

/* If close() does not come through the guard, connections that are gone are found when there seem to be too
 * many. */
static void test_sweep(void **state)
{
    (void)state;
    begin(4);
    struct pair p[2] = {open_pair(&alice, QUOTA_LOCAL), open_pair(&alice, QUOTA_LOCAL)};
    struct err e;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(rpc_guard_open(fds[1], &alice, QUOTA_LOCAL, &e), ERR_LIMIT);
    /* The descriptor is in use again, but what it leads to is another socket. */
    assert_int_equal(dup2(STDERR_FILENO, p[0].fds[1]), p[0].fds[1]);
    assert_int_equal(rpc_guard_open(fds[1], &alice, QUOTA_LOCAL, &e), 0);
    assert_int_equal(quota_total(quota, QUOTA_CONNECTIONS), 2);
    /* One under a number that is known: the old one has gone. */
    assert_int_equal(dup2(fds[0], p[1].fds[1]), p[1].fds[1]);
    assert_int_equal(rpc_guard_open(p[1].fds[1], &bob, QUOTA_REMOTE, &e), 0);
    assert_int_equal(quota_total(quota, QUOTA_CONNECTIONS), 2);
    end();
    for (size_t i = 0; i < 2; i++) {
        close(p[i].fds[0]);
        close(p[i].fds[1]);
        close(fds[i]);
    }
}

/* Connections of a user that come and go fast are turned away after a while; those of others, and of the role
 * control, are not. A new connection brings no new budget. */
static void test_connects(void **state)
{
    (void)state;
    begin(1000);
    struct err e = {0};
    int fds[2];
    int rc = 0;
    size_t n = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (; n < 5 * RATE && rc == 0; n++) {
        rc = rpc_guard_open(fds[1], &alice, QUOTA_LOCAL, &e);
        if (rc == 0)
            guard_closing(fds[1]);
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_in_range(n, RATE / 5, 4 * RATE);
    assert_says(e, "too fast");
    assert_int_equal(rpc_guard_open(fds[1], &bob, QUOTA_REMOTE, &e), 0);
    assert_int_equal(rpc_guard_open(fds[1], &alice, QUOTA_CONTROL, &e), 0);
    struct rpc_guard_stats stats;
    rpc_guard_stats(&stats);
    assert_int_equal(stats.closed[RPC_GUARD_CONNECTS], 1);
    close(fds[0]);
    close(fds[1]);
    end();
}

/* ---- Budgets ---- */

/* Beyond its budget a connection is not read, and gRPC's registration is repeated when it may be again. */
static void test_pause(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 4711};
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, p.fds[1], &event), 0);
    guard_watched(p.conn, epoll, &event);
    struct epoll_event found = {0};
    assert_int_equal(epoll_wait(epoll, &found, 1, 1000), 1); /* writable: the first edge */
    assert_int_equal(epoll_wait(epoll, &found, 1, 0), 0);
    assert_int_equal(may_read(p.conn), 0);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, RATE / 2 + 20), 0);
    assert_int_equal(may_read(p.conn), -EAGAIN);
    assert_int_equal(epoll_wait(epoll, &found, 1, 10000), 1);
    assert_int_equal(found.data.u64, 4711);
    struct rpc_guard_stats stats;
    rpc_guard_stats(&stats);
    assert_int_equal(stats.throttled, 1);
    /* The user's other connection is not read either; another user's is. */
    assert_int_equal(take_frames(p.conn, H2_HEADERS, DEBT), 0);
    struct pair other = open_pair(&alice, QUOTA_LOCAL);
    struct pair of_bob = open_pair(&bob, QUOTA_REMOTE);
    assert_int_equal(may_read(other.conn), -EAGAIN);
    assert_int_equal(may_read(of_bob.conn), 0);
    /* The role control has budgets of its own. */
    rpc_guard_promote(p.fds[1], NULL);
    assert_int_equal(may_read(p.conn), 0);
    close_pair(&other);
    close_pair(&of_bob);
    close_pair(&p);
    close(epoll);
    end();
}

/* How much may be read at once follows from the calls that there is budget for. */
static void test_room(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    size_t full;
    size_t little;
    assert_int_equal(guard_before_read(p.conn, &full), 0);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, RATE / 2 - 50), 0);
    p.conn->turn = 0;
    assert_int_equal(guard_before_read(p.conn, &little), 0);
    assert_true(little < full);
    assert_in_range(little, 256, 256 + 12 * 100);
    close_pair(&p);
    end();
}

/* Others have a turn after a while, without a pause. */
static void test_turns(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    assert_int_equal(take_frames(p.conn, H2_DATA, 700), 0);
    assert_int_equal(may_read(p.conn), -EAGAIN);
    assert_false(p.conn->paused);
    assert_int_equal(may_read(p.conn), 0);
    close_pair(&p);
    end();
}

static void assert_closed(const struct pair *p, enum rpc_guard_reason reason)
{
    char byte;
    struct rpc_guard_stats stats;
    rpc_guard_stats(&stats);
    for (int i = 0; i < RPC_GUARD_REASONS; i++)
        assert_int_equal(stats.closed[i], i == (int)reason);
    assert_int_equal(recv(p->fds[0], &byte, 1, MSG_DONTWAIT), 0);
    assert_int_equal(may_read(p->conn), -ECONNRESET);
}

static void test_resets(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    assert_int_equal(take_frames(p.conn, H2_RST_STREAM, 1000), 0);
    assert_int_equal(take_frames(p.conn, H2_RST_STREAM, 100), -ECONNRESET);
    assert_closed(&p, RPC_GUARD_RESETS);
    close_pair(&p);
    /* never for the role control */
    p = open_pair(&alice, QUOTA_CONTROL);
    assert_int_equal(take_frames(p.conn, H2_RST_STREAM, 5000), 0);
    close_pair(&p);
    end();
}

/* Over its budget for long and with much waiting in the socket: closed. One that waits for its answers, so
 * that little is in the socket, is not. */
static void test_closed_when_it_goes_on(void **state)
{
    (void)state;
    begin(10);
    char much[40000] = {0};
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, 10 * RATE), 0);
    assert_int_equal(may_read(p.conn), -EAGAIN);
    p.conn->hot_ns -= 3 * NS_PER_S;
    assert_int_equal(may_read(p.conn), -EAGAIN);
    assert_int_equal(send(p.fds[0], much, sizeof(much), 0), sizeof(much));
    assert_int_equal(may_read(p.conn), -ECONNRESET);
    shutdown(p.fds[0], SHUT_WR);
    assert_closed(&p, RPC_GUARD_CALLS);
    close_pair(&p);
    end();
}

/* While answers cannot be written, few frames that ask for one are read; what is sent earns more of them. */
static void test_unread(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    write_some(p.conn, 100, 50);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, 299), 0);
    p.conn->turn = 0;
    assert_int_equal(may_read(p.conn), 0);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, 2), 0);
    assert_int_equal(may_read(p.conn), -EAGAIN);
    write_some(p.conn, 100000, 10000);
    assert_int_equal(may_read(p.conn), 0);
    assert_int_equal(take_frames(p.conn, H2_HEADERS, 20), 0);
    assert_int_equal(may_read(p.conn), -EAGAIN);
    age(p.conn);
    assert_int_equal(may_read(p.conn), -ECONNRESET);
    assert_closed(&p, RPC_GUARD_UNREAD);
    close_pair(&p);
    assert_true(LOCKED(guard.stuck) < 0.001);
    /* All is written: nothing is counted any more. */
    p = open_pair(&alice, QUOTA_LOCAL);
    write_some(p.conn, 100, 50);
    assert_int_equal(take_frames(p.conn, H2_PING, 10), 0);
    assert_true(LOCKED(p.conn->stuck > 9.9 && p.conn->stuck <= 10)); /* less what was sent */
    write_some(p.conn, 50, 50);
    (void)may_read(p.conn);
    assert_true(LOCKED(p.conn->stuck) == 0);
    close_pair(&p);
    end();
}

/* A reader of a stream sends WINDOW_UPDATEs for what it is sent: these cost nothing. */
static void test_reader(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    for (int i = 0; i < 100; i++) {
        write_some(p.conn, 2000000, 2000000);
        p.conn->turn = 0;
        assert_int_equal(may_read(p.conn), 0);
        assert_int_equal(take_frames(p.conn, H2_WINDOW_UPDATE, 900), 0);
    }
    assert_true(p.conn->own.have[BUDGET_FRAMES] > 3.9 * RATE);
    close_pair(&p);
    end();
}

/* A user that reads no answers stops itself, not those whose sockets are full as well. */
static void test_unread_of_others(void **state)
{
    (void)state;
    begin(40);
    struct pair p[10];
    for (size_t i = 0; i < 10; i++) {
        p[i] = open_pair(&alice, QUOTA_LOCAL);
        write_some(p[i].conn, 100, 50);
        while (may_read(p[i].conn) == 0)
            assert_int_equal(take_frames(p[i].conn, H2_HEADERS, 10), 0);
        p[i].conn->own.have[BUDGET_CALLS] = p[i].conn->user->budget[GUARD_OTHERS].have[BUDGET_CALLS] =
            RATE / 2.0;
        guard.all[GUARD_OTHERS].have[BUDGET_CALLS] = guard.light.have[BUDGET_CALLS] = RATE;
    }
    assert_true(LOCKED(p[0].conn->user->stuck) <= RATE / 2.0 + 10 * 40);
    struct pair slow = open_pair(&bob, QUOTA_REMOTE);
    struct pair control = open_pair(&alice, QUOTA_CONTROL);
    write_some(slow.conn, 100, 50);
    write_some(control.conn, 100, 50);
    assert_int_equal(take_frames(slow.conn, H2_PING, 5), 0);
    assert_int_equal(take_frames(control.conn, H2_PING, 5), 0);
    age(slow.conn);
    assert_int_equal(may_read(slow.conn), 0);
    assert_int_equal(may_read(control.conn), 0);
    /* Those that send nothing more are closed all the same. */
    for (size_t i = 0; i < 10; i++)
        age(p[i].conn);
    struct rpc_guard_stats stats;
    for (int i = 0; i < 500; i++) {
        rpc_guard_stats(&stats);
        if (stats.closed[RPC_GUARD_UNREAD] >= 3)
            break;
        poll(NULL, 0, 10);
    }
    assert_in_range(stats.closed[RPC_GUARD_UNREAD], 3, 10);
    assert_false(LOCKED(slow.conn->dead));
    for (size_t i = 0; i < 10; i++)
        close_pair(&p[i]);
    close_pair(&slow);
    close_pair(&control);
    assert_true(LOCKED(guard.stuck < 0.001 && !guard.stuck_conns));
    end();
}

/* The length in a frame header costs nothing by itself. */
static void test_announced_length(void **state)
{
    (void)state;
    static const uint8_t huge[] = {0xff, 0xff, 0xff, H2_DATA, 0, 0, 0, 0, 1};
    begin(10);
    struct pair p = open_pair(&alice, QUOTA_LOCAL);
    assert_int_equal(take_frames(p.conn, H2_SETTINGS, 1), 0);
    assert_int_equal(take(p.conn, huge, sizeof(huge)), 0);
    assert_true(p.conn->own.have[BUDGET_DATA] > 9e5);
    struct pair other = open_pair(&bob, QUOTA_REMOTE);
    assert_int_equal(may_read(other.conn), 0);
    close_pair(&p);
    close_pair(&other);
    end();
}

/* ---- TLS ---- */

/* A record of |type| with a handshake message of |kind| and |size| bytes, |fill| in it. Returns the length of
 * all. */
static size_t make_record(uint8_t *out, uint8_t type, uint8_t kind, uint8_t fill, size_t size)
{
    const uint8_t head[] = {type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size, kind, 0, 0, 90, 3, 3};
    memset(out, fill, size + TLS_HEADER_SIZE);
    memcpy(out, head, size + TLS_HEADER_SIZE < sizeof(head) ? size + TLS_HEADER_SIZE : sizeof(head));
    return size + TLS_HEADER_SIZE;
}

static struct pair open_tls(const struct rpc_peer *peer)
{
    struct pair p = open_pair(peer, QUOTA_REMOTE);
    p.conn->tls = true; /* as gRPC's own accept makes it */
    return p;
}

/* As if |n| bytes had been written, |step| at a time. */
static void write_all(struct guard_conn *c, const uint8_t *data, size_t n, size_t step)
{
    for (size_t at = 0; at < n; at += step) {
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)(data + at), .iov_len = n - at};
        guard_after_send(c, &iov, n - at, n - at < step ? n - at : step);
    }
}

static const uint8_t plain[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\1\0\0\0\0\1";

static bool decrypted(uint8_t random_byte, const uint8_t *data, size_t n)
{
    uint8_t random[TLS_RANDOM_SIZE];
    memset(random, random_byte, sizeof(random));
    return guard_decrypted(random, data, n);
}

/* A connection is told by the random bytes of the ServerHello that it was sent, whatever else was sent
 * before, and however it was cut. */
static void test_tls(void **state)
{
    (void)state;
    uint8_t out[1000];
    begin(10);
    struct pair p[2] = {open_tls(&alice), open_tls(&bob)};
    for (uint8_t i = 0; i < 2; i++) {
        size_t n = make_record(out, 20, 1, 7, 1);  /* short, and of another type */
        n += make_record(out + n, 22, 11, 8, 300); /* of another kind */
        n += make_record(out + n, 22, 2, (uint8_t)(100 + i), 122);
        n += make_record(out + n, 22, 2, 9, 122); /* a further one is not looked at */
        write_all(p[i].conn, out, n, i ? 1 : 50);
        assert_true(p[i].conn->known);
    }
    assert_true(decrypted(101, plain, sizeof(plain) - 1));
    assert_int_equal(p[0].conn->meter.preface, 0);
    assert_int_equal(p[1].conn->meter.preface, H2_PREFACE_SIZE);
    assert_true(p[1].conn->own.have[BUDGET_CALLS] == RATE / 2.0 - 1);
    assert_false(decrypted(99, plain, sizeof(plain) - 1)); /* nobody's */
    assert_false(decrypted(9, plain, sizeof(plain) - 1));
    for (size_t i = 0; i < 2; i++)
        close_pair(&p[i]);
    assert_false(decrypted(101, plain, sizeof(plain) - 1));
    end();
}

/* A ServerHello that asks for another ClientHello is none yet; one with the random bytes of another
 * connection never is. */
static void test_tls_hello_again(void **state)
{
    (void)state;
    static const uint8_t retry[TLS_RANDOM_SIZE] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    uint8_t out[1000];
    begin(10);
    struct pair a = open_tls(&alice);
    struct pair b = open_tls(&bob);
    size_t n = make_record(out, 22, 2, 1, 90);
    memcpy(out + TLS_RANDOM_AT, retry, sizeof(retry));
    write_all(a.conn, out, n, n);
    assert_false(a.conn->known);
    n = make_record(out, 22, 2, 5, 90);
    write_all(a.conn, out, n, n);
    assert_true(a.conn->known);
    write_all(b.conn, out, n, n);
    assert_false(b.conn->known);
    assert_true(decrypted(5, plain, sizeof(plain) - 1));
    assert_int_equal(a.conn->meter.preface, H2_PREFACE_SIZE);
    close_pair(&b);
    assert_true(decrypted(5, plain, sizeof(plain) - 1));
    close_pair(&a);
    end();
}

/* A user's records that are slow to come take calls from the budget of its other connections. Those wait, and are not taken for
 * floods. */
static void test_tls_slow_records(void **state)
{
    (void)state;
    uint8_t out[200];
    static const char backlog[65536];
    static const uint8_t dark[4096];
    begin(20);
    struct pair slow[5];
    for (uint8_t i = 0; i < 5; i++) {
        slow[i] = open_tls(&alice);
        write_all(slow[i].conn, out, make_record(out, 22, 2, (uint8_t)(20 + i), 90), 200);
        assert_int_equal(take(slow[i].conn, dark, 3000), 0); /* a handshake */
        for (int k = 0; k < 3; k++)
            assert_int_equal(take(slow[i].conn, dark, sizeof(dark)), 0);
        assert_true(slow[i].conn->reserved > 100);
    }
    struct pair other = open_pair(&alice, QUOTA_REMOTE);
    assert_true(write(other.fds[0], backlog, sizeof(backlog)) > 0);
    assert_int_equal(may_read(other.conn), -EAGAIN);
    assert_true(LOCKED(other.conn->hot_ns) == 0);
    assert_false(LOCKED(other.conn->dead));
    for (size_t i = 0; i < 5; i++)
        close_pair(&slow[i]); /* what they had reserved goes back */
    assert_true(LOCKED(other.conn->user->reserved[GUARD_OTHERS] < 0.001));
    assert_int_equal(may_read(other.conn), 0);
    close_pair(&other);
    end();
}

/* A connection that stays undecrypted is closed; a record that has not come as a whole takes no more than
 * half of a budget, and gives it back. */
static void test_tls_dark(void **state)
{
    (void)state;
    uint8_t out[200];
    char dark[16384] = {0};
    begin(10);
    struct pair p = open_tls(&alice);
    int rc = 0;
    size_t n = 0;
    for (; n < 1000000 && rc == 0; n += sizeof(dark))
        rc = take(p.conn, dark, sizeof(dark));
    assert_int_equal(rc, -ECONNRESET);
    assert_in_range(n, 65536, 100000);
    assert_closed(&p, RPC_GUARD_BLIND);
    close_pair(&p);
    p = open_tls(&bob);
    write_all(p.conn, out, make_record(out, 22, 2, 3, 90), 200);
    assert_int_equal(may_read(p.conn), 0);
    assert_true(p.conn->light);
    assert_int_equal(take(p.conn, dark, 3000), 0); /* a handshake */
    assert_true(p.conn->reserved == 0);
    assert_int_equal(take(p.conn, dark, sizeof(dark)), 0);
    assert_true(p.conn->reserved > 100 && p.conn->reserved <= RATE / 4.0);
    assert_true(p.conn->own.have[BUDGET_CALLS] == RATE / 2.0 - p.conn->reserved);
    assert_int_equal(take(p.conn, dark, sizeof(dark)), 0);
    assert_true(p.conn->reserved <= RATE / 4.0);
    (void)may_read(p.conn);
    assert_true(p.conn->light); /* so long as something is reserved in that budget */
    assert_true(decrypted(3, plain, sizeof(plain) - 1));
    assert_true(guard.light.have[BUDGET_CALLS] >= RATE - 1);
    assert_true(p.conn->reserved == 0);
    assert_true(p.conn->own.have[BUDGET_CALLS] >= RATE / 2.0 - 1); /* more, by the time that has passed */
    /* Also when the connection turns out to be one of the role control. */
    assert_int_equal(take(p.conn, dark, sizeof(dark)), 0);
    assert_true(p.conn->reserved > 100);
    assert_true(p.conn->user->budget[GUARD_OTHERS].have[BUDGET_CALLS] < RATE / 2.0 - 100);
    rpc_guard_promote(p.fds[1], NULL);
    assert_true(p.conn->reserved == 0);
    assert_true(p.conn->user->budget[GUARD_OTHERS].have[BUDGET_CALLS] > RATE / 2.0 - 10);
    assert_true(p.conn->user->budget[GUARD_CONTROL].have[BUDGET_CALLS] <= RATE);
    close_pair(&p);
    end();
}

static void test_address(void **state)
{
    (void)state;
    begin(10);
    struct pair p = open_pair(&bob, QUOTA_REMOTE);
    enum quota_rank rank;
    assert_null(rpc_guard_tls_user("127.0.0.1:4711", &rank)); /* not by TLS */
    close_pair(&p);
    end();
}

/* ---- gRPC ---- */

static int echo(void *app, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    (void)app;
    (void)e;
    buf_bytes(reply, request->data, request->len);
    return 0;
}

static const struct rpc_method methods[] = {{.path = "/test.Test/Echo", .kind = RPC_UNARY, .unary = echo}};

static void test_proof(void **state)
{
    (void)state;
    begin(10);
    const struct rpc_server_options options = {
        .methods = methods, .n_methods = 1, .threads = 1, .request_max = 1000, .streams_max = 100};
    struct rpc_server *server;
    struct err e = {0};
    assert_int_equal(rpc_server_new(&options, &server, NULL), 0);
    assert_false(rpc_guard_works());
    int rc = rpc_guard_prove(server, &e);
    if (XTCP_HOOKED) {
        assert_int_equal(rc, 0);
        assert_string_equal(rpc_guard_failure(), "");
        assert_int_equal(quota_total(quota, QUOTA_CONNECTIONS), 0);
    } else {
        assert_int_equal(rc, ERR_UNSUPPORTED);
        assert_string_equal(rpc_guard_failure(),
                            "gRPC does not read by the program's recvmsg, sendmsg and epoll_ctl");
    }
    assert_int_equal(rpc_guard_works(), XTCP_HOOKED);
    assert_int_equal(rpc_server_stop(server, NS_PER_S, 20 * NS_PER_S), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_shares, stop_guard),
        cmocka_unit_test_teardown(test_sweep, stop_guard),
        cmocka_unit_test_teardown(test_connects, stop_guard),
        cmocka_unit_test_teardown(test_pause, stop_guard),
        cmocka_unit_test_teardown(test_room, stop_guard),
        cmocka_unit_test_teardown(test_turns, stop_guard),
        cmocka_unit_test_teardown(test_resets, stop_guard),
        cmocka_unit_test_teardown(test_closed_when_it_goes_on, stop_guard),
        cmocka_unit_test_teardown(test_unread, stop_guard),
        cmocka_unit_test_teardown(test_reader, stop_guard),
        cmocka_unit_test_teardown(test_tls, stop_guard),
        cmocka_unit_test_teardown(test_unread_of_others, stop_guard),
        cmocka_unit_test_teardown(test_announced_length, stop_guard),
        cmocka_unit_test_teardown(test_tls_hello_again, stop_guard),
        cmocka_unit_test_teardown(test_tls_slow_records, stop_guard),
        cmocka_unit_test_teardown(test_tls_dark, stop_guard),
        cmocka_unit_test_teardown(test_address, stop_guard),
        cmocka_unit_test_teardown(test_proof, stop_guard),
    };
    rpc_server_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_server_fini();
    return failed;
}
