/* The sinks tcp and unix: messages one behind the other on a connection.
 *
 * Such a peer says nothing of what it has got. Messages are done when the kernel has them; how many of the last
 * ones may be lost when the connection ends is told by |unsure|. */
#include <errno.h>
#include <stdlib.h>

#include "lib/varint.h"
#include "outputs/sink/net_stream.h"
#include "outputs/sink/net_tls.h"
#include "outputs/sink/sink.h"

struct stream_sink {
    const struct output_stream_options *options;
    struct net_stream *net;
};

/* ---- Life ---- */

static int open_stream(const struct sink_env *env, bool tls, void **out, struct err *e)
{
    const struct output_stream_options *o = env->options;
    struct stream_sink *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, -ENOMEM, "out of memory");
    const struct net_stream_options net = {.host = env->host,
                                           .url = env->url,
                                           .port = env->kind->port,
                                           .timeout = o->timeout,
                                           .tls = tls ? &o->files : NULL,
                                           .discard = true};
    int rc = net_stream_new(&net, &k->net, e);
    if (rc) {
        free(k);
        return rc;
    }
    k->options = o;
    *out = k;
    return 0;
}

static int tcp_open(const struct sink_env *env, void **out, struct err *e)
{
    const struct output_stream_options *o = env->options;
    int rc = net_tls_check(&o->files, o->tls, e);
    return rc ? rc : open_stream(env, o->tls, out, e);
}

static int unix_open(const struct sink_env *env, void **out, struct err *e)
{
    return open_stream(env, false, out, e);
}

static void stream_close(void *sink)
{
    struct stream_sink *k = sink;
    net_stream_free(k->net);
    free(k);
}

/* ---- The connection ---- */

static enum sink_result stream_connect(void *sink, bool *fresh, struct err *e)
{
    struct stream_sink *k = sink;
    int rc = net_stream_connected(k->net) ? net_stream_check(k->net, e) : net_stream_connect(k->net, e);
    if (rc == ERR_CANCELLED)
        return SINK_AGAIN;
    if (rc)
        return SINK_BROKEN;
    if (net_stream_written(k->net) == 0)
        *fresh = true;
    return SINK_DONE;
}

static size_t stream_unsure(const void *sink)
{
    const struct stream_sink *k = sink;
    uint64_t doubt = net_stream_connected(k->net) ? UINT64_MAX : net_stream_doubt(k->net);
    return doubt < k->options->resend ? (size_t)doubt : (size_t)k->options->resend;
}

/* ---- Messages ---- */

static int write_message(struct stream_sink *k, const struct sink_message *m, struct err *e)
{
    int rc = 0;
    if (k->options->framing == OUTPUT_FRAMING_VARINT) {
        uint8_t length[VARINT_MAX];
        size_t n = (size_t)(varint_put(length, m->len) - length);
        rc = net_stream_write(k->net, length, n, m->len > 0, e);
    }
    return rc ? rc : net_stream_write(k->net, m->data, m->len, false, e);
}

static enum sink_result send_one(struct stream_sink *k, const struct sink_message *m, struct err *e)
{
    if (net_stream_check(k->net, e))
        return SINK_BROKEN;
    uint64_t before = net_stream_written(k->net);
    int rc = write_message(k, m, e);
    if (rc == 0)
        return SINK_DONE;
    if (rc == ERR_CANCELLED && net_stream_written(k->net) == before)
        return SINK_AGAIN;
    net_stream_close(k->net); /* a part of the message has left: it begins anew on the next connection */
    return SINK_BROKEN;
}

static void stream_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    enum sink_result result = SINK_DONE;
    for (size_t i = 0; i < n; i++) {
        if (result == SINK_DONE)
            result = send_one(sink, &list[i], e);
        list[i].result = result;
    }
}

const struct sink_ops xtcp_sink_tcp = {
    .abi = SINK_ABI,
    .open = tcp_open,
    .connect = stream_connect,
    .send = stream_send,
    .unsure = stream_unsure,
    .close = stream_close,
};

const struct sink_ops xtcp_sink_unix = {
    .abi = SINK_ABI,
    .open = unix_open,
    .connect = stream_connect,
    .send = stream_send,
    .unsure = stream_unsure,
    .close = stream_close,
};
