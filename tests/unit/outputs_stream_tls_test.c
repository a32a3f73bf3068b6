/* The sink tcp with TLS: who is accepted, what is said of those that are not, and that all bytes arrive. */
#include "net_certificate.h"
#include "net_peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct sink_ops xtcp_sink_tcp;

#define MIB (1024 * 1024)

static struct identity authority, other_authority;

/* ---- The peer ---- */

enum behaviour {
    READS_ALL,
    READS_SLOWLY,
    READS_NOTHING,
    READS_A_MESSAGE,
    ENDS_WITHOUT_A_WORD,
    IS_SILENT,
    IS_NO_TLS
};

struct server {
    struct identity id;
    const struct identity *clients; /* the authority of their certificates, which they must have; NULL: not */
    enum behaviour behaviour;
    int newest;    /* version of TLS; 0: any */
    char name[64]; /* that was asked for; "": none */
};

static SSL_CTX *server_context(const struct server *s)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_cipher_list(context, "DEFAULT@SECLEVEL=0"); /* what is too old is for the client to refuse */
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, s->newest);
    SSL_CTX_use_certificate(context, s->id.certificate);
    SSL_CTX_use_PrivateKey(context, s->id.key);
    if (s->clients) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), s->clients->certificate);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}

/* Reads up to |most| bytes. Returns how it ended: 0 at the end of the stream or of |most|. */
static int read_tls(struct peer_thread *t, SSL *ssl, size_t most, bool slowly)
{
    enum { PIECE = 65536 };
    while (t->got.len < most) {
        size_t n, room = most - t->got.len < PIECE ? most - t->got.len : PIECE;
        char *to = buf_reserve(&t->got, room);
        if (!to || SSL_read_ex(ssl, to, room, &n) != 1)
            return SSL_get_error(ssl, 0) == SSL_ERROR_ZERO_RETURN ? 0 : -EIO;
        t->got.len += n;
        if (slowly && t->got.len < MIB)
            usleep(10 * 1000);
    }
    return 0;
}

static int serve_tls(struct peer_thread *t, struct server *s, SSL *ssl)
{
    if (SSL_accept(ssl) != 1)
        return -EPROTO;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(s->name, sizeof(s->name), "%s", name ? name : "");
    if (s->behaviour == READS_NOTHING)
        return peer_read(SSL_get_fd(ssl), s->name, 1) == 1
                   ? 0
                   : -EIO; /* and leaves the rest of a record unread */
    bool ends = s->behaviour == READS_A_MESSAGE || s->behaviour == ENDS_WITHOUT_A_WORD;
    int rc = read_tls(t, ssl, ends ? 7 : SIZE_MAX, s->behaviour == READS_SLOWLY);
    if (s->behaviour != ENDS_WITHOUT_A_WORD)
        SSL_shutdown(ssl);
    return rc;
}

static int serve(struct peer_thread *t, int fd)
{
    struct server *s = t->arg;
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL); /* of this thread alone */
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (s->behaviour == IS_NO_TLS)
        return send(fd, "220 mail.test ready\r\n", 21, MSG_NOSIGNAL) == 21 ? peer_read_all(fd, &t->got)
                                                                           : -EIO;
    if (s->behaviour == IS_SILENT)
        return peer_read_all(fd, &t->got);
    SSL_CTX *context = server_context(s);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    int rc = serve_tls(t, s, ssl);
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(context);
    return rc;
}

/* ---- A sink and its peer ---- */

static char *authority_path, *other_path;

struct pair {
    struct output_stream_options options;
    struct server server;
    struct peer_thread thread;
    struct sink_case c;
    int listener;
    uint16_t port;
};

/* What differs from a client and a server that fit together is set between begin and start. */
static void begin(struct pair *p, const char *sans)
{
    memset(p, 0, sizeof(*p));
    p->options.timeout = 20 * NS_PER_S;
    p->options.resend = 4 * MIB;
    p->options.tls = true;
    p->options.files = (struct output_tls){.ca_file = authority_path,
                                           .cert_file = (char *)(uintptr_t) "",
                                           .key_file = (char *)(uintptr_t) "",
                                           .server_name = (char *)(uintptr_t) ""};
    p->server.id = certificate_issue(&authority, "server", sans, false);
    p->listener = peer_listen(AF_INET, 5, &p->port);
}

static enum sink_result start(struct pair *p)
{
    peer_start(&p->thread, p->listener, serve, &p->server);
    assert_int_equal(sink_case_open(&p->c, &xtcp_sink_tcp, &p->options, "tcp:127.0.0.1:%u", p->port), 0);
    return sink_case_connect(&p->c, NULL);
}

/* Returns the result of the peer. */
static int end(struct pair *p)
{
    sink_case_close(&p->c);
    int rc = peer_join(&p->thread);
    buf_free(&p->thread.got);
    certificate_free(&p->server.id);
    close(p->listener);
    return rc;
}

/* The connection of |p| fails, and the error ends with |words|. */
static void assert_fails(struct pair *p, int code, const char *words)
{
    char text[ERR_TEXT_MAX];
    assert_int_equal(start(p), SINK_BROKEN);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%u: %s", p->port, words);
    assert_string_equal(p->c.e.text, text);
    assert_int_equal(p->c.e.code, code);
    end(p);
}

/* ---- Who is accepted ---- */

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *sans, *name;
    } cases[] = {{"IP:127.0.0.1", ""},
                 {"DNS:collector.test", "collector.test"},
                 {"DNS:*.west.test,IP:10.0.0.1", "collector.west.test"},
                 {"IP:10.0.0.1", "10.0.0.1"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pair p;
        begin(&p, cases[i].sans);
        p.options.files.server_name = (char *)(uintptr_t)cases[i].name;
        if (start(&p) != SINK_DONE)
            fail_msg("%s: %s", cases[i].sans, p.c.e.text);
        assert_int_equal(sink_case_send(&p.c, "message", 7), SINK_DONE);
        assert_int_equal(sink_case_connect(&p.c, NULL), SINK_DONE);
        p.c.ops->close(p.c.sink);
        assert_int_equal(peer_join(&p.thread), 0); /* the end was told, too */
        assert_int_equal(p.thread.got.len, 7);
        assert_memory_equal(p.thread.got.data, "message", 7);
        bool address = cases[i].sans[0] == 'I';
        assert_string_equal(p.server.name,
                            address ? "" : cases[i].name); /* RFC 6066: no address is asked for */
        buf_free(&p.thread.got);
        certificate_free(&p.server.id);
        url_free(&p.c.url);
        close(p.listener);
    }
}

static void test_not_accepted(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, "IP:10.0.0.1,DNS:other.test");
    assert_fails(&p, ERR_UNAUTHENTICATED, "TLS: the certificate of the peer is not for 127.0.0.1");
    begin(&p, "IP:127.0.0.1,DNS:other.test,DNS:*.collector.test");
    p.options.files.server_name = (char *)(uintptr_t) "collector.test";
    assert_fails(&p, ERR_UNAUTHENTICATED, "TLS: the certificate of the peer is not for collector.test");
    begin(&p, "IP:127.0.0.1");
    p.options.files.ca_file = other_path;
    assert_fails(&p, ERR_UNAUTHENTICATED,
                 "TLS: the certificate of the peer is not accepted: unable to get local issuer certificate");
    begin(&p, "IP:127.0.0.1");
    p.options.files.ca_file = (char *)(uintptr_t) ""; /* the system does not know it either */
    assert_fails(&p, ERR_UNAUTHENTICATED,
                 "TLS: the certificate of the peer is not accepted: unable to get local issuer certificate");
    begin(&p, "IP:127.0.0.1");
    certificate_free(&p.server.id);
    p.server.id = certificate_issue(&authority, "server", "IP:127.0.0.1", true);
    assert_fails(&p, ERR_UNAUTHENTICATED,
                 "TLS: the certificate of the peer is not accepted: certificate has expired");
}

/* An authority that another one has signed is enough. */
static void test_a_partial_chain(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    char *path = certificate_write(&p.server.id, "itself.pem");
    p.options.files.ca_file = path;
    assert_int_equal(start(&p), SINK_DONE);
    assert_int_equal(end(&p), 0);
    free(path);
}

static void test_old_versions(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    p.server.newest = TLS1_2_VERSION;
    assert_int_equal(start(&p), SINK_DONE);
    assert_int_equal(end(&p), 0);
    begin(&p, "IP:127.0.0.1");
    p.server.newest = TLS1_1_VERSION;
    assert_int_equal(start(&p), SINK_BROKEN);
    assert_non_null(strstr(p.c.e.text, ": TLS: "));
    assert_non_null(strstr(p.c.e.text, "protocol"));
    assert_int_equal(p.c.e.code, ERR_UNAVAILABLE);
    end(&p);
}

static void test_no_tls(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    p.server.behaviour = IS_NO_TLS;
    assert_fails(&p, ERR_UNAVAILABLE, "TLS: wrong version number");
    begin(&p, "IP:127.0.0.1");
    p.server.behaviour = IS_SILENT;
    p.options.timeout = 200 * NS_PER_MS;
    assert_fails(&p, ERR_TIMEOUT, "TLS: no handshake within 200ms");
    begin(&p, "IP:127.0.0.1");
    p.server.behaviour = IS_SILENT;
    p.options.timeout = 600 * NS_PER_S;
    peer_start(&p.thread, p.listener, serve, &p.server);
    assert_int_equal(sink_case_open(&p.c, &xtcp_sink_tcp, &p.options, "tcp:127.0.0.1:%u", p.port), 0);
    p.c.host.cancel_ns = clock_mono_ns() + 50 * NS_PER_MS;
    assert_int_equal(sink_case_connect(&p.c, NULL), SINK_AGAIN);
    assert_error(&p.c, "tcp:127.0.0.1:%u: cancelled", p.port);
    end(&p);
}

/* ---- Certificates of the client ---- */

static void test_client_certificate(void **state)
{
    (void)state;
    struct pair p;
    struct identity client = certificate_issue(&authority, "client", "DNS:client.test", false);
    begin(&p, "IP:127.0.0.1");
    p.server.clients = &authority;
    p.options.files.cert_file = certificate_write(&client, "client.pem");
    p.options.files.key_file = certificate_write_key(&client, "client.key", NULL);
    assert_int_equal(start(&p), SINK_DONE);
    assert_int_equal(sink_case_send(&p.c, "message", 7), SINK_DONE);
    free(p.options.files.cert_file);
    free(p.options.files.key_file);
    assert_int_equal(end(&p), 0);
    certificate_free(&client);
}

/* With TLS 1.3 the server looks at it only after the client takes the handshake for finished. */
static void test_no_client_certificate(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    p.server.clients = &authority;
    assert_int_equal(start(&p), SINK_DONE);
    sink_case_await_end(&p.c);
    assert_error(&p.c, "tcp:127.0.0.1:%u: TLS: tlsv13 alert certificate required", p.port);
    end(&p);
    begin(&p, "IP:127.0.0.1");
    p.server.clients = &authority;
    p.server.newest = TLS1_2_VERSION;
    assert_int_equal(start(&p), SINK_BROKEN);
    assert_error(&p.c, "tcp:127.0.0.1:%u: TLS: sslv3 alert handshake failure", p.port);
    end(&p);
}

/* ---- Files ---- */

/* Each of these files stops the connection, and the error names the file and nothing of its contents. */
static void test_files(void **state)
{
    (void)state;
    struct identity client = certificate_issue(&authority, "client", "DNS:client.test", false);
    struct identity other = certificate_issue(&authority, "other", "DNS:client.test", false);
    char *cert = certificate_write(&client, "client.pem"),
         *key = certificate_write_key(&client, "client.key", NULL);
    char *other_key = certificate_write_key(&other, "other.key", NULL),
         *locked = certificate_write_key(&client, "locked.key", "secret");
    char *empty = peer_write_file("", "empty"), *none = strdup(peer_path("none"));
    char *damaged =
        peer_write_file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged.pem");
    char *nothing = (char *)(uintptr_t) "";
    const struct {
        const char *ca, *cert, *key, *blamed, *words;
    } cases[] = {
        {none, nothing, nothing, none, "cannot open: No such file or directory"},
        {empty, nothing, nothing, empty, "holds no certificate"},
        {key, nothing, nothing, key, "holds no certificate"},
        {damaged, nothing, nothing, damaged, "has a damaged certificate"},
        {authority_path, none, key, none, "cannot open: No such file or directory"},
        {authority_path, empty, key, empty, "holds no certificate"},
        {authority_path, cert, none, none, "cannot open: No such file or directory"},
        {authority_path, cert, cert, cert, "holds no private key without a passphrase"},
        {authority_path, cert, locked, locked, "holds no private key without a passphrase"},
        {authority_path, cert, other_key, other_key, "is not the key of the certificate"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pair p;
        char text[ERR_TEXT_MAX];
        begin(&p, "IP:127.0.0.1");
        p.options.files.ca_file = (char *)(uintptr_t)cases[i].ca;
        p.options.files.cert_file = (char *)(uintptr_t)cases[i].cert;
        p.options.files.key_file = (char *)(uintptr_t)cases[i].key;
        assert_int_equal(start(&p), SINK_BROKEN);
        snprintf(text, sizeof(text), "tcp:127.0.0.1:%u: %s: %s", p.port, cases[i].blamed, cases[i].words);
        if (strncmp(p.c.e.text, text, strlen(text)) != 0)
            fail_msg("\"%s\", and not \"%s\"", p.c.e.text, text);
        end(&p);
    }
    char *const paths[] = {cert, key, other_key, locked, empty, none, damaged};
    for (size_t i = 0; i < COUNT(paths); i++)
        free(paths[i]);
    certificate_free(&client);
    certificate_free(&other);
}

/* ---- Bytes ---- */

static void test_many_bytes(void **state)
{
    (void)state;
    enum { LENGTH = 24 * MIB };
    uint8_t *data = peer_pattern(LENGTH, 1);
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    p.server.behaviour = READS_SLOWLY;
    p.options.framing = OUTPUT_FRAMING_VARINT;
    assert_int_equal(start(&p), SINK_DONE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sink_case_send(&p.c, data, LENGTH), SINK_DONE);
    p.c.ops->close(p.c.sink);
    assert_int_equal(peer_join(&p.thread), 0);
    const struct buf *got = &p.thread.got;
    assert_int_equal(got->len, 2 * (LENGTH + 4));
    for (int i = 0; i < 2; i++) {
        const char *frame = got->data + i * (LENGTH + 4);
        assert_memory_equal(frame, "\x80\x80\x80\x0c", 4); /* 24 MiB */
        assert_memory_equal(frame + 4, data, LENGTH);
    }
    free(data);
    buf_free(&p.thread.got);
    certificate_free(&p.server.id);
    url_free(&p.c.url);
    close(p.listener);
}

static void test_cancel_within_a_message(void **state)
{
    (void)state;
    enum { LENGTH = 24 * MIB };
    uint8_t *data = peer_pattern(LENGTH, 2);
    struct pair p;
    begin(&p, "IP:127.0.0.1");
    p.server.behaviour = READS_SLOWLY;
    assert_int_equal(start(&p), SINK_DONE);
    p.c.host.cancel_ns = 0;
    assert_int_equal(sink_case_send(&p.c, data, LENGTH), SINK_BROKEN);
    assert_error(&p.c, "tcp:127.0.0.1:%u: cancelled", p.port);
    assert_int_equal(end(&p), -EIO); /* it ends in the middle of a record */
    free(data);
}

static void test_ends(void **state)
{
    (void)state;
    static const enum behaviour behaviours[] = {READS_A_MESSAGE, ENDS_WITHOUT_A_WORD};
    struct pair p;
    for (size_t i = 0; i < COUNT(behaviours); i++) { /* it has read all */
        begin(&p, "IP:127.0.0.1");
        p.server.behaviour = behaviours[i];
        assert_int_equal(start(&p), SINK_DONE);
        assert_int_equal(sink_case_send(&p.c, "message", 7), SINK_DONE);
        assert_int_equal(peer_join(&p.thread), 0);
        sink_case_await_end(&p.c);
        assert_error(&p.c, "tcp:127.0.0.1:%u: closed by the peer", p.port);
        assert_int_equal(p.c.ops->unsure(p.c.sink), 0);
        buf_free(&p.thread.got);
        peer_start(&p.thread, p.listener, serve, &p.server);
        assert_int_equal(sink_case_connect(&p.c, NULL), SINK_DONE);
        assert_int_equal(sink_case_send(&p.c, "again!!", 7), SINK_DONE);
        assert_int_equal(end(&p), 0);
    }
    begin(&p, "IP:127.0.0.1"); /* it leaves something unread */
    p.server.behaviour = READS_NOTHING;
    assert_int_equal(start(&p), SINK_DONE);
    assert_int_equal(sink_case_send(&p.c, "message", 7), SINK_DONE);
    sink_case_await_end(&p.c);
    assert_error(&p.c, "tcp:127.0.0.1:%u: Connection reset by peer", p.port);
    assert_int_equal(p.c.ops->unsure(p.c.sink), 7);
    end(&p);
}

static int setup(void **state)
{
    (void)state;
    authority = certificate_issue(NULL, "authority", NULL, false);
    other_authority = certificate_issue(NULL, "other authority", NULL, false);
    authority_path = certificate_write(&authority, "authority.pem");
    other_path = certificate_write(&other_authority, "other.pem");
    return 0;
}

static int teardown(void **state)
{
    certificate_free(&authority);
    certificate_free(&other_authority);
    free(authority_path);
    free(other_path);
    return peer_clean(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_not_accepted),
        cmocka_unit_test(test_a_partial_chain),
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_no_client_certificate),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_many_bytes),
        cmocka_unit_test(test_cancel_within_a_message),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
