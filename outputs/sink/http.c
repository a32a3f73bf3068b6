/* The sink for HTTP, by libcurl: a POST for each message. A module: xtcp_sink_http is all that it shows.
 *
 * What the answers mean:
 *
 *   2xx                                         delivered
 *   408, 425, 429, 5xx                          SINK_AGAIN; not before the time of Retry-After
 *   no answer, half an answer, no connection    SINK_BROKEN; the next host of the URL, if there are several
 *   everything else, redirects included         SINK_REFUSED; into the dead_letter_file, if there is one
 *
 * A message of which half an answer came is sent again, so it may arrive twice. */
#include "outputs/sink/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/utf8.h"
#include "outputs/sink/http_auth.h"
#include "outputs/sink/http_body.h"
#include "outputs/sink/http_dead_letter.h"
#include "outputs/sink/http_headers.h"
#include "outputs/sink/http_hide.h"
#include "outputs/sink/http_place.h"
#include "outputs/sink/http_request.h"

/* A server cannot stop us for longer. */
#define HOLD_MAX_S 600

/* How much an error shows of the body and of the reason in the status line, and room for "..." and NUL. */
#define LINE_SHOWN   (200 + 4)
#define REASON_SHOWN (60 + 4)

struct http_sink {
    const struct sink_env *env;
    const struct output_http_options *options;
    struct http_hidden hidden;
    struct http_place place;
    struct http_auth auth;
    struct http_headers headers;
    struct http_body body;
    struct http_request request;
    bool reached;    /* the last attempt met a server */
    int64_t hold_ns; /* no request before; 0: at once */
    struct err held; /* why */
};

static int64_t deadline(const struct http_sink *s)
{
    return clock_mono_ns() + s->options->timeout;
}

/* ---- Connect ---- */

/* Checks that the files of TLS can be read. curl reads them itself, for each connection; but it would wait
 * for a file system that hangs, and for the other end of a FIFO. */
static int check_files(const struct output_tls *tls, struct err *e)
{
    const char *const paths[] = {tls->ca_file, tls->cert_file, tls->key_file};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(paths) / sizeof(paths[0]); i++) {
        char *data = NULL;
        size_t len = 0;
        if (!*paths[i])
            continue;
        rc = file_read(paths[i], FILE_SECRET_MAX, &data, &len, NULL, e);
        if (data)
            explicit_bzero(data, len);
        free(data);
    }
    return rc;
}

static struct http_target target(struct http_sink *s)
{
    bool own_host = http_headers_have(&s->headers, "host");
    char *host = own_host ? NULL : http_place_host_header(&s->place);
    return (struct http_target){.url = s->place.url.data,
                                .addresses = http_place_addresses(&s->place),
                                .headers = http_headers_list(&s->headers, host, s->auth.header)};
}

/* Looks whether there is a server. */
static int reach(struct http_sink *s, struct err *e)
{
    int64_t deadline_ns = deadline(s);
    int rc = s->place.https ? check_files(&s->options->tls, e) : 0;
    if (rc == 0)
        rc = http_place_resolve(&s->place, deadline_ns, e);
    if (rc == 0) {
        struct http_target t = target(s);
        rc = http_request_probe(&s->request, &t, deadline_ns, e);
    }
    return rc;
}

static enum sink_result broken(struct http_sink *s, const struct err *why, struct err *e)
{
    s->reached = false;
    if (why->code != ERR_CANCELLED)
        http_place_next(&s->place);
    err_set(e, why->code, "%s: %s", s->place.shown, why->text);
    return SINK_BROKEN;
}

static bool is_held(struct http_sink *s)
{
    if (s->hold_ns && clock_mono_ns() >= s->hold_ns)
        s->hold_ns = 0;
    return s->hold_ns != 0;
}

static enum sink_result http_connect(void *sink, bool *fresh, struct err *e)
{
    struct http_sink *s = sink;
    struct err error = {0};
    *fresh = true; /* every body begins anew */
    if (is_held(s)) {
        err_set(e, s->held.code, "%s", s->held.text);
        return SINK_AGAIN;
    }
    int rc = http_auth_refresh(&s->auth, &error);
    if (rc == 0 && !s->reached)
        rc = reach(s, &error);
    else if (rc == 0 && http_place_is_stale(&s->place))
        (void)http_place_resolve(&s->place, deadline(s), NULL); /* the addresses known so far stay */
    if (rc)
        return broken(s, &error, e);
    s->reached = true;
    return SINK_DONE;
}

/* ---- Answers ---- */

/* Writes |n| bytes |text| of the server into |out| of |size| bytes, as an error shows them. */
static void show(const struct http_sink *s, const char *text, size_t n, char *out, size_t size)
{
    struct buf shown;
    buf_init(&shown);
    http_hide(&s->hidden, text, n, &shown);
    utf8_quote(buf_cstr(&shown), out, size);
    buf_free(&shown);
}

static void show_first_line(const struct http_sink *s, char out[LINE_SHOWN])
{
    const struct buf *body = &s->request.answer.body;
    const char *line = body->data;
    size_t left = body->len, n = 0;
    for (; left > 0 && strchr(" \t\r\n", *line); line++)
        left--;
    while (n < left && line[n] && line[n] != '\n' && line[n] != '\r')
        n++;
    show(s, line, n, out, LINE_SHOWN);
}

/* Where a redirect leads to; it may have secrets that are not ours. */
static void show_location(const struct http_sink *s, char out[LINE_SHOWN])
{
    struct buf safe;
    buf_init(&safe);
    url_print_safe(s->request.answer.location, &safe);
    show(s, safe.data, safe.len, out, LINE_SHOWN);
    buf_free(&safe);
}

/* "URL: 400 Bad Request: the first line of the body". */
static void describe(const struct http_sink *s, int code, struct err *e)
{
    char reason[REASON_SHOWN], line[LINE_SHOWN];
    const struct http_answer *a = &s->request.answer;
    show(s, a->reason, strlen(a->reason), reason, sizeof(reason));
    const char *space = *reason ? " " : "";
    if (a->status >= 300 && a->status < 400) {
        show_location(s, line);
        err_set(e, code, "%s: %ld%s%s%s%s: redirects are not followed", s->place.shown, a->status, space,
                reason, *line ? " to " : "", line);
        return;
    }
    show_first_line(s, line);
    err_set(e, code, "%s: %ld%s%s%s%s", s->place.shown, a->status, space, reason, *line ? ": " : "", line);
}

/* Appends to the sentence |e|. */
static void add(struct err *e, const char *what, const char *text)
{
    struct err old = *e;
    err_set(e, old.code, "%s; %s %s", old.text, what, text);
}

/* Obeys Retry-After. */
static void hold(struct http_sink *s, struct err *e)
{
    char until[CLOCK_TEXT_MAX];
    int64_t seconds = s->request.answer.retry_after_s;
    if (seconds <= 0)
        return;
    seconds = seconds < HOLD_MAX_S ? seconds : HOLD_MAX_S;
    clock_format(clock_wall_ns() + seconds * NS_PER_S, 0, until);
    add(e, "not again before", until);
    s->hold_ns = clock_mono_ns() + seconds * NS_PER_S;
    s->held = *e;
}

static bool may_pass(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static int refusal_code(long status)
{
    return status == 401   ? ERR_UNAUTHENTICATED
           : status == 403 ? ERR_PERMISSION
           : status == 413 ? ERR_LIMIT
                           : ERR_UNSUPPORTED;
}

/* What the answer means, with |e| unless it is SINK_DONE. */
static enum sink_result judge(struct http_sink *s, struct err *e)
{
    long status = s->request.answer.status;
    if (status >= 200 && status < 300)
        return SINK_DONE;
    if (!may_pass(status)) {
        describe(s, refusal_code(status), e);
        return SINK_REFUSED;
    }
    describe(s, ERR_UNAVAILABLE, e);
    hold(s, e);
    return SINK_AGAIN;
}

/* ---- Send ---- */

static enum sink_result post(struct http_sink *s, const void *body, size_t len, struct err *e)
{
    struct err error;
    struct http_target t = target(s);
    if (http_request_post(&s->request, &t, body, len, deadline(s), &error))
        return broken(s, &error, e);
    return judge(s, e);
}

/* Puts the refused message |m| aside, and says in |e| where it is. */
static void put_aside(const struct http_sink *s, const struct sink_message *m, struct err *e)
{
    struct err error = {0};
    const char *path = s->options->dead_letter_file;
    if (!*path)
        return;
    if (http_dead_letter(path, m->data, m->len, &error)) {
        log_limited(LOG_ERROR, "output", "%s: a refused message could not be kept: %s", s->env->host->output,
                    error.text);
        add(e, "it could not be kept:", error.text);
    } else {
        add(e, "kept in", path);
    }
}

static enum sink_result deliver(struct http_sink *s, const struct sink_message *m, struct err *e)
{
    const void *body;
    size_t len;
    int rc = http_body_make(&s->body, m->data, m->len, &body, &len);
    if (rc) {
        err_set(e, rc, "%s: cannot compress: %s", s->place.shown, err_name(rc));
        return rc == ERR_LIMIT ? SINK_REFUSED : SINK_AGAIN;
    }
    enum sink_result result = post(s, body, len, e);
    if (result == SINK_REFUSED && s->request.answer.status == 401 && http_auth_renew(&s->auth))
        result = post(s, body, len, e);
    if (result == SINK_REFUSED)
        put_aside(s, m, e);
    return result;
}

static void http_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct http_sink *s = sink;
    struct err first = {0};
    enum sink_result result = SINK_DONE;
    for (size_t i = 0; i < n; i++) {
        struct err error = {0};
        if (result != SINK_AGAIN && result != SINK_BROKEN)
            result = deliver(s, &list[i], &error);
        list[i].result = result;
        if (result != SINK_DONE && first.code == 0)
            first = error;
    }
    if (first.code && e)
        *e = first;
}

/* ---- Life ---- */

static void http_close(void *sink)
{
    struct http_sink *s = sink;
    http_request_free(&s->request);
    http_body_free(&s->body);
    http_headers_free(&s->headers);
    http_auth_free(&s->auth);
    http_place_free(&s->place);
    http_hidden_free(&s->hidden);
    free(s);
}

static int set_up(struct http_sink *s, struct err *e)
{
    const struct sink_env *env = s->env;
    const struct output_http_options *o = s->options;
    int rc = http_hidden_add_url(&s->hidden, env->url);
    if (rc)
        return err_set(e, rc, "out of memory");
    rc = http_place_init(&s->place, env, o->tls.server_name, e);
    if (rc == 0)
        rc = http_auth_init(&s->auth, o, env->url, &s->hidden, e);
    if (rc == 0)
        rc = http_headers_init(&s->headers, o, env->format, &s->hidden, e);
    if (rc == 0 && (s->auth.header || s->auth.path) && http_headers_have(&s->headers, "authorization"))
        rc = err_set(e, ERR_DUPLICATE,
                     "options: headers: Authorization and token_file or a user exclude each other");
    if (rc == 0 && *o->tls.key_file && !*o->tls.cert_file)
        rc = err_set(e, ERR_MALFORMED, "options: tls_key_file: needs tls_cert_file");
    if (rc == 0)
        rc = http_request_init(&s->request, env->host, o, s->place.https, &s->hidden, e);
    if (rc == 0 && http_body_init(&s->body, o->compress))
        rc = err_set(e, -ENOMEM, "out of memory");
    return rc;
}

static int http_open(const struct sink_env *env, void **out, struct err *e)
{
    struct http_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->env = env;
    s->options = env->options;
    int rc = set_up(s, e);
    if (rc) {
        http_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

extern const struct sink_ops xtcp_sink_http;

__attribute__((visibility("default"))) const struct sink_ops xtcp_sink_http = {
    .abi = SINK_ABI,
    .use_log = log_use,
    .open = http_open,
    .connect = http_connect,
    .send = http_send,
    .close = http_close,
};
