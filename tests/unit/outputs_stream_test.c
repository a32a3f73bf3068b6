/* The sinks tcp and unix: connecting, messages, and every way in which a connection ends. */
#include "net_peer.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/varint.h"

extern const struct sink_ops xtcp_sink_tcp, xtcp_sink_unix;

#define KIB 1024
#define MIB (1024 * KIB)

/* ---- The system ---- */

static sem_t answers;       /* posted: a name that hangs is answered */
static _Atomic int hanging; /* such names */
static int last_socket = -1;
static bool meets_itself;

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, port, hints, out);
    if (strcmp(host, "hangs.test") == 0) {
        hanging++;
        while (sem_wait(&answers) != 0)
            ;
        hanging--;
        return EAI_AGAIN;
    }
    if (strcmp(host, "two.test") != 0)
        return EAI_NONAME;
    struct addrinfo *second;
    int rc = __real_getaddrinfo("::1", port, hints, out);
    if (rc == 0)
        rc = __real_getaddrinfo("127.0.0.1", port, hints, &second);
    if (rc == 0)
        (*out)->ai_next = second;
    return rc;
}

int __wrap_socket(int family, int type, int protocol)
{
    last_socket = __real_socket(family, type, protocol);
    return last_socket;
}

/* The system may give a client any port that is free, that of its destination as well. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    if (meets_itself)
        assert_int_equal(bind(fd, address, len), 0);
    return __real_connect(fd, address, len);
}

/* ---- Helpers ---- */

static const struct output_tls no_files = {.ca_file = (char *)(uintptr_t) "",
                                           .cert_file = (char *)(uintptr_t) "",
                                           .key_file = (char *)(uintptr_t) "",
                                           .server_name = (char *)(uintptr_t) ""};

static struct output_stream_options options;

static int setup(void **state)
{
    (void)state;
    options = (struct output_stream_options){.timeout = 10 * NS_PER_S, .resend = 4 * MIB, .files = no_files};
    meets_itself = false;
    return 0;
}

static size_t unsure(const struct sink_case *c)
{
    return c->ops->unsure(c->sink);
}

/* A sink that is connected to |listener|. Returns the peer's end. */
static int connect_tcp(struct sink_case *c, int listener, uint16_t port)
{
    assert_int_equal(sink_case_open(c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(c, NULL), SINK_DONE);
    return peer_accept(listener);
}

/* The same of a unix socket. */
static int connect_unix(struct sink_case *c, int *listener)
{
    const char *path = peer_path("socket");
    *listener = peer_listen_unix(SOCK_STREAM, path, 5);
    assert_int_equal(sink_case_open(c, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    assert_int_equal(sink_case_connect(c, NULL), SINK_DONE);
    return peer_accept(*listener);
}

static int read_all(struct peer_thread *t, int fd)
{
    return peer_read_all(fd, &t->got);
}

/* ---- Connecting ---- */

static void test_refused(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    int taken = peer_listen(AF_INET, -1, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
        assert_error(&c, "tcp:127.0.0.1:%u: Connection refused", port);
        assert_int_equal(c.e.code, -ECONNREFUSED);
    }
    assert_int_equal(sink_case_send(&c, "x", 1), SINK_BROKEN);
    assert_error(&c, "tcp:127.0.0.1:%u: not connected", port);
    sink_case_close(&c);
    close(taken);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    int listener = peer_listen(AF_INET6, 5, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:[::1]:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    int fd = peer_accept(listener);
    assert_int_equal(sink_case_send(&c, "six", 3), SINK_DONE);
    assert_reads(fd, "six", 3);
    close(listener);
    close(fd);
    sink_case_await_end(&c);
    assert_error(&c, "tcp:[::1]:%u: closed by the peer", port);
    sink_case_close(&c);
}

static void test_a_name_that_is_not_known(void **state)
{
    (void)state;
    struct sink_case c;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:none.test:9"), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "tcp:none.test:9: Name or service not known");
    sink_case_close(&c);
}

static void test_a_name_that_hangs(void **state)
{
    (void)state;
    struct sink_case c;
    options.timeout = 100 * NS_PER_MS;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:hangs.test:9"), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "tcp:hangs.test:9: the name has not been resolved in time");
    options.timeout = 600 * NS_PER_S;
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_int_equal(c.e.code, ERR_CANCELLED);
    sink_case_close(&c);
    sem_post(&answers);
    sem_post(&answers);
    while (hanging)
        usleep(1000);
}

/* All addresses of a name are tried. */
static void test_two_addresses(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    int listener = peer_listen(AF_INET, 5, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:two.test:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    int fd = peer_accept(listener);
    assert_int_equal(sink_case_send(&c, "two", 3), SINK_DONE);
    assert_reads(fd, "two", 3);
    close(listener);
    close(fd);
    sink_case_await_end(&c);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "tcp:two.test:%u: Connection refused", port);
    sink_case_close(&c);
}

/* So are all hosts, and another one first when a connection has failed. */
static void test_two_hosts(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t ports[2];
    int refuses = peer_listen(AF_INET, -1, &ports[0]);
    int listener = peer_listen(AF_INET, 5, &ports[1]);
    assert_int_equal(
        sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u,127.0.0.1:%u", ports[0], ports[1]), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    close(peer_accept(listener));
    sink_case_await_end(&c);
    assert_error(&c, "tcp:127.0.0.1:%u: closed by the peer", ports[1]);
    assert_int_equal(listen(refuses, 5), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    close(peer_accept(refuses));
    close(refuses);
    close(listener);
    sink_case_await_end(&c);
    assert_error(&c, "tcp:127.0.0.1:%u: closed by the peer", ports[0]);
    sink_case_close(&c);
}

/* A listener whose queue is full does not answer. */
static void test_no_answer(void **state)
{
    (void)state;
    enum { FILLERS = 4 };
    struct sink_case c;
    uint16_t port;
    int fillers[FILLERS];
    int listener = peer_listen(AF_INET, 0, &port);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&to, sizeof(to));
        usleep(1000);
    }
    options.timeout = 200 * NS_PER_MS;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "tcp:127.0.0.1:%u: not connected within 200ms", port);
    assert_int_equal(c.e.code, ERR_TIMEOUT);
    sink_case_close(&c);
    options.timeout = 600 * NS_PER_S;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_error(&c, "tcp:127.0.0.1:%u: cancelled", port);
    sink_case_close(&c);
    for (size_t i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(listener);
}

/* A client of a port where nobody listens may be given that very port: it would talk to itself. */
static void test_meets_itself(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    close(peer_listen(AF_INET, -1, &port));
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    meets_itself = true;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "tcp:127.0.0.1:%u: Connection refused", port);
    sink_case_close(&c);
}

static int tcp_option(int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(last_socket, IPPROTO_TCP, option, &value, &len), 0);
    return value;
}

static void test_a_dead_peer_is_noticed(void **state)
{
    (void)state;
    static const struct {
        int64_t timeout;
        int idle, interval;
    } cases[] = {{40 * NS_PER_S, 20, 10}, {100 * NS_PER_MS, 2, 1}};
    uint16_t port;
    int listener = peer_listen(AF_INET, 5, &port);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sink_case c;
        int on = 0;
        socklen_t len = sizeof(on);
        options.timeout = cases[i].timeout;
        int fd = connect_tcp(&c, listener, port);
        assert_int_equal(getsockopt(last_socket, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
        assert_int_equal(on, 1);
        assert_int_equal(fcntl(last_socket, F_GETFD), FD_CLOEXEC);
        assert_int_equal(tcp_option(TCP_USER_TIMEOUT), cases[i].timeout / NS_PER_MS);
        assert_int_equal(tcp_option(TCP_KEEPIDLE), cases[i].idle);
        assert_int_equal(tcp_option(TCP_KEEPINTVL), cases[i].interval);
        sink_case_close(&c);
        close(fd);
    }
    close(listener);
}

static void test_options_that_cannot_be_right(void **state)
{
    (void)state;
    struct sink_case c;
    char path[130];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[108] = '\0';
    assert_int_equal(sink_case_open(&c, &xtcp_sink_unix, &options, "unix:%s", path), ERR_RANGE);
    assert_string_equal(c.e.text, "the path of a unix socket is longer than 107 bytes");
    path[107] = '\0';
    assert_int_equal(sink_case_open(&c, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    sink_case_close(&c);
    options.files.ca_file = path;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:1"), ERR_PRECONDITION);
    assert_string_equal(c.e.text, "options that begin with tls_ need tls=true");
    options.tls = true;
    options.files.key_file = path;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:1"), ERR_PRECONDITION);
    assert_string_equal(c.e.text, "tls_cert_file and tls_key_file need each other");
}

/* ---- Messages ---- */

static void test_messages(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    bool fresh;
    int listener = peer_listen(AF_INET, 5, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    for (int i = 0; i < 3; i++) { /* nothing has been sent yet: it stays fresh */
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_true(fresh);
    }
    int fd = peer_accept(listener);
    struct sink_message list[] = {{.data = (const uint8_t *)"one\n", .len = 4, .result = SINK_REFUSED},
                                  {.data = (const uint8_t *)"", .len = 0, .result = SINK_REFUSED},
                                  {.data = (const uint8_t *)"two\n", .len = 4, .result = SINK_REFUSED}};
    c.ops->send(c.sink, list, COUNT(list), &c.e);
    for (size_t i = 0; i < COUNT(list); i++)
        assert_int_equal(list[i].result, SINK_DONE);
    assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
    assert_false(fresh);
    assert_reads(fd, "one\ntwo\n", 8);
    sink_case_close(&c);
    struct buf rest;
    buf_init(&rest);
    assert_int_equal(peer_read_all(fd, &rest), 0);
    assert_int_equal(rest.len, 0);
    buf_free(&rest);
    close(fd);
    close(listener);
}

/* Lengths around those at which a varint becomes longer. */
static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 3 * MIB, 5};

static void check_frames(const struct buf *got)
{
    const uint8_t *at = (const uint8_t *)got->data, *end = at + got->len;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint64_t len = 0;
        uint8_t *expected = peer_pattern(lengths[i], (unsigned)i);
        size_t head = varint_get(at, (size_t)(end - at), &len);
        assert_int_equal(head, varint_size(lengths[i]));
        assert_int_equal(len, lengths[i]);
        at += head;
        assert_true((size_t)(end - at) >= len);
        if (len)
            assert_memory_equal(at, expected, len);
        at += len;
        free(expected);
    }
    assert_ptr_equal(at, end);
}

static void send_frames(struct sink_case *c)
{
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint8_t *data = peer_pattern(lengths[i], (unsigned)i);
        assert_int_equal(sink_case_send(c, data, lengths[i]), SINK_DONE);
        free(data);
    }
}

static void test_frames(void **state)
{
    (void)state;
    struct sink_case c;
    struct peer_thread t;
    uint16_t port;
    options.framing = OUTPUT_FRAMING_VARINT;
    for (int i = 0; i < 2; i++) {
        const char *path = peer_path("socket");
        int listener = i ? peer_listen_unix(SOCK_STREAM, path, 5) : peer_listen(AF_INET, 5, &port);
        peer_start(&t, listener, read_all, NULL);
        if (i)
            assert_int_equal(sink_case_open(&c, &xtcp_sink_unix, &options, "unix:%s", path), 0);
        else
            assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        send_frames(&c);
        sink_case_close(&c);
        assert_int_equal(peer_join(&t), 0);
        check_frames(&t.got);
        buf_free(&t.got);
        close(listener);
    }
}

/* Reads, and writes back as much: the peer must not wait for its reader. */
static int echo(struct peer_thread *t, int fd)
{
    enum { PIECE = 65536 };
    char bytes[PIECE];
    for (;;) {
        ssize_t n = peer_read(fd, bytes, sizeof(bytes));
        if (n <= 0)
            return (int)n;
        buf_bytes(&t->got, bytes, (size_t)n);
        for (ssize_t sent = 0; sent < n;) {
            ssize_t k = send(fd, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            if (k < 0)
                return -errno;
            sent += k;
        }
    }
}

/* What the peer says is dropped, neither in the way of what is sent nor of the end. */
static void test_a_peer_that_talks(void **state)
{
    (void)state;
    enum { TIMES = 6 };
    struct sink_case c;
    struct peer_thread t;
    uint16_t port;
    int listener = peer_listen(AF_INET, 5, &port);
    peer_start(&t, listener, echo, NULL);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    uint8_t *data = peer_pattern(4 * MIB, 1);
    for (int i = 0; i < TIMES; i++) {
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, data, 4 * MIB), SINK_DONE);
    }
    while (sink_case_connect(&c, NULL) == SINK_DONE && shutdown(last_socket, SHUT_WR) == 0)
        usleep(1000);
    assert_int_equal(peer_join(&t), 0);
    assert_int_equal(t.got.len, (size_t)TIMES * 4 * MIB);
    buf_free(&t.got);
    sink_case_close(&c);
    free(data);
    close(listener);
}

/* ---- Ends ---- */

/* The peer has read all: nothing is in doubt. */
static void test_end_in_order(void **state)
{
    (void)state;
    struct sink_case c;
    bool fresh;
    uint16_t port;
    int tcp = peer_listen(AF_INET, 5, &port);
    for (int i = 0; i < 4; i++) {
        int listener = tcp;
        int fd = i % 2 ? connect_unix(&c, &listener) : connect_tcp(&c, listener, port);
        assert_int_equal(unsure(&c), options.resend); /* it may become so much */
        if (i >= 2) {
            assert_int_equal(sink_case_send(&c, "message", 7), SINK_DONE);
            assert_reads(fd, "message", 7);
        }
        close(fd); /* with i < 2: right after it accepted */
        sink_case_await_end(&c);
        assert_int_equal(c.e.code, ERR_GONE);
        assert_int_equal(unsure(&c), 0);
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_true(fresh);
        close(peer_accept(listener));
        sink_case_close(&c);
        if (i % 2)
            close(listener);
    }
    close(tcp);
}

/* It closes in order, and the next message goes out before that is noticed. */
static void test_end_while_sending(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    int listener = peer_listen(AF_INET, 5, &port);
    int fd = connect_tcp(&c, listener, port);
    assert_int_equal(sink_case_send(&c, "first", 5), SINK_DONE);
    assert_reads(fd, "first", 5);
    close(fd);
    assert_int_equal(send(last_socket, "second", 6, MSG_NOSIGNAL),
                     6); /* as a send does that begins too early */
    sink_case_await_end(&c);
    assert_true(unsure(&c) >= 5); /* there was a reset: all may be lost */
    sink_case_close(&c);
    close(listener);
}

/* The peer goes away and leaves something unread. */
static void test_reset(void **state)
{
    (void)state;
    static const uint64_t resends[] = {4 * MIB, 600, 0};
    static const size_t expected[] = {1000, 600, 0};
    struct sink_case c;
    uint16_t port;
    char data[1000] = {0};
    int tcp = peer_listen(AF_INET, 5, &port);
    for (size_t i = 0; i < 2 * COUNT(resends); i++) {
        int listener = tcp;
        options.resend = resends[i / 2];
        int fd = i % 2 ? connect_unix(&c, &listener) : connect_tcp(&c, listener, port);
        assert_int_equal(sink_case_send(&c, data, sizeof(data)), SINK_DONE);
        assert_int_equal(peer_read(fd, data, 1), 1);
        close(fd);
        sink_case_await_end(&c);
        assert_int_equal(c.e.code, -ECONNRESET);
        assert_non_null(strstr(c.e.text, ": Connection reset by peer"));
        assert_int_equal(unsure(&c), expected[i / 2]);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        close(peer_accept(listener));
        sink_case_close(&c);
        if (i % 2)
            close(listener);
    }
    close(tcp);
}

/* Reads a part, and goes. */
static int read_a_part(struct peer_thread *t, int fd)
{
    char *to = buf_reserve(&t->got, MIB);
    ssize_t n = to ? peer_read(fd, to, MIB) : -ENOMEM;
    t->got.len += n > 0 ? (size_t)n : 0;
    return n < 0 ? (int)n : 0;
}

/* A message of which a part has been taken is sent again as a whole, on the next connection. */
static void test_half_a_message(void **state)
{
    (void)state;
    enum { LENGTH = 32 * MIB };
    struct peer_thread t;
    struct sink_case c;
    uint16_t port;
    bool fresh;
    uint8_t *data = peer_pattern(LENGTH, 3);
    int tcp = peer_listen(AF_INET, 5, &port);
    for (int i = 0; i < 2; i++) {
        const char *path = peer_path("socket");
        int listener = i ? peer_listen_unix(SOCK_STREAM, path, 5) : tcp;
        peer_start(&t, listener, read_a_part, NULL);
        if (i)
            assert_int_equal(sink_case_open(&c, &xtcp_sink_unix, &options, "unix:%s", path), 0);
        else
            assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_BROKEN);
        assert_true(c.e.code == -ECONNRESET || c.e.code == -EPIPE);
        assert_int_equal(peer_join(&t), 0);
        assert_int_equal(t.got.len, MIB);
        buf_free(&t.got);
        peer_start(&t, listener, read_all, NULL);
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_true(fresh);
        assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_DONE);
        sink_case_close(&c);
        assert_int_equal(peer_join(&t), 0);
        assert_int_equal(t.got.len, LENGTH);
        assert_memory_equal(t.got.data, data, LENGTH);
        buf_free(&t.got);
        if (i)
            close(listener);
    }
    close(tcp);
    free(data);
}

/* The messages behind one that breaks the connection are not tried. */
static void test_messages_behind(void **state)
{
    (void)state;
    enum { LENGTH = 32 * MIB };
    struct peer_thread t;
    struct sink_case c;
    uint16_t port;
    uint8_t *data = peer_pattern(LENGTH, 3);
    int listener = peer_listen(AF_INET, 5, &port);
    peer_start(&t, listener, read_a_part, NULL);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    struct sink_message list[] = {
        {.data = data, .len = 10}, {.data = data, .len = LENGTH}, {.data = data, .len = 10}};
    c.ops->send(c.sink, list, COUNT(list), &c.e);
    assert_int_equal(list[0].result, SINK_DONE);
    assert_int_equal(list[1].result, SINK_BROKEN);
    assert_int_equal(list[2].result, SINK_BROKEN);
    assert_true(c.e.code == -ECONNRESET || c.e.code == -EPIPE);
    sink_case_close(&c);
    assert_int_equal(peer_join(&t), 0);
    buf_free(&t.got);
    close(listener);
    free(data);
}

/* ---- Peers that do not read ---- */

static void test_no_progress(void **state)
{
    (void)state;
    enum { LENGTH = 32 * MIB };
    struct sink_case c;
    uint16_t port;
    uint8_t *data = peer_pattern(LENGTH, 4);
    int tcp = peer_listen(AF_INET, 5, &port);
    options.timeout = 500 * NS_PER_MS;
    options.resend = 64 * KIB;
    for (int i = 0; i < 2; i++) {
        int listener = tcp;
        int fd = i ? connect_unix(&c, &listener) : connect_tcp(&c, listener, port);
        int64_t begin_ns = clock_mono_ns();
        assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_BROKEN);
        assert_true(clock_mono_ns() - begin_ns >= 450 * NS_PER_MS);
        assert_true(c.e.code == ERR_TIMEOUT ||
                    (!i && c.e.code == -ETIMEDOUT)); /* the kernel has the same timeout */
        if (c.e.code == ERR_TIMEOUT)
            assert_non_null(strstr(c.e.text, ": the peer has taken nothing for 500ms"));
        assert_int_equal(unsure(&c), options.resend);
        sink_case_close(&c);
        close(fd);
        if (i)
            close(listener);
    }
    close(tcp);
    free(data);
}

/* Reads all, but slowly at the begin. */
static int read_slowly(struct peer_thread *t, int fd)
{
    enum { TIMES = 12, PIECE = 1024 * KIB };
    for (int i = 0; i < TIMES; i++) {
        char *to = buf_reserve(&t->got, PIECE);
        ssize_t n = to ? peer_read(fd, to, PIECE) : -ENOMEM;
        if (n < 0)
            return (int)n;
        t->got.len += (size_t)n;
        usleep(100 * 1000);
    }
    return peer_read_all(fd, &t->got);
}

/* As long as there is progress, a message may take any time. */
static void test_slow_progress(void **state)
{
    (void)state;
    enum { LENGTH = 24 * MIB };
    struct peer_thread t;
    struct sink_case c;
    int small = 64 * KIB;
    uint16_t port;
    uint8_t *data = peer_pattern(LENGTH, 5);
    int listener = peer_listen(AF_INET, 5, &port);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    peer_start(&t, listener, read_slowly, NULL);
    options.timeout = 600 * NS_PER_MS;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_tcp, &options, "tcp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    int64_t begin_ns = clock_mono_ns();
    assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_DONE);
    assert_true(clock_mono_ns() - begin_ns > options.timeout);
    sink_case_close(&c);
    assert_int_equal(peer_join(&t), 0);
    assert_int_equal(t.got.len, LENGTH);
    assert_memory_equal(t.got.data, data, LENGTH);
    buf_free(&t.got);
    close(listener);
    free(data);
}

/* A part of the message has left when the wait is cancelled: only a new connection helps. */
static void test_cancel_within_a_message(void **state)
{
    (void)state;
    enum { LENGTH = 32 * MIB };
    struct sink_case c;
    uint16_t port;
    uint8_t *data = peer_pattern(LENGTH, 6);
    int listener = peer_listen(AF_INET, 5, &port);
    int fd = connect_tcp(&c, listener, port);
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_BROKEN);
    assert_error(&c, "tcp:127.0.0.1:%u: cancelled", port);
    sink_case_close(&c);
    close(fd);
    close(listener);
    free(data);
}

/* Nothing of the message has left: it is tried again later, on the same connection. */
static void test_cancel_between_messages(void **state)
{
    (void)state;
    enum { LENGTH = 4 * KIB };
    struct sink_case c;
    int listener;
    size_t n = 0;
    uint8_t *data = peer_pattern(LENGTH, 7);
    int fd = connect_unix(&c, &listener);
    c.host.cancel_ns = 0;
    while (sink_case_send(&c, data, LENGTH) == SINK_DONE)
        n++;
    assert_int_equal(c.e.code, ERR_CANCELLED);
    assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_AGAIN);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    for (size_t i = 0; i < n; i++)
        assert_reads(fd, data, LENGTH);
    assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_DONE);
    assert_reads(fd, data, LENGTH);
    sink_case_close(&c);
    close(fd);
    close(listener);
    free(data);
}

/* What the kernel has taken is delivered also when the sink ends right behind it. */
static void test_close_behind_a_message(void **state)
{
    (void)state;
    enum { LENGTH = 100 * KIB };
    struct sink_case c;
    uint16_t port;
    uint8_t *data = peer_pattern(LENGTH, 8);
    int listener = peer_listen(AF_INET, 5, &port);
    int fd = connect_tcp(&c, listener, port);
    assert_int_equal(send(fd, "hello\n", 6, MSG_NOSIGNAL), 6); /* nobody reads it */
    assert_int_equal(sink_case_send(&c, data, LENGTH), SINK_DONE);
    assert_int_equal(send(fd, "again\n", 6, MSG_NOSIGNAL), 6);
    sink_case_close(&c);
    struct buf got;
    buf_init(&got);
    assert_int_equal(peer_read_all(fd, &got), 0);
    assert_int_equal(got.len, LENGTH);
    assert_memory_equal(got.data, data, LENGTH);
    buf_free(&got);
    close(fd);
    close(listener);
    free(data);
}

/* ---- Unix sockets ---- */

static void test_no_unix_peer(void **state)
{
    (void)state;
    struct sink_case c;
    const char *path = peer_path("nobody");
    assert_int_equal(sink_case_open(&c, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unix:%s: No such file or directory", path);
    close(peer_listen_unix(SOCK_STREAM, path, 1)); /* the file stays */
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unix:%s: Connection refused", path);
    close(peer_listen_unix(SOCK_DGRAM, path, 0));
    int fd = peer_listen_unix(SOCK_DGRAM, path, 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unix:%s: Protocol wrong type for socket", path);
    close(fd);
    sink_case_close(&c);
}

static int accept_late(struct peer_thread *t, int fd)
{
    usleep(60 * 1000);
    struct peer_thread next = {.listener = t->listener};
    int other = peer_accept(next.listener);
    int rc = peer_read_all(other, &t->got);
    close(other);
    (void)fd;
    return rc;
}

/* A unix socket whose queue of connections is full says so at once, and nothing tells when there is room. */
static void test_a_full_unix_listener(void **state)
{
    (void)state;
    struct sink_case first, second;
    struct peer_thread t;
    const char *path = peer_path("socket");
    int listener = peer_listen_unix(SOCK_STREAM, path, 0);
    assert_int_equal(sink_case_open(&first, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    assert_int_equal(sink_case_connect(&first, NULL), SINK_DONE);
    options.timeout = 100 * NS_PER_MS;
    assert_int_equal(sink_case_open(&second, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    assert_int_equal(sink_case_connect(&second, NULL), SINK_BROKEN);
    assert_error(&second, "unix:%s: not connected within 100ms", path);
    second.host.cancel_ns = 0;
    assert_int_equal(sink_case_connect(&second, NULL), SINK_AGAIN);
    sink_case_close(&second);
    options.timeout = 60 * NS_PER_S;
    assert_int_equal(sink_case_open(&second, &xtcp_sink_unix, &options, "unix:%s", path), 0);
    peer_start(&t, listener, accept_late, NULL);
    assert_int_equal(sink_case_connect(&second, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&second, "late", 4), SINK_DONE);
    sink_case_close(&second);
    assert_int_equal(peer_join(&t), 0);
    assert_int_equal(t.got.len, 4);
    buf_free(&t.got);
    sink_case_close(&first);
    close(listener);
}

int main(void)
{
    sem_init(&answers, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_ipv6, setup),
        cmocka_unit_test_setup(test_a_name_that_is_not_known, setup),
        cmocka_unit_test_setup(test_a_name_that_hangs, setup),
        cmocka_unit_test_setup(test_two_addresses, setup),
        cmocka_unit_test_setup(test_two_hosts, setup),
        cmocka_unit_test_setup(test_no_answer, setup),
        cmocka_unit_test_setup(test_meets_itself, setup),
        cmocka_unit_test_setup(test_a_dead_peer_is_noticed, setup),
        cmocka_unit_test_setup(test_options_that_cannot_be_right, setup),
        cmocka_unit_test_setup(test_messages, setup),
        cmocka_unit_test_setup(test_frames, setup),
        cmocka_unit_test_setup(test_a_peer_that_talks, setup),
        cmocka_unit_test_setup(test_end_in_order, setup),
        cmocka_unit_test_setup(test_end_while_sending, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_half_a_message, setup),
        cmocka_unit_test_setup(test_messages_behind, setup),
        cmocka_unit_test_setup(test_no_progress, setup),
        cmocka_unit_test_setup(test_slow_progress, setup),
        cmocka_unit_test_setup(test_cancel_within_a_message, setup),
        cmocka_unit_test_setup(test_cancel_between_messages, setup),
        cmocka_unit_test_setup(test_close_behind_a_message, setup),
        cmocka_unit_test_setup(test_no_unix_peer, setup),
        cmocka_unit_test_setup(test_a_full_unix_listener, setup),
    };
    return cmocka_run_group_tests(tests, NULL, peer_clean);
}
