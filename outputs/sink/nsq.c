/* The sink nsq: messages to a topic of nsqd, several at a time, each group with an answer.
 *
 * Of several nsqd one is used, and another one when that fails. nsqd closes the connection behind nearly every
 * error. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "outputs/sink/net_answer.h"
#include "outputs/sink/net_stream.h"
#include "outputs/sink/net_tls.h"
#include "outputs/sink/nsq_frame.h"
#include "outputs/sink/sink.h"

#define TOPIC_DEFAULT "xtcp"
#define SECRET_MAX    4096

/* A group of messages: below the 5 MiB that nsqd takes by default (--max-body-size). */
#define GROUP_BYTES (4u << 20)
#define GROUP_COUNT 1000

#define HEARTBEAT "_heartbeat_"

struct nsq_sink {
    const struct sink_env *env;
    const struct output_nsq_options *options;
    struct net_stream *net;
    struct net_answer answer;
    size_t used; /* bytes of |answer| that the next look at it drops */
    const char *topic;
    bool single; /* a group has been refused: messages go one by one, so that only the one to blame is */
};

/* ---- Life ---- */

static int choose_topic(struct nsq_sink *k, struct err *e)
{
    const char *path = k->env->url->path;
    k->topic = *k->options->topic ? k->options->topic : *path && path[1] ? path + 1 : TOPIC_DEFAULT;
    if (nsq_topic_valid(k->topic))
        return 0;
    return err_set(
        e, ERR_MALFORMED,
        "topic: value \"%s\"; allowed are up to 64 letters, digits, '.', '_' and '-', with #ephemeral at the end or "
        "without",
        k->topic);
}

static int make_stream(struct nsq_sink *k, struct err *e)
{
    const struct net_stream_options net = {.host = k->env->host,
                                           .url = k->env->url,
                                           .port = k->env->kind->port,
                                           .timeout = k->options->timeout,
                                           .tls = k->options->tls ? &k->options->files : NULL,
                                           .tls_later = true};
    return net_stream_new(&net, &k->net, e);
}

static int nsq_open(const struct sink_env *env, void **out, struct err *e)
{
    const struct output_nsq_options *o = env->options;
    int rc = net_tls_check(&o->files, o->tls, e);
    if (rc)
        return rc;
    struct nsq_sink *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, -ENOMEM, "out of memory");
    k->env = env;
    k->options = o;
    rc = choose_topic(k, e);
    if (rc == 0)
        rc = make_stream(k, e);
    if (rc)
        free(k);
    else
        *out = k;
    return rc;
}

static void nsq_close(void *sink)
{
    struct nsq_sink *k = sink;
    net_stream_free(k->net);
    free(k);
}

/* ---- Frames ---- */

static int64_t answer_deadline(const struct nsq_sink *k)
{
    return clock_mono_ns() + k->options->timeout;
}

/* The next frame, valid until the next call. Returns 0, or a code with |e|; after most of them the connection is
 * closed. */
static int next_frame(struct nsq_sink *k, int64_t deadline_ns, struct nsq_frame *out, struct err *e)
{
    net_answer_use(&k->answer, k->used);
    k->used = 0;
    for (;;) {
        int rc = nsq_frame_parse(k->answer.bytes, k->answer.n, out);
        if (rc < 0)
            return err_set(e, rc, "%s: does not speak the protocol of NSQ", net_stream_name(k->net));
        if (rc > 0) {
            k->used = out->size;
            return 0;
        }
        rc = net_answer_more(&k->answer, k->net, deadline_ns, e);
        if (rc)
            return rc;
    }
}

/* The next frame that is no heartbeat; these are answered. */
static int next_answer(struct nsq_sink *k, int64_t deadline_ns, struct nsq_frame *out, struct err *e)
{
    for (;;) {
        int rc = next_frame(k, deadline_ns, out, e);
        if (rc || out->type != NSQ_RESPONSE || !nsq_frame_is(out, HEARTBEAT))
            return rc;
        rc = net_stream_write(k->net, "NOP\n", 4, false, e);
        if (rc)
            return rc;
    }
}

static int blame(const struct nsq_sink *k, const struct nsq_frame *f, const char *secret, struct err *e)
{
    char text[NET_ANSWER_TEXT];
    net_answer_text(f->data, f->len, secret, text);
    return err_set(e, ERR_UNAVAILABLE, "%s: nsqd says: %s", net_stream_name(k->net), text);
}

/* The next answer, which must be no error, and |text| (NULL: any). |secret| (NULL: none) is not shown. */
static int expect(struct nsq_sink *k, const char *text, const char *secret, struct nsq_frame *out,
                  struct err *e)
{
    int rc = next_answer(k, answer_deadline(k), out, e);
    if (rc == 0 && (out->type == NSQ_ERROR || (text && !nsq_frame_is(out, text))))
        rc = blame(k, out, secret, e);
    return rc;
}

/* Writes |command|, a line, and the |len| bytes |body| with their length in front. */
static int write_command(struct nsq_sink *k, const char *command, const void *body, size_t len, struct err *e)
{
    uint32_t size = htobe32((uint32_t)len);
    int rc = net_stream_write(k->net, command, strlen(command), true, e);
    if (rc == 0)
        rc = net_stream_write(k->net, &size, sizeof(size), true, e);
    return rc ? rc : net_stream_write(k->net, body, len, false, e);
}

/* ---- The connection ---- */

/* No heartbeats: between two polls nobody would answer them. */
static void put_identity(const struct nsq_sink *k, struct buf *out)
{
    const char *hostname = k->env->host->hostname;
    buf_str(out, "{\"client_id\":");
    buf_json_string(out, hostname, strlen(hostname));
    buf_str(out, ",\"hostname\":");
    buf_json_string(out, hostname, strlen(hostname));
    buf_str(out,
            ",\"user_agent\":\"xtcp2\",\"feature_negotiation\":true,\"heartbeat_interval\":-1,\"tls_v1\":");
    buf_str(out, k->options->tls ? "true}" : "false}");
}

static int identify(struct nsq_sink *k, struct nsq_frame *features, struct err *e)
{
    struct buf text;
    buf_init(&text);
    put_identity(k, &text);
    int rc = text.failed ? err_set(e, -ENOMEM, "%s: out of memory", net_stream_name(k->net))
                         : write_command(k, "  V2IDENTIFY\n", text.data, text.len, e);
    buf_free(&text);
    return rc ? rc : expect(k, NULL, NULL, features, e);
}

static int start_tls(struct nsq_sink *k, const struct nsq_frame *features, struct err *e)
{
    struct nsq_frame ok;
    if (!nsq_frame_has(features, "tls_v1"))
        return err_set(e, ERR_UNAVAILABLE, "%s: nsqd offers no TLS", net_stream_name(k->net));
    if (k->answer.n > k->used)
        return err_set(e, ERR_MALFORMED, "%s: nsqd has sent something before TLS began",
                       net_stream_name(k->net));
    int rc = net_stream_start_tls(k->net, e);
    return rc ? rc : expect(k, "OK", NULL, &ok, e);
}

static int authenticate(struct nsq_sink *k, struct err *e)
{
    char *secret;
    struct nsq_frame answer;
    if (!*k->options->secret_file)
        return err_set(e, ERR_UNAUTHENTICATED, "%s: nsqd wants a secret, and there is no secret_file",
                       net_stream_name(k->net));
    int rc = file_read(k->options->secret_file, SECRET_MAX, &secret, NULL, NULL, e);
    if (rc) {
        err_prefix(e, "%s", net_stream_name(k->net));
        return rc;
    }
    secret[strcspn(secret, "\r\n")] = '\0';
    rc = write_command(k, "AUTH\n", secret, strlen(secret), e);
    if (rc == 0)
        rc = expect(k, NULL, secret, &answer, e);
    file_forget(secret);
    return rc;
}

static int log_in(struct nsq_sink *k, struct err *e)
{
    struct nsq_frame features;
    int rc = identify(k, &features, e);
    bool must_authenticate = rc == 0 && nsq_frame_has(&features, "auth_required");
    if (rc == 0 && k->options->tls)
        rc = start_tls(k, &features, e);
    if (rc == 0 && must_authenticate)
        rc = authenticate(k, e);
    return rc;
}

static enum sink_result make_connection(struct nsq_sink *k, struct err *e)
{
    k->answer.n = k->used = 0;
    int rc = net_stream_connect(k->net, e);
    if (rc)
        return rc == ERR_CANCELLED ? SINK_AGAIN : SINK_BROKEN;
    return net_answer_connected(k->net, log_in(k, e));
}

/* Takes what nsqd has sent unasked: heartbeats, an error, or the end. */
static enum sink_result look_for_news(struct nsq_sink *k, struct err *e)
{
    struct nsq_frame f;
    struct err news = {0};
    int rc = next_answer(k, 0, &f, &news);
    if (rc == 0)
        blame(k, &f, NULL, &news);
    return net_answer_unasked(k->net, rc, &news, e);
}

static enum sink_result nsq_connect(void *sink, bool *fresh, struct err *e)
{
    struct nsq_sink *k = sink;
    if (net_stream_connected(k->net))
        return look_for_news(k, e);
    *fresh = true;
    return make_connection(k, e);
}

static size_t nsq_largest(const void *sink)
{
    const struct nsq_sink *k = sink;
    return k->options->size;
}

/* ---- Messages ---- */

/* How many messages from |list| on make a group, and in |bytes| the length of its body: a count, and each with its
 * length. */
static size_t group_of(const struct nsq_sink *k, const struct sink_message *list, size_t n, size_t *bytes)
{
    size_t count = 0;
    *bytes = sizeof(uint32_t);
    while (count < n && count < (k->single ? 1 : GROUP_COUNT)) {
        size_t more = sizeof(uint32_t) + list[count].len;
        if (count > 0 && *bytes + more > GROUP_BYTES)
            break;
        *bytes += more;
        count++;
    }
    return count;
}

static int write_message(struct nsq_sink *k, const struct sink_message *m, bool more, struct err *e)
{
    uint32_t size = htobe32((uint32_t)m->len);
    int rc = net_stream_write(k->net, &size, sizeof(size), true, e);
    return rc ? rc : net_stream_write(k->net, m->data, m->len, more, e);
}

/* Writes |n| messages: PUB for one, MPUB for more. */
static int write_group(struct nsq_sink *k, const struct sink_message *list, size_t n, size_t bytes,
                       struct err *e)
{
    struct buf head;
    char storage[128];
    const uint32_t sizes[] = {htobe32((uint32_t)bytes), htobe32((uint32_t)n)};
    buf_init_fixed(&head, storage, sizeof(storage));
    buf_printf(&head, "%s %s\n", n > 1 ? "MPUB" : "PUB", k->topic);
    if (n > 1)
        buf_bytes(&head, sizes, sizeof(sizes));
    int rc = net_stream_write(k->net, head.data, head.len, true, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = write_message(k, &list[i], i + 1 < n, e);
    return rc;
}

/* What becomes of |n| messages to which nsqd says |f|. */
static enum sink_result judge(struct nsq_sink *k, const struct nsq_frame *f, size_t n, struct err *e)
{
    if (f->type == NSQ_RESPONSE && nsq_frame_is(f, "OK"))
        return SINK_DONE;
    blame(k, f, NULL, e);
    bool refused =
        f->type == NSQ_ERROR && (nsq_frame_begins(f, "E_BAD_MESSAGE") || nsq_frame_begins(f, "E_BAD_BODY"));
    k->single = refused && n > 1;
    if (refused)
        net_stream_close(k->net);
    else
        net_stream_give_up(k->net);
    return refused && n == 1 ? SINK_REFUSED : SINK_BROKEN;
}

/* The peer has gone before all was written. It may have said why: a message was too long, for one. */
static enum sink_result hear_last_words(struct nsq_sink *k, size_t n, struct err *e)
{
    struct nsq_frame f;
    if (next_answer(k, 0, &f, NULL) == 0 && f.type == NSQ_ERROR)
        return judge(k, &f, n, e);
    net_stream_give_up(k->net);
    return SINK_BROKEN;
}

static enum sink_result send_group(struct nsq_sink *k, const struct sink_message *list, size_t n,
                                   size_t bytes, struct err *e)
{
    struct nsq_frame f;
    int rc = write_group(k, list, n, bytes, e);
    if (rc == -ECONNRESET)
        return hear_last_words(k, n, e);
    if (rc == 0)
        rc = next_answer(k, answer_deadline(k), &f, e);
    if (rc == 0)
        return judge(k, &f, n, e);
    net_stream_close(k->net); /* a part of it has left, or its answer may still come */
    return SINK_BROKEN;
}

static void nsq_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct nsq_sink *k = sink;
    size_t done = 0;
    while (done < n && net_stream_connected(k->net)) {
        size_t bytes, count = group_of(k, list + done, n - done, &bytes);
        enum sink_result result = send_group(k, list + done, count, bytes, e);
        for (size_t i = 0; i < count; i++)
            list[done + i].result = result;
        done += count;
    }
    for (; done < n; done++)
        list[done].result = SINK_BROKEN;
}

extern const struct sink_ops xtcp_sink_nsq;

__attribute__((visibility("default"))) const struct sink_ops xtcp_sink_nsq = {
    .abi = SINK_ABI,
    .use_log = log_use,
    .open = nsq_open,
    .connect = nsq_connect,
    .send = nsq_send,
    .largest = nsq_largest,
    .close = nsq_close,
};
