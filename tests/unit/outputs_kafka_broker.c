/* Kafka's protocol, as far as a client needs it to log in and to learn what cluster it speaks to
 * (https://kafka.apache.org/protocol). Integers are big-endian. */
#include "outputs_kafka_broker.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"

enum { METADATA = 3, HANDSHAKE = 17, VERSIONS = 18, AUTHENTICATE = 36 };

#define REQUEST_MAX  4096
#define WRONG_SECRET 58 /* SASL_AUTHENTICATION_FAILED */
#define FORBIDDEN    29 /* TOPIC_AUTHORIZATION_FAILED */

/* The requests that it knows, or a client wants it to, up to their version. */
static const struct {
    int key, version;
} known[] = {{0, 7}, {METADATA, 2}, {HANDSHAKE, 1}, {VERSIONS, 3}, {22, 1}, {AUTHENTICATE, 0}};

struct request {
    int16_t key;
    int16_t version;
    uint32_t id;
    const uint8_t *body;
    size_t len;
};

/* ---- Bytes ---- */

static void put16(struct buf *b, int v)
{
    uint16_t be = htobe16((uint16_t)v);
    buf_bytes(b, &be, sizeof(be));
}

static void put32(struct buf *b, uint32_t v)
{
    uint32_t be = htobe32(v);
    buf_bytes(b, &be, sizeof(be));
}

static void put_text(struct buf *b, const char *text)
{
    put16(b, (int)strlen(text));
    buf_str(b, text);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t be;
    memcpy(&be, p, sizeof(be));
    return be32toh(be);
}

static int16_t get16(const uint8_t *p)
{
    return (int16_t)(p[0] << 8 | p[1]);
}

static bool read_all(int fd, void *to, size_t n)
{
    return recv(fd, to, n, MSG_WAITALL) == (ssize_t)n;
}

/* ---- Answers ---- */

static void answer_versions(struct buf *out, const struct request *r)
{
    bool compact = r->version >= 3;
    size_t n = sizeof(known) / sizeof(known[0]);
    put16(out, 0);
    if (compact)
        buf_char(out, (char)(n + 1));
    else
        put32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        put16(out, known[i].key);
        put16(out, 0);
        put16(out, known[i].version);
        if (compact)
            buf_char(out, 0); /* no tags */
    }
    if (r->version >= 1)
        put32(out, 0); /* nobody has to wait */
    if (compact)
        buf_char(out, 0);
}

static void answer_handshake(struct buf *out)
{
    put16(out, 0);
    put32(out, 1);
    put_text(out, "PLAIN");
}

/* The body has a length, and in these bytes NUL, user, NUL, password. */
static bool is_right(const struct kafka_broker *b, const struct request *r)
{
    struct buf right;
    buf_init(&right);
    buf_char(&right, 0);
    buf_str(&right, b->user);
    buf_char(&right, 0);
    buf_str(&right, b->password);
    bool same = r->len == 4 + right.len && memcmp(r->body + 4, right.data, right.len) == 0;
    buf_free(&right);
    return same;
}

static void answer_authenticate(const struct kafka_broker *b, struct buf *out, const struct request *r)
{
    bool right = is_right(b, r);
    put16(out, right ? 0 : WRONG_SECRET);
    if (right)
        put16(out, -1);
    else
        put_text(out, b->refusal);
    put32(out, 0);
}

/* Version 2 has a name of the cluster. None of the topics that are asked for may be used. */
static void answer_metadata(const struct kafka_broker *b, struct buf *out, const struct request *r)
{
    put32(out, 1);
    put32(out, 1); /* this broker */
    put_text(out, "127.0.0.1");
    put32(out, b->port);
    put16(out, -1);
    put_text(out, "test");
    put32(out, 1);
    bool one = r->len > 6 && get32(r->body) == 1;
    put32(out, one ? 1 : 0);
    if (!one)
        return;
    put16(out, FORBIDDEN);
    buf_bytes(out, r->body + 4, r->len - 4); /* its name */
    buf_char(out, 0);                        /* it is not internal */
    put32(out, 0);                           /* partitions */
}

/* Returns whether there is an answer to |r|. */
static bool answer(const struct kafka_broker *b, struct buf *out, const struct request *r)
{
    if (r->key == VERSIONS)
        answer_versions(out, r);
    else if (r->key == HANDSHAKE)
        answer_handshake(out);
    else if (r->key == AUTHENTICATE)
        answer_authenticate(b, out, r);
    else if (r->key == METADATA)
        answer_metadata(b, out, r);
    else
        return false;
    return true;
}

/* ---- Connections ---- */

/* Reads a request into |bytes|. */
static bool next_request(int fd, uint8_t bytes[REQUEST_MAX], struct request *r)
{
    uint8_t head[4];
    if (!read_all(fd, head, sizeof(head)))
        return false;
    uint32_t n = get32(head);
    if (n < 10 || n > REQUEST_MAX || !read_all(fd, bytes, n))
        return false;
    size_t name = get16(bytes + 8) > 0 ? (size_t)get16(bytes + 8) : 0;
    if (10 + name > n)
        return false;
    *r = (struct request){.key = get16(bytes),
                          .version = get16(bytes + 2),
                          .id = get32(bytes + 4),
                          .body = bytes + 10 + name,
                          .len = n - 10 - name};
    return true;
}

static bool serve_request(const struct kafka_broker *b, int fd)
{
    uint8_t bytes[REQUEST_MAX];
    struct request r;
    struct buf body, out;
    if (!next_request(fd, bytes, &r))
        return false;
    buf_init(&body);
    buf_init(&out);
    if (answer(b, &body, &r)) {
        put32(&out, (uint32_t)(4 + body.len));
        put32(&out, r.id);
        buf_bytes(&out, body.data, body.len);
    }
    bool sent = out.len == 0 || send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
    buf_free(&body);
    buf_free(&out);
    return sent;
}

static void *run(void *arg)
{
    struct kafka_broker *b = arg;
    for (int fd; (fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        atomic_store(&b->connection, fd);
        while (serve_request(b, fd))
            continue;
        atomic_store(&b->connection, -1);
        close(fd);
    }
    return NULL;
}

int kafka_broker_start(struct kafka_broker *b, const char *user, const char *password, const char *refusal)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    *b = (struct kafka_broker){.user = user, .password = password, .refusal = refusal, .connection = -1};
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&where, len) || listen(b->listener, 16) ||
        getsockname(b->listener, (struct sockaddr *)&where, &len))
        return -errno;
    b->port = ntohs(where.sin_port);
    return thread_start(&b->thread, "broker", 0, run, b);
}

void kafka_broker_end(struct kafka_broker *b)
{
    shutdown(b->listener, SHUT_RDWR);
    int fd = atomic_load(&b->connection);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    thread_join(&b->thread);
    close(b->listener);
}
