/* The sink valkey against a stand-in whose answers are written down, and against redis-server where there is one:
 * /usr/bin/redis-server, or the program that XTCP_REDIS_SERVER names. */
#include "net_certificate.h"
#include "net_peer.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/decimal.h"
#include "lib/log.h"
#include "outputs/sink/net_answer.h"
#include "outputs/sink/resp.h"

extern const struct sink_ops xtcp_sink_valkey;

#define MIB (1024 * 1024)

/* ---- A stand-in ---- */

/* Answers of a script: what the command has by default; the end of the connection, with what came unread; and none. */
#define DEFAULT NULL
#define CLOSE   ""
#define SILENCE "-"

struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool ends;
    const struct identity *tls; /* NULL: it has none */
    const char *const *script;  /* its first answers, over all connections */
    size_t n_script;
    struct buf log;    /* the commands with their arguments, each in <>; of a long one only the length */
    struct buf bodies; /* the last arguments of PUBLISH and XADD */
    unsigned connections;
    size_t commands;
    int fd;
    SSL *ssl;
};

static bool get(struct server *s, void *data, size_t len)
{
    for (size_t at = 0; s->ssl && at < len;) {
        size_t got;
        if (SSL_read_ex(s->ssl, (char *)data + at, len - at, &got) != 1)
            return false;
        at += got;
    }
    return s->ssl || peer_read(s->fd, data, len) == (ssize_t)len;
}

static void put(struct server *s, const char *text)
{
    size_t sent;
    if (s->ssl)
        SSL_write_ex(s->ssl, text, strlen(text), &sent);
    else
        (void)!send(s->fd, text, strlen(text), MSG_NOSIGNAL);
}

/* The number in a line that begins with |kind|. */
static bool get_number(struct server *s, char kind, uint64_t *out)
{
    char line[32];
    for (size_t i = 0; i < sizeof(line); i++) {
        if (!get(s, line + i, 1))
            return false;
        if (line[i] == '\n')
            return line[0] == kind && i > 2 && line[i - 1] == '\r' &&
                   decimal_read(line + 1, i - 2, 64 * MIB, out) == 0;
    }
    return false;
}

/* An argument, appended to |out|. */
static bool get_argument(struct server *s, struct buf *out)
{
    uint64_t len;
    char end[2];
    char *to = get_number(s, '$', &len) ? buf_reserve(out, len + 1) : NULL;
    if (!to || !get(s, to, len) || !get(s, end, 2) || memcmp(end, "\r\n", 2) != 0)
        return false;
    out->len += len;
    return true;
}

static void log_argument(struct server *s, const struct buf *argument)
{
    if (argument->len > 40)
        buf_printf(&s->log, "<%zu>", argument->len);
    else
        buf_printf(&s->log, "<%.*s>", (int)argument->len, argument->data);
}

/* A command; its name in |name|. */
static bool get_command(struct server *s, char name[16])
{
    struct buf argument;
    uint64_t n = 0;
    bool got = get_number(s, '*', &n);
    buf_init(&argument);
    for (uint64_t i = 0; i < n && got; i++) {
        buf_reset(&argument);
        got = get_argument(s, &argument);
        if (i == 0)
            snprintf(name, 16, "%.*s", (int)argument.len, argument.data ? argument.data : "");
        if (got)
            log_argument(s, &argument);
        if (got && i + 1 == n && (strcmp(name, "PUBLISH") == 0 || strcmp(name, "XADD") == 0))
            buf_bytes(&s->bodies, argument.data, argument.len);
    }
    buf_free(&argument);
    return got;
}

static const char *answer_to(const char *name)
{
    return strcmp(name, "PUBLISH") == 0 ? ":1\r\n" : strcmp(name, "XADD") == 0 ? "$3\r\n1-0\r\n" : "+OK\r\n";
}

/* Returns whether the connection stays. */
static bool command(struct server *s)
{
    char name[16] = "";
    const char *scripted = s->commands < s->n_script ? s->script[s->commands] : DEFAULT;
    if (scripted && !*scripted) {
        char byte;
        s->commands++;
        get(s, &byte, 1);
        return false;
    }
    if (!get_command(s, name))
        return false;
    s->commands++;
    if (!scripted || strcmp(scripted, SILENCE) != 0)
        put(s, scripted ? scripted : answer_to(name));
    return true;
}

static bool accept_tls(struct server *s)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, s->tls->certificate);
    SSL_CTX_use_PrivateKey(context, s->tls->key);
    s->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(s->ssl, s->fd);
    return SSL_accept(s->ssl) == 1;
}

static void *run(void *arg)
{
    struct server *s = arg;
    while (!s->ends) {
        struct pollfd p = {.fd = s->listener, .events = POLLIN};
        if (poll(&p, 1, 5) <= 0)
            continue;
        const int on = 1; /* as servers have it: else an answer may wait, and be dropped at the end */
        s->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        s->connections++;
        bool stays = !s->tls || accept_tls(s);
        while (stays)
            stays = command(s);
        SSL_free(s->ssl);
        s->ssl = NULL;
        close(s->fd);
    }
    return NULL;
}

static void server_start(struct server *s, const char *const *script, size_t n_script)
{
    const struct identity *tls = s->tls;
    *s = (struct server){.tls = tls, .script = script, .n_script = n_script};
    s->listener = peer_listen(AF_INET, 5, &s->port);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static void server_stop(struct server *s)
{
    s->ends = true;
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void server_free(struct server *s)
{
    buf_free(&s->log);
    buf_free(&s->bodies);
}

/* ---- The sink ---- */

#define NONE ((char *)(uintptr_t) "")

static struct output_valkey_options options;

static int setup(void **state)
{
    (void)state;
    log_set_fd(-1);
    options = (struct output_valkey_options){.key = NONE,
                                             .stream_length = 1000,
                                             .timeout = 10 * NS_PER_S,
                                             .user = NONE,
                                             .password_file = NONE,
                                             .files = {NONE, NONE, NONE, NONE}};
    return 0;
}

static void send_list(struct sink_case *c, struct sink_message *list, size_t n)
{
    c->e = (struct err){0};
    for (size_t i = 0; i < n; i++)
        list[i].result = SINK_REFUSED;
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

/* ---- Commands ---- */

static void test_publish(void **state)
{
    (void)state;
    static const enum sink_result done[] = {SINK_DONE, SINK_DONE, SINK_DONE};
    struct sink_message list[] = {MESSAGE("one"), MESSAGE("a\r\nb"), MESSAGE("")};
    struct server s = {0};
    struct sink_case c;
    bool fresh;
    server_start(&s, NULL, 0);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
    assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
    assert_true(fresh);
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), done);
    assert_int_equal(sink_case_connect(&c, &fresh), SINK_DONE);
    assert_false(fresh);
    sink_case_close(&c);
    server_stop(&s);
    assert_string_equal(buf_cstr(&s.log), "<PUBLISH><xtcp><one><PUBLISH><xtcp><a\r\nb><PUBLISH><xtcp><>");
    server_free(&s);
}

static void test_stream(void **state)
{
    (void)state;
    static const char *const logs[] = {
        "<AUTH><me><pa ss><SELECT><7><XADD><sockets><MAXLEN><~><1000><*><data><one>",
        "<AUTH><me><pa ss><SELECT><7><XADD><sockets><*><data><one>"};
    options.key = (char *)(uintptr_t) "sockets";
    options.mode = OUTPUT_VALKEY_STREAM;
    for (int i = 0; i < 2; i++) {
        struct server s = {0};
        struct sink_case c;
        options.stream_length = i ? 0 : 1000;
        server_start(&s, NULL, 0);
        assert_int_equal(
            sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://me:pa%%20ss@127.0.0.1:%u/7", s.port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, "one", 3), SINK_DONE);
        sink_case_close(&c);
        server_stop(&s);
        assert_string_equal(buf_cstr(&s.log), logs[i]);
        server_free(&s);
    }
}

/* More messages than are under way at a time, some of them long. */
static void test_many(void **state)
{
    (void)state;
    enum { MESSAGES = 150, LENGTH = 300000 };
    static struct sink_message list[MESSAGES];
    struct server s = {0};
    struct sink_case c;
    uint8_t *data = peer_pattern(LENGTH, 1);
    size_t sum = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        list[i] = (struct sink_message){.data = data, .len = i % 3 ? i : LENGTH};
        sum += list[i].len;
    }
    server_start(&s, NULL, 0);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++)
        assert_int_equal(list[i].result, SINK_DONE);
    sink_case_close(&c);
    server_stop(&s);
    assert_int_equal(s.bodies.len, sum);
    assert_memory_equal(s.bodies.data, data, LENGTH);
    server_free(&s);
    free(data);
}

static void test_password_file(void **state)
{
    (void)state;
    struct server s = {0};
    struct sink_case c;
    char *path = peer_write_file("from file\n", "password");
    options.password_file = path;
    options.database = 3;
    server_start(&s, NULL, 0);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey://:other@127.0.0.1:%u", s.port),
                     0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    sink_case_close(&c);
    server_stop(&s);
    assert_string_equal(buf_cstr(&s.log), "<AUTH><from file><SELECT><3>");
    server_free(&s);
    options.password_file = (char *)(uintptr_t) "/nowhere/password";
    server_start(&s, NULL, 0);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(&c, "valkey:127.0.0.1:%u: /nowhere/password: cannot open: No such file or directory",
                 s.port);
    sink_case_close(&c);
    server_stop(&s);
    server_free(&s);
    free(path);
}

static void test_tls(void **state)
{
    (void)state;
    struct identity authority = certificate_issue(NULL, "authority", NULL, false);
    struct identity server = certificate_issue(&authority, "server", "IP:127.0.0.1", false);
    char *path = certificate_write(&authority, "authority.pem");
    options.files.ca_file = path;
    struct server s = {.tls = &server};
    struct sink_case c;
    server_start(&s, NULL, 0);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "redis:127.0.0.1:%u", s.port),
                     ERR_PRECONDITION);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "rediss://:pw@127.0.0.1:%u", s.port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, "one", 3), SINK_DONE);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    sink_case_close(&c);
    server_stop(&s);
    assert_string_equal(buf_cstr(&s.log), "<AUTH><pw><PUBLISH><xtcp><one>");
    server_free(&s);
    free(path);
    certificate_free(&server);
    certificate_free(&authority);
}

static void test_options_that_cannot_be_right(void **state)
{
    (void)state;
    struct sink_case c;
    static const char *const paths[] = {"/x", "/-1", "/1x", "/100001"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey://127.0.0.1:1%s", paths[i]),
                         ERR_MALFORMED);
        assert_string_equal(c.e.text, "the path of the URL is not the number of a database");
    }
}

/* ---- Errors ---- */

/* When somebody logs in. The password is not shown, whatever the server says. */
static void test_login_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answers[2];
        const char *text;
    } cases[] = {
        {{"-WRONGPASS invalid username-password pair\r\n"},
         "the server says: WRONGPASS invalid username-password pair"},
        {{"-ERR no user with hidden there\r\n"}, "the server says: (not shown: it repeats a secret)"},
        {{DEFAULT, "-ERR DB index is out of range\r\n"}, "the server says: ERR DB index is out of range"},
        {{":1\r\n"}, "the server says: 1"},
        {{"+\x1b[31m\xc3\xa9\r\n"}, "the server says: ?[31m??"},
        {{"HTTP/1.1 400 Bad Request\r\n"}, "does not speak the protocol of Valkey"},
        {{"*1\r\n:1\r\n"}, "does not speak the protocol of Valkey"},
        {{CLOSE}, "Connection reset by peer"},
        {{SILENCE}, "no answer in time"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct server s = {0};
        struct sink_case c;
        options.timeout = strcmp(cases[i].text, "no answer in time") == 0 ? 100 * NS_PER_MS : 10 * NS_PER_S;
        server_start(&s, cases[i].answers, 2);
        assert_int_equal(
            sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey://hidden:hidden@127.0.0.1:%u/99", s.port),
            0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
        assert_error(&c, "valkey:127.0.0.1:%u: %s", s.port, cases[i].text);
        sink_case_close(&c);
        server_stop(&s);
        server_free(&s);
    }
}

/* An answer that is an error: the message is tried again, and on another connection where that may help. */
static void test_message_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answers[3];
        enum sink_result results[3];
        const char *text;
    } cases[] = {
        {{DEFAULT, "-OOM command not allowed\r\n", DEFAULT},
         {SINK_DONE, SINK_AGAIN, SINK_DONE},
         "the server says: OOM command not allowed"},
        {{"-LOADING\r\n", "-MISCONF x\r\n", DEFAULT},
         {SINK_AGAIN, SINK_AGAIN, SINK_DONE},
         "the server says: LOADING"},
        {{DEFAULT, "-READONLY You can't write\r\n", DEFAULT},
         {SINK_DONE, SINK_BROKEN, SINK_BROKEN},
         "the server says: READONLY You can't write"},
        {{"-NOAUTH Authentication required.\r\n"},
         {SINK_BROKEN, SINK_BROKEN, SINK_BROKEN},
         "the server says: NOAUTH Authentication required."},
        {{DEFAULT, "?\r\n"}, {SINK_DONE, SINK_BROKEN, SINK_BROKEN}, "does not speak the protocol of Valkey"},
        {{DEFAULT, DEFAULT, SILENCE}, {SINK_DONE, SINK_DONE, SINK_BROKEN}, "no answer in time"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sink_message list[] = {MESSAGE("one"), MESSAGE("two"), MESSAGE("three")};
        struct server s = {0};
        struct sink_case c;
        options.timeout = strcmp(cases[i].text, "no answer in time") == 0 ? 200 * NS_PER_MS : 10 * NS_PER_S;
        server_start(&s, cases[i].answers, 3);
        assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        send_list(&c, list, COUNT(list));
        assert_results(list, COUNT(list), cases[i].results);
        assert_error(&c, "valkey:127.0.0.1:%u: %s", s.port, cases[i].text);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, "again", 5), SINK_DONE);
        sink_case_close(&c);
        server_stop(&s);
        server_free(&s);
    }
}

/* The server goes away in the middle: what it has answered to is done. */
static void test_last_words(void **state)
{
    (void)state;
    enum { LENGTH = 16 * MIB };
    static const char *const scripts[][3] = {{DEFAULT, DEFAULT, CLOSE},
                                             {DEFAULT, "-ERR Protocol error\r\n", CLOSE}};
    static const enum sink_result results[][3] = {{SINK_DONE, SINK_DONE, SINK_BROKEN},
                                                  {SINK_DONE, SINK_AGAIN, SINK_BROKEN}};
    static const char *const texts[] = {"Connection reset by peer", "the server says: ERR Protocol error"};
    uint8_t *data = peer_pattern(LENGTH, 2);
    for (size_t i = 0; i < COUNT(scripts); i++) {
        struct sink_message list[] = {MESSAGE("one"), MESSAGE("two"), {.data = data, .len = LENGTH}};
        struct server s = {0};
        struct sink_case c;
        server_start(&s, scripts[i], 3);
        assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        send_list(&c, list, COUNT(list));
        assert_results(list, COUNT(list), results[i]);
        assert_error(&c, "valkey:127.0.0.1:%u: %s", s.port, texts[i]);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, "again", 5), SINK_DONE);
        sink_case_close(&c);
        server_stop(&s);
        server_free(&s);
    }
    free(data);
}

/* What comes unasked between two polls ends the connection. */
static void test_news(void **state)
{
    (void)state;
    static const char *const answers[] = {":1\r\n-ERR idle for too long\r\n", ":1\r\n"};
    static const char *const texts[] = {"the server says: ERR idle for too long", "closed by the peer"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct server s = {0};
        struct sink_case c;
        server_start(&s, answers + i, 1);
        assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
        assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&c, "one", 3), SINK_DONE);
        if (i == 1)
            shutdown(s.fd, SHUT_WR);
        sink_case_await_end(&c);
        assert_error(&c, "valkey:127.0.0.1:%u: %s", s.port, texts[i]);
        sink_case_close(&c);
        server_stop(&s);
        server_free(&s);
    }
}

/* While a message is written, and while the answer to a login does not come. */
static void test_cancel_early(void **state)
{
    (void)state;
    enum { LENGTH = 32 * MIB };
    uint16_t port;
    struct sink_case c;
    uint8_t *data = peer_pattern(LENGTH, 3);
    struct sink_message list[] = {MESSAGE("one"), {.data = data, .len = LENGTH}, MESSAGE("three")};
    int listener = peer_listen(AF_INET, 5, &port); /* nobody accepts */
    options.timeout = 600 * NS_PER_S;
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    c.host.cancel_ns = 0;
    send_list(&c, list, COUNT(list));
    assert_results(list, COUNT(list), (enum sink_result[]){SINK_BROKEN, SINK_BROKEN, SINK_BROKEN});
    assert_error(&c, "valkey:127.0.0.1:%u: cancelled", port);
    sink_case_close(&c);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey://:x@127.0.0.1:%u", port), 0);
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_error(&c, "valkey:127.0.0.1:%u: cancelled", port);
    sink_case_close(&c);
    close(listener);
    free(data);
}

static void test_cancel(void **state)
{
    (void)state;
    static const char *const script[] = {SILENCE};
    struct server s = {0};
    struct sink_case c;
    options.timeout = 600 * NS_PER_S;
    server_start(&s, script, 1);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "valkey:127.0.0.1:%u", s.port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    c.host.cancel_ns = clock_mono_ns() + 30 * NS_PER_MS;
    assert_int_equal(sink_case_send(&c, "one", 3), SINK_BROKEN); /* its answer may still come */
    assert_int_equal(c.e.code, ERR_CANCELLED);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_AGAIN);
    assert_int_equal(c.e.code, ERR_CANCELLED);
    c.host.cancel_ns = INT64_MAX;
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, "two", 3), SINK_DONE);
    sink_case_close(&c);
    server_stop(&s);
    server_free(&s);
}

/* ---- Answers ---- */

static int parse(const char *text, struct resp_answer *a)
{
    return resp_parse((const uint8_t *)text, strlen(text), a);
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum resp_type type;
        const char *text;
    } good[] = {
        {"+OK\r\n", RESP_SIMPLE, "OK"},
        {"+\r\n", RESP_SIMPLE, ""},
        {"-ERR x y\r\n", RESP_ERROR, "ERR x y"},
        {":-12\r\n", RESP_INTEGER, "-12"},
        {"$3\r\na\nb\r\n", RESP_BULK, "a\nb"},
        {"$0\r\n\r\n", RESP_BULK, ""},
        {"$-1\r\n", RESP_NULL, ""},
    };
    static const char *const bad[] = {"x",
                                      "\n",
                                      "*0\r\n",
                                      "+a\nb\r\n",
                                      "+a\rb",
                                      ":\r\n",
                                      ":-\r\n",
                                      ":1x\r\n",
                                      "$-2\r\n",
                                      "$1\r\nabc",
                                      "$x\r\n",
                                      "$16001\r\n",
                                      ":1234567890123456789\r\n",
                                      "_\r\n"};
    struct resp_answer a;
    for (size_t i = 0; i < COUNT(good); i++) {
        size_t len = strlen(good[i].bytes);
        for (size_t n = 0; n < len; n++)
            assert_int_equal(resp_parse((const uint8_t *)good[i].bytes, n, &a), 0);
        assert_int_equal(parse(good[i].bytes, &a), 1);
        assert_int_equal(a.type, good[i].type);
        assert_int_equal(a.len, strlen(good[i].text));
        assert_memory_equal(a.text, good[i].text, a.len);
        assert_int_equal(a.size, len);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse(bad[i], &a), ERR_MALFORMED);
    assert_int_equal(parse(":-12\r\n", &a), 1);
    assert_int_equal(a.number, -12);
    assert_int_equal(parse("-ERR x\r\n", &a), 1);
    assert_true(resp_is_error(&a, "ERR"));
    assert_false(resp_is_error(&a, "ER") || resp_is_error(&a, "ERR x y"));
    assert_int_equal(parse("+ERR x\r\n", &a), 1);
    assert_false(resp_is_error(&a, "ERR"));
}

/* What a peer says, as it stands in errors. */
static void test_texts(void **state)
{
    (void)state;
    char out[NET_ANSWER_TEXT], text[1000];
    memset(text, 'x', sizeof(text));
    net_answer_text(text, sizeof(text), "secret", out);
    assert_int_equal(strlen(out), NET_ANSWER_TEXT - 1);
    memcpy(text + sizeof(text) - 6, "secret", 6); /* also where the text is cut */
    net_answer_text(text, sizeof(text), "secret", out);
    assert_string_equal(out, "(not shown: it repeats a secret)");
    net_answer_text("a\tb\0\x7f\xff~ ", 8, "", out);
    assert_string_equal(out, "a?b???~ ");
}

static void test_long_answers(void **state)
{
    (void)state;
    struct resp_answer a;
    char text[RESP_TEXT_MAX + 8] = "+";
    memset(text + 1, 'x', RESP_TEXT_MAX + 1);
    assert_int_equal(resp_parse((const uint8_t *)text, RESP_TEXT_MAX, &a), 0);
    assert_int_equal(resp_parse((const uint8_t *)text, RESP_TEXT_MAX + 7, &a), ERR_MALFORMED);
    memcpy(text + 1 + RESP_TEXT_MAX, "\r\n", 3);
    assert_int_equal(parse(text, &a), 1);
    assert_int_equal(a.len, RESP_TEXT_MAX);
}

/* ---- redis-server ---- */

static const char *redis_program(void)
{
    const char *program = getenv("XTCP_REDIS_SERVER");
    return program ? program : "/usr/bin/redis-server";
}

static pid_t redis_pid = -1;

static int redis_end(void **state)
{
    (void)state;
    if (redis_pid > 0) {
        kill(redis_pid, SIGKILL);
        waitpid(redis_pid, NULL, 0);
    }
    redis_pid = -1;
    return 0;
}

/* Starts one at |port|, with the password "open sesame". */
static void redis_start(uint16_t port)
{
    char number[8];
    snprintf(number, sizeof(number), "%u", port);
    const char *folder = peer_path("");
    redis_pid = fork();
    assert_true(redis_pid >= 0);
    if (redis_pid == 0) {
        execl(redis_program(), "redis-server", "--bind", "127.0.0.1", "--port", number, "--save", "",
              "--requirepass", "open sesame", "--logfile", "/dev/null", "--dir", folder, (char *)NULL);
        _exit(127);
    }
}

static void await_connection(struct sink_case *c)
{
    int64_t deadline_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
    while (sink_case_connect(c, NULL) != SINK_DONE) {
        assert_int_equal(c->e.code, -ECONNREFUSED);
        assert_int_equal(waitpid(redis_pid, NULL, WNOHANG), 0);
        assert_true(clock_mono_ns() < deadline_ns);
        usleep(10 * 1000);
    }
}

/* A client of the test, and its answer to |command|. */
static int redis_client(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void expect_answer(int fd, const char *command, const char *answer)
{
    assert_int_equal(send(fd, command, strlen(command), MSG_NOSIGNAL), strlen(command));
    assert_reads(fd, answer, strlen(answer));
}

static void publish_to_redis(uint16_t port)
{
    static const char body[] = "a\0b\r\n";
    struct sink_case c;
    assert_int_equal(
        sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://:open%%20sesame@127.0.0.1:%u", port), 0);
    await_connection(&c);
    int fd = redis_client(port);
    expect_answer(fd, "AUTH \"open sesame\"\r\n", "+OK\r\n");
    expect_answer(fd, "SUBSCRIBE xtcp\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nxtcp\r\n:1\r\n");
    assert_int_equal(sink_case_send(&c, body, sizeof(body) - 1), SINK_DONE);
    expect_answer(fd, "", "*3\r\n$7\r\nmessage\r\n$4\r\nxtcp\r\n$5\r\n");
    assert_reads(fd, body, sizeof(body) - 1);
    close(fd);
    sink_case_close(&c);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://:wrong@127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_BROKEN);
    assert_error(
        &c,
        "redis:127.0.0.1:%u: the server says: WRONGPASS invalid username-password pair or user is disabled.",
        port);
    sink_case_close(&c);
    assert_int_equal(sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://127.0.0.1:%u", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, "x", 1), SINK_BROKEN);
    assert_error(&c, "redis:127.0.0.1:%u: the server says: NOAUTH Authentication required.", port);
    sink_case_close(&c);
}

static void stream_to_redis(uint16_t port)
{
    enum { MESSAGES = 5000 };
    static struct sink_message list[MESSAGES];
    struct sink_case c;
    options.mode = OUTPUT_VALKEY_STREAM;
    options.stream_length = 0;
    for (size_t i = 0; i < MESSAGES; i++)
        list[i] = (struct sink_message){.data = (const uint8_t *)"0123456789", .len = 10};
    assert_int_equal(
        sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://:open%%20sesame@127.0.0.1:%u/5", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    send_list(&c, list, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++)
        assert_int_equal(list[i].result, SINK_DONE);
    sink_case_close(&c);
    int fd = redis_client(port);
    expect_answer(fd, "AUTH \"open sesame\"\r\nSELECT 5\r\nXLEN xtcp\r\n", "+OK\r\n+OK\r\n:5000\r\n");
    options.stream_length = 1000;
    assert_int_equal(
        sink_case_open(&c, &xtcp_sink_valkey, &options, "redis://:open%%20sesame@127.0.0.1:%u/5", port), 0);
    assert_int_equal(sink_case_connect(&c, NULL), SINK_DONE);
    assert_int_equal(sink_case_send(&c, "last", 4), SINK_DONE);
    sink_case_close(&c);
    expect_answer(fd, "XTRIM xtcp MAXLEN 1000\r\n",
                  ":1\r\n"); /* 1001 are there: blocks of 100 are removed as a whole */
    close(fd);
}

static void test_redis(void **state)
{
    (void)state;
    uint16_t port;
    if (access(redis_program(), X_OK) != 0)
        skip();
    close(peer_listen(AF_INET, -1, &port));
    redis_start(port);
    publish_to_redis(port);
    stream_to_redis(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_publish, setup),
        cmocka_unit_test_setup(test_stream, setup),
        cmocka_unit_test_setup(test_many, setup),
        cmocka_unit_test_setup(test_password_file, setup),
        cmocka_unit_test_setup(test_tls, setup),
        cmocka_unit_test_setup(test_options_that_cannot_be_right, setup),
        cmocka_unit_test_setup(test_login_errors, setup),
        cmocka_unit_test_setup(test_message_errors, setup),
        cmocka_unit_test_setup(test_last_words, setup),
        cmocka_unit_test_setup(test_news, setup),
        cmocka_unit_test_setup(test_cancel_early, setup),
        cmocka_unit_test_setup(test_cancel, setup),
        cmocka_unit_test_setup(test_answers, setup),
        cmocka_unit_test_setup(test_texts, setup),
        cmocka_unit_test_setup(test_long_answers, setup),
        cmocka_unit_test_setup_teardown(test_redis, setup, redis_end),
    };
    return cmocka_run_group_tests(tests, NULL, peer_clean);
}
