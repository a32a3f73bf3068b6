#include "lib/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/decimal.h"
#include "lib/file.h"
#include "lib/utf8.h"

/* The longest name of a network interface, its NUL not included (IF_NAMESIZE of <net/if.h>). */
#define ZONE_MAX 15

/* Words by which the name of a parameter tells that its value is a secret; in lower case. */
static const char *const secret_words[] = {"pass", "pwd", "token", "secret", "key", "sig", "auth", "cred"};

/* A part of a text. */
struct part {
    const char *at;
    size_t n; /* bytes */
};

/* ---- Where the parts are ---- */

static bool is_scheme_char(char c)
{
    return ascii_is_letter(c) || ascii_is_digit(c) || c == '+' || c == '-' || c == '.';
}

/* The length of the scheme of |text|; 0: it has none. */
static size_t scheme_length(const char *text)
{
    size_t n = 0;
    while (is_scheme_char(text[n]))
        n++;
    return ascii_is_letter(*text) && (text[n] == ':' || text[n] == '\0') ? n : 0;
}

/* The part behind the scheme and its colon, or all of a text without a scheme. */
static const char *behind_scheme(const char *text)
{
    const char *end = text + scheme_length(text);
    return end > text && *end == ':' ? end + 1 : end;
}

/* The same behind the two slashes, if they are there. */
static const char *behind_slashes(const char *rest)
{
    return strncmp(rest, "//", 2) == 0 ? rest + 2 : rest;
}

/* The part of |p| in front of the first |end|, all of it when there is none. |*rest| is what follows, with |end|. */
static struct part cut_at(struct part p, char end, struct part *rest)
{
    const char *found = p.n ? memchr(p.at, end, p.n) : NULL;
    size_t n = found ? (size_t)(found - p.at) : p.n;
    *rest = (struct part){p.at + n, p.n - n};
    return (struct part){p.at, n};
}

/* |p| without its first |n| bytes. */
static struct part skip(struct part p, size_t n)
{
    return (struct part){p.at + n, p.n - n};
}

/* ---- Percent-encoding ---- */

/* The byte that |p|, which is not empty, begins with when it is decoded; |*used| is how many bytes stand for it. -1: a
 * percent sign without two hexadecimal digits. */
static int first_byte(struct part p, size_t *used)
{
    *used = 1;
    if (*p.at != '%')
        return (unsigned char)*p.at;
    int high = p.n > 2 ? ascii_hex_value(p.at[1]) : -1;
    int low = p.n > 2 ? ascii_hex_value(p.at[2]) : -1;
    if (high < 0 || low < 0)
        return -1;
    *used = 3;
    return high << 4 | low;
}

/* Decodes |p|, whose percent signs are in order, into |out| of |max| > 0 bytes and ends it with a NUL. Returns the
 * length, or -1 when it does not fit. */
static int decode(struct part p, char *out, size_t max)
{
    size_t len = 0;
    for (size_t used; p.n > 0; p = skip(p, used)) {
        int byte = first_byte(p, &used);
        if (len + 1 == max)
            return -1;
        out[len++] = (char)byte;
    }
    out[len] = '\0';
    return (int)len;
}

/* The first thing in a text that is not allowed: a noun for an error, or NULL when |p| has none of it. */
static const char *fault_of(struct part p)
{
    for (size_t len; p.n > 0; p = skip(p, len)) {
        len = utf8_length(p.at, p.n);
        if (len == 0)
            return "bytes that are not UTF-8";
        if (utf8_is_control(p.at, len))
            return "a control character";
    }
    return NULL;
}

/* Whether all percent signs of |p| are in order. |what|: the name of the part, for |e|. */
static int check_escapes(struct part p, const char *what, struct err *e)
{
    for (size_t used; p.n > 0; p = skip(p, used)) {
        int byte = first_byte(p, &used);
        if (byte < 0)
            return err_set(
                e, ERR_MALFORMED,
                "has a %% without two hexadecimal digits in its %s, where the character %% is written %%25",
                what);
        if (byte == 0)
            return err_set(e, ERR_MALFORMED, "has %%00, a NUL, in its %s", what);
    }
    return 0;
}

/* ---- Copies ---- */

static int no_memory(struct err *e)
{
    return err_set(e, -ENOMEM, "cannot be read: out of memory");
}

/* A copy of |p| in |*out|, for file_forget. */
static int copy(struct part p, char **out, struct err *e)
{
    *out = strndup(p.at, p.n);
    return *out ? 0 : no_memory(e);
}

/* The same, decoded. |what|: the name of the part, for |e|. */
static int copy_decoded(struct part p, const char *what, char **out, struct err *e)
{
    int rc = check_escapes(p, what, e);
    if (rc)
        return rc;
    *out = malloc(p.n + 1);
    if (!*out)
        return no_memory(e);
    int len = decode(p, *out, p.n + 1);
    const char *fault = fault_of((struct part){*out, (size_t)len});
    return fault ? err_set(e, ERR_MALFORMED, "has %s in its %s, percent-encoded", fault, what) : 0;
}

/* ---- Hosts ---- */

/* Whether |p| is of letters, digits, dots, dashes and underscores. */
static bool is_name(struct part p)
{
    for (size_t i = 0; i < p.n; i++) {
        char c = p.at[i];
        if (!ascii_is_letter(c) && !ascii_is_digit(c) && c != '.' && c != '-' && c != '_')
            return false;
    }
    return p.n > 0;
}

static int read_name(struct part p, struct url_host *host, struct err *e)
{
    if (p.n == 0)
        return err_set(e, ERR_MALFORMED, "has an empty host");
    if (!is_name(p))
        return err_set(e, ERR_MALFORMED,
                       "has a host that is not of letters, digits, dots, dashes and underscores alone");
    if (p.n > URL_HOST_MAX)
        return err_set(e, ERR_RANGE, "has a host that is too long, allowed are %d bytes", URL_HOST_MAX);
    return copy(p, &host->name, e);
}

static bool is_ipv6(struct part p)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (p.n >= sizeof(text))
        return false;
    memcpy(text, p.at, p.n);
    text[p.n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* |p|: what stands in brackets. */
static int read_address(struct part p, struct url_host *host, struct err *e)
{
    struct part zone;
    struct part address = cut_at(p, '%', &zone);
    if (!is_ipv6(address))
        return err_set(e, ERR_MALFORMED, "has brackets around what is no IPv6 address");
    if (zone.n == 0)
        return copy(address, &host->name, e);
    zone = skip(zone, zone.n > 3 && memcmp(zone.at, "%25", 3) == 0 ? 3 : 1);
    if (!is_name(zone) || zone.n > ZONE_MAX)
        return err_set(e, ERR_MALFORMED, "has an IPv6 address whose zone is no name of an interface");
    host->name = malloc(address.n + 1 + zone.n + 1);
    if (!host->name)
        return no_memory(e);
    memcpy(host->name, address.at, address.n);
    host->name[address.n] = '%';
    memcpy(host->name + address.n + 1, zone.at, zone.n);
    host->name[address.n + 1 + zone.n] = '\0';
    return 0;
}

/* |p|: what follows the name of a host, with its colon; nothing is no port. */
static int read_port(struct part p, struct url_host *host, struct err *e)
{
    uint64_t port;
    if (p.n == 0)
        return 0;
    p = skip(p, 1);
    if (p.n && memchr(p.at, ':', p.n))
        return err_set(e, ERR_MALFORMED,
                       "has a host with more than one colon (an IPv6 address stands in brackets)");
    int rc = decimal_read(p.at, p.n, UINT16_MAX, &port);
    if (rc == ERR_MALFORMED)
        return err_set(e, rc, "has a port that is no number, allowed is 1 to 65535");
    if (rc || port == 0)
        return err_set(e, ERR_RANGE, "has a port out of range, allowed is 1 to 65535");
    host->port = (uint16_t)port;
    return 0;
}

static int read_host(struct part p, struct url_host *host, struct err *e)
{
    bool brackets = p.n > 0 && *p.at == '[';
    struct part port;
    struct part name = cut_at(p, brackets ? ']' : ':', &port);
    if (brackets && port.n == 0)
        return err_set(e, ERR_MALFORMED, "has a [ without its ]");
    if (brackets) {
        name = skip(name, 1);
        port = skip(port, 1);
    }
    if (port.n && *port.at != ':')
        return err_set(e, ERR_MALFORMED, "has something other than a port behind a ]");
    int rc = read_port(port, host, e);
    if (rc)
        return rc;
    return brackets ? read_address(name, host, e) : read_name(name, host, e);
}

/* |list|: hosts with commas between them. */
static int read_hosts(struct part list, struct url *u, struct err *e)
{
    size_t n = 1;
    if (list.n == 0)
        return err_set(e, ERR_MALFORMED, "has no host");
    for (size_t i = 0; i < list.n; i++)
        n += list.at[i] == ',';
    if (n > URL_HOSTS_MAX)
        return err_set(e, ERR_RANGE, "has too many hosts, allowed are %d", URL_HOSTS_MAX);
    u->hosts = calloc(n, sizeof(*u->hosts));
    if (!u->hosts)
        return no_memory(e);
    while (u->n_hosts < n) {
        struct part rest;
        int rc = read_host(cut_at(list, ',', &rest), &u->hosts[u->n_hosts++], e);
        if (rc)
            return rc;
        list = skip(rest, rest.n > 0);
    }
    return 0;
}

/* ---- Reading ---- */

static int check_text(const char *text, enum url_kind kind, struct err *e)
{
    struct part all = {text, strnlen(text, URL_TEXT_MAX + 1)};
    if (all.n > URL_TEXT_MAX)
        return err_set(e, ERR_RANGE, "is too long, allowed are %d bytes", URL_TEXT_MAX);
    const char *fault = fault_of(all);
    if (fault)
        return err_set(e, ERR_MALFORMED, "has %s in it", fault);
    if (kind == URL_NET && strchr(text, ' '))
        return err_set(e, ERR_MALFORMED, "has a space in it, which is written %%20");
    return 0;
}

static int read_scheme(const char *text, struct url *u, struct err *e)
{
    size_t n = scheme_length(text);
    if (n == 0)
        return err_set(e, ERR_MALFORMED, "does not begin with a scheme and its colon");
    u->scheme = malloc(n + 1);
    if (!u->scheme)
        return no_memory(e);
    url_scheme(text, u->scheme, n + 1);
    return 0;
}

/* |p|: what stands in front of the @. */
static int read_user(struct part p, struct url *u, struct err *e)
{
    struct part password;
    struct part user = cut_at(p, ':', &password);
    for (size_t i = 0; i < p.n; i++) {
        if (strchr("/?#", p.at[i]))
            return err_set(
                e, ERR_MALFORMED,
                "has a slash, ? or # in front of an @: in a user or a password they are written %%2F, %%3F "
                "and %%23, and behind the hosts an @ is %%40");
    }
    int rc = copy_decoded(user, "user", &u->user, e);
    if (rc || password.n == 0)
        return rc;
    return copy_decoded(skip(password, 1), "password", &u->password, e);
}

static int read_query(struct part p, struct url *u, struct err *e)
{
    int rc = check_escapes(p, "query", e);
    return rc ? rc : copy(p, &u->query, e);
}

static int read_net(const char *rest, struct url *u, struct err *e)
{
    const char *from = behind_slashes(rest);
    const char *at = strrchr(from, '@');
    const char *hosts = at ? at + 1 : from;
    const char *path = hosts + strcspn(hosts, "/?#");
    int rc = 0;
    if (at)
        rc = read_user((struct part){from, (size_t)(at - from)}, u, e);
    if (rc == 0 && strchr(path, '#'))
        rc = err_set(e, ERR_MALFORMED, "has a # in it, which is written %%23 (there are no fragments)");
    if (rc == 0)
        rc = read_hosts((struct part){hosts, (size_t)(path - hosts)}, u, e);
    struct part query;
    struct part before = cut_at((struct part){path, strlen(path)}, '?', &query);
    if (rc == 0)
        rc = copy_decoded(before, "path", &u->path, e);
    return rc ? rc : read_query(skip(query, query.n > 0), u, e);
}

static int read_path(const char *rest, struct url *u, struct err *e)
{
    const char *path = behind_slashes(rest);
    if (!*path)
        return err_set(e, ERR_MALFORMED, "has no path");
    if (*path != '/' && path != rest)
        return err_set(e, ERR_MALFORMED,
                       "has a host in front of its path: behind the colon stand one or three slashes");
    if (*path != '/')
        return err_set(e, ERR_MALFORMED, "has a path that is not absolute");
    return copy((struct part){path, strlen(path)}, &u->path, e);
}

static int read_rest(const char *rest, enum url_kind kind, struct url *u, struct err *e)
{
    if (kind == URL_NET)
        return read_net(rest, u, e);
    int rc = copy((struct part){rest, 0}, &u->query, e);
    if (rc)
        return rc;
    if (kind == URL_PATH)
        return read_path(rest, u, e);
    if (*rest)
        return err_set(e, ERR_MALFORMED, "has something behind its colon, where nothing is allowed");
    return copy((struct part){rest, 0}, &u->path, e);
}

void url_scheme(const char *text, char *out, size_t max)
{
    size_t n = scheme_length(text);
    if (n >= max)
        n = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = ascii_lower(text[i]);
    out[n] = '\0';
}

int url_parse(const char *text, enum url_kind kind, struct url *out, struct err *e)
{
    *out = (struct url){0};
    int rc = check_text(text, kind, e);
    if (rc == 0)
        rc = read_scheme(text, out, e);
    if (rc == 0)
        rc = read_rest(behind_scheme(text), kind, out, e);
    if (rc)
        url_free(out);
    return rc;
}

void url_free(struct url *u)
{
    for (size_t i = 0; i < u->n_hosts; i++)
        free(u->hosts[i].name);
    free(u->hosts);
    free(u->scheme);
    file_forget(u->user);
    file_forget(u->password);
    file_forget(u->path);
    file_forget(u->query);
    *u = (struct url){0};
}

/* ---- Parameters of the query ---- */

/* Whether |name|, decoded, is |text|. */
static bool is_parameter(struct part name, const char *text)
{
    for (size_t used; name.n > 0; name = skip(name, used), text++) {
        if (!*text || first_byte(name, &used) != (unsigned char)*text)
            return false;
    }
    return !*text;
}

int url_query(const struct url *u, const char *name, char *out, size_t max)
{
    struct part rest = {u->query, strlen(u->query)};
    while (rest.n > 0) {
        struct part value;
        struct part parameter = cut_at(rest, '&', &rest);
        rest = skip(rest, rest.n > 0);
        if (!is_parameter(cut_at(parameter, '=', &value), name))
            continue;
        int len = decode(skip(value, value.n > 0), out, max);
        if (len >= 0 && !fault_of((struct part){out, (size_t)len}))
            return len;
        break;
    }
    out[0] = '\0';
    return -1;
}

/* ---- Printing ---- */

/* Which bytes of a text are secret. */
struct mask {
    const char *text;
    size_t n; /* bytes of the text that are looked at */
    bool secret[URL_TEXT_MAX];
};

static void hide(struct mask *m, const char *from, const char *end)
{
    for (; from < end && from < m->text + m->n; from++)
        m->secret[from - m->text] = true;
}

static void hide_password(struct mask *m)
{
    const char *from = behind_slashes(behind_scheme(m->text));
    const char *at = strrchr(from, '@');
    if (!at)
        return;
    const char *colon = memchr(from, ':', (size_t)(at - from));
    if (colon)
        hide(m, colon + 1, at);
    else if (*from != '/') /* not a path with an @ in it */
        hide(m, from, at);
}

/* Whether |name|, decoded and in lower case, begins with |word|. */
static bool begins_with(struct part name, const char *word)
{
    for (size_t used; *word; word++, name = skip(name, used)) {
        int byte = name.n ? first_byte(name, &used) : -1;
        if (byte < 0 || ascii_lower((char)byte) != *word)
            return false;
    }
    return true;
}

static bool tells_secret(struct part name)
{
    for (; name.n > 0; name = skip(name, 1)) {
        for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
            if (begins_with(name, secret_words[i]))
                return true;
        }
    }
    return false;
}

/* Servers differ in what stands between parameters. So a name begins behind whatever any of them takes for that, and
 * a value ends at what all of them do. */
static void hide_parameters(struct mask *m)
{
    const char *end = m->text + m->n;
    const char *p = m->text + strcspn(m->text, "?#");
    while (p < end) {
        struct part name = {p + 1, strcspn(p + 1, "=?&;#")};
        p = name.at + name.n;
        if (*p != '=')
            continue;
        const char *value = p + 1;
        p = value + strcspn(value, tells_secret(name) ? "&" : "?&;#");
        if (tells_secret(name))
            hide(m, value, p);
    }
}

/* Appends the character at |i| or what stands for it. Returns how many bytes of the text it is. */
static size_t print_character(const struct mask *m, size_t i, struct buf *out)
{
    size_t len = utf8_length(m->text + i, m->n - i);
    bool shown = len && !utf8_is_hidden(m->text + i, len);
    buf_bytes(out, shown ? m->text + i : UTF8_REPLACEMENT, shown ? len : strlen(UTF8_REPLACEMENT));
    return len ? len : 1;
}

void url_print_safe(const char *text, struct buf *out)
{
    struct mask m = {.text = text, .n = strnlen(text, URL_TEXT_MAX)};
    hide_password(&m);
    hide_parameters(&m);
    for (size_t i = 0; i < m.n;) {
        if (!m.secret[i]) {
            i += print_character(&m, i, out);
            continue;
        }
        buf_str(out, URL_HIDDEN);
        while (i < m.n && m.secret[i])
            i++;
    }
    if (text[m.n])
        buf_str(out, "...");
}

char *url_safe(const char *text)
{
    struct buf out;
    buf_init(&out);
    url_print_safe(text, &out);
    buf_char(&out, '\0');
    if (out.failed)
        buf_free(&out);
    return out.data;
}
