/* Connections of a flood. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/integration/tool/flood_link.h"

/* ---- Addresses ---- */

static bool parse_unix(const char *path, bool abstract, struct address *a)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->bytes;
    size_t len = strlen(path);
    if (len + 1 >= sizeof(un->sun_path))
        return false;
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + abstract, path, len);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

static bool parse_ip(const char *host, unsigned long port, struct address *a)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->bytes;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->bytes;
    memset(&a->bytes, 0, sizeof(a->bytes));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a->len = sizeof(*v4);
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    a->len = sizeof(*v6);
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

bool address_of_host(const char *host, struct address *a)
{
    return parse_ip(host, 0, a);
}

bool address_parse(const char *text, struct address *a)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, false, a);
    if (strncmp(text, "unix-abstract:", 14) == 0)
        return parse_unix(text + 14, true, a);
    if (!colon)
        return false;
    bool brackets = text[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - text) - (brackets ? 2 : 0);
    if (len >= sizeof(host))
        return false;
    memcpy(host, text + brackets, len);
    host[len] = '\0';
    return parse_ip(host, strtoul(colon + 1, NULL, 10), a);
}

/* ---- Connections ---- */

int link_dial(const struct address *to, const struct address *from)
{
    int family = to->bytes.ss_family;
    int one = 1;
    const struct linger at_once = {.l_onoff = 1};
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    }
    if ((from && bind(fd, (const struct sockaddr *)&from->bytes, from->len)) ||
        (connect(fd, (const struct sockaddr *)&to->bytes, to->len) && errno != EINPROGRESS)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int not_yet(struct link *l, int result)
{
    int why = SSL_get_error(l->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 1 : -1;
}

static int connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int error = 0;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        return 0;
    len = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error ? -1 : 1;
}

int link_finish(struct link *l, SSL_CTX *tls)
{
    int result = connected(l->fd);
    if (result || !tls)
        return result;
    if (!l->ssl) {
        l->ssl = SSL_new(tls);
        if (!l->ssl || !SSL_set_fd(l->ssl, l->fd))
            return -1;
    }
    result = SSL_connect(l->ssl);
    return result == 1 ? 0 : not_yet(l, result);
}

static ssize_t none_or_end(bool none)
{
    return none ? 0 : -1;
}

ssize_t link_read(struct link *l, void *to, size_t len)
{
    if (l->ssl) {
        int n = SSL_read(l->ssl, to, (int)len);
        return n > 0 ? n : none_or_end(not_yet(l, n) > 0);
    }
    ssize_t n = recv(l->fd, to, len, 0);
    return n > 0 ? n : none_or_end(n < 0 && (errno == EAGAIN || errno == EINTR));
}

ssize_t link_write(struct link *l, const void *bytes, size_t len)
{
    if (l->ssl) {
        int n = SSL_write(l->ssl, bytes, (int)len);
        return n > 0 ? n : none_or_end(not_yet(l, n) > 0);
    }
    ssize_t n = send(l->fd, bytes, len, MSG_NOSIGNAL);
    return n >= 0 ? n : none_or_end(errno == EAGAIN || errno == EINTR);
}

void link_close(struct link *l)
{
    SSL_free(l->ssl);
    close(l->fd);
    *l = (struct link){.fd = -1};
}

SSL_CTX *link_tls(const char *cert, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\2h2", 3))
        return NULL;
    if (cert && (SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
                 SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1))
        return NULL;
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}
