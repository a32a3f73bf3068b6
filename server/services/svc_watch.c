/* Streams of small messages that wait in an outbox: NamespaceService.Watch, Health.Watch, server reflection. */
#include <stdlib.h>

#include "lib/log.h"
#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_reflection.h"
#include "server/app.h"
#include "server/services/health.h"
#include "server/services/outbox.h"
#include "server/services/services.h"

/* Messages that may wait for a slow client, several times the namespaces of a large host; then the stream
 * ends, since an event left out would leave the client with a wrong picture. */
#define OUTBOX_MAX 65536

/* Replies that may wait: one question is answered at a time. */
#define REFLECTION_MAX 1

struct watch {
    struct app *app;
    struct rpc_call *call; /* not referenced: the call owns the watch */
    struct outbox outbox;
};

static struct watch *watch_new(struct app *app, struct rpc_call *call, size_t max)
{
    struct watch *w = malloc(sizeof(*w));
    if (!w) {
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
        return NULL;
    }
    *w = (struct watch){.app = app, .call = call};
    struct bounds bounds;
    app_bounds(app, &bounds);
    outbox_init(&w->outbox, max, call, &bounds.of[QUOTA_QUEUE_BYTES]);
    rpc_call_set_user(call, w);
    return w;
}

static void watch_free(struct watch *w)
{
    outbox_fini(&w->outbox);
    free(w);
}

/* Queues a message and lets the hub send it: the caller may be a thread that must not call gRPC. */
static void watch_send(struct watch *w, const void *data, size_t len)
{
    struct hub *hub = app_hub(w->app);
    if (outbox_push(&w->outbox, data, len) == 0) {
        hub_run(hub, rpc_call_kick_later, rpc_call_ref(w->call));
        return;
    }
    struct rpc_abort *abort =
        rpc_abort_new(w->call, ERR_LIMIT, "the client reads too slowly: too many messages wait for it");
    if (abort)
        hub_run(hub, rpc_abort_later, abort);
}

static bool watch_next(void *arg, struct rpc_call *call, struct rpc_message *out)
{
    (void)arg;
    struct watch *w = rpc_call_user(call);
    return w && outbox_next(&w->outbox, out);
}

/* ---- NamespaceService.Watch ---- */

static void on_namespace(void *arg, const struct namespace_event *event)
{
    struct buf b;
    buf_init(&b);
    if (namespace_event_encode(event, &b) == 0)
        watch_send(arg, b.data, b.len);
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
    struct watch *w = watch_new(arg, call, OUTBOX_MAX);
    if (w && inventory_listen(app_inventory(arg), on_namespace, w) != 0)
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
}

static void namespace_closed(void *arg, struct rpc_call *call)
{
    struct watch *w = rpc_call_user(call);
    if (!w)
        return;
    inventory_unlisten(app_inventory(arg), w);
    watch_free(w);
}

const struct rpc_stream_ops svc_namespace_watch = {
    .open = namespace_open,
    .next = watch_next,
    .closed = namespace_closed,
};

/* ---- Health.Watch ---- */

static void on_health(void *arg, enum health_status status)
{
    struct buf b;
    buf_init(&b);
    if (health_reply_encode(status, &b) == 0)
        watch_send(arg, b.data, b.len);
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
    struct watch *w = watch_new(arg, call, OUTBOX_MAX);
    if (w && health_watch(app_health(arg), service, on_health, w) != 0)
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
}

static void health_closed(void *arg, struct rpc_call *call)
{
    struct watch *w = rpc_call_user(call);
    if (!w)
        return;
    health_unwatch(app_health(arg), w);
    watch_free(w);
}

const struct rpc_stream_ops svc_health_watch = {
    .open = health_open,
    .next = watch_next,
    .closed = health_closed,
};

/* ---- Reflection ---- */

static void reflection_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    (void)request;
    (void)len;
    watch_new(arg, call, REFLECTION_MAX);
}

static void reflection_message(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    struct watch *w = rpc_call_user(call);
    struct buf b;
    struct err e = {0};
    if (!w)
        return;
    buf_init(&b);
    int rc = reflection_answer(app_reflection(arg), request, len, &b, &e);
    if (rc)
        rpc_call_finish(call, rc, e.text);
    else
        watch_send(w, b.data, b.len);
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
    struct watch *w = rpc_call_user(call);
    if (w)
        watch_free(w);
}

const struct rpc_stream_ops svc_reflection = {
    .open = reflection_open,
    .message = reflection_message,
    .half_closed = reflection_half_closed,
    .answers = true,
    .next = watch_next,
    .closed = reflection_closed,
};
