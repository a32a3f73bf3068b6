#include "outputs/sink/http_hide.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/file.h"

/* ---- What is hidden ---- */

int http_hidden_add(struct http_hidden *h, const char *text, size_t n)
{
    if (n < HTTP_HIDE_MIN)
        return 0;
    if (array_room(&h->list, h->n + 1, &h->room, sizeof(h->list[0])))
        return -ENOMEM;
    char *copy = strndup(text, n);
    if (!copy)
        return -ENOMEM;
    h->list[h->n++] = copy;
    return 0;
}

bool http_is_secret_name(const char *name, size_t n)
{
    struct buf text, shown;
    buf_init(&text);
    buf_init(&shown);
    buf_str(&text, "http://h/?");
    buf_bytes(&text, name, n);
    buf_str(&text, "=x");
    url_print_safe(buf_cstr(&text), &shown);
    bool secret = text.failed || shown.failed || strstr(buf_cstr(&shown), URL_HIDDEN);
    buf_free(&text);
    buf_free(&shown);
    return secret;
}

/* Adds the value |value|, |n| bytes, of the parameter |name|, and the same decoded. */
static int add_value(struct http_hidden *h, const struct url *u, const char *name, const char *value,
                     size_t n)
{
    char decoded[URL_TEXT_MAX + 1];
    int rc = http_hidden_add(h, value, n);
    int len = url_query(u, name, decoded, sizeof(decoded));
    if (rc == 0 && len >= 0 && ((size_t)len != n || memcmp(decoded, value, n) != 0))
        rc = http_hidden_add(h, decoded, strlen(decoded));
    explicit_bzero(decoded, sizeof(decoded));
    return rc;
}

/* Adds the value of the parameter |text|, |n| bytes, when its name says that it is secret. */
static int add_parameter(struct http_hidden *h, const struct url *u, const char *text, size_t n)
{
    const char *equals = memchr(text, '=', n);
    if (!equals || !http_is_secret_name(text, (size_t)(equals - text)))
        return 0;
    char *name = strndup(text, (size_t)(equals - text));
    if (!name)
        return -ENOMEM;
    int rc = add_value(h, u, name, equals + 1, n - (size_t)(equals + 1 - text));
    free(name);
    return rc;
}

int http_hidden_add_url(struct http_hidden *h, const struct url *u)
{
    int rc = u->password ? http_hidden_add(h, u->password, strlen(u->password)) : 0;
    for (const char *at = u->query; rc == 0 && *at;) {
        size_t n = strcspn(at, "&");
        rc = add_parameter(h, u, at, n);
        at += n + (at[n] == '&');
    }
    return rc;
}

int http_hidden_put(struct http_hidden *h, enum http_hidden_place place, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    file_forget(h->changing[place]);
    h->changing[place] = copy;
    return 0;
}

void http_hidden_free(struct http_hidden *h)
{
    for (size_t i = 0; i < HTTP_HIDDEN_PLACES; i++)
        file_forget(h->changing[i]);
    for (size_t i = 0; i < h->n; i++)
        file_forget(h->list[i]);
    free(h->list);
    *h = (struct http_hidden){0};
}

/* ---- Hiding ---- */

/* The length of |secret| when the |n| bytes |text| begin with it, else 0. */
static size_t match(const char *secret, const char *text, size_t n)
{
    size_t len = secret ? strlen(secret) : 0;
    return len >= HTTP_HIDE_MIN && len <= n && memcmp(secret, text, len) == 0 ? len : 0;
}

/* The length of the longest secret with which |text| begins; 0: none. */
static size_t match_any(const struct http_hidden *h, const char *text, size_t n)
{
    size_t longest = 0;
    for (size_t i = 0; i < HTTP_HIDDEN_PLACES + h->n; i++) {
        const char *secret = i < HTTP_HIDDEN_PLACES ? h->changing[i] : h->list[i - HTTP_HIDDEN_PLACES];
        size_t len = match(secret, text, n);
        longest = len > longest ? len : longest;
    }
    return longest;
}

void http_hide(const struct http_hidden *h, const char *text, size_t n, struct buf *out)
{
    while (n > 0) {
        size_t len = match_any(h, text, n);
        if (len)
            buf_str(out, URL_HIDDEN);
        else
            buf_char(out, *text);
        len += !len;
        text += len;
        n -= len;
    }
}
