#include "net_peer.h"

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- A sink ---- */

int sink_case_open(struct sink_case *c, const struct sink_ops *ops, const void *options, const char *format,
                   ...)
{
    char to[512], scheme[32];
    va_list args;
    va_start(args, format);
    vsnprintf(to, sizeof(to), format, args);
    va_end(args);
    memset(c, 0, sizeof(*c));
    url_scheme(to, scheme, sizeof(scheme));
    c->kind =
        (struct output_kind){.name = "test", .url = strncmp(scheme, "unix", 4) == 0 ? URL_PATH : URL_NET};
    if (url_parse(to, c->kind.url, &c->url, &c->e))
        fail_msg("%s: %s", to, c->e.text);
    sink_host_init(&c->host);
    c->env = (struct sink_env){.host = &c->host.host, .kind = &c->kind, .url = &c->url, .options = options};
    c->ops = ops;
    int rc = ops->open(&c->env, &c->sink, &c->e);
    if (rc)
        url_free(&c->url);
    return rc;
}

void sink_case_close(struct sink_case *c)
{
    c->ops->close(c->sink);
    url_free(&c->url);
}

enum sink_result sink_case_connect(struct sink_case *c, bool *fresh)
{
    bool ignored = false;
    if (fresh)
        *fresh = false;
    c->e = (struct err){0};
    return c->ops->connect(c->sink, fresh ? fresh : &ignored, &c->e);
}

enum sink_result sink_case_send(struct sink_case *c, const void *data, size_t len)
{
    c->e = (struct err){0};
    return sink_send_one(c->ops, c->sink, data, len, &c->e);
}

void assert_error(const struct sink_case *c, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_string_equal(c->e.text, text);
    assert_int_not_equal(c->e.code, 0);
}

void sink_case_await_end(struct sink_case *c)
{
    int64_t deadline_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
    while (sink_case_connect(c, NULL) == SINK_DONE) {
        assert_true(clock_mono_ns() < deadline_ns);
        usleep(1000);
    }
}

/* ---- Files ---- */

static char folder[64];

const char *peer_path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    if (!*folder) {
        snprintf(folder, sizeof(folder), "/tmp/xt_peer_XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    char *out = paths[next++ % COUNT(paths)];
    snprintf(out, sizeof(paths[0]), "%s/%s", folder, name);
    return out;
}

int peer_clean(void **state)
{
    (void)state;
    DIR *d = *folder ? opendir(folder) : NULL;
    if (!d)
        return 0;
    for (struct dirent *f = readdir(d); f; f = readdir(d)) {
        if (f->d_name[0] != '.')
            unlink(peer_path(f->d_name));
    }
    closedir(d);
    return rmdir(folder);
}

char *peer_write_file(const char *text, const char *name)
{
    char *path = strdup(peer_path(name));
    FILE *f = fopen(path, "we");
    assert_true(f && fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* ---- Sockets ---- */

static int bind_to_loopback(int family, int type, uint16_t *port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_four = family == AF_INET;
    struct sockaddr *address = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t len = is_four ? sizeof(four) : sizeof(six);
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(getsockname(fd, address, &len), 0);
    *port = ntohs(is_four ? four.sin_port : six.sin6_port);
    return fd;
}

int peer_listen(int family, int backlog, uint16_t *port)
{
    int fd = bind_to_loopback(family, SOCK_STREAM, port);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int peer_udp(int family, uint16_t *port)
{
    return bind_to_loopback(family, SOCK_DGRAM, port);
}

int peer_listen_unix(int type, const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) > 0;
}

int peer_accept(int listener)
{
    int fd = is_readable(listener) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    assert_true(fd >= 0);
    return fd;
}

ssize_t peer_read(int fd, void *data, size_t len)
{
    size_t n = 0;
    while (n < len) {
        ssize_t got = is_readable(fd) ? read(fd, (char *)data + n, len - n) : -1;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

int peer_read_all(int fd, struct buf *out)
{
    enum { PIECE = 65536 };
    for (;;) {
        char *to = buf_reserve(out, PIECE);
        ssize_t n = to ? peer_read(fd, to, PIECE) : -ENOMEM;
        if (n < 0)
            return (int)n;
        if (n == 0)
            return 0;
        out->len += (size_t)n;
    }
}

void assert_reads(int fd, const void *data, size_t len)
{
    char *found = malloc(len + 1);
    assert_non_null(found);
    assert_int_equal(peer_read(fd, found, len), len);
    assert_memory_equal(found, data, len);
    free(found);
}

/* ---- Threads ---- */

static void *run(void *arg)
{
    struct peer_thread *t = arg;
    int fd = is_readable(t->listener) ? accept4(t->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (fd < 0) {
        t->result = -errno;
        return NULL;
    }
    t->result = t->serve(t, fd);
    close(fd);
    return NULL;
}

void peer_start(struct peer_thread *t, int listener, int (*serve)(struct peer_thread *t, int fd), void *arg)
{
    *t = (struct peer_thread){.listener = listener, .serve = serve, .arg = arg};
    buf_init(&t->got);
    assert_int_equal(pthread_create(&t->id, NULL, run, t), 0);
}

int peer_join(struct peer_thread *t)
{
    assert_int_equal(pthread_join(t->id, NULL), 0);
    return t->result;
}

uint8_t *peer_pattern(size_t len, unsigned seed)
{
    uint8_t *data = malloc(len ? len : 1);
    assert_non_null(data);
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (uint8_t)(x >> 24);
    }
    return data;
}
