/* URLs: any text is refused with a sentence, or its parts are what the header promises; and what people see of it has
 * no secret in it. The input is a text and the name of a parameter, with a NUL between them. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/url.h"
#include "lib/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A secret that is shorter may be anywhere by chance. */
#define SECRET_MIN 4

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Whether |text| is UTF-8 without control characters, or without all hidden ones. */
static bool is_clean(const char *text, bool without_hidden)
{
    for (size_t left = strlen(text), len; left > 0; text += len, left -= len) {
        len = utf8_length(text, left);
        if (len == 0 || utf8_is_control(text, len) || (without_hidden && utf8_is_hidden(text, len)))
            return false;
    }
    return true;
}

/* Whether |secret| may be looked for in a printed text: it is long enough, and nothing that stands for a secret or for
 * a hidden character is in it. */
static bool is_telling(const char *secret)
{
    return strlen(secret) >= SECRET_MIN && !strchr(secret, '*') && !strstr(secret, UTF8_REPLACEMENT);
}

static void check_password(const char *text, const char *password, const char *safe)
{
    if (!is_telling(password))
        return;
    const char *from = strchr(strchr(text, ':') + 1, ':') + 1;
    const char *at = strrchr(text, '@');
    if (!memmem(text, (size_t)(from - text), password, strlen(password)) && !strstr(at, password))
        require(!strstr(safe, password));
}

/* The value of the parameter "password", where it stands as it is and once only. */
static void check_parameter(const char *text, const struct url *u, const char *safe)
{
    char value[URL_TEXT_MAX + 1];
    if (url_query(u, "password", value, sizeof(value)) < 0 || !is_telling(value))
        return;
    const char *first = strstr(text, value);
    if (first && !strstr(first + 1, value))
        require(!strstr(safe, value));
}

static void check_query(const struct url *u, const char *name)
{
    char value[64], whole[URL_TEXT_MAX + 1];
    int n = url_query(u, name, value, sizeof(value));
    int all = url_query(u, name, whole, sizeof(whole));
    require(is_clean(value, false) && is_clean(whole, false));
    require(n < 0 ? !*value && (all < 0 || (size_t)all >= sizeof(value))
                  : n == all && strlen(value) == (size_t)n && strcmp(value, whole) == 0);
}

static void check_hosts(const struct url *u)
{
    for (size_t i = 0; i < u->n_hosts; i++) {
        const char *name = u->hosts[i].name;
        require(*name && strlen(name) <= URL_HOST_MAX && !strpbrk(name, "[]/@?#, "));
    }
}

static void check_parts(const struct url *u, enum url_kind kind)
{
    const char *const texts[] = {u->scheme, u->path, u->query, u->user ? u->user : "",
                                 u->password ? u->password : ""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        require(is_clean(texts[i], false));
    char scheme[URL_TEXT_MAX + 1];
    url_scheme(u->scheme, scheme, sizeof(scheme));
    require(*scheme && strcmp(scheme, u->scheme) == 0);
    require((kind == URL_NET) == (u->n_hosts > 0) && u->n_hosts <= URL_HOSTS_MAX);
    require(*u->path == '/' || (!*u->path && kind != URL_PATH));
    require(!u->password || u->user);
    check_hosts(u);
}

static void check_error(int rc, const struct err *e, const struct url *u)
{
    require((rc == ERR_MALFORMED || rc == ERR_RANGE) && e->code == rc && *e->text && is_clean(e->text, true));
    require(!u->scheme && !u->user && !u->password && !u->hosts && u->n_hosts == 0 && !u->path && !u->query);
}

/* What is printed of a URL that is in order is printed the same once more, and is the whole of one without secrets. */
static void check_printed(const char *text, const char *safe, enum url_kind kind)
{
    struct buf again;
    buf_init(&again);
    url_print_safe(safe, &again);
    require(kind != URL_NET || strlen(safe) > URL_TEXT_MAX || strcmp(buf_cstr(&again), safe) == 0);
    require(strpbrk(text, "@?&;#") || !is_clean(text, true) || strcmp(text, safe) == 0);
    buf_free(&again);
}

static void check_kind(const char *text, const char *name, const char *safe, enum url_kind kind)
{
    struct url u;
    struct err e = {0};
    int rc = url_parse(text, kind, &u, &e);
    if (rc) {
        check_error(rc, &e, &u);
        return;
    }
    check_parts(&u, kind);
    check_query(&u, name);
    check_printed(text, safe, kind);
    check_parameter(text, &u, safe);
    if (u.password)
        check_password(text, u.password, safe);
    url_free(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    const char *name = text + strlen(text) + 1;
    struct buf safe;
    buf_init(&safe);
    url_print_safe(text, &safe);
    require(safe.len <= URL_SAFE_MAX && is_clean(buf_cstr(&safe), true));
    for (enum url_kind kind = URL_BARE; kind <= URL_NET; kind++)
        check_kind(text, name, buf_cstr(&safe), kind);
    buf_free(&safe);
    free(text);
    return 0;
}
