/* The sink valkey: messages to a channel (PUBLISH) or a stream (XADD) of Valkey or Redis.
 *
 * Some commands are under way at a time; each has an answer, in their order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/decimal.h"
#include "lib/file.h"
#include "lib/log.h"
#include "outputs/sink/net_answer.h"
#include "outputs/sink/net_stream.h"
#include "outputs/sink/net_tls.h"
#include "outputs/sink/resp.h"
#include "outputs/sink/sink.h"

#define KEY_DEFAULT  "xtcp"
#define PASSWORD_MAX 4096
#define DATABASE_MAX 100000

/* Commands that are under way at a time. */
#define PIPELINE 64

struct valkey_sink {
    const struct sink_env *env;
    const struct output_valkey_options *options;
    struct net_stream *net;
    struct net_answer answer;
    size_t used; /* bytes of |answer| that the next look at it drops */
    const char *key;
    uint32_t database;
    struct buf head; /* of the command that is written */
};

/* ---- Life ---- */

/* The path of the URL is the number of a database. */
static int choose_database(struct valkey_sink *k, struct err *e)
{
    uint64_t number = k->options->database;
    const char *path = k->env->url->path;
    if (*path && path[1] && decimal_parse(path + 1, DATABASE_MAX, &number))
        return err_set(e, ERR_MALFORMED, "the path of the URL is not the number of a database");
    k->database = (uint32_t)number;
    return 0;
}

static bool uses_tls(const struct valkey_sink *k)
{
    return k->options->tls || strcmp(k->env->url->scheme, "rediss") == 0;
}

static int make_stream(struct valkey_sink *k, struct err *e)
{
    const struct net_stream_options net = {.host = k->env->host,
                                           .url = k->env->url,
                                           .port = k->env->kind->port,
                                           .timeout = k->options->timeout,
                                           .tls = uses_tls(k) ? &k->options->files : NULL};
    int rc = net_tls_check(&k->options->files, uses_tls(k), e);
    return rc ? rc : net_stream_new(&net, &k->net, e);
}

static int valkey_open(const struct sink_env *env, void **out, struct err *e)
{
    struct valkey_sink *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, -ENOMEM, "out of memory");
    k->env = env;
    k->options = env->options;
    k->key = *k->options->key ? k->options->key : KEY_DEFAULT;
    buf_init(&k->head);
    int rc = choose_database(k, e);
    if (rc == 0)
        rc = make_stream(k, e);
    if (rc)
        free(k);
    else
        *out = k;
    return rc;
}

static void valkey_close(void *sink)
{
    struct valkey_sink *k = sink;
    net_stream_free(k->net);
    buf_free(&k->head);
    free(k);
}

/* ---- Answers ---- */

/* The next answer, valid until the next call. Returns 0, or a code with |e|. */
static int next_answer(struct valkey_sink *k, int64_t deadline_ns, struct resp_answer *out, struct err *e)
{
    net_answer_use(&k->answer, k->used);
    k->used = 0;
    for (;;) {
        int rc = resp_parse(k->answer.bytes, k->answer.n, out);
        if (rc < 0)
            return err_set(e, rc, "%s: does not speak the protocol of Valkey", net_stream_name(k->net));
        if (rc > 0) {
            k->used = out->size;
            return 0;
        }
        rc = net_answer_more(&k->answer, k->net, deadline_ns, e);
        if (rc)
            return rc;
    }
}

static int64_t answer_deadline(const struct valkey_sink *k)
{
    return clock_mono_ns() + k->options->timeout;
}

/* The server says |a|. |secret| (NULL: none) is not shown. */
static int blame(const struct valkey_sink *k, const struct resp_answer *a, const char *secret, struct err *e)
{
    char text[NET_ANSWER_TEXT];
    net_answer_text(a->text, a->len, secret, text);
    return err_set(e, ERR_UNAVAILABLE, "%s: the server says: %s", net_stream_name(k->net), text);
}

/* ---- The connection ---- */

/* Sends the command |k->head| and wants OK. */
static int run_command(struct valkey_sink *k, const char *secret, struct err *e)
{
    struct resp_answer a;
    if (k->head.failed)
        return err_set(e, -ENOMEM, "%s: out of memory", net_stream_name(k->net));
    int rc = net_stream_write(k->net, k->head.data, k->head.len, false, e);
    if (rc == 0)
        rc = next_answer(k, answer_deadline(k), &a, e);
    if (rc == 0 && !(a.type == RESP_SIMPLE && a.len == 2 && memcmp(a.text, "OK", 2) == 0))
        rc = blame(k, &a, secret, e);
    return rc;
}

static int log_in_as(struct valkey_sink *k, const char *password, struct err *e)
{
    const char *user = *k->options->user ? k->options->user : k->env->url->user;
    bool named = user && *user;
    buf_reset(&k->head);
    resp_command(&k->head, named ? 3 : 2);
    resp_argument(&k->head, "AUTH");
    if (named)
        resp_argument(&k->head, user);
    resp_argument(&k->head, password);
    int rc = run_command(k, password, e);
    if (k->head.data)
        explicit_bzero(k->head.data, k->head.cap);
    return rc;
}

/* With the password of the file, or that of the URL; without one nobody logs in. */
static int authenticate(struct valkey_sink *k, struct err *e)
{
    if (!*k->options->password_file)
        return k->env->url->password ? log_in_as(k, k->env->url->password, e) : 0;
    char *password;
    int rc = file_read(k->options->password_file, PASSWORD_MAX, &password, NULL, NULL, e);
    if (rc) {
        err_prefix(e, "%s", net_stream_name(k->net));
        return rc;
    }
    password[strcspn(password, "\r\n")] = '\0';
    rc = log_in_as(k, password, e);
    file_forget(password);
    return rc;
}

static int select_database(struct valkey_sink *k, struct err *e)
{
    char number[16];
    if (k->database == 0)
        return 0;
    snprintf(number, sizeof(number), "%u", k->database);
    buf_reset(&k->head);
    resp_command(&k->head, 2);
    resp_argument(&k->head, "SELECT");
    resp_argument(&k->head, number);
    return run_command(k, NULL, e);
}

static enum sink_result make_connection(struct valkey_sink *k, struct err *e)
{
    k->answer.n = k->used = 0;
    int rc = net_stream_connect(k->net, e);
    if (rc)
        return rc == ERR_CANCELLED ? SINK_AGAIN : SINK_BROKEN;
    rc = authenticate(k, e);
    if (rc == 0)
        rc = select_database(k, e);
    return net_answer_connected(k->net, rc);
}

/* Nothing comes unasked, but an error before the server closes the connection, and the end. */
static enum sink_result look_for_news(struct valkey_sink *k, struct err *e)
{
    struct resp_answer a;
    struct err news = {0};
    int rc = next_answer(k, 0, &a, &news);
    if (rc == 0)
        blame(k, &a, NULL, &news);
    return net_answer_unasked(k->net, rc, &news, e);
}

static enum sink_result valkey_connect(void *sink, bool *fresh, struct err *e)
{
    struct valkey_sink *k = sink;
    if (net_stream_connected(k->net))
        return look_for_news(k, e);
    *fresh = true;
    return make_connection(k, e);
}

/* ---- Messages ---- */

/* The command of a message, up to the bytes of that. */
static void put_head(struct valkey_sink *k, size_t len)
{
    char length[16];
    unsigned bound = k->options->stream_length;
    buf_reset(&k->head);
    if (k->options->mode == OUTPUT_VALKEY_PUBLISH) {
        resp_command(&k->head, 3);
        resp_argument(&k->head, "PUBLISH");
        resp_argument(&k->head, k->key);
    } else {
        resp_command(&k->head, bound ? 8 : 5);
        resp_argument(&k->head, "XADD");
        resp_argument(&k->head, k->key);
        if (bound) {
            snprintf(length, sizeof(length), "%u", bound);
            resp_argument(&k->head, "MAXLEN");
            resp_argument(&k->head, "~");
            resp_argument(&k->head, length);
        }
        resp_argument(&k->head, "*");
        resp_argument(&k->head, "data");
    }
    resp_length(&k->head, len);
}

static int write_message(struct valkey_sink *k, const struct sink_message *m, bool more, struct err *e)
{
    put_head(k, m->len);
    if (k->head.failed)
        return err_set(e, -ENOMEM, "%s: out of memory", net_stream_name(k->net));
    int rc = net_stream_write(k->net, k->head.data, k->head.len, true, e);
    if (rc == 0)
        rc = net_stream_write(k->net, m->data, m->len, true, e);
    return rc ? rc : net_stream_write(k->net, RESP_END, strlen(RESP_END), more, e);
}

static int write_messages(struct valkey_sink *k, const struct sink_message *list, size_t n, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = write_message(k, &list[i], i + 1 < n, e);
    return rc;
}

/* Errors after which another connection, or another server, may do better. The others are about the state of this one,
 * and none about a message. */
static bool ends_connection(const struct resp_answer *a)
{
    static const char *const codes[] = {"NOAUTH", "WRONGPASS", "READONLY", "MOVED", "ASK"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (resp_is_error(a, codes[i]))
            return true;
    }
    return false;
}

static enum sink_result judge(struct valkey_sink *k, const struct resp_answer *a, struct err *e)
{
    bool publishes = k->options->mode == OUTPUT_VALKEY_PUBLISH;
    if (a->type == RESP_ERROR) {
        blame(k, a, NULL, e);
        if (!ends_connection(a))
            return SINK_AGAIN;
        net_stream_give_up(k->net);
        return SINK_BROKEN;
    }
    if (publishes && a->type == RESP_INTEGER && a->number == 0)
        log_limited(LOG_WARN, "output",
                    "%s: %s: nobody listens to the channel %s: what is published there is lost",
                    k->env->host->output, net_stream_name(k->net), k->key);
    return SINK_DONE;
}

/* Takes the answers to |n| messages that come until |deadline_ns|, and sets their results. |e| is of the first that
 * is not done. */
static void take_answers(struct valkey_sink *k, struct sink_message *list, size_t n, int64_t deadline_ns,
                         struct err *e)
{
    struct err *first = e;
    for (size_t i = 0; i < n; i++) {
        struct resp_answer a;
        int rc = net_stream_connected(k->net) ? next_answer(k, deadline_ns, &a, first) : ERR_GONE;
        list[i].result = rc ? SINK_BROKEN : judge(k, &a, first);
        if (list[i].result != SINK_DONE)
            first = NULL;
        if (rc)
            net_stream_close(k->net); /* the answer may still come: it would be taken for another one's */
    }
}

/* Not all could be written, for the reason |why|. If the peer has gone, it may have answered to some messages
 * before. */
static void hear_last_words(struct valkey_sink *k, struct sink_message *list, size_t n, const struct err *why,
                            struct err *e)
{
    struct err last = {0};
    take_answers(k, list, n, 0, &last);
    net_stream_give_up(k->net);
    if (e)
        *e = last.code == ERR_UNAVAILABLE ? last : *why; /* the server has said something */
}

static void send_some(struct valkey_sink *k, struct sink_message *list, size_t n, struct err *e)
{
    struct err why = {0};
    int rc = write_messages(k, list, n, &why);
    if (rc == 0) {
        take_answers(k, list, n, answer_deadline(k), e);
        return;
    }
    if (rc != -ECONNRESET)
        net_stream_close(k->net); /* a part has left */
    hear_last_words(k, list, n, &why, e);
}

static void valkey_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct valkey_sink *k = sink;
    enum sink_result last = SINK_DONE;
    size_t i = 0;
    while (i < n && last == SINK_DONE && net_stream_connected(k->net)) {
        size_t count = n - i < PIPELINE ? n - i : PIPELINE;
        send_some(k, list + i, count, e);
        i += count;
        last = list[i - 1].result;
    }
    for (; i < n; i++)
        list[i].result = net_stream_connected(k->net) ? SINK_AGAIN : SINK_BROKEN;
}

extern const struct sink_ops xtcp_sink_valkey;

__attribute__((visibility("default"))) const struct sink_ops xtcp_sink_valkey = {
    .abi = SINK_ABI,
    .use_log = log_use,
    .open = valkey_open,
    .connect = valkey_connect,
    .send = valkey_send,
    .close = valkey_close,
};
