#include "http_peer.h"

#include "lib_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "lib/ascii.h"
#include "lib/thread.h"

#define REQUESTS_MAX 256
#define HEAD_MAX     32768
#define DRIP_MS      10
#define PATIENCE_MS  20000 /* a client that says nothing for longer is gone */

struct http_peer {
    struct thread thread;
    int listener, stop;
    uint16_t port;
    SSL_CTX *tls;
    const struct http_peer_step *steps;
    size_t n_steps;
    pthread_mutex_t lock; /* guards all below */
    unsigned connections;
    struct http_peer_request requests[REQUESTS_MAX];
    size_t n;
};

struct connection {
    struct http_peer *peer;
    int fd;
    SSL *tls;
};

/* ---- Bytes ---- */

/* Waits for |events| on the connection. Returns false when the test ends, or for too long. */
static bool wait_for(struct connection *c, short events)
{
    struct pollfd fds[] = {{.fd = c->peer->stop, .events = POLLIN}, {.fd = c->fd, .events = events}};
    return poll(fds, 2, PATIENCE_MS) > 0 && !fds[0].revents;
}

/* What TLS wants to wait for after |n|, or 0 when it has failed. */
static short tls_wants(const struct connection *c, int n)
{
    int why = SSL_get_error(c->tls, n);
    return why == SSL_ERROR_WANT_READ ? POLLIN : why == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

static ssize_t read_some(struct connection *c, void *out, size_t size)
{
    for (;;) {
        short wants = POLLIN;
        ssize_t n = c->tls ? SSL_read(c->tls, out, (int)size) : recv(c->fd, out, size, MSG_DONTWAIT);
        if (n > 0 || (n == 0 && !c->tls))
            return n;
        if (c->tls)
            wants = tls_wants(c, (int)n);
        else if (errno != EAGAIN)
            return -1;
        if (!wants || !wait_for(c, wants))
            return -1;
    }
}

static bool write_all(struct connection *c, const char *text, size_t len)
{
    while (len > 0) {
        short wants = POLLOUT;
        ssize_t n =
            c->tls ? SSL_write(c->tls, text, (int)len) : send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
            continue;
        }
        if (c->tls)
            wants = tls_wants(c, (int)n);
        else if (errno != EAGAIN)
            return false;
        if (!wants || !wait_for(c, wants))
            return false;
    }
    return true;
}

/* ---- A request ---- */

static bool read_head(struct connection *c, char *head)
{
    size_t n = 0;
    do {
        if (n == HEAD_MAX - 1 || read_some(c, head + n, 1) != 1)
            return false;
        head[++n] = '\0';
    } while (n < 4 || strcmp(head + n - 4, "\r\n\r\n") != 0);
    return true;
}

static void record(struct http_peer *p, const char *head, uint8_t *body, size_t len)
{
    pthread_mutex_lock(&p->lock);
    assert_true(p->n < REQUESTS_MAX);
    p->requests[p->n++] = (struct http_peer_request){
        .head = strdup(head), .body = body, .body_len = len, .connection = p->connections};
    pthread_mutex_unlock(&p->lock);
}

static const struct http_peer_step *next_step(struct http_peer *p, size_t *used)
{
    static const struct http_peer_step ok = {.act = PEER_ANSWER};
    return *used < p->n_steps ? &p->steps[(*used)++] : &ok;
}

/* Reads the body of the request with |head|. Returns false when the client has gone. */
static bool read_body(struct connection *c, const char *head)
{
    char text[32];
    size_t done = 0, len = 0;
    if (http_peer_header(&(struct http_peer_request){.head = (char *)head}, "content-length", text,
                         sizeof(text)))
        len = strtoul(text, NULL, 10);
    uint8_t *body = malloc(len + 1);
    assert_non_null(body);
    while (done < len) {
        ssize_t n = read_some(c, body + done, len - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    body[done] = '\0';
    record(c->peer, head, body, done);
    return done == len;
}

/* Until the client goes. */
static void stay(struct connection *c, const char *text, int pause_ms)
{
    size_t len = strlen(text);
    while (len ? write_all(c, text, len) : read_some(c, (char[1]){0}, 1) > 0)
        if (pause_ms && poll(&(struct pollfd){.fd = c->peer->stop, .events = POLLIN}, 1, pause_ms) != 0)
            return;
}

static void reset(struct connection *c)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Does what |step| says. Returns whether the connection stays. */
static bool act(struct connection *c, const struct http_peer_step *step)
{
    const char *text = step->text ? step->text : PEER_OK;
    switch (step->act) {
    case PEER_SILENT:
        stay(c, "", 0);
        return false;
    case PEER_ENDLESS:
        if (write_all(c, text, strlen(text)))
            stay(c, step->again, 0);
        return false;
    case PEER_DRIP:
        if (write_all(c, text, strlen(text)))
            stay(c, "x", DRIP_MS);
        return false;
    case PEER_RESET:
        write_all(c, text, strlen(text));
        reset(c);
        return false;
    case PEER_ANSWER:
        return write_all(c, text, strlen(text));
    default:
        write_all(c, text, strlen(text));
        return false;
    }
}

static bool serve_one(struct connection *c, size_t *used)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char head[HEAD_MAX], text[32];
    if (!read_head(c, head))
        return false;
    const struct http_peer_step *step = next_step(c->peer, used);
    bool asks = http_peer_header(&(struct http_peer_request){.head = head}, "expect", text, sizeof(text));
    if (step->act == PEER_EARLY) {
        record(c->peer, head, calloc(1, 1), 0);
        return act(c, step);
    }
    if (asks && !write_all(c, go_on, sizeof(go_on) - 1))
        return false;
    return read_body(c, head) && act(c, step);
}

/* ---- Connections ---- */

static bool handshake(struct connection *c)
{
    c->tls = SSL_new(c->peer->tls);
    assert_non_null(c->tls);
    SSL_set_fd(c->tls, c->fd);
    for (;;) {
        int n = SSL_accept(c->tls);
        short wants = n == 1 ? 0 : tls_wants(c, n);
        if (!wants || !wait_for(c, wants))
            return n == 1;
    }
}

/* Reads on until the client goes, so that it sees what TLS has told it, and no reset. */
static void drain(struct connection *c)
{
    char data[256];
    shutdown(c->fd, SHUT_WR);
    do {
        if (!wait_for(c, POLLIN))
            return;
    } while (recv(c->fd, data, sizeof(data), MSG_DONTWAIT) > 0);
}

static void serve(struct http_peer *p, int fd, size_t *used)
{
    struct connection c = {.peer = p, .fd = fd};
    pthread_mutex_lock(&p->lock);
    p->connections++;
    pthread_mutex_unlock(&p->lock);
    bool at_once = *used < p->n_steps && p->steps[*used].act == PEER_CLOSE_AT_ONCE;
    *used += at_once;
    if (!at_once && (!p->tls || handshake(&c)))
        while (serve_one(&c, used))
            continue;
    if (c.tls)
        drain(&c);
    SSL_free(c.tls);
    close(fd);
}

static void *run(void *arg)
{
    struct http_peer *p = arg;
    size_t used = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = p->stop, .events = POLLIN}, {.fd = p->listener, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[0].revents)
            return NULL;
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            serve(p, fd, &used);
    }
}

/* ---- Life ---- */

static SSL_CTX *tls_of(const struct http_peer_tls *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, t->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM), 1);
    if (t->client_ca) {
        assert_int_equal(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"peer", 4), 1);
        assert_int_equal(SSL_CTX_load_verify_file(ctx, t->client_ca), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return ctx;
}

struct http_peer *http_peer_start(const struct http_peer_tls *tls, const struct http_peer_step *steps,
                                  size_t n)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct http_peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->steps = steps;
    p->n_steps = n;
    p->tls = tls ? tls_of(tls) : NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->stop = eventfd(0, EFD_CLOEXEC);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(p->stop >= 0 && p->listener >= 0);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &len), 0);
    p->port = ntohs(address.sin_port);
    assert_int_equal(thread_start(&p->thread, "peer", 0, run, p), 0);
    return p;
}

void http_peer_stop(struct http_peer *p)
{
    if (!p)
        return;
    assert_int_equal(eventfd_write(p->stop, 1), 0);
    thread_join(&p->thread);
    close(p->listener);
    close(p->stop);
    for (size_t i = 0; i < p->n; i++) {
        free(p->requests[i].head);
        free(p->requests[i].body);
    }
    SSL_CTX_free(p->tls);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

uint16_t http_peer_port(const struct http_peer *p)
{
    return p->port;
}

unsigned http_peer_connections(struct http_peer *p)
{
    pthread_mutex_lock(&p->lock);
    unsigned n = p->connections;
    pthread_mutex_unlock(&p->lock);
    return n;
}

size_t http_peer_count(struct http_peer *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->n;
    pthread_mutex_unlock(&p->lock);
    return n;
}

const struct http_peer_request *http_peer_request(struct http_peer *p, size_t i)
{
    assert_true(i < http_peer_count(p));
    return &p->requests[i];
}

bool http_peer_header(const struct http_peer_request *r, const char *name, char *out, size_t size)
{
    for (const char *line = strstr(r->head, "\r\n"); line && line[2] != '\r';
         line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        const char *text = line + 2;
        if (!ascii_begins(text, strlen(text), name) || text[n] != ':')
            continue;
        text += n + 1;
        text += *text == ' ';
        snprintf(out, size, "%.*s", (int)strcspn(text, "\r"), text);
        return true;
    }
    return false;
}
