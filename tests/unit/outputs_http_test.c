/* outputs/sink/http: requests, answers of every kind, and servers that misbehave. */
#include "net_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "config/output.h"
#include "http_peer.h"
#include "lib/clock.h"
#include "lib/url.h"
#include "net_certificate.h"

extern const struct sink_ops xtcp_sink_http;

/* Stands in every secret of these tests; no error may have it. */
#define SECRET "s3cr3t"

#define DATA "{\"netns\":\"one\"}\n{\"netns\":\"two\"}\n"

/* ---- A sink, and what it needs ---- */

struct fixture {
    struct http_peer *peer;
    char to[1024];
    struct output_http_options options;
    struct format format;
    struct url url;
    struct output_config config;
    struct sink_host_fake host;
    struct sink_env env;
    void *sink;
    char files[4][128]; /* names that the options have */
    unsigned n_files;
};

/* Zeroed, with the defaults of the options. */
static void begin(struct fixture *f)
{
    static char none[] = "";
    *f = (struct fixture){.options = {.headers = none,
                                      .content_type = none,
                                      .timeout = 10 * NS_PER_S,
                                      .token_file = none,
                                      .user = none,
                                      .password_file = none,
                                      .tls = {none, none, none, none},
                                      .dead_letter_file = none},
                          .format = *format_by_name("jsonl")};
    sink_host_init(&f->host);
    f->config.to = f->to;
    f->env = (struct sink_env){.host = &f->host.host,
                               .config = &f->config,
                               .url = &f->url,
                               .options = &f->options,
                               .format = &f->format};
}

static void start_peer(struct fixture *f, const struct http_peer_step *steps, size_t n)
{
    f->peer = http_peer_start(NULL, steps, n);
}

/* The destination, in which %u stands for the port of the peer. */
static void set_to(struct fixture *f, const char *to)
{
    const char *port = strstr(to, "%u");
    int n = port ? (int)(port - to) : (int)strlen(to);
    struct err e;
    if (port)
        snprintf(f->to, sizeof(f->to), "%.*s%u%s", n, to, http_peer_port(f->peer), port + 2);
    else
        snprintf(f->to, sizeof(f->to), "%s", to);
    if (url_parse(f->to, URL_NET, &f->url, &e))
        fail_msg("%s: %s", f->to, e.text);
}

static void open_sink(struct fixture *f, const char *to)
{
    struct err e = {0};
    set_to(f, to);
    if (xtcp_sink_http.open(&f->env, &f->sink, &e))
        fail_msg("%s", e.text);
}

static void end(struct fixture *f)
{
    if (f->sink)
        xtcp_sink_http.close(f->sink);
    f->sink = NULL;
    http_peer_stop(f->peer);
    f->peer = NULL;
    url_free(&f->url);
}

/* Checks that |e| has |words| in it, and no secret. */
static void assert_says(const struct err *e, const char *words)
{
    if (!strstr(e->text, words) || strstr(e->text, SECRET) || strpbrk(e->text, "\r\n\x1b"))
        fail_msg("\"%s\" instead of \"%s\"", e->text, words);
    assert_true(e->code < 0);
}

static enum sink_result connect_sink(struct fixture *f, struct err *e)
{
    bool fresh = false;
    *e = (struct err){0};
    enum sink_result result = xtcp_sink_http.connect(f->sink, &fresh, e);
    assert_true(fresh);
    return result;
}

/* Connects and sends DATA. */
static enum sink_result send_one(struct fixture *f, struct err *e)
{
    struct sink_message m = {.data = (const uint8_t *)DATA, .len = sizeof(DATA) - 1, .rows = 2, .poll_id = 7};
    enum sink_result result = connect_sink(f, e);
    if (result != SINK_DONE)
        return result;
    xtcp_sink_http.send(f->sink, &m, 1, e);
    if (m.result == SINK_DONE)
        assert_int_equal(e->code, 0);
    return m.result;
}

static void assert_done(struct fixture *f)
{
    struct err e;
    if (send_one(f, &e) != SINK_DONE)
        fail_msg("%s", e.text);
}

static const struct http_peer_request *last_request(const struct fixture *f)
{
    return http_peer_request(f->peer, http_peer_count(f->peer) - 1);
}

/* Checks a header of |r|; |value| is NULL when it must not be there. */
static void assert_header(const struct http_peer_request *r, const char *name, const char *value)
{
    char text[512];
    bool there = http_peer_header(r, name, text, sizeof(text));
    if (!value && there)
        fail_msg("%s: %s", name, text);
    if (value && !there)
        fail_msg("no %s", name);
    if (value)
        assert_string_equal(text, value);
}

/* The path of the file |name| for an option, as long as the fixture. */
static char *file(struct fixture *f, const char *name)
{
    assert_true(f->n_files < COUNT(f->files));
    char *path = f->files[f->n_files++];
    snprintf(path, sizeof(f->files[0]), "%s", peer_path(name));
    return path;
}

/* Writes |text| to the file |name| as rename(2) does, so that it is another file each time. */
static void write_file(const char *name, const char *text)
{
    char *new = peer_write_file(text, "new");
    assert_int_equal(rename(new, peer_path(name)), 0);
    free(new);
}

static int setup(void **state)
{
    sigset_t all;
    (void)state;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    return 0;
}

/* ---- Requests ---- */

static void test_posts(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://127.0.0.1:%u/a%20b/../c?query=INSERT%20INTO%20t%20FORMAT%20\"JSONEachRow\"&x=1");
    for (int i = 0; i < 3; i++)
        assert_done(&f);
    assert_int_equal(http_peer_count(f.peer), 3);
    assert_int_equal(http_peer_connections(f.peer),
                     2); /* that which found the server, and one for all requests */
    for (size_t i = 0; i < 3; i++) {
        char host[64];
        const struct http_peer_request *r = http_peer_request(f.peer, i);
        const char *line =
            "POST /a%20b/../c?query=INSERT%20INTO%20t%20FORMAT%20%22JSONEachRow%22&x=1 HTTP/1.1\r\n";
        assert_memory_equal(r->head, line, strlen(line));
        assert_int_equal(r->body_len, sizeof(DATA) - 1);
        assert_memory_equal(r->body, DATA, sizeof(DATA) - 1);
        snprintf(host, sizeof(host), "127.0.0.1:%u", http_peer_port(f.peer));
        assert_header(r, "Host", host);
        assert_header(r, "User-Agent", "xtcp2/" XTCP_VERSION);
        assert_header(r, "Content-Type", "application/x-ndjson");
        assert_header(r, "Content-Encoding", NULL);
        assert_header(r, "Authorization", NULL);
        assert_header(r, "Expect", NULL);
    }
    end(&f);
}

static void test_paths(void **state)
{
    static const struct {
        const char *to, *line;
    } cases[] = {
        {"http://127.0.0.1:%u", "POST / HTTP/1.1"},
        {"http:127.0.0.1:%u", "POST / HTTP/1.1"},
        {"http://127.0.0.1:%u?a=b", "POST /?a=b HTTP/1.1"},
        {"HTTP://127.0.0.1:%u/%C3%A4/ä|", "POST /%C3%A4/%C3%A4%7C HTTP/1.1"},
        {"http://localhost:%u/x", "POST /x HTTP/1.1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        begin(&f);
        start_peer(&f, NULL, 0);
        open_sink(&f, cases[i].to);
        assert_done(&f);
        assert_memory_equal(last_request(&f)->head, cases[i].line, strlen(cases[i].line));
        end(&f);
    }
}

static void test_content_types(void **state)
{
    static const char *const types[][2] = {
        {"jsonl", "application/x-ndjson"},
        {"protojson", "application/x-ndjson"},
        {"json", "application/json"},
        {"protojson-envelope", "application/json"},
        {"csv", "text/csv"},
        {"tsv", "text/tab-separated-values"},
        {"prototext", "text/plain; charset=utf-8"},
        {"protobuf-list", "application/octet-stream"},
        {"msgpack", "application/octet-stream"},
    };
    static char own[] = "application/x-own; v=1";
    (void)state;
    for (size_t i = 0; i <= COUNT(types); i++) {
        struct fixture f;
        begin(&f);
        start_peer(&f, NULL, 0);
        f.format = *format_by_name(i < COUNT(types) ? types[i][0] : "jsonl");
        if (i == COUNT(types))
            f.options.content_type = own;
        open_sink(&f, "http://127.0.0.1:%u/");
        assert_done(&f);
        assert_header(last_request(&f), "Content-Type", i < COUNT(types) ? types[i][1] : own);
        end(&f);
    }
}

static void assert_gzip(const struct http_peer_request *r, const uint8_t *data, size_t len)
{
    uint8_t *out = malloc(len + 1);
    z_stream z = {
        .next_in = r->body, .avail_in = (uInt)r->body_len, .next_out = out, .avail_out = (uInt)len + 1};
    assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, len);
    assert_memory_equal(out, data, len);
    inflateEnd(&z);
    free(out);
}

static void assert_zstd(const struct http_peer_request *r, const uint8_t *data, size_t len)
{
    uint8_t *out = malloc(len + 1);
    assert_int_equal(ZSTD_decompress(out, len + 1, r->body, r->body_len), len);
    assert_memory_equal(out, data, len);
    free(out);
}

static void test_compression(void **state)
{
    static const size_t sizes[] = {0, 1, 100000, 3000000, 10};
    static const char *const names[] = {[OUTPUT_COMPRESS_GZIP] = "gzip", [OUTPUT_COMPRESS_ZSTD] = "zstd"};
    (void)state;
    uint8_t *data = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        data[i] = (uint8_t)("abcdefgh"[i % 8] + (i * i % 977 == 0));
    for (enum output_compress how = OUTPUT_COMPRESS_GZIP; how <= OUTPUT_COMPRESS_ZSTD; how++) {
        struct fixture f;
        struct err e;
        begin(&f);
        start_peer(&f, NULL, 0);
        f.options.compress = how;
        open_sink(&f, "http://127.0.0.1:%u/");
        for (size_t i = 0; i < COUNT(sizes); i++) {
            struct sink_message m = {.data = data, .len = sizes[i]};
            assert_int_equal(connect_sink(&f, &e), SINK_DONE);
            xtcp_sink_http.send(f.sink, &m, 1, &e);
            if (m.result != SINK_DONE)
                fail_msg("%zu: %s", sizes[i], e.text);
            assert_header(last_request(&f), "Content-Encoding", names[how]);
            (how == OUTPUT_COMPRESS_GZIP ? assert_gzip : assert_zstd)(last_request(&f), data, sizes[i]);
        }
        assert_true(http_peer_request(f.peer, 3)->body_len < 1000000);
        end(&f);
    }
    free(data);
}

static void test_empty_body(void **state)
{
    struct fixture f;
    struct err e;
    struct sink_message m = {.data = NULL};
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    xtcp_sink_http.send(f.sink, &m, 1, &e);
    assert_int_equal(m.result, SINK_DONE);
    assert_header(last_request(&f), "Content-Length", "0");
    end(&f);
}

/* Above 1 MiB the server is asked before the body is sent, so that what it refuses is not sent at all. */
static void test_large_bodies(void **state)
{
    static const struct http_peer_step steps[] = {
        {.act = PEER_ANSWER},
        {.act = PEER_EARLY,
         .text = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmuch"},
    };
    struct fixture f;
    struct err e;
    size_t len = 5000000;
    uint8_t *data = malloc(len);
    (void)state;
    memset(data, 'x', len);
    begin(&f);
    start_peer(&f, steps, COUNT(steps));
    open_sink(&f, "http://127.0.0.1:%u/");
    struct sink_message m[] = {
        {.data = data, .len = len}, {.data = data, .len = len}, {.data = data, .len = 10}};
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    xtcp_sink_http.send(f.sink, m, COUNT(m), &e);
    assert_int_equal(m[0].result, SINK_DONE);
    assert_int_equal(m[1].result, SINK_REFUSED);
    assert_int_equal(m[2].result, SINK_DONE);
    assert_says(&e, "/: 413 Too Large: much");
    assert_int_equal(http_peer_request(f.peer, 0)->body_len, len);
    assert_header(http_peer_request(f.peer, 0), "Expect", "100-continue");
    assert_memory_equal(http_peer_request(f.peer, 0)->body, data, len);
    end(&f);
    free(data);
}

static void test_headers(void **state)
{
    static char headers[] =
        "X-Scope-OrgID: tenant 1 | X-Empty:|Authorization: Bearer " SECRET "|Host: other.example|x~y:a:b";
    struct fixture f;
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    f.options.headers = headers;
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_done(&f);
    assert_header(last_request(&f), "X-Scope-OrgID", "tenant 1");
    assert_header(last_request(&f), "X-Empty", "");
    assert_header(last_request(&f), "Authorization", "Bearer " SECRET);
    assert_header(last_request(&f), "Host", "other.example");
    assert_header(last_request(&f), "x~y", "a:b");
    end(&f);
}

/* Options that cannot be right. */
static void test_refuses_options(void **state)
{
    struct test_case {
        const char *to, *headers, *content_type, *user, *token_file, *password_file, *key_file, *server_name,
            *words;
    };
    static const struct test_case cases[] = {
        {.headers = "X: 1|no colon " SECRET, .words = "options: headers: header 2 is not of the form"},
        {.headers = ": " SECRET, .words = "header 1 is not"},
        {.headers = "A B: " SECRET, .words = "header 1 is not"},
        {.headers = "X: 1||Y: 2", .words = "header 2 is not"},
        {.headers = "X: a\r\nY: " SECRET, .words = "the value of header 1 has control characters"},
        {.headers = "content-LENGTH: 5",
         .words = "content-LENGTH: cannot be given: it follows from the body"},
        {.headers = "Content-Type: x/y", .words = "the option content_type"},
        {.headers =
             "a:|b:|c:|d:|e:|f:|g:|h:|i:|j:|k:|l:|m:|n:|o:|p:|q:|r:|s:|t:|u:|v:|w:|x:|y:|z:|aa:|bb:|cc:|dd:|ee:|ff:|gg:",
         .words = "more than 32 headers"},
        {.headers = "authorization: " SECRET,
         .user = "me",
         .words = "Authorization and token_file or a user exclude"},
        {.headers = "authorization: " SECRET, .to = "http://me:" SECRET "@h/", .words = "exclude each other"},
        {.content_type = "a\nb", .words = "options: content_type: has control characters"},
        {.user = "me", .to = "http://you:" SECRET "@h/", .words = "options: user: the URL has one, too"},
        {.password_file = "/x", .to = "http://you:" SECRET "@h/", .words = "the URL has a password, too"},
        {.password_file = "/x", .words = "options: password_file: needs user"},
        {.token_file = "/x", .user = "me", .words = "options: token_file: excludes a user"},
        {.token_file = "/x",
         .to = "http://me:" SECRET "@h/",
         .words = "options: token_file: excludes a user"},
        {.to = "http://a%3Ab:" SECRET "@h/", .words = "has a colon"},
        {.key_file = "/x", .words = "options: tls_key_file: needs tls_cert_file"},
        {.to = "https://h/",
         .server_name = "a b",
         .words = "options: tls_server_name: is not the name of a host"},
        {.to = "https://h/", .server_name = "127.0.0.1", .words = "options: tls_server_name: is not"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct test_case *c = &cases[i];
        struct fixture f;
        struct err e = {0};
        begin(&f);
        set_to(&f, c->to ? c->to : "http://h/");
        f.options.headers = (char *)(c->headers ? c->headers : "");
        f.options.content_type = (char *)(c->content_type ? c->content_type : "");
        f.options.user = (char *)(c->user ? c->user : "");
        f.options.token_file = (char *)(c->token_file ? c->token_file : "");
        f.options.password_file = (char *)(c->password_file ? c->password_file : "");
        f.options.tls.key_file = (char *)(c->key_file ? c->key_file : "");
        f.options.tls.server_name = (char *)(c->server_name ? c->server_name : "");
        int rc = xtcp_sink_http.open(&f.env, &f.sink, &e);
        if (rc == 0)
            fail_msg("taken: %s", c->words);
        assert_int_equal(rc, e.code);
        assert_says(&e, c->words);
        end(&f);
    }
}

/* ---- Credentials ---- */

static void test_basic(void **state)
{
    struct fixture f;
    static char user[] = "me";
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://a%20user:p%40:w@127.0.0.1:%u/");
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Basic YSB1c2VyOnBAOnc=");
    end(&f);

    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://me@127.0.0.1:%u/");
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Basic bWU6");
    end(&f);

    begin(&f);
    start_peer(&f, NULL, 0);
    f.options.user = user;
    write_file("password", " pass w\xc3\xb6rd \n");
    f.options.password_file = file(&f, "password");
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Basic bWU6IHBhc3Mgd8O2cmQg");
    end(&f);
}

static void test_token(void **state)
{
    struct fixture f;
    struct err e;
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    write_file("token", "one\n");
    f.options.token_file = file(&f, "token");
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Bearer one");
    write_file("token", "two-and-more \r\n"); /* a change is seen */
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Bearer two-and-more");
    static const char *const bad[] = {"", "\n", "two words\n", "line\r\nX:1\n", "\xc3\xa4\n"};
    for (size_t i = 0; i < COUNT(bad); i++) { /* what was read before stays */
        write_file("token", bad[i]);
        assert_done(&f);
        assert_header(last_request(&f), "Authorization", "Bearer two-and-more");
    }
    remove(f.options.token_file);
    assert_done(&f);
    end(&f);

    begin(&f);
    start_peer(&f, NULL, 0);
    f.options.token_file = file(&f, "token");
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "/token: cannot open: No such file");
    write_file("token", "two " SECRET "\n");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "/token: is not a token");
    assert_int_equal(http_peer_connections(f.peer), 0);
    write_file("token", "three");
    assert_done(&f);
    assert_header(last_request(&f), "Authorization", "Bearer three");
    end(&f);
}

/* A token that the server refuses is read anew, also when the file seems to be the same. */
static void test_token_that_expires(void **state)
{
#define NO "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    static const struct http_peer_step steps[] = {{.act = PEER_ANSWER},
                                                  {.act = PEER_ANSWER, .text = NO},
                                                  {.act = PEER_ANSWER},
                                                  {.act = PEER_ANSWER, .text = NO}};
    struct fixture f;
    struct err e;
    struct stat st;
    (void)state;
    begin(&f);
    start_peer(&f, steps, COUNT(steps));
    write_file("token", "aaaaaa");
    f.options.token_file = file(&f, "token");
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_done(&f);
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    assert_int_equal(stat(f.options.token_file, &st), 0);
    write_file("token", SECRET); /* between connect and send */
    struct sink_message m = {.data = (const uint8_t *)DATA, .len = sizeof(DATA) - 1};
    xtcp_sink_http.send(f.sink, &m, 1, &e);
    assert_int_equal(m.result, SINK_DONE);
    assert_int_equal(http_peer_count(f.peer), 3);
    assert_header(http_peer_request(f.peer, 1), "Authorization", "Bearer aaaaaa");
    assert_header(http_peer_request(f.peer, 2), "Authorization", "Bearer " SECRET);
    assert_int_equal(send_one(&f, &e), SINK_REFUSED); /* nothing new in the file: once is enough */
    assert_says(&e, "401 Unauthorized");
    assert_int_equal(e.code, ERR_UNAUTHENTICATED);
    assert_int_equal(http_peer_count(f.peer), 4);
    end(&f);
}

/* ---- Answers ---- */

static void test_statuses(void **state)
{
    static const struct {
        unsigned status;
        enum sink_result result;
    } cases[] = {
        {200, SINK_DONE},    {201, SINK_DONE},    {202, SINK_DONE},    {204, SINK_DONE},
        {299, SINK_DONE},    {300, SINK_REFUSED}, {301, SINK_REFUSED}, {304, SINK_REFUSED},
        {307, SINK_REFUSED}, {400, SINK_REFUSED}, {401, SINK_REFUSED}, {403, SINK_REFUSED},
        {404, SINK_REFUSED}, {407, SINK_REFUSED}, {408, SINK_AGAIN},   {409, SINK_REFUSED},
        {413, SINK_REFUSED}, {425, SINK_AGAIN},   {426, SINK_REFUSED}, {429, SINK_AGAIN},
        {499, SINK_REFUSED}, {500, SINK_AGAIN},   {501, SINK_AGAIN},   {502, SINK_AGAIN},
        {503, SINK_AGAIN},   {504, SINK_AGAIN},   {599, SINK_AGAIN},
    };
    (void)state;
    char texts[COUNT(cases)][80], words[16];
    struct http_peer_step steps[COUNT(cases)];
    struct fixture f;
    struct err e;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(texts[i], sizeof(texts[i]), "HTTP/1.1 %u Why\r\n%s\r\n", cases[i].status,
                 cases[i].status == 204 || cases[i].status == 304 ? "" : "Content-Length: 0\r\n");
        steps[i] = (struct http_peer_step){.act = PEER_ANSWER, .text = texts[i]};
    }
    begin(&f);
    start_peer(&f, steps, COUNT(steps));
    open_sink(&f, "http://127.0.0.1:%u/");
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum sink_result result = send_one(&f, &e);
        if (result != cases[i].result)
            fail_msg("%u: %d %s", cases[i].status, (int)result, e.text);
        snprintf(words, sizeof(words), "/: %u Why", cases[i].status);
        if (result != SINK_DONE)
            assert_says(&e, words);
    }
    assert_int_equal(http_peer_count(f.peer), COUNT(cases));
    assert_int_equal(http_peer_connections(f.peer), 2); /* it stays, whatever the answer */
    end(&f);
}

/* What a list of messages becomes. */
static void test_lists(void **state)
{
    static const struct http_peer_step steps[] = {
        {.act = PEER_ANSWER},
        {.act = PEER_ANSWER, .text = "HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nwhat"},
        {.act = PEER_ANSWER},
        {.act = PEER_ANSWER, .text = "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater"},
        {.act = PEER_ANSWER},
        {.act = PEER_CLOSE, .text = ""}, /* an old connection: curl tries a new one at once */
        {.act = PEER_CLOSE, .text = ""},
    };
    static const enum sink_result first[] = {SINK_DONE,  SINK_REFUSED, SINK_DONE,
                                             SINK_AGAIN, SINK_AGAIN,   SINK_AGAIN};
    struct fixture f;
    struct err e;
    struct sink_message m[COUNT(first)];
    (void)state;
    for (size_t i = 0; i < COUNT(m); i++)
        m[i] = (struct sink_message){.data = (const uint8_t *)"abcdef" + i, .len = 1};
    begin(&f);
    start_peer(&f, steps, COUNT(steps));
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    xtcp_sink_http.send(f.sink, m, COUNT(m), &e);
    for (size_t i = 0; i < COUNT(m); i++)
        assert_int_equal(m[i].result, first[i]);
    assert_says(&e, "400 Bad: what");
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    xtcp_sink_http.send(f.sink, m + 3, 3, &e);
    assert_int_equal(m[3].result, SINK_DONE);
    assert_int_equal(m[4].result, SINK_BROKEN);
    assert_int_equal(m[5].result, SINK_BROKEN);
    assert_says(&e, "the server closed the connection without an answer");
    assert_int_equal(connect_sink(&f, &e), SINK_DONE);
    xtcp_sink_http.send(f.sink, m + 4, 2, &e);
    assert_int_equal(m[5].result, SINK_DONE);
    char came[16] = "";
    for (size_t i = 0; i < http_peer_count(f.peer); i++)
        came[i] = (char)http_peer_request(f.peer, i)->body[0];
    assert_string_equal(came, "abcddeeef");
    end(&f);
}

/* The sentence of a refusal. */
static void test_reasons(void **state)
{
    static char headers[] = "X-API-Token: Bearer " SECRET ".head";
    static const struct {
        const char *answer, *words;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 41\r\n\r\nCode: 27. DB::Exception: it is\nthe next one",
         "400 Bad Request: Code: 27. DB::Exception: it is"},
        {"HTTP/1.1 400\r\nContent-Length: 11\r\n\r\n\r\n \t\nthis\n!", "400: this"},
        {"HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n", "400"},
        {"HTTP/1.0 400 Old\r\n\r\nto the end", "400 Old: to the end"},
        {"HTTP/1.1 400 B\x1b[1mx\r\nContent-Length: 9\r\n\r\n\x1b[31m\x01\xff\xe2\x80",
         "400 B?[1mx: ?[31m????"},
        {"HTTP/1.1 404 N\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nX: y\r\n\r\n",
         "404 N: abcdef"},
        {"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 404 N\r\nContent-Length: 1\r\n\r\nx", "404 N: x"},
        {"HTTP/1.0 401 No\r\n\r\npw=" SECRET " raw=a%20" SECRET " decoded=a " SECRET
         " dTpzM2NyM3Q= key=" SECRET ".more bearer=" SECRET ".head x",
         "401 No: pw=*** raw=*** decoded=*** *** key=*** bearer=*** x"},
        {"HTTP/1.1 301 Moved\r\nLocation:  https://u:" SECRET
         "@new/?token=abc&a=b\r\nContent-Length: 0\r\n\r\n",
         "301 Moved to https://u:***@new/?token=***&a=b: redirects are not followed"},
        {"HTTP/1.1 303 Key=" SECRET ".more\r\nLocation: /x/" SECRET "/\r\n\r\n",
         "303 Key=*** to /x/***/: redirects are not followed"},
        {"HTTP/1.1 302 F\r\nContent-Length: 3\r\n\r\nabc", "302 F: redirects are not followed"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_peer_step step = {.act = PEER_CLOSE, .text = cases[i].answer};
        struct fixture f;
        struct err e;
        char expected[ERR_TEXT_MAX];
        begin(&f);
        start_peer(&f, &step, 1);
        f.options.headers = headers;
        open_sink(&f, "http://u:" SECRET "@127.0.0.1:%u/?password=a%20" SECRET "&key=" SECRET ".more");
        assert_int_equal(send_one(&f, &e), SINK_REFUSED);
        snprintf(expected, sizeof(expected), "http://u:***@127.0.0.1:%u/?password=***&key=***: %s",
                 http_peer_port(f.peer), cases[i].words);
        assert_string_equal(e.text, expected);
        end(&f);
    }
}

/* Long lines are cut, without losing the rest of the sentence. */
static void test_long_reasons(void **state)
{
    char answer[2000], to[1000];
    struct http_peer_step step = {.act = PEER_CLOSE, .text = answer};
    struct fixture f;
    struct err e;
    (void)state;
    int n = snprintf(answer, sizeof(answer), "HTTP/1.0 400 %0100d\r\n\r\n%0500d" SECRET, 1, 2);
    assert_in_range(n, 1, sizeof(answer) - 1);
    n = snprintf(to, sizeof(to), "http://127.0.0.1:%%u/%0500d", 3);
    assert_in_range(n, 1, sizeof(to) - 1);
    begin(&f);
    start_peer(&f, &step, 1);
    f.options.dead_letter_file = file(&f, "dead");
    open_sink(&f, to);
    assert_int_equal(send_one(&f, &e), SINK_REFUSED);
    assert_says(&e, "000...: 400 000");
    assert_says(&e, "000...; kept in ");
    assert_says(&e, "/dead");
    end(&f);
}

/* No request before the time that the server has told. */
static void test_retry_after(void **state)
{
    char date[64], answer[8][160];
    struct http_peer_step steps[8];
    const char *const values[] = {"2",  NULL,      "0", "-5", "soon", "Sun, 06 Nov 1994 08:49:37 GMT",
                                  date, "99999999"};
    struct tm tm;
    time_t later = time(NULL) + 90;
    (void)state;
    assert_true(strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &tm)) > 0);
    for (size_t i = 0; i < COUNT(values); i++) {
        struct fixture f;
        struct err e;
        snprintf(answer[i], sizeof(answer[i]), "HTTP/1.1 %s\r\n%s%s\r\nContent-Length: 0\r\n\r\n",
                 i % 2 ? "503 Busy" : "429 Slow", values[i] ? "Retry-After: " : "X: y",
                 values[i] ? values[i] : "");
        steps[i] = (struct http_peer_step){.act = PEER_ANSWER, .text = answer[i]};
        begin(&f);
        start_peer(&f, &steps[i], 1);
        open_sink(&f, "http://127.0.0.1:%u/");
        int64_t begin_ns = clock_mono_ns();
        assert_int_equal(send_one(&f, &e), SINK_AGAIN);
        if (i == 0 || i > 5) {
            char text[CLOCK_TEXT_MAX];
            const char *until = strstr(e.text, "; not again before 2");
            assert_non_null(until);
            clock_format(clock_wall_ns() + 601 * NS_PER_S, 0, text);
            assert_true(strcmp(until + sizeof("; not again before ") - 1, text) <
                        0); /* ten minutes at most */
            assert_int_equal(send_one(&f, &e), SINK_AGAIN);
            assert_says(&e, "; not again before 2");
        } else {
            assert_null(strstr(e.text, "not again"));
        }
        while (i == 0 && send_one(&f, &e) == SINK_AGAIN)
            usleep(10000);
        if (i == 0)
            assert_in_range(clock_mono_ns() - begin_ns, 2 * NS_PER_S, 20 * NS_PER_S);
        if (i > 5)
            assert_int_equal(http_peer_count(f.peer), 1);
        else if (i > 0)
            assert_done(&f);
        end(&f);
    }
}

/* ---- Servers that misbehave ---- */

#define HEAD_100 "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

static void test_broken(void **state)
{
    static const struct {
        struct http_peer_step step;
        const char *words;
    } cases[] = {
        {{PEER_CLOSE, "", NULL}, "/: the server closed the connection without an answer"},
        {{PEER_RESET, "", NULL}, "/: the connection broke: Recv failure: Connection reset by peer"},
        {{PEER_CLOSE, "HTTP/1.1 200", NULL}, "/: "},
        {{PEER_CLOSE, "HTTP/1.1 200 OK\r\nConte", NULL}, "/: the answer ended early"},
        {{PEER_CLOSE, HEAD_100 "half", NULL}, "/: the answer ended early"},
        {{PEER_RESET, HEAD_100 "half", NULL}, "/: the connection broke"},
        {{PEER_CLOSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", NULL}, "/: "},
        {{PEER_CLOSE, "HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\nhalf", NULL},
         "/: the answer ended early"},
        {{PEER_CLOSE, "SSH-2.0-OpenSSH_9.2\r\n", NULL}, "/: the answer is not HTTP"},
        {{PEER_CLOSE, "HTTP/1.1 -1 OK\r\n\r\n", NULL}, "/: "},
        {{PEER_ENDLESS, "HTTP/1.1 200 OK\r\n", "X: y\r\n"},
         "/: the head of the answer is longer than 64 KiB"},
        {{PEER_ENDLESS, "", "HTTP/1.1 102 Wait\r\n\r\n"}, "/: the head of the answer is longer than 64 KiB"},
        {{PEER_ENDLESS, "HTTP/1.1 200 OK\r\nX: ", "y"}, "/: "},
        {{PEER_ENDLESS, "", "x"}, "/: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_peer_step steps[] = {cases[i].step, {.act = PEER_ANSWER}};
        struct fixture f;
        struct err e;
        begin(&f);
        start_peer(&f, steps, COUNT(steps));
        open_sink(&f, "http://u:" SECRET "@127.0.0.1:%u/?password=" SECRET);
        enum sink_result result = send_one(&f, &e);
        if (result != SINK_BROKEN)
            fail_msg("%zu: %d %s", i, (int)result, e.text);
        assert_says(&e, "http://u:***@127.0.0.1");
        assert_says(&e, cases[i].words[0] == '/' ? cases[i].words + 1 : cases[i].words);
        assert_done(&f);
        end(&f);
    }
}

/* Connections that end between requests are no errors, but those that end before anything has come are. */
static void test_closed_connections(void **state)
{
    static const struct http_peer_step steps[] = {
        {.act = PEER_CLOSE}, {.act = PEER_ANSWER}, {.act = PEER_CLOSE}, {.act = PEER_CLOSE_AT_ONCE}};
    static const struct http_peer_step gone[] = {{.act = PEER_CLOSE_AT_ONCE}, {.act = PEER_CLOSE_AT_ONCE}};
    struct fixture f;
    struct err e;
    (void)state;
    begin(&f);
    start_peer(&f, steps, COUNT(steps));
    open_sink(&f, "http://127.0.0.1:%u/");
    for (int i = 0; i < 3; i++)
        assert_done(&f);
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "/: ");
    assert_done(&f);
    assert_int_equal(http_peer_count(f.peer), 4);
    end(&f);

    begin(&f);
    start_peer(&f, gone, COUNT(gone));
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_done(&f);
    end(&f);
}

/* Bodies that never end are left, and what the head said counts. */
static void test_endless_bodies(void **state)
{
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\n\r\nlong line ",
                                        "HTTP/1.1 400 Bad\r\n\r\nlong line "};
    (void)state;
    char big[80000];
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct http_peer_step step = {.act = PEER_ANSWER, .text = big};
        struct fixture f;
        struct err e;
        memset(big, 'y', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        memcpy(big, heads[i], strlen(heads[i]));
        begin(&f);
        start_peer(&f, &step, 1);
        open_sink(&f, "http://127.0.0.1:%u/");
        assert_int_equal(send_one(&f, &e), i == 0 ? SINK_DONE : SINK_REFUSED);
        if (i == 1)
            assert_says(&e, "400 Bad: long line yyy");
        assert_done(&f);
        end(&f);
    }
}

/* However slowly a server does whatever it does, the request is over in time. */
static void test_slow(void **state)
{
    static const struct {
        struct http_peer_step step;
        const char *words;
    } cases[] = {
        {{PEER_SILENT, NULL, NULL}, "/: no answer in time"},
        {{PEER_DRIP, "HTTP/1.1 200 OK\r\nX: ", NULL}, "/: no complete answer in time"},
        {{PEER_DRIP, HEAD_100, NULL}, "/: no complete answer in time"},
        {{PEER_DRIP, "", NULL}, "/: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        struct err e;
        begin(&f);
        start_peer(&f, &cases[i].step, 1);
        f.options.timeout = 300 * NS_PER_MS;
        open_sink(&f, "http://127.0.0.1:%u/");
        int64_t begin_ns = clock_mono_ns();
        assert_int_equal(send_one(&f, &e), SINK_BROKEN);
        assert_says(&e, cases[i].words);
        assert_in_range(clock_mono_ns() - begin_ns, 0, 10 * NS_PER_S);
        assert_true(f.host.waits < 1000); /* it waits rather than asking again and again */
        f.options.timeout = 10 * NS_PER_S;
        assert_done(&f);
        end(&f);
    }
}

/* A stop does not wait for anything. */
static void test_cancelled(void **state)
{
    static const struct http_peer_step step = {.act = PEER_SILENT};
    struct fixture f;
    struct err e;
    (void)state;
    begin(&f);
    start_peer(&f, &step, 1);
    open_sink(&f, "http://127.0.0.1:%u/");
    f.options.timeout = 600 * NS_PER_S;
    f.host.cancel_ns = clock_mono_ns() + 100 * NS_PER_MS;
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_in_range(clock_mono_ns() - f.host.cancel_ns, 0, 5 * NS_PER_S);
    assert_int_equal(send_one(&f, &e), SINK_BROKEN); /* also when it is to connect */
    assert_int_equal(e.code, ERR_CANCELLED);
    f.host.cancel_ns = INT64_MAX;
    assert_done(&f);
    end(&f);
}

/* ---- Places ---- */

/* A port on which nobody listens. */
static uint16_t closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void test_not_there(void **state)
{
    struct fixture f;
    struct err e;
    char to[128];
    (void)state;
    begin(&f);
    snprintf(to, sizeof(to), "http://u:" SECRET "@127.0.0.1:%u/x?token=" SECRET, closed_port());
    open_sink(&f, to);
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "/x?token=***: cannot connect: Connection refused");
    end(&f);

    static const char *const nowhere[] = {"http://u:" SECRET "@[::1]:1/",
                                          "http://u:" SECRET "@[fe80::1%25lo]:1/"};
    for (size_t i = 0; i < COUNT(nowhere); i++) {
        begin(&f);
        f.options.timeout = 500 * NS_PER_MS;
        open_sink(&f, nowhere[i]);
        assert_int_equal(send_one(&f, &e), SINK_BROKEN);
        assert_says(&e, i == 0 ? "http://u:***@[::1]:1/: " : "http://u:***@[fe80::1%25lo]:1/: ");
        if (!strstr(e.text, "cannot connect: ") && !strstr(e.text, "in time"))
            fail_msg("%s", e.text);
        end(&f);
    }

    begin(&f);
    open_sink(&f, "http://u:" SECRET "@xtcp2.invalid/");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "http://u:***@xtcp2.invalid/: ");
    end(&f);
}

/* A server that was there and has gone is looked for before anything is sent again. */
static void test_gone(void **state)
{
    struct fixture f;
    struct err e;
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://127.0.0.1:%u/");
    assert_done(&f);
    http_peer_stop(f.peer);
    f.peer = NULL;
    assert_int_equal(connect_sink(&f, &e), SINK_DONE); /* nobody knows yet */
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connect_sink(&f, &e), SINK_BROKEN);
        assert_says(&e, "/: cannot connect: Connection refused");
    }
    end(&f);
}

static void test_several_hosts(void **state)
{
    struct fixture f;
    struct err e;
    char to[128];
    (void)state;
    begin(&f);
    start_peer(&f, NULL, 0);
    snprintf(to, sizeof(to), "http://127.0.0.1:%u,localhost:%%u/x", closed_port());
    open_sink(&f, to);
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_done(&f);
    assert_done(&f);
    snprintf(to, sizeof(to), "localhost:%u", http_peer_port(f.peer));
    assert_header(last_request(&f), "Host", to);
    end(&f);
}

/* The environment has no say. */
static void test_environment(void **state)
{
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    struct fixture f;
    char proxy[64];
    (void)state;
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", closed_port());
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(setenv(names[i], proxy, 1), 0);
    begin(&f);
    start_peer(&f, NULL, 0);
    open_sink(&f, "http://localhost:%u/");
    assert_done(&f);
    end(&f);
    for (size_t i = 0; i < COUNT(names); i++)
        unsetenv(names[i]);
}

/* ---- Dead letters ---- */

static const struct http_peer_step refusals[] = {
    {.act = PEER_ANSWER, .text = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"},
    {.act = PEER_ANSWER, .text = "HTTP/1.1 422 Bad\r\nContent-Length: 0\r\n\r\n"},
};

static void test_dead_letters(void **state)
{
    struct fixture f;
    struct err e;
    struct stat st;
    char text[sizeof(DATA) * 2] = "";
    (void)state;
    begin(&f);
    start_peer(&f, refusals, COUNT(refusals));
    remove(peer_path("dead"));
    f.options.compress = OUTPUT_COMPRESS_GZIP; /* what is kept is not compressed */
    f.options.dead_letter_file = file(&f, "dead");
    open_sink(&f, "http://127.0.0.1:%u/");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_one(&f, &e), SINK_REFUSED);
        assert_says(&e, "; kept in ");
        assert_says(&e, f.options.dead_letter_file);
    }
    assert_done(&f);
    assert_int_equal(stat(f.options.dead_letter_file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    FILE *in = fopen(f.options.dead_letter_file, "re");
    assert_non_null(in);
    assert_int_equal(fread(text, 1, sizeof(text), in), 2 * (sizeof(DATA) - 1));
    fclose(in);
    assert_string_equal(text, DATA DATA);
    end(&f);
}

/* Where nothing can be kept, the message is refused all the same, and the error says so. */
static void test_dead_letters_nowhere(void **state)
{
    static const char *const words[] = {"it is a symbolic link", "", "is full: it may have 1024 MiB",
                                        "No such file"};
    (void)state;
    static const char *const names[] = {"link", "fifo", "dead", "nothing/file"};
    assert_int_equal(symlink("dead", peer_path("link")), 0);
    assert_int_equal(mkfifo(peer_path("fifo"), 0600), 0);
    int reader = open(peer_path("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int fd = open(peer_path("dead"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && reader >= 0);
    assert_int_equal(ftruncate(fd, (1LL << 30) - 5), 0);
    close(fd);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct fixture f;
        struct err e;
        begin(&f);
        start_peer(&f, refusals, 1);
        f.options.dead_letter_file = file(&f, names[i]);
        open_sink(&f, "http://127.0.0.1:%u/");
        assert_int_equal(send_one(&f, &e), SINK_REFUSED);
        assert_says(&e, "400 Bad; it could not be kept: ");
        assert_says(&e, words[i]);
        assert_done(&f);
        end(&f);
    }
    close(reader);
}

/* ---- TLS ---- */

/* Writes |id| as NAME.crt and NAME.key. */
static void write_identity(const struct identity *id, const char *name, const char *passphrase)
{
    char file_name[32];
    snprintf(file_name, sizeof(file_name), "%s.crt", name);
    free(certificate_write(id, file_name));
    snprintf(file_name, sizeof(file_name), "%s.key", name);
    free(certificate_write_key(id, file_name, passphrase));
}

struct tls_case {
    const char *to;
    const char *ca, *cert, *key, *server_name; /* of the client; files of the folder */
    const char *host;                          /* a header of the configuration; NULL: none */
    bool client_ca;                            /* the server wants a certificate */
    const char *words;                         /* of the error; NULL: it is delivered */
};

static void run_tls_case(const struct tls_case *c)
{
    struct fixture f;
    struct err e;
    struct http_peer_tls tls = {.cert = peer_path("server.crt"),
                                .key = peer_path("server.key"),
                                .client_ca = c->client_ca ? peer_path("ca.crt") : NULL};
    begin(&f);
    f.peer = http_peer_start(&tls, NULL, 0);
    if (c->ca)
        f.options.tls.ca_file = file(&f, c->ca);
    if (c->cert)
        f.options.tls.cert_file = file(&f, c->cert);
    if (c->key)
        f.options.tls.key_file = file(&f, c->key);
    if (c->server_name)
        f.options.tls.server_name = (char *)c->server_name;
    if (c->host)
        f.options.headers = (char *)c->host;
    open_sink(&f, c->to);
    enum sink_result result = send_one(&f, &e);
    if (!c->words && result != SINK_DONE)
        fail_msg("%s %s: %s", c->to, c->server_name ? c->server_name : "", e.text);
    if (c->words) {
        assert_int_equal(result, SINK_BROKEN);
        assert_says(&e, c->words);
        assert_int_equal(http_peer_count(f.peer), 0);
    } else if (c->host) {
        assert_header(last_request(&f), "Host", "own.test");
    } else if (c->server_name) {
        char host[64];
        const char *name = strstr(c->to, "localhost") ? "localhost" : "127.0.0.1";
        snprintf(host, sizeof(host), "%s:%u", name, http_peer_port(f.peer));
        assert_header(last_request(&f), "Host", host);
    }
    end(&f);
}

static void test_tls(void **state)
{
#define IP   "https://u:" SECRET "@127.0.0.1:%u/?token=" SECRET
#define NAME "https://localhost:%u/"
    static const struct tls_case cases[] = {
        {.to = IP, .ca = "ca.crt"},
        {.to = IP,
         .words = "/?token=***: TLS: SSL certificate problem: unable to get local issuer certificate"},
        {.to = IP, .ca = "other.crt", .words = "TLS: SSL certificate problem"},
        {.to = NAME,
         .ca = "ca.crt",
         .words = "TLS: SSL: no alternative certificate subject name matches target host name"},
        {.to = NAME, .ca = "ca.crt", .server_name = "collector.test"},
        {.to = IP, .ca = "ca.crt", .server_name = "collector.test"},
        {.to = IP, .ca = "ca.crt", .server_name = "collector.test", .host = "host: own.test"},
        {.to = IP,
         .ca = "ca.crt",
         .server_name = "another.test",
         .words = "TLS: SSL: no alternative certificate"},
        {.to = IP, .ca = "ca.crt", .cert = "client.crt", .key = "client.key", .client_ca = true},
        {.to = IP,
         .ca = "ca.crt",
         .cert = "client.crt",
         .key = "other.key",
         .words = "TLS: unable to set private key file"},
        {.to = IP,
         .ca = "ca.crt",
         .cert = "client.crt",
         .key = "locked.key",
         .words = "TLS: unable to set private key file"},
        {.to = IP, .ca = "nothing", .words = "/nothing: cannot open: No such file"},
        {.to = IP, .ca = "pipe", .words = "/pipe: is a FIFO"},
        {.to = IP, .ca = "server.key", .words = "TLS: "},
    };
    (void)state;
    struct identity ca = certificate_issue(NULL, "ca", NULL, false);
    struct identity server = certificate_issue(&ca, "server", "IP:127.0.0.1,DNS:collector.test", false);
    struct identity client = certificate_issue(&ca, "client", "DNS:client.test", false);
    struct identity other = certificate_issue(NULL, "other", NULL, false);
    assert_int_equal(mkfifo(peer_path("pipe"), 0600), 0);
    write_identity(&ca, "ca", NULL);
    write_identity(&server, "server", NULL);
    write_identity(&client, "client", NULL);
    write_identity(&client, "locked", "passphrase");
    write_identity(&other, "other", NULL);
    for (size_t i = 0; i < COUNT(cases); i++)
        run_tls_case(&cases[i]);
    certificate_free(&ca);
    certificate_free(&server);
    certificate_free(&client);
    certificate_free(&other);
}

/* A server with TLS that does not want us says so after we think that we are connected. */
static void test_tls_without_certificate(void **state)
{
    struct fixture f;
    struct err e;
    struct http_peer_tls tls = {
        .cert = peer_path("server.crt"), .key = peer_path("server.key"), .client_ca = peer_path("ca.crt")};
    (void)state;
    begin(&f);
    f.peer = http_peer_start(&tls, NULL, 0);
    f.options.tls.ca_file = file(&f, "ca.crt");
    open_sink(&f, "https://127.0.0.1:%u/");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    assert_says(&e, "certificate required");
    end(&f);

    begin(&f); /* neither does TLS to a server without it hang */
    start_peer(&f, NULL, 0);
    f.options.timeout = 500 * NS_PER_MS;
    open_sink(&f, "https://127.0.0.1:%u/");
    assert_int_equal(send_one(&f, &e), SINK_BROKEN);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_empty_body),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refuses_options),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_token_that_expires),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_long_reasons),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_closed_connections),
        cmocka_unit_test(test_endless_bodies),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_dead_letters_nowhere),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_without_certificate),
    };
    return cmocka_run_group_tests(tests, setup, peer_clean);
}
