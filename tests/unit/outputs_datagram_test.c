/* The sinks udp and unixgram: sizes, peers that are not there, and peers that do not read. */
#include "net_peer.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct sink_ops xtcp_sink_udp, xtcp_sink_unixgram;

#define UDP_LONGEST 65507

static struct output_datagram_options options;

static int setup(void **state)
{
    (void)state;
    options = (struct output_datagram_options){0};
    return 0;
}

static size_t largest(const struct sink_case *c)
{
    return c->ops->largest(c->sink);
}

static size_t unsure(const struct sink_case *c)
{
    return c->ops->unsure(c->sink);
}

/* The next datagram at |fd| has exactly these bytes. */
static void assert_datagram(int fd, const void *data, size_t len)
{
    enum { MOST = 1 << 25 };
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char *found = malloc(MOST);
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(read(fd, found, MOST), len);
    if (len)
        assert_memory_equal(found, data, len);
    free(found);
}

static void assert_nothing_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
}

/* A sink that is connected to a peer at |path|. Returns that. */
static int connect_unix(struct sink_case *c, const char *path)
{
    int fd = peer_listen_unix(SOCK_DGRAM, path, 0);
    assert_int_equal(sink_case_open(c, &xtcp_sink_unixgram, &options, "unixgram:%s", path), 0);
    assert_int_equal(sink_case_connect(c, NULL), SINK_DONE);
    return fd;
}

/* ---- UDP ---- */

static void test_udp(void **state)
{
    (void)state;
    static const int families[] = {AF_INET, AF_INET6};
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    for (size_t i = 0; i < COUNT(families); i++) {
        struct sink_case c;
        uint16_t port;
        bool fresh;
        int fd = peer_udp(families[i], &port);
        assert_int_equal(sink_case_open(&c, &xtcp_sink_udp, &options, "udp:%s:%u", hosts[i], port), 0);
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_true(fresh);
        struct sink_message list[] = {{.data = (const uint8_t *)"one", .len = 3, .result = SINK_BROKEN},
                                      {.data = (const uint8_t *)"", .len = 0, .result = SINK_BROKEN},
                                      {.data = (const uint8_t *)"two", .len = 3, .result = SINK_BROKEN}};
        c.ops->send(c.sink, list, COUNT(list), &c.e);
        for (size_t k = 0; k < COUNT(list); k++) {
            assert_int_equal(list[k].result, SINK_DONE);
            assert_datagram(fd, list[k].data, list[k].len);
        }
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_false(fresh);
        assert_nothing_more(fd);
        sink_case_close(&c);
        close(fd);
    }
}

static void test_udp_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 256, 9000, UDP_LONGEST, UDP_LONGEST + 1};
    static const size_t expected[] = {1400, 256, 9000, UDP_LONGEST, UDP_LONGEST};
    struct sink_case c;
    uint16_t port;
    int fd = peer_udp(AF_INET, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_udp, &options, "udp:127.0.0.1:%u", port), 0);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        options.size = sizes[i];
        assert_int_equal(largest(&c), expected[i]);
    }
    /* A row may be longer than that, up to what a datagram takes. */
    options.size = 1400;
    uint8_t *data = peer_pattern(UDP_LONGEST + 1, 1);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, data, UDP_LONGEST), SINK_DONE);
    assert_datagram(fd, data, UDP_LONGEST);
    struct sink_message list[] = {{.data = data, .len = UDP_LONGEST + 1}, {.data = data, .len = 5}};
    c.ops->send(c.sink, list, COUNT(list), &c.e);
    assert_int_equal(list[0].result, SINK_REFUSED);
    assert_int_equal(list[1].result, SINK_DONE);
    assert_error(&c, "udp:127.0.0.1:%u: a datagram of 65508 bytes is longer than the socket takes", port);
    assert_datagram(fd, data, 5);
    sink_case_close(&c);
    close(fd);
    free(data);
}

/* Nobody is there: the peer's system says so after the first datagram, which is sent again. */
static void test_udp_refused(void **state)
{
    (void)state;
    struct sink_case c;
    uint16_t port;
    int fd = peer_udp(AF_INET, &port);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_udp, &options, "udp:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, "taken", 5), SINK_DONE);
    assert_datagram(fd, "taken", 5);
    close(fd);
    assert_int_equal(sink_case_send(&c, "lost", 4), SINK_DONE);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "udp:127.0.0.1:%u: Connection refused", port);
    assert_int_equal(unsure(&c), 4);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    struct sink_message list[] = {{.data = (const uint8_t *)"one", .len = 3},
                                  {.data = (const uint8_t *)"two", .len = 3},
                                  {.data = (const uint8_t *)"three", .len = 5}};
    c.ops->send(c.sink, list, COUNT(list), &c.e);
    assert_int_equal(list[0].result, SINK_DONE);
    assert_int_equal(list[1].result, SINK_BROKEN);
    assert_int_equal(list[2].result, SINK_BROKEN);
    assert_error(&c, "udp:127.0.0.1:%u: Connection refused", port);
    assert_int_equal(unsure(&c), 3);
    sink_case_close(&c);
}

static void test_udp_names(void **state)
{
    (void)state;
    struct sink_case c;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_udp, &options, "udp:255.255.255.255:9"), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN); /* broadcasts need to be allowed */
    assert_error(&c, "udp:255.255.255.255:9: Permission denied");
    c.host.cancel_ns = 0;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_error(&c, "udp:255.255.255.255:9: cancelled");
    sink_case_close(&c);
}

/* ---- Unix sockets ---- */

static void test_unix_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1000, 300000, 1 << 24};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct sink_case c;
        options.size = sizes[i];
        int fd = connect_unix(&c, peer_path("sizes"));
        size_t most = largest(&c);
        assert_in_range(most, sizes[i] == 1000 ? 1000 : 200000, sizes[i] ? sizes[i] : 212960);
        assert_true(most <= 1 << 20);
        uint8_t *data = peer_pattern(most, 1);
        assert_int_equal(sink_case_send(&c, data, most), SINK_DONE);
        assert_datagram(fd, data, most);
        sink_case_close(&c);
        close(fd);
        free(data);
    }
}

/* More than the socket takes is refused, and the next one goes. */
static void test_too_long(void **state)
{
    (void)state;
    static const size_t lengths[] = {7 << 20, 64 << 20};
    struct sink_case c;
    const char *path = peer_path("long");
    options.size = 1 << 24;
    int fd = connect_unix(&c, path);
    uint8_t *data = peer_pattern(64 << 20, 1);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_int_equal(sink_case_send(&c, data, lengths[i]), SINK_REFUSED);
        assert_error(&c, "unixgram:%s: a datagram of %zu bytes is longer than the socket takes", path,
                     lengths[i]);
    }
    assert_int_equal(sink_case_send(&c, data, 3), SINK_DONE);
    assert_datagram(fd, data, 3);
    sink_case_close(&c);
    close(fd);
    free(data);
}

static void test_no_unix_peer(void **state)
{
    (void)state;
    struct sink_case c;
    const char *path = peer_path("nobody");
    assert_int_equal(sink_case_open(&c, &xtcp_sink_unixgram, &options, "unixgram:%s", path), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unixgram:%s: No such file or directory", path);
    close(peer_listen_unix(SOCK_DGRAM, path, 0)); /* the file stays */
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unixgram:%s: Connection refused", path);
    int fd = peer_listen_unix(SOCK_STREAM, path, 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "unixgram:%s: Protocol wrong type for socket", path);
    sink_case_close(&c);
    close(fd);
    char longest[120] = "/";
    memset(longest + 1, 'a', 107);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_unixgram, &options, "unixgram:%s", longest), ERR_RANGE);
}

/* The queue of the peer is full: it is waited for. */
static void test_a_full_unix_peer(void **state)
{
    (void)state;
    struct sink_case c;
    unsigned n = 0;
    int fd = connect_unix(&c, peer_path("full"));
    c.host.cancel_ns = 0;
    while (sink_case_send(&c, &n, sizeof(n)) == SINK_DONE)
        n++;
    assert_true(n > 0);
    assert_int_equal(c.e.code, ERR_CANCELLED);
    c.host.cancel_ns = INT64_MAX;
    c.host.ahead_ns = 600 * NS_PER_S;
    assert_int_equal(sink_case_send(&c, &n, sizeof(n)), SINK_AGAIN);
    assert_non_null(strstr(c.e.text, ": the queue of the peer is full"));
    c.host.ahead_ns = 0;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE); /* the connection is good */
    for (unsigned i = 0; i < n; i++)
        assert_datagram(fd, &i, sizeof(i));
    assert_nothing_more(fd);
    assert_int_equal(sink_case_send(&c, &n, sizeof(n)), SINK_DONE);
    assert_datagram(fd, &n, sizeof(n));
    sink_case_close(&c);
    close(fd);
}

struct late {
    int fd;
    unsigned n;
};

static void *read_late(void *arg)
{
    struct late *l = arg;
    unsigned value;
    usleep(50 * 1000);
    while (l->n < 100 && read(l->fd, &value, sizeof(value)) == sizeof(value) && value == l->n)
        l->n++;
    return NULL;
}

/* All arrive in order, however slow the peer is. */
static void test_a_slow_unix_peer(void **state)
{
    (void)state;
    struct sink_case c;
    pthread_t thread;
    struct late late = {.fd = connect_unix(&c, peer_path("slow"))};
    assert_int_equal(pthread_create(&thread, NULL, read_late, &late), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(sink_case_send(&c, &i, sizeof(i)), SINK_DONE);
    pthread_join(thread, NULL);
    assert_int_equal(late.n, 100);
    sink_case_close(&c);
    close(late.fd);
}

/* The peer goes away with something unread: at least so much is sent again, and nothing when it had read all. */
static void test_a_unix_peer_that_goes(void **state)
{
    (void)state;
    char data[1000] = {0};
    for (int i = 0; i < 2; i++) {
        struct sink_case c;
        const char *path = peer_path("goes");
        int fd = connect_unix(&c, path);
        for (int k = 0; k < 5; k++)
            assert_int_equal(sink_case_send(&c, data, sizeof(data)), SINK_DONE);
        for (int k = 0; k < 3 + i; k++)
            assert_datagram(fd, data, sizeof(data));
        if (i)
            assert_int_equal(sink_case_send(&c, data, sizeof(data)), SINK_DONE);
        close(fd);
        assert_int_equal(sink_case_send(&c, data, sizeof(data)), SINK_BROKEN);
        assert_error(&c, "unixgram:%s: Connection refused", path);
        assert_in_range(unsure(&c), 2 * sizeof(data), (i ? 3 : 6) * 3 * sizeof(data));
        fd = peer_listen_unix(SOCK_DGRAM, path, 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, data, sizeof(data)), SINK_DONE);
        assert_datagram(fd, data, sizeof(data));
        sink_case_close(&c);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_udp, setup),
        cmocka_unit_test_setup(test_udp_sizes, setup),
        cmocka_unit_test_setup(test_udp_refused, setup),
        cmocka_unit_test_setup(test_udp_names, setup),
        cmocka_unit_test_setup(test_unix_sizes, setup),
        cmocka_unit_test_setup(test_too_long, setup),
        cmocka_unit_test_setup(test_no_unix_peer, setup),
        cmocka_unit_test_setup(test_a_full_unix_peer, setup),
        cmocka_unit_test_setup(test_a_slow_unix_peer, setup),
        cmocka_unit_test_setup(test_a_unix_peer_that_goes, setup),
    };
    return cmocka_run_group_tests(tests, NULL, peer_clean);
}
