#include "client/fleet/target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/decimal.h"

#define EXPECTED "expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path"

static int wrong(const char *text, const char *why, struct err *e)
{
    return err_set(e, ERR_USAGE, "target \"%s\": %s", text, why);
}

static bool is_target(const char *text, size_t n);

static bool is_port(const char *text)
{
    uint64_t port;
    return decimal_parse(text, UINT16_MAX, &port) == 0 && port >= 1;
}

/* Refuses a URL and says which part of it is the target. */
static int wrong_url(const char *text, const char *rest, struct err *e)
{
    bool tls = strncmp(text, "https:", 6) == 0 || strncmp(text, "grpcs:", 6) == 0;
    size_t n = strcspn(rest, "/?#");
    if (!is_target(rest, n))
        return wrong(text, "is a URL; " EXPECTED, e);
    return err_set(e, ERR_USAGE, "target \"%s\": is a URL: write %.*s%s", text, (int)n, rest,
                   tls ? " and --tls" : "");
}

/* Says why |text| is no target. */
static int wrong_target(const char *text, struct err *e)
{
    const char *url = strstr(text, "://");
    if (url && url > text && url == text + strcspn(text, ":"))
        return wrong_url(text, url + 3, e);
    if (text[0] == '/' && text[1])
        return err_set(e, ERR_USAGE, "target \"%s\": is a path: write unix:%s for a socket there", text,
                       text);
    if (strcmp(text, "unix:") == 0)
        return wrong(text, "has no path: expected unix:/path", e);
    return wrong(text, EXPECTED, e);
}

/* Targets that gRPC knows by a scheme of their own, and which are passed on. */
static bool has_scheme(const char *text)
{
    static const char *const schemes[] = {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0 && text[strlen(schemes[i])])
            return true;
    return false;
}

/* Letters, digits, dots, hyphens and underscores: host names, IPv4 addresses, names of devices. */
static bool is_name(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool fits = ascii_is_letter(c) || ascii_is_digit(c) || c == '.' || c == '-' || c == '_';
        if (!fits)
            return false;
    }
    return n > 0 && text[0] != '-';
}

/* Whether the |n| bytes at |text| are an IPv6 address, with or without a zone. */
static bool is_ipv6(const char *text, size_t n)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *zone = memchr(text, '%', n);
    if (zone && !is_name(zone + 1, n - (size_t)(zone + 1 - text)))
        return false;
    if (zone)
        n = (size_t)(zone - text);
    if (n >= sizeof(copy))
        return false;
    memcpy(copy, text, n);
    copy[n] = 0;
    return inet_pton(AF_INET6, copy, &address) == 1;
}

int target_normalize(const char *text, char out[TARGET_MAX], bool *all, struct err *e)
{
    const char *at = text;
    *all = strncmp(at, TARGET_ALL_SCHEME, strlen(TARGET_ALL_SCHEME)) == 0;
    if (*all)
        at += strlen(TARGET_ALL_SCHEME);
    if (strlen(at) + sizeof("[]:" TARGET_PORT) > TARGET_MAX)
        return err_set(e, ERR_USAGE, "target \"%.40s…\": is too long", text);
    if (!*all && has_scheme(at)) {
        snprintf(out, TARGET_MAX, "%s", at);
        return 0;
    }
    if (is_ipv6(at, strlen(at))) {
        snprintf(out, TARGET_MAX, "[%s]:" TARGET_PORT, at);
        return 0;
    }
    const char *close = at[0] == '[' ? strchr(at, ']') : NULL;
    size_t n = close ? (size_t)(close + 1 - at) : strcspn(at, ":");
    bool host = close ? is_ipv6(at + 1, n - 2) : is_name(at, n);
    if (!host || strstr(at, "://") || strcmp(at, "unix:") == 0)
        return wrong_target(at, e);
    if (!at[n])
        snprintf(out, TARGET_MAX, "%s:" TARGET_PORT, at);
    else if (at[n] == ':' && is_port(at + n + 1))
        snprintf(out, TARGET_MAX, "%s", at);
    else
        return wrong(text, at[n] == ':' ? "its port must be 1 to 65535" : EXPECTED, e);
    return 0;
}

/* Whether the |n| bytes at |text| are a target, without a scheme. */
static bool is_target(const char *text, size_t n)
{
    char copy[TARGET_MAX], out[TARGET_MAX];
    struct err unknown;
    bool all;
    if (n >= sizeof(copy))
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return !has_scheme(copy) && target_normalize(copy, out, &all, &unknown) == 0 && !all;
}

bool target_is_name(const char *target)
{
    char host[TARGET_MAX];
    struct in_addr address;
    if (has_scheme(target) || target[0] == '[')
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(target, ":"), target);
    return inet_pton(AF_INET, host, &address) != 1;
}

/* Splits HOST:PORT. */
static void split(const char *target, char host[TARGET_MAX], char port[8])
{
    const char *colon = strrchr(target, ':');
    size_t n = (size_t)(colon - target);
    if (target[0] == '[') {
        target++;
        n -= 2;
    }
    snprintf(host, TARGET_MAX, "%.*s", (int)n, target);
    snprintf(port, 8, "%s", colon + 1);
}

static void join_address(const struct addrinfo *a, const char *port, char out[TARGET_MAX])
{
    char host[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(host, sizeof(host), "?");
    snprintf(out, TARGET_MAX, a->ai_family == AF_INET6 ? "[%.256s]:%s" : "%.256s:%s", host, port);
}

/* Whether an address before |a| in |list| is the same. */
static bool seen(const struct addrinfo *list, const struct addrinfo *a)
{
    for (; list != a; list = list->ai_next)
        if (list->ai_addrlen == a->ai_addrlen && memcmp(list->ai_addr, a->ai_addr, a->ai_addrlen) == 0)
            return true;
    return false;
}

int target_addresses(const char *target, int (*found)(void *context, const char *address, const char *host),
                     void *context, struct err *e)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char host[TARGET_MAX], port[8], address[TARGET_MAX];
    split(target, host, port);
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot find the addresses of %s: %s", host, gai_strerror(rc));
    for (const struct addrinfo *a = list; a && rc == 0; a = a->ai_next) {
        if (seen(list, a))
            continue;
        join_address(a, port, address);
        rc = found(context, address, host);
    }
    freeaddrinfo(list);
    return rc;
}
