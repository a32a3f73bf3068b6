/* The sink nsq against a stand-in of nsqd, and its pure parts. The stand-in answers as nsqd 1.3.0 does. */
#include "net_certificate.h"
#include "net_peer.h"

#include <endian.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "outputs/sink/nsq_frame.h"

extern const struct sink_ops xtcp_sink_nsq;

#define MIB (1024 * 1024)

/* ---- A stand-in of nsqd ---- */

#define FEATURES "{\"max_rdy_count\":2500,\"version\":\"1.3.0\",\"tls_v1\":%s,\"auth_required\":%s}"

struct nsqd {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool ends;

    /* How it behaves; set before it starts. */
    const struct identity *tls; /* NULL: it has none */
    const char *secret;         /* that it wants; NULL: none */
    bool heartbeats;            /* one in front of each answer */
    bool talks_too_early;       /* sends something between its consent to TLS and the handshake */
    unsigned
        dies_at; /* command number of its first connection at which it closes that, without an answer; 0: never */
    const char *first; /* what it sends instead of its first answer, as it is; NULL: nothing */
    size_t first_len;
    uint32_t largest; /* message */

    /* What it got; to be read when it has ended. */
    struct buf log;    /* "PUB topic len\n" */
    struct buf bodies; /* of the messages that it has taken, one behind the other */
    struct buf identity;
    unsigned connections, commands, nops;

    int fd;
    SSL *ssl;
};

static bool get(struct nsqd *n, void *data, size_t len)
{
    for (size_t at = 0; n->ssl && at < len;) {
        size_t got;
        if (SSL_read_ex(n->ssl, (char *)data + at, len - at, &got) != 1)
            return false;
        at += got;
    }
    return n->ssl || peer_read(n->fd, data, len) == (ssize_t)len;
}

static void put(struct nsqd *n, const void *data, size_t len)
{
    size_t sent;
    if (n->ssl)
        SSL_write_ex(n->ssl, data, len, &sent);
    else
        (void)!send(n->fd, data, len, MSG_NOSIGNAL);
}

static void append_frame(struct buf *out, uint32_t type, const char *text)
{
    const uint32_t head[] = {htobe32((uint32_t)strlen(text) + 4), htobe32(type)};
    buf_bytes(out, head, sizeof(head));
    buf_str(out, text);
}

static void put_frame(struct nsqd *n, uint32_t type, const char *text)
{
    struct buf out;
    buf_init(&out);
    append_frame(&out, type, text);
    put(n, out.data, out.len);
    buf_free(&out);
}

/* Two responses at once. */
static void put_two(struct nsqd *n, const char *first, const char *second)
{
    struct buf out;
    buf_init(&out);
    append_frame(&out, NSQ_RESPONSE, first);
    append_frame(&out, NSQ_RESPONSE, second);
    put(n, out.data, out.len);
    buf_free(&out);
}

static void answer(struct nsqd *n, uint32_t type, const char *text)
{
    if (n->heartbeats)
        put_frame(n, NSQ_RESPONSE, "_heartbeat_");
    if (n->first)
        put(n, n->first, n->first_len);
    else
        put_frame(n, type, text);
    n->first = NULL;
}

static bool get_u32(struct nsqd *n, uint32_t *out)
{
    bool got = get(n, out, sizeof(*out));
    *out = be32toh(*out);
    return got;
}

/* |len| bytes, appended to |out|. */
static bool get_bytes(struct nsqd *n, size_t len, struct buf *out)
{
    char *to = buf_reserve(out, len + 1);
    if (!to || !get(n, to, len))
        return false;
    out->len += len;
    return true;
}

/* The same with their length in front. */
static bool get_body(struct nsqd *n, struct buf *out)
{
    uint32_t len;
    return get_u32(n, &len) && len <= MIB && get_bytes(n, len, out);
}

static bool get_line(struct nsqd *n, char *line, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        if (!get(n, line + i, 1))
            return false;
        if (line[i] == '\n') {
            line[i] = '\0';
            return true;
        }
    }
    return false;
}

static bool identify(struct nsqd *n)
{
    char features[200];
    buf_reset(&n->identity);
    if (!get_body(n, &n->identity))
        return false;
    bool tls = n->tls && strstr(buf_cstr(&n->identity), "\"tls_v1\":true");
    snprintf(features, sizeof(features), FEATURES, tls ? "true" : "false", n->secret ? "true" : "false");
    if (tls && n->talks_too_early)
        put_two(n, features, "OK");
    else
        answer(n, NSQ_RESPONSE, features);
    if (!tls)
        return true;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, n->tls->certificate);
    SSL_CTX_use_PrivateKey(context, n->tls->key);
    n->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(n->ssl, n->fd);
    if (SSL_accept(n->ssl) != 1)
        return false;
    answer(n, NSQ_RESPONSE, "OK");
    return true;
}

static bool authenticate(struct nsqd *n)
{
    struct buf secret;
    buf_init(&secret);
    bool got = get_body(n, &secret);
    bool good = got && n->secret && strcmp(buf_cstr(&secret), n->secret) == 0;
    char text[200];
    snprintf(text, sizeof(text), "E_AUTH_FAILED AUTH failed for %s",
             buf_cstr(&secret)); /* it tells too much */
    if (got)
        answer(n, good ? NSQ_RESPONSE : NSQ_ERROR,
               good ? "{\"identity\":\"x\",\"permission_count\":1}" : text);
    buf_free(&secret);
    return good;
}

/* Takes a message. It is refused by its length, so the rest may stay unread. */
static bool get_message(struct nsqd *n, const char *line, uint32_t *len)
{
    if (!get_u32(n, len))
        return false;
    if (*len == 0 || *len > n->largest) {
        answer(n, NSQ_ERROR, "E_BAD_MESSAGE PUB message too big");
        return false;
    }
    buf_printf(&n->log, "%s %u\n", line, *len);
    return get_bytes(n, *len, &n->bodies);
}

static bool publish(struct nsqd *n, const char *line)
{
    uint32_t len;
    if (!get_message(n, line, &len))
        return false;
    answer(n, NSQ_RESPONSE, "OK");
    return true;
}

static bool publish_many(struct nsqd *n, const char *line)
{
    uint32_t bytes, count;
    size_t sum = 4, log = n->log.len, bodies = n->bodies.len;
    if (!get_u32(n, &bytes) || !get_u32(n, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len;
        if (!get_message(n, line, &len)) {
            n->log.len = log; /* all of them, or none */
            n->bodies.len = bodies;
            return false;
        }
        sum += 4 + len;
    }
    answer(n, sum == bytes ? NSQ_RESPONSE : NSQ_ERROR, sum == bytes ? "OK" : "E_BAD_BODY");
    return sum == bytes;
}

/* One command. Returns whether the connection stays. */
static bool command(struct nsqd *n)
{
    char line[256];
    if (!get_line(n, line, sizeof(line)))
        return false;
    if (strcmp(line, "NOP") == 0) {
        n->nops++;
        return true;
    }
    n->commands++;
    bool publishes = strncmp(line, "PUB ", 4) == 0 || strncmp(line, "MPUB ", 5) == 0;
    if (publishes && n->connections == 1 && n->commands == n->dies_at)
        return false;
    if (strcmp(line, "IDENTIFY") == 0)
        return identify(n);
    if (strcmp(line, "AUTH") == 0)
        return authenticate(n);
    return line[0] == 'M' ? publish_many(n, line) : publishes && publish(n, line);
}

static void *run(void *arg)
{
    struct nsqd *n = arg;
    while (!n->ends) {
        struct pollfd p = {.fd = n->listener, .events = POLLIN};
        if (poll(&p, 1, 5) <= 0)
            continue;
        char magic[4];
        n->fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC);
        n->connections++;
        n->commands = 0;
        bool stays = get(n, magic, sizeof(magic)) && memcmp(magic, "  V2", 4) == 0;
        while (stays)
            stays = command(n);
        SSL_free(n->ssl);
        n->ssl = NULL;
        close(n->fd);
    }
    return NULL;
}

static void nsqd_make(struct nsqd *n)
{
    memset(n, 0, sizeof(*n));
    n->largest = MIB;
    n->listener = peer_listen(AF_INET, 5, &n->port);
}

static void nsqd_start(struct nsqd *n)
{
    assert_int_equal(pthread_create(&n->thread, NULL, run, n), 0);
}

static void nsqd_stop(struct nsqd *n)
{
    n->ends = true;
    pthread_join(n->thread, NULL);
}

static void nsqd_free(struct nsqd *n)
{
    close(n->listener);
    buf_free(&n->log);
    buf_free(&n->bodies);
    buf_free(&n->identity);
}

/* ---- The sink ---- */

#define NONE ((char *)(uintptr_t) "")

static struct output_nsq_options options;

static int setup(void **state)
{
    (void)state;
    options = (struct output_nsq_options){.topic = NONE,
                                          .size = MIB,
                                          .timeout = 10 * NS_PER_S,
                                          .secret_file = NONE,
                                          .files = {NONE, NONE, NONE, NONE}};
    return 0;
}

static void open_sink(struct sink_case *c, const struct nsqd *n, const char *path)
{
    assert_int_equal(
        sink_case_open(c, &xtcp_sink_nsq, &options, "nsq:%s127.0.0.1:%u%s", *path ? "//" : "", n->port, path),
        0);
}

static void send_list(struct sink_case *c, struct sink_message *list, size_t n)
{
    c->e = (struct err){0};
    for (size_t i = 0; i < n; i++)
        list[i].result = SINK_BROKEN;
    c->ops->send(c->sink, list, n, &c->e);
}

#define MESSAGE(text)                                                                                        \
    {                                                                                                        \
        .data = (const uint8_t *)(text), .len = sizeof(text) - 1                                             \
    }

static void assert_results(const struct sink_message *list, size_t n, const enum sink_result *expected)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].result, expected[i]);
}

/* ---- Messages ---- */

static void test_messages(void **state)
{
    (void)state;
    static const enum sink_result done[] = {SINK_DONE, SINK_DONE, SINK_DONE};
    struct sink_message list[] = {MESSAGE("one"), MESSAGE("three"), MESSAGE("a\0b")};
    for (int i = 0; i < 2; i++) {
        struct nsqd n;
        struct sink_case c;
        bool fresh;
        nsqd_make(&n);
        n.heartbeats = i == 1;
        nsqd_start(&n);
        open_sink(&c, &n, "/sockets");
        assert_int_equal(c.ops->largest(c.sink), MIB);
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_true(fresh);
        assert_int_equal(sink_case_send(&c, "alone", 5), SINK_DONE);
        assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
        assert_false(fresh);
        send_list(&c, list, COUNT(list));
        assert_results(list, COUNT(list), done);
        sink_case_close(&c);
        nsqd_stop(&n);
        assert_string_equal(buf_cstr(&n.log),
                            "PUB sockets 5\nMPUB sockets 3\nMPUB sockets 5\nMPUB sockets 3\n");
        assert_int_equal(n.bodies.len, 16);
        assert_memory_equal(n.bodies.data, "aloneonethreea\0b", 16);
        assert_string_equal(
            buf_cstr(&n.identity),
            "{\"client_id\":\"test-host\",\"hostname\":\"test-host\",\"user_agent\":\"xtcp2\","
            "\"feature_negotiation\":true,\"heartbeat_interval\":-1,\"tls_v1\":false}");
        assert_int_equal(n.nops, i ? 3 : 0);
        assert_int_equal(n.connections, 1);
        nsqd_free(&n);
    }
}

/* Groups are no longer than nsqd takes. */
static void test_groups(void **state)
{
    (void)state;
    enum { COUNT_LARGE = 9, COUNT_SMALL = 2100 };
    struct nsqd n;
    struct sink_case c;
    uint8_t *data = peer_pattern(MIB, 1);
    static struct sink_message list[COUNT_LARGE + COUNT_SMALL];
    for (size_t i = 0; i < COUNT(list); i++)
        list[i] = (struct sink_message){.data = data, .len = i < COUNT_LARGE ? MIB - 10 : 1};
    nsqd_make(&n);
    nsqd_start(&n);
    options.topic = (char *)(uintptr_t) "t";
    open_sink(&c, &n, "/not-this");
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, COUNT(list));
    for (size_t i = 0; i < COUNT(list); i++)
        assert_int_equal(list[i].result, SINK_DONE);
    sink_case_close(&c);
    nsqd_stop(&n);
    assert_int_equal(n.bodies.len, COUNT_LARGE * (MIB - 10) + COUNT_SMALL);
    assert_int_equal(n.commands, 1 + 2 + 1 + 2); /* IDENTIFY, 4 + 4, 1 + 999, 1000 + 101 */
    nsqd_free(&n);
    free(data);
}

/* Of a group with one message that nsqd does not take, only that one is refused, and told. */
static void test_refused(void **state)
{
    (void)state;
    static const char big[] = "far too long";
    static const enum sink_result all[] = {SINK_BROKEN, SINK_BROKEN, SINK_BROKEN, SINK_BROKEN};
    static const enum sink_result second[] = {SINK_DONE, SINK_REFUSED, SINK_BROKEN, SINK_BROKEN};
    struct sink_message list[] = {MESSAGE("one"), MESSAGE(big), MESSAGE("two"), MESSAGE("three")};
    struct nsqd n;
    struct sink_case c;
    nsqd_make(&n);
    n.largest = 6;
    nsqd_start(&n);
    open_sink(&c, &n, "");
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), all);
    assert_error(&c, "nsq:127.0.0.1:%u: nsqd says: E_BAD_MESSAGE PUB message too big", n.port);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), second);
    assert_error(&c, "nsq:127.0.0.1:%u: nsqd says: E_BAD_MESSAGE PUB message too big", n.port);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list + 2, 2);
    assert_results(list + 2, 2, (enum sink_result[]){SINK_DONE, SINK_DONE});
    sink_case_close(&c);
    nsqd_stop(&n);
    assert_string_equal(buf_cstr(&n.log), "PUB xtcp 3\nMPUB xtcp 3\nMPUB xtcp 5\n");
    nsqd_free(&n);
}

/* nsqd says so and closes while the rest is still on its way: a reset, and its words must not be lost. */
static void test_refused_early(void **state)
{
    (void)state;
    uint8_t *data = peer_pattern(2 * MIB, 1);
    static const enum sink_result broken[] = {SINK_BROKEN, SINK_BROKEN, SINK_BROKEN};
    static const enum sink_result refused[] = {SINK_REFUSED, SINK_BROKEN, SINK_BROKEN};
    struct sink_message list[] = {
        {.data = data, .len = 2 * MIB}, {.data = data, .len = MIB}, {.data = data, .len = 500}};
    struct nsqd n;
    struct sink_case c;
    nsqd_make(&n);
    nsqd_start(&n);
    open_sink(&c, &n, "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        send_list(&c, list, COUNT(list));
        assert_results(list, COUNT(list), i ? refused : broken);
        assert_error(&c, "nsq:127.0.0.1:%u: nsqd says: E_BAD_MESSAGE PUB message too big", n.port);
    }
    sink_case_close(&c);
    nsqd_stop(&n);
    nsqd_free(&n);
    free(data);
}

/* ---- Ends ---- */

/* It goes away without an answer: another nsqd gets the messages. */
static void test_another_nsqd(void **state)
{
    (void)state;
    static const enum sink_result results[] = {SINK_BROKEN, SINK_BROKEN};
    struct sink_message list[] = {MESSAGE("one"), MESSAGE("two")};
    struct nsqd n[2];
    struct sink_case c;
    for (int i = 0; i < 2; i++) {
        nsqd_make(&n[i]);
        n[i].dies_at = i ? 0 : 2;
        nsqd_start(&n[i]);
    }
    assert_int_equal(
        sink_case_open(&c, &xtcp_sink_nsq, &options, "nsq:127.0.0.1:%u,127.0.0.1:%u", n[0].port, n[1].port),
        0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), results);
    assert_int_not_equal(c.e.code, 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), (enum sink_result[]){SINK_DONE, SINK_DONE});
    sink_case_close(&c);
    for (int i = 0; i < 2; i++) {
        nsqd_stop(&n[i]);
        assert_int_equal(n[i].bodies.len, i ? 6 : 0);
        nsqd_free(&n[i]);
    }
}

/* An answer that does not come, or not at once. */
static void test_no_answer(void **state)
{
    (void)state;
    struct nsqd n;
    struct sink_case c;
    nsqd_make(&n); /* it does not run: the system takes the connection and the bytes */
    options.timeout = 100 * NS_PER_MS;
    open_sink(&c, &n, "");
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "nsq:127.0.0.1:%u: no answer in time", n.port);
    options.timeout = 600 * NS_PER_S;
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_int_equal(c.e.code, ERR_CANCELLED);
    assert_int_equal(sink_case_send(&c, "x", 1), SINK_BROKEN);
    sink_case_close(&c);
    nsqd_free(&n);
}

/* What is no answer of nsqd. */
static void test_strange_answers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, "does not speak the protocol of NSQ"},
        {"\0\0\0\2\0\0\0\0", 8, "does not speak the protocol of NSQ"},
        {"\0\0\0\6\0\0\0\2ab", 10, "does not speak the protocol of NSQ"},
        {"\0\0\0\x0a\0\0\0\1E_\x1b[31m", 14, "nsqd says: E_?[31"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nsqd n;
        struct sink_case c;
        nsqd_make(&n);
        n.first = cases[i].bytes;
        n.first_len = cases[i].len;
        nsqd_start(&n);
        open_sink(&c, &n, "");
        assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
        assert_error(&c, "nsq:127.0.0.1:%u: %s", n.port, cases[i].words);
        sink_case_close(&c);
        nsqd_stop(&n);
        nsqd_free(&n);
    }
}

/* Says what |t->arg| is, before it is asked, and closes. */
static int speak(struct peer_thread *t, int fd)
{
    static const char features[] = "\0\0\0\6\0\0\0\0{}";
    const struct buf *news = t->arg;
    char bytes[256];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) != 1 || read(fd, bytes, 4) != 4 ||
        send(fd, features, 10, MSG_NOSIGNAL) != 10)
        return -EIO;
    if (news->len && send(fd, news->data, news->len, MSG_NOSIGNAL) != (ssize_t)news->len)
        return -EIO;
    shutdown(fd, SHUT_WR);
    return peer_read_all(fd, &t->got);
}

/* Between two polls: an error, and the end, are noticed before something is sent; a heartbeat is answered. */
static void test_news(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
        bool nop;
    } cases[] = {
        {"", 0, "closed by the peer", false},
        {"\0\0\0\x0f\0\0\0\0_heartbeat_", 19, "closed by the peer", true},
        {"\0\0\0\x0d\0\0\0\1E_INVALID", 17, "nsqd says: E_INVALID", false},
        {"\0\0\0\6\0\0\0\0OK", 10, "nsqd says: OK", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nsqd n;
        struct sink_case c;
        struct peer_thread t;
        struct buf news;
        buf_init(&news);
        buf_bytes(&news, cases[i].bytes, cases[i].len);
        nsqd_make(&n);
        peer_start(&t, n.listener, speak, &news);
        open_sink(&c, &n, "");
        sink_case_await_end(&c);
        assert_error(&c, "nsq:127.0.0.1:%u: %s", n.port, cases[i].words);
        sink_case_close(&c);
        assert_int_equal(peer_join(&t), 0);
        bool nop = memmem(t.got.data, t.got.len, "}NOP\n", 5) != NULL;
        assert_int_equal(nop, cases[i].nop);
        buf_free(&t.got);
        buf_free(&news);
        nsqd_free(&n);
    }
}

/* ---- TLS and secrets ---- */

static void test_tls(void **state)
{
    (void)state;
    struct identity authority = certificate_issue(NULL, "authority", NULL, false);
    struct identity server = certificate_issue(&authority, "server", "IP:127.0.0.1", false);
    char *path = certificate_write(&authority, "authority.pem");
    options.tls = true;
    options.files.ca_file = path;
    for (int i = 0; i < 3; i++) {
        struct nsqd n;
        struct sink_case c;
        nsqd_make(&n);
        n.tls = i < 2 ? &server : NULL;
        n.talks_too_early = i == 1;
        nsqd_start(&n);
        open_sink(&c, &n, "");
        assert_int_equal(sink_case_connect(&c, NULL), i ? SINK_BROKEN : SINK_DONE);
        if (i == 0)
            assert_int_equal(sink_case_send(&c, "secret", 6), SINK_DONE);
        else if (i == 1)
            assert_error(&c, "nsq:127.0.0.1:%u: nsqd has sent something before TLS began", n.port);
        else
            assert_error(&c, "nsq:127.0.0.1:%u: nsqd offers no TLS", n.port);
        sink_case_close(&c);
        nsqd_stop(&n);
        assert_int_equal(n.bodies.len, i ? 0 : 6);
        nsqd_free(&n);
    }
    free(path);
    certificate_free(&server);
    certificate_free(&authority);
}

static void test_secret(void **state)
{
    (void)state;
    static const char *const secrets[] = {"the secret\n", "another\n", NULL};
    for (size_t i = 0; i < COUNT(secrets); i++) {
        struct nsqd n;
        struct sink_case c;
        nsqd_make(&n);
        n.secret = "the secret";
        nsqd_start(&n);
        char *path = secrets[i] ? peer_write_file(secrets[i], "secret") : NULL;
        options.secret_file = path ? path : NONE;
        open_sink(&c, &n, "");
        assert_int_equal(sink_case_connect(&c, NULL), i ? SINK_BROKEN : SINK_DONE);
        if (i == 0)
            assert_int_equal(sink_case_send(&c, "x", 1), SINK_DONE);
        else if (i == 1)
            assert_error(&c, "nsq:127.0.0.1:%u: nsqd says: (not shown: it repeats a secret)", n.port);
        else
            assert_error(&c, "nsq:127.0.0.1:%u: nsqd wants a secret, and there is no secret_file", n.port);
        sink_case_close(&c);
        nsqd_stop(&n);
        nsqd_free(&n);
        free(path);
    }
}

/* ---- Pure parts ---- */

static void test_topics(void **state)
{
    (void)state;
    static const char *const good[] = {"xtcp", "a", "A.b_c-9", "x#ephemeral",
                                       "1234567890123456789012345678901234567890123456789012345678901234"};
    static const char *const bad[] = {"",
                                      "a b",
                                      "a/b",
                                      "#ephemeral",
                                      "x#eph",
                                      "x#ephemeral2",
                                      "\xc3\xa9",
                                      "x\n",
                                      "12345678901234567890123456789012345678901234567890123456789012345",
                                      "123456789012345678901234567890123456789012345678901234567#ephemeral"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(nsq_topic_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(nsq_topic_valid(bad[i]));
    struct sink_case c;
    options.topic = (char *)(uintptr_t) "two words";
    assert_int_equal(sink_case_open(&c, &xtcp_sink_nsq, &options, "nsq:127.0.0.1:1"), ERR_MALFORMED);
    assert_non_null(strstr(c.e.text, "topic: value \"two words\"; allowed are"));
}

static void test_frames(void **state)
{
    (void)state;
    static const uint8_t ok[] = {0, 0, 0, 6, 0, 0, 0, 0, 'O', 'K', 'x'};
    static const uint8_t longest[] = {0, 0, 0x3e, 0x80, 0, 0, 0, 1}, too_long[] = {0, 0, 0x3e, 0x81};
    static const uint8_t too_short[] = {0, 0, 0, 3, 0, 0, 0}, message[] = {0, 0, 0, 4, 0, 0, 0, 2};
    struct nsq_frame f;
    for (size_t n = 0; n < 10; n++)
        assert_int_equal(nsq_frame_parse(ok, n, &f), 0);
    assert_int_equal(nsq_frame_parse(ok, sizeof(ok), &f), 1);
    assert_int_equal(f.size, 10);
    assert_true(f.type == NSQ_RESPONSE && nsq_frame_is(&f, "OK") && nsq_frame_begins(&f, "OK"));
    assert_false(nsq_frame_is(&f, "O") || nsq_frame_begins(&f, "O") || nsq_frame_begins(&f, "OKx"));
    assert_int_equal(nsq_frame_parse(longest, sizeof(longest), &f), 0);
    assert_int_equal(nsq_frame_parse(too_long, sizeof(too_long), &f), ERR_MALFORMED);
    assert_int_equal(nsq_frame_parse(too_short, sizeof(too_short), &f), ERR_MALFORMED);
    assert_int_equal(nsq_frame_parse(message, sizeof(message), &f), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_messages, setup),
        cmocka_unit_test_setup(test_groups, setup),
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_refused_early, setup),
        cmocka_unit_test_setup(test_another_nsqd, setup),
        cmocka_unit_test_setup(test_no_answer, setup),
        cmocka_unit_test_setup(test_strange_answers, setup),
        cmocka_unit_test_setup(test_news, setup),
        cmocka_unit_test_setup(test_tls, setup),
        cmocka_unit_test_setup(test_secret, setup),
        cmocka_unit_test_setup(test_topics, setup),
        cmocka_unit_test_setup(test_frames, setup),
    };
    return cmocka_run_group_tests(tests, NULL, peer_clean);
}
