#include "outputs/sink/http_auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/log.h"

/* Tokens and passwords are no longer than this; a header with more is refused by many servers. */
#define SECRET_MAX (8 * 1024)

/* ---- The header ---- */

/* The number of base64 characters of |n| bytes. */
static size_t base64_length(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* "USER:PASSWORD" in base64 (RFC 7617), NUL-terminated, or NULL without memory. For file_forget. */
static char *basic_credentials(const char *user, const char *password)
{
    struct buf plain, out;
    size_t n = strlen(user) + 1 + strlen(password);
    char *text = malloc(n);
    char *encoded = malloc(base64_length(n) + 1);
    if (text && encoded) {
        buf_init_fixed(&plain, text, n);
        buf_str(&plain, user);
        buf_char(&plain, ':');
        buf_str(&plain, password);
        buf_init_fixed(&out, encoded, base64_length(n) + 1);
        buf_base64(&out, (const uint8_t *)text, n);
        encoded[out.len] = '\0';
        explicit_bzero(text, n);
    } else {
        free(encoded);
        encoded = NULL;
    }
    free(text);
    return encoded;
}

/* "Authorization: SCHEME CREDENTIALS", or NULL without memory. For file_forget. */
static char *header_line(const char *scheme, const char *credentials)
{
    static const char name[] = "Authorization: ";
    size_t size = sizeof(name) + strlen(scheme) + 1 + strlen(credentials);
    char *line = malloc(size);
    if (line) {
        struct buf out;
        buf_init_fixed(&out, line, size);
        buf_str(&out, name);
        buf_str(&out, scheme);
        buf_char(&out, ' ');
        buf_str(&out, credentials);
        line[out.len] = '\0';
    }
    return line;
}

/* Makes the header of |secret|. Returns 0 or -ENOMEM, and nothing has changed then. */
static int use_secret(struct http_auth *a, const char *secret)
{
    char *credentials = a->user ? basic_credentials(a->user, secret) : strdup(secret);
    char *header = credentials ? header_line(a->user ? "Basic" : "Bearer", credentials) : NULL;
    int rc = header ? http_hidden_put(a->hidden, HTTP_HIDDEN_SECRET, secret) : -ENOMEM;
    if (rc == 0)
        rc = http_hidden_put(a->hidden, HTTP_HIDDEN_ENCODED, credentials);
    if (rc == 0) {
        file_forget(a->header);
        a->header = header;
    } else {
        file_forget(header);
    }
    file_forget(credentials);
    return rc;
}

/* ---- The file ---- */

/* Cuts off what editors and "echo" put behind a secret: the end of the line; of a token also spaces. */
static size_t trim(const char *text, size_t len, bool token)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' ||
                       (token && (text[len - 1] == ' ' || text[len - 1] == '\t'))))
        len--;
    return len;
}

/* Whether the |len| bytes |text| can stand in a header: a token is of visible ASCII (RFC 6750), a password
 * has no control characters (RFC 7617). */
static bool is_secret(const char *text, size_t len, bool token)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || (token && (c == ' ' || c > 0x7f)))
            return false;
    }
    return len > 0;
}

static int read_file(struct http_auth *a, struct err *e)
{
    char *text;
    size_t len;
    bool token = !a->user;
    int rc = file_read(a->path, SECRET_MAX, &text, &len, NULL, e);
    if (rc)
        return rc;
    size_t n = trim(text, len, token);
    if (is_secret(text, n, token)) {
        text[n] = '\0';
        rc = use_secret(a, text);
        if (rc)
            err_set(e, rc, "%s: out of memory", a->path);
    } else {
        rc = err_set(e, ERR_MALFORMED,
                     token ? "%s: is not a token: one line of ASCII letters, digits and signs"
                           : "%s: is not a password: one line without control characters",
                     a->path);
    }
    explicit_bzero(text, len);
    free(text);
    return rc;
}

static int read_again(struct http_auth *a, struct err *e)
{
    struct err error = {0};
    a->stamp = file_stamp(a->path); /* before the bytes: a change between the two is seen the next time */
    int rc = read_file(a, &error);
    if (file_attempt_note(&a->attempt, rc) && rc && a->header)
        log_warn("output", "%s; the one read before stays in use", error.text);
    if (rc && e)
        *e = error;
    return rc;
}

int http_auth_refresh(struct http_auth *a, struct err *e)
{
    if (!a->path)
        return 0;
    struct file_stamp stamp = file_stamp(a->path);
    if (a->header && file_stamp_same(&stamp, &a->stamp) && !file_attempt_due(&a->attempt))
        return 0;
    int rc = read_again(a, e);
    return a->header ? 0 : rc;
}

bool http_auth_renew(struct http_auth *a)
{
    if (!a->path || !a->header)
        return false;
    char *before = strdup(a->header);
    bool other = before && read_again(a, NULL) == 0 && strcmp(before, a->header) != 0;
    file_forget(before);
    return other;
}

/* ---- Life ---- */

static int check(const struct output_http_options *o, const struct url *u, struct err *e)
{
    bool user = *o->user || u->user;
    if (*o->user && u->user)
        return err_set(e, ERR_DUPLICATE, "options: user: the URL has one, too");
    if (*o->password_file && u->password)
        return err_set(e, ERR_DUPLICATE, "options: password_file: the URL has a password, too");
    if (*o->token_file && (user || *o->password_file))
        return err_set(e, ERR_DUPLICATE,
                       "options: token_file: excludes a user and a password, here and in the URL");
    if (*o->password_file && !user)
        return err_set(e, ERR_PRECONDITION, "options: password_file: needs user, or one in the URL");
    if (user && strchr(*o->user ? o->user : u->user, ':'))
        return err_set(e, ERR_MALFORMED, "user: has a colon, which basic authentication cannot carry");
    return 0;
}

int http_auth_init(struct http_auth *a, const struct output_http_options *o, const struct url *u,
                   struct http_hidden *hidden, struct err *e)
{
    *a = (struct http_auth){.hidden = hidden, .user = *o->user ? o->user : u->user};
    int rc = check(o, u, e);
    if (rc)
        return rc;
    if (*o->token_file)
        a->path = o->token_file;
    else if (*o->password_file)
        a->path = o->password_file;
    else if (a->user)
        rc = use_secret(a, u->password ? u->password : "");
    return rc ? err_set(e, rc, "out of memory") : 0;
}

void http_auth_free(struct http_auth *a)
{
    file_forget(a->header);
    *a = (struct http_auth){0};
}
