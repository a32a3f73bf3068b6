#include "outputs/sink/http_headers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/file.h"

#define NAME_SHOWN 64

/* Headers that follow from the connection and from other options. */
static const struct {
    const char *name;
    const char *why;
} taken[] = {
    {"content-type", "the option content_type sets it"},
    {"content-encoding", "the option compress sets it"},
    {"content-length", "it follows from the body"},
    {"transfer-encoding", "it follows from the body"},
    {"connection", "it follows from the connection"},
    {"keep-alive", "it follows from the connection"},
    {"upgrade", "it follows from the connection"},
    {"te", "it follows from the connection"},
    {"trailer", "there are none"},
    {"expect", "it follows from the size of the body"},
};

/* ---- One line ---- */

/* Whether |c| may stand in the name of a header (RFC 9110, section 5.6.2). */
static bool is_token(char c)
{
    return ascii_is_letter(c) || ascii_is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Whether the |n| bytes |text| can be the value of a header: no control characters but tabs. */
static bool is_value(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool same_name(const char *text, size_t n, const char *name)
{
    return n == strlen(name) && ascii_begins(text, n, name);
}

/* Appends the header |name|: |value|, |n| bytes. */
static int append(struct http_headers *h, const char *name, size_t name_len, const char *value, size_t n)
{
    char *line = malloc(name_len + 2 + n + 1);
    if (!line)
        return -ENOMEM;
    memcpy(line, name, name_len);
    memcpy(line + name_len, n ? ": " : ";", n ? 2 : 1); /* curl takes "Name;" for a header without a value */
    size_t len = name_len + (n ? 2 : 1);
    memcpy(line + len, value, n);
    line[len + n] = '\0';
    h->nodes[h->n++].data = line;
    return 0;
}

static int append_text(struct http_headers *h, const char *name, const char *value)
{
    return append(h, name, strlen(name), value, strlen(value));
}

/* ---- Those of the configuration ---- */

/* Checks that the name |text|, |n| bytes, may be given. */
static int check_name(const struct http_headers *h, const char *text, size_t n, struct err *e)
{
    int shown = n < NAME_SHOWN ? (int)n : NAME_SHOWN;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (same_name(text, n, taken[i].name))
            return err_set(e, ERR_MALFORMED, "options: headers: %.*s: cannot be given: %s", shown, text,
                           taken[i].why);
    }
    if (h->n >= HTTP_HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "options: headers: more than %d headers", HTTP_HEADERS_MAX);
    return 0;
}

/* Hides the value |value|, |n| bytes, and its last word, which is the secret in "Bearer SECRET". */
static int hide(struct http_hidden *hidden, const char *value, size_t n)
{
    const char *space = memrchr(value, ' ', n);
    int rc = http_hidden_add(hidden, value, n);
    if (rc == 0 && space)
        rc = http_hidden_add(hidden, space + 1, n - (size_t)(space + 1 - value));
    return rc;
}

/* Adds the header |text|, |n| bytes, the |number|th. */
static int add(struct http_headers *h, const char *text, size_t n, size_t number, struct http_hidden *hidden,
               struct err *e)
{
    size_t name = 0;
    for (; n > 0 && is_blank(text[0]); text++)
        n--;
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    while (name < n && is_token(text[name]))
        name++;
    if (name == 0 || name == n || text[name] != ':')
        return err_set(
            e, ERR_MALFORMED,
            "options: headers: header %zu is not of the form \"NAME: VALUE\"; between headers is a |",
            number);
    int rc = check_name(h, text, name, e);
    if (rc)
        return rc;
    const char *value = text + name + 1;
    n -= name + 1;
    for (; n > 0 && is_blank(value[0]); value++)
        n--;
    if (!is_value(value, n))
        return err_set(e, ERR_MALFORMED, "options: headers: the value of header %zu has control characters",
                       number);
    rc = append(h, text, name, value, n);
    if (rc == 0 && http_is_secret_name(text, name))
        rc = hide(hidden, value, n);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

static int add_configured(struct http_headers *h, const struct output_http_options *o,
                          struct http_hidden *hidden, struct err *e)
{
    int rc = 0;
    size_t number = 0;
    for (const char *at = o->headers; rc == 0 && *at;) {
        size_t n = strcspn(at, "|");
        rc = add(h, at, n, ++number, hidden, e);
        at += n + (at[n] == '|');
    }
    return rc;
}

/* ---- Life ---- */

int http_headers_init(struct http_headers *h, const struct output_http_options *o, const struct format *f,
                      struct http_hidden *hidden, struct err *e)
{
    static const char *const encodings[] = {
        [OUTPUT_COMPRESS_NONE] = NULL, [OUTPUT_COMPRESS_GZIP] = "gzip", [OUTPUT_COMPRESS_ZSTD] = "zstd"};
    const char *encoding = encodings[o->compress];
    *h = (struct http_headers){0};
    if (!is_value(o->content_type, strlen(o->content_type)))
        return err_set(e, ERR_MALFORMED, "options: content_type: has control characters");
    int rc = add_configured(h, o, hidden, e);
    if (rc)
        return rc;
    rc = append_text(h, "Content-Type", *o->content_type ? o->content_type : format_content_type(f));
    if (rc == 0 && encoding)
        rc = append_text(h, "Content-Encoding", encoding);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

void http_headers_free(struct http_headers *h)
{
    for (size_t i = 0; i < h->n; i++)
        file_forget(h->nodes[i].data);
    *h = (struct http_headers){0};
}

bool http_headers_have(const struct http_headers *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (same_name(h->nodes[i].data, strcspn(h->nodes[i].data, ":;"), name))
            return true;
    }
    return false;
}

struct curl_slist *http_headers_list(struct http_headers *h, char *host, char *authorization)
{
    size_t n = h->n;
    if (host)
        h->nodes[n++].data = host;
    if (authorization)
        h->nodes[n++].data = authorization;
    for (size_t i = 0; i < n; i++)
        h->nodes[i].next = i + 1 < n ? &h->nodes[i + 1] : NULL;
    return h->nodes;
}
