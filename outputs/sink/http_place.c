#include "outputs/sink/http_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/utf8.h"
#include "outputs/sink/net_address.h"

/* Names are looked up again after this time, for the next connection. */
#define ADDRESSES_LIFE_NS (300 * NS_PER_S)

static const struct url_host *host_of(const struct http_place *p)
{
    return &p->env->url->hosts[p->host];
}

static uint16_t default_port(const struct http_place *p)
{
    return p->https ? 443 : 80;
}

static uint16_t port_of(const struct http_place *p)
{
    uint16_t port = host_of(p)->port;
    return port ? port : default_port(p);
}

static bool is_ipv6(const char *name)
{
    return strchr(name, ':') != NULL;
}

static bool is_address(const char *name)
{
    struct in_addr v4;
    return is_ipv6(name) || inet_pton(AF_INET, name, &v4) == 1;
}

/* ---- The URL ---- */

/* Appends |c|, of a path or a query, as it may stand in a request (RFC 3986): what people have escaped
 * stays so. */
static void append_escaped(struct buf *out, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    if (byte > 0x20 && byte < 0x7f && !strchr("\"<>\\^`{|}", c)) {
        buf_char(out, c);
        return;
    }
    buf_char(out, '%');
    buf_char(out, digits[byte >> 4]);
    buf_char(out, digits[byte & 15]);
}

/* Path and query of the URL |to|, which has no fragment. */
static void read_path(const char *to, struct buf *out)
{
    const char *authority = strstr(to, "://");
    const char *at = authority ? authority + 3 : "";
    at += strcspn(at, "/?");
    if (*at != '/')
        buf_char(out, '/');
    for (; *at; at++)
        append_escaped(out, *at);
}

/* Appends a host as URLs have it: an IPv6 address in brackets, the % of its zone escaped (RFC 6874). */
static void append_host(struct buf *out, const char *name)
{
    bool brackets = is_ipv6(name);
    if (brackets)
        buf_char(out, '[');
    for (; *name; name++)
        buf_str(out, *name == '%' ? "%25" : (char[]){*name, '\0'});
    if (brackets)
        buf_char(out, ']');
}

static void append_port(const struct http_place *p, struct buf *out)
{
    if (port_of(p) != default_port(p))
        buf_printf(out, ":%u", port_of(p));
}

/* Makes the texts of the present host. Returns 0 or -ENOMEM. */
static int use_host(struct http_place *p)
{
    const char *name = host_of(p)->name;
    buf_reset(&p->url);
    buf_reset(&p->host_header);
    buf_reset(&p->addresses);
    p->resolved_ns = 0;
    buf_str(&p->url, p->https ? "https://" : "http://");
    append_host(&p->url, p->server_name ? p->server_name : name);
    append_port(p, &p->url);
    buf_bytes(&p->url, p->path.data, p->path.len);
    if (p->server_name) {
        buf_str(&p->host_header, "Host: ");
        append_host(&p->host_header, name);
        append_port(p, &p->host_header);
    }
    (void)buf_cstr(&p->url);
    (void)buf_cstr(&p->host_header);
    return p->url.failed || p->host_header.failed ? -ENOMEM : 0;
}

/* Whether |name| can be that of a certificate: letters, digits, dots and dashes, but no address. */
static bool is_server_name(const char *name)
{
    if (is_address(name))
        return false;
    for (; *name; name++) {
        if (!ascii_is_letter(*name) && !ascii_is_digit(*name) && *name != '.' && *name != '-')
            return false;
    }
    return true;
}

static void show(const char *to, char out[HTTP_SHOWN_MAX])
{
    struct buf text;
    buf_init(&text);
    url_print_safe(to, &text);
    utf8_quote(buf_cstr(&text), out, HTTP_SHOWN_MAX);
    buf_free(&text);
}

int http_place_init(struct http_place *p, const struct sink_env *env, const char *server_name, struct err *e)
{
    *p = (struct http_place){.env = env, .https = strcmp(env->url->scheme, "https") == 0};
    p->server_name = p->https && *server_name ? server_name : NULL;
    buf_init(&p->path);
    buf_init(&p->url);
    buf_init(&p->host_header);
    buf_init(&p->addresses);
    show(env->config->to, p->shown);
    if (p->server_name && !is_server_name(p->server_name))
        return err_set(e, ERR_MALFORMED, "options: tls_server_name: is not the name of a host");
    read_path(env->config->to, &p->path);
    if (p->path.failed || use_host(p))
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

void http_place_free(struct http_place *p)
{
    struct buf *const texts[] = {&p->path, &p->url, &p->host_header, &p->addresses};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->data)
            explicit_bzero(texts[i]->data, texts[i]->cap); /* a query may have secrets */
        buf_free(texts[i]);
    }
}

void http_place_next(struct http_place *p)
{
    if (p->env->url->n_hosts == 1)
        return;
    p->host = (p->host + 1) % p->env->url->n_hosts;
    (void)use_host(p); /* without memory http_place_resolve tries again, before anything is sent */
}

/* ---- Addresses ---- */

/* Appends an address as CURLOPT_RESOLVE has it. */
static void append_address(struct buf *out, const struct resolve_address *a)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->address;
    bool six = a->address.ss_family == AF_INET6;
    if (!inet_ntop(a->address.ss_family, six ? (const void *)&v6->sin6_addr : &v4->sin_addr, text,
                   sizeof(text)))
        return;
    buf_printf(out, six ? "[%s]" : "%s", text);
}

/* "NAME:PORT:ADDRESS,ADDRESS…" in |out|. */
static void write_addresses(const struct http_place *p, const struct resolve_result *found, struct buf *out)
{
    buf_printf(out, "%s:%u:", p->server_name ? p->server_name : host_of(p)->name, port_of(p));
    for (size_t i = 0; i < found->n; i++) {
        if (i > 0)
            buf_char(out, ',');
        append_address(out, &found->list[i]);
    }
}

bool http_place_is_stale(const struct http_place *p)
{
    return clock_mono_ns() - p->resolved_ns >= ADDRESSES_LIFE_NS;
}

int http_place_resolve(struct http_place *p, int64_t deadline_ns, struct err *e)
{
    struct resolve_result found;
    struct buf line;
    if ((p->url.failed || p->host_header.failed) && use_host(p))
        return err_set(e, -ENOMEM, "out of memory");
    p->resolved_ns = clock_mono_ns(); /* also when it fails: the next attempt is not at once */
    if (!p->server_name && is_address(host_of(p)->name))
        return 0;
    int rc = net_addresses(p->env->host, p->env->url, p->host, default_port(p), SOCK_STREAM, deadline_ns,
                           &found, e);
    if (rc)
        return rc;
    buf_init(&line);
    write_addresses(p, &found, &line);
    (void)buf_cstr(&line);
    if (line.failed) {
        buf_free(&line);
        return err_set(e, -ENOMEM, "out of memory");
    }
    buf_free(&p->addresses);
    p->addresses = line;
    return 0;
}

struct curl_slist *http_place_addresses(struct http_place *p)
{
    p->resolved = (struct curl_slist){.data = p->addresses.data};
    return p->addresses.len ? &p->resolved : NULL;
}

char *http_place_host_header(struct http_place *p)
{
    return p->host_header.len ? p->host_header.data : NULL;
}
