#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "filter/node.h"
#include "lib/decimal.h"

#define ADDRESS_TEXT_MAX 64
#define SERVICE_TEXT_MAX 64

/* A piece of an expression. */
struct piece {
    const char *at;
    size_t len;
};

static bool is(struct piece p, const char *text)
{
    return strlen(text) == p.len && memcmp(p.at, text, p.len) == 0;
}

/* Takes |text| off the begin of |p| when it begins with it. */
static bool skip(struct piece *p, const char *text)
{
    size_t n = strlen(text);
    if (p->len < n || memcmp(p->at, text, n) != 0)
        return false;
    p->at += n;
    p->len -= n;
    return true;
}

/* ---- Ports ---- */

static int service(struct piece p, uint16_t *port, struct err *e)
{
    char name[SERVICE_TEXT_MAX];
    char storage[1024];
    struct servent found;
    struct servent *s = NULL;
    if (p.len >= sizeof(name))
        return err_set(e, ERR_UNKNOWN, "%.*s… is no port", 32, p.at);
    memcpy(name, p.at, p.len);
    name[p.len] = '\0';
    if (getservbyname_r(name, "tcp", &found, storage, sizeof(storage), &s) || !s)
        return err_set(e, ERR_UNKNOWN, "%s is neither a port from 0 to 65535 nor a service of /etc/services",
                       name);
    *port = ntohs((uint16_t)s->s_port);
    return 0;
}

static int one_port(struct piece p, uint16_t *port, struct err *e)
{
    uint64_t v;
    if (p.len == 0)
        return err_set(e, ERR_MALFORMED, "expected a port");
    if (decimal_read(p.at, p.len, UINT16_MAX, &v))
        return service(p, port, e);
    *port = (uint16_t)v;
    return 0;
}

/* PORT, or LOW-HIGH where both are numbers: names of services may have a '-' in them. */
static int port_or_range(struct piece p, struct endpoint *out, struct err *e)
{
    unsigned long low;
    unsigned long high;
    const char *dash = memchr(p.at, '-', p.len);
    struct piece first = {p.at, dash ? (size_t)(dash - p.at) : 0};
    struct piece second = {dash ? dash + 1 : p.at, dash ? p.len - first.len - 1 : 0};
    out->has_port = true;
    if (dash && decimal_read(first.at, first.len, UINT16_MAX, &low) == 0 &&
        decimal_read(second.at, second.len, UINT16_MAX, &high) == 0) {
        if (low > high)
            return err_set(e, ERR_RANGE, "%.*s is an empty range", (int)p.len, p.at);
        out->port = (uint16_t)low;
        out->port_high = (uint16_t)high;
        return 0;
    }
    int rc = one_port(p, &out->port, e);
    out->port_high = out->port;
    return rc;
}

static uint8_t take_family(struct piece *p)
{
    return skip(p, "inet6:") ? AF_INET6 : skip(p, "inet:") ? AF_INET : AF_UNSPEC;
}

int filter_port(const char *text, size_t n, struct endpoint *out, struct err *e)
{
    struct piece p = {text, n};
    *out = (struct endpoint){.family = take_family(&p)};
    skip(&p, ":");
    return port_or_range(p, out, e);
}

/* ---- Addresses ---- */

/* Reads IPv4; parts missing at the end are 0: 10.1 is 10.1.0.0. */
static bool ipv4(struct piece p, uint8_t out[16])
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t octet;
        const char *dot = memchr(p.at, '.', p.len);
        struct piece digits = {p.at, dot ? (size_t)(dot - p.at) : p.len};
        if (decimal_read(digits.at, digits.len, 255, &octet) || digits.len > 3)
            return false;
        out[i] = (uint8_t)octet;
        if (!dot)
            return true;
        p.at = dot + 1;
        p.len -= digits.len + 1;
    }
    return false;
}

static bool ipv6(struct piece p, uint8_t out[16])
{
    char text[ADDRESS_TEXT_MAX];
    if (p.len >= sizeof(text))
        return false;
    memcpy(text, p.at, p.len);
    text[p.len] = '\0';
    return inet_pton(AF_INET6, text, out) == 1;
}

/* Zeroes the bits behind the prefix: they do not count. */
static void cut(struct host *h)
{
    for (unsigned bit = h->prefix; bit < 128; bit++)
        h->address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static int address(struct piece p, uint8_t family, bool brackets, struct host *h, struct err *e)
{
    unsigned long bits;
    const char *slash = memchr(p.at, '/', p.len);
    struct piece host = {p.at, slash ? (size_t)(slash - p.at) : p.len};
    struct piece prefix = {slash ? slash + 1 : p.at, slash ? p.len - host.len - 1 : 0};
    if (memchr(host.at, ':', host.len) && ipv6(host, h->address)) {
        if (!brackets)
            return err_set(e, ERR_MALFORMED, "an IPv6 address goes into brackets: [%.*s]", (int)p.len, p.at);
        h->family = AF_INET6;
    } else if (!brackets && ipv4(host, h->address)) {
        h->family = AF_INET;
    } else {
        return err_set(
            e, ERR_UNKNOWN,
            "%.*s is no address: expected 10.0.0.1, 10.0.0.0/8, [2001:db8::1], [2001:db8::/32] or *; names "
            "of hosts are not looked up",
            (int)p.len, p.at);
    }
    if (family != AF_UNSPEC && family != h->family)
        return err_set(e, ERR_TYPE, "%.*s is no address of %s", (int)p.len, p.at,
                       family == AF_INET ? "inet" : "inet6");
    unsigned long max = h->family == AF_INET ? 32 : 128;
    bits = max;
    if (slash && decimal_read(prefix.at, prefix.len, max, &bits))
        return err_set(e, ERR_RANGE, "%.*s is no length of a prefix: expected 0 to %lu", (int)prefix.len,
                       prefix.at, max);
    h->prefix = (uint8_t)bits;
    cut(h);
    return 0;
}

/* Splits |p| into address and port, if there is one, at a colon outside of brackets. |host| gets the part in
 * front of it, without brackets. */
static int split(struct piece p, struct piece *host, struct piece *port, bool *brackets, struct err *e)
{
    *host = p;
    *port = (struct piece){p.at, 0};
    *brackets = skip(host, "[");
    if (!*brackets) {
        const char *colon = memrchr(p.at, ':', p.len);
        const char *first = memchr(p.at, ':', p.len);
        if (colon && colon == first) {
            host->len = (size_t)(colon - p.at);
            *port = (struct piece){colon + 1, p.len - host->len - 1};
            if (port->len == 0)
                return err_set(e, ERR_MALFORMED, "expected a port behind the colon");
        }
        return 0;
    }
    const char *close = memchr(host->at, ']', host->len);
    if (!close)
        return err_set(e, ERR_MALFORMED, "expected ] behind the IPv6 address");
    struct piece rest = {close + 1, (size_t)(p.at + p.len - close - 1)};
    size_t inside = (size_t)(close - host->at);
    const char *colon = memchr(rest.at, ':', rest.len);
    if (colon) {
        *port = (struct piece){colon + 1, (size_t)(rest.at + rest.len - colon - 1)};
        rest.len = (size_t)(colon - rest.at);
        if (port->len == 0)
            return err_set(e, ERR_MALFORMED, "expected a port behind the colon");
    }
    if (rest.len && rest.at[0] != '/')
        return err_set(e, ERR_MALFORMED, "expected a / or a colon behind ]");
    if (rest.len && memchr(host->at, '/', inside))
        return err_set(e, ERR_MALFORMED, "the length of the prefix is there twice");
    *host = (struct piece){host->at, inside};
    return rest.len ? 1 : 0; /* a prefix behind the bracket */
}

int filter_endpoint(const char *text, size_t n, struct endpoint *out, struct err *e)
{
    struct piece host;
    struct piece port;
    bool brackets;
    char joined[ADDRESS_TEXT_MAX + 8];
    struct piece p = {text, n};
    *out = (struct endpoint){.family = take_family(&p)};
    int rc = split(p, &host, &port, &brackets, e);
    if (rc < 0)
        return rc;
    if (rc > 0) { /* [2001:db8::]/32: as [2001:db8::/32] */
        const char *slash = host.at + host.len + 1;
        size_t len = (size_t)((port.len ? port.at - 1 : p.at + p.len) - slash);
        if (host.len + len >= sizeof(joined))
            return err_set(e, ERR_UNKNOWN, "%.*s is no address", (int)(host.len < 64 ? host.len : 64),
                           host.at);
        memcpy(joined, host.at, host.len);
        memcpy(joined + host.len, slash, len);
        host = (struct piece){joined, host.len + len};
    }
    out->has_host = host.len > 0 && !is(host, "*");
    rc = out->has_host ? address(host, out->family, brackets, &out->host, e) : 0;
    if (!rc && brackets && !out->has_host)
        rc = err_set(e, ERR_MALFORMED, "expected an IPv6 address between [ and ]");
    if (!rc && port.len && !is(port, "*"))
        rc = port_or_range(port, out, e);
    return rc;
}

void filter_host_print(struct buf *out, const struct host *h)
{
    char text[INET6_ADDRSTRLEN];
    unsigned max = h->family == AF_INET ? 32 : 128;
    if (h->family == AF_UNSPEC) {
        buf_char(out, '*');
        return;
    }
    inet_ntop(h->family, h->address, text, sizeof(text));
    buf_str(out, h->family == AF_INET ? "" : "[");
    buf_str(out, text);
    if (h->prefix < max)
        buf_printf(out, "/%u", h->prefix);
    buf_str(out, h->family == AF_INET ? "" : "]");
}

/* Whether the first |bits| bits of both are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

bool filter_host_match(const struct host *h, const uint8_t *at, size_t n)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (h->family == AF_UNSPEC)
        return true;
    if (h->family == AF_INET && n == 16 && memcmp(at, mapped, sizeof(mapped)) == 0)
        return same_bits(at + sizeof(mapped), h->address, h->prefix);
    return n == (h->family == AF_INET ? 4u : 16u) && same_bits(at, h->address, h->prefix);
}
