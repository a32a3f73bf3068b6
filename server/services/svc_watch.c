/* Streams of small messages that wait in an outbox: NamespaceService.Watch, Health.Watch, server reflection. */
#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_reflection.h"
#include "server/app.h"
#include "server/services/health.h"
#include "server/services/outbox_stream.h"
#include "server/services/services.h"

/* Messages that may wait for a slow client, several times the namespaces of a large host; then the stream
 * ends, since an event left out would leave the client with a wrong picture. */
#define OUTBOX_MAX 65536

/* Replies that may wait: one question is answered at a time. */
#define REFLECTION_MAX 1

/* ---- NamespaceService.Watch ---- */

static void on_namespace(void *arg, const struct namespace_event *event)
{
    struct buf b;
    buf_init(&b);
    if (namespace_event_encode(event, &b) == 0)
        outbox_stream_send(arg, b.data, b.len);
    buf_free(&b);
}

static void namespace_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    struct err e = {0};
    int rc = msg_empty_check(request, len, "WatchRequest", &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    struct outbox_stream *s = outbox_stream_new(arg, call, OUTBOX_MAX);
    if (s && inventory_listen(app_inventory(arg), on_namespace, s) != 0)
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
}

static void namespace_closed(void *arg, struct rpc_call *call)
{
    struct outbox_stream *s = rpc_call_user(call);
    if (!s)
        return;
    inventory_unlisten(app_inventory(arg), s);
    outbox_stream_free(s);
}

const struct rpc_stream_ops svc_namespace_watch = {
    .open = namespace_open,
    .next = outbox_stream_next,
    .closed = namespace_closed,
};

/* ---- Health.Watch ---- */

static void on_health(void *arg, enum health_status status)
{
    struct buf b;
    buf_init(&b);
    if (health_reply_encode(status, &b) == 0)
        outbox_stream_send(arg, b.data, b.len);
    buf_free(&b);
}

static void health_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    char service[HEALTH_SERVICE_MAX];
    struct err e = {0};
    int rc = health_request_decode(request, len, service, &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    struct outbox_stream *s = outbox_stream_new(arg, call, OUTBOX_MAX);
    if (s && health_watch(app_health(arg), service, on_health, s) != 0)
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
}

static void health_closed(void *arg, struct rpc_call *call)
{
    struct outbox_stream *s = rpc_call_user(call);
    if (!s)
        return;
    health_unwatch(app_health(arg), s);
    outbox_stream_free(s);
}

const struct rpc_stream_ops svc_health_watch = {
    .open = health_open,
    .next = outbox_stream_next,
    .closed = health_closed,
};

/* ---- Reflection ---- */

static void reflection_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    (void)request;
    (void)len;
    outbox_stream_new(arg, call, REFLECTION_MAX);
}

static void reflection_message(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    struct outbox_stream *s = rpc_call_user(call);
    struct buf b;
    struct err e = {0};
    if (!s)
        return;
    buf_init(&b);
    int rc = reflection_answer(app_reflection(arg), request, len, &b, &e);
    if (rc)
        rpc_call_finish(call, rc, e.text);
    else
        outbox_stream_send(s, b.data, b.len);
    buf_free(&b);
}

static void reflection_half_closed(void *arg, struct rpc_call *call)
{
    (void)arg;
    rpc_call_finish(call, 0, "");
}

static void reflection_closed(void *arg, struct rpc_call *call)
{
    (void)arg;
    struct outbox_stream *s = rpc_call_user(call);
    if (s)
        outbox_stream_free(s);
}

const struct rpc_stream_ops svc_reflection = {
    .open = reflection_open,
    .message = reflection_message,
    .half_closed = reflection_half_closed,
    .answers = true,
    .next = outbox_stream_next,
    .closed = reflection_closed,
};
