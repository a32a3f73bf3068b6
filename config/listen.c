/* The grammar of a listener. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "config/config_internal.h"
#include "lib/decimal.h"

static const char expected[] = "expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or unix-abstract:NAME";

static int malformed(struct err *e, const char *what)
{
    return err_set(e, ERR_MALFORMED, "%s; %s", what, expected);
}

/* A filesystem path, which sun_path holds with its NUL (unix(7)). */
static int parse_unix(const char *path, struct config_listen *out, struct err *e)
{
    size_t n = strlen(path);
    if (path[0] != '/')
        return malformed(e, "is not an absolute path");
    if (n >= sizeof(out->addr.un.sun_path))
        return err_set(e, ERR_RANGE, "is too long; allowed a path of at most %zu bytes",
                       sizeof(out->addr.un.sun_path) - 1);
    if (path[n - 1] == '/')
        return malformed(e, "is a directory");
    out->kind = CONFIG_LISTEN_UNIX;
    out->addr.un.sun_family = AF_UNIX;
    memcpy(out->addr.un.sun_path, path, n + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

/* An abstract name: behind a NUL, and of exactly the length that is given to bind. */
static int parse_abstract(const char *name, struct config_listen *out, struct err *e)
{
    size_t n = strlen(name);
    if (n == 0)
        return malformed(e, "has no name");
    if (n >= sizeof(out->addr.un.sun_path))
        return err_set(e, ERR_RANGE, "is too long; allowed a name of at most %zu bytes",
                       sizeof(out->addr.un.sun_path) - 1);
    out->kind = CONFIG_LISTEN_ABSTRACT;
    out->addr.un.sun_family = AF_UNIX;
    memcpy(out->addr.un.sun_path + 1, name, n);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    return 0;
}

static int parse_port(const char *text, uint16_t *port, struct err *e)
{
    uint64_t v;
    int rc = decimal_parse(text, UINT16_MAX, &v);
    if (rc == ERR_MALFORMED)
        return malformed(e, "has no port number behind the last colon");
    if (rc)
        return err_set(e, rc, "has a port out of range; allowed 1 to 65535, or 0 for any free port");
    *port = (uint16_t)v;
    return 0;
}

static int parse_ipv6(const char *host, struct config_listen *out, struct err *e)
{
    if (strchr(host, '%'))
        return malformed(e, "has a zone, which is not supported");
    if (inet_pton(AF_INET6, host, &out->addr.in6.sin6_addr) != 1)
        return malformed(e, "has no IPv6 address between the brackets");
    out->addr.in6.sin6_family = AF_INET6;
    out->addr.in6.sin6_port = htons(out->port);
    out->len = sizeof(out->addr.in6);
    return 0;
}

static int parse_ipv4(const char *host, struct config_listen *out, struct err *e)
{
    if (!*host)
        return malformed(e, "has no address (0.0.0.0 or [::] is every address)");
    if (strchr(host, ':'))
        return malformed(e, "has an IPv6 address without brackets");
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->addr.in4.sin_addr) != 1)
        return malformed(e, "has a name that is not resolved here; give an IP address or localhost");
    out->addr.in4.sin_family = AF_INET;
    out->addr.in4.sin_port = htons(out->port);
    out->len = sizeof(out->addr.in4);
    return 0;
}

static int parse_tcp(const char *text, struct config_listen *out, struct err *e)
{
    char host[64]; /* longer than any literal address */
    const char *colon = strrchr(text, ':');
    if (!colon || (text[0] == '[' && colon[-1] != ']'))
        return malformed(e, "has no port");
    bool brackets = text[0] == '[';
    const char *start = text + brackets;
    size_t n = (size_t)(colon - start) - brackets;
    if (n >= sizeof(host))
        return malformed(e, "is too long for an IP address");
    memcpy(host, start, n);
    host[n] = '\0';
    int rc = parse_port(colon + 1, &out->port, e);
    if (rc)
        return rc;
    out->kind = CONFIG_LISTEN_TCP;
    return brackets ? parse_ipv6(host, out, e) : parse_ipv4(host, out, e);
}

int config_listen_parse(const char *text, struct config_listen *out, struct err *e)
{
    static const struct {
        const char *prefix;
        int (*parse)(const char *rest, struct config_listen *out, struct err *e);
    } kinds[] = {{"unix:", parse_unix}, {"unix-abstract:", parse_abstract}, {"", parse_tcp}};

    *out = (struct config_listen){0};
    size_t i = 0;
    while (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
        i++;
    return kinds[i].parse(text + strlen(kinds[i].prefix), out, e);
}
