/* OutputService. */
#include <string.h>

#include "lib/log.h"
#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_output.h"
#include "server/app.h"
#include "server/services/outbox_stream.h"
#include "server/services/output_news.h"
#include "server/services/services.h"

/* Events that may wait for a slow client; then the stream ends, since an event left out would leave the client with a
 * wrong picture. */
#define EVENTS_MAX 4096

/* ---- List, Pause, Resume, Flush ---- */

static int encode_list(void *reply, const struct output_status *list, size_t n)
{
    return output_msg_list_encode(list, n, reply);
}

int svc_output_list(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "ListRequest", e);
    return rc ? rc : outputs_list(app_outputs(arg), encode_list, reply);
}

/* The answer about one output. */
struct answer {
    const char *name;
    struct buf *reply;
};

static int encode_one(void *arg, const struct output_status *list, size_t n)
{
    const struct answer *a = arg;
    const struct output_status *found = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        if (strcmp(list[i].name, a->name) == 0)
            found = &list[i];
    }
    return output_msg_state_encode(found, a->reply);
}

/* Tells the log who has done |what| with the output |name|, and answers with its state. */
static int done(struct app *app, const struct rpc_request *request, const char *name, const char *what,
                struct buf *reply)
{
    struct answer a = {name, reply};
    log_info("output", "%s: %s by %s", name, what, rpc_call_peer(request->call));
    return outputs_list(app_outputs(app), encode_one, &a);
}

int svc_output_pause(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    char name[OUTPUT_MSG_NAME_MAX];
    int rc = output_msg_request_decode(request->data, request->len, "PauseRequest", name, e);
    if (rc == 0)
        rc = outputs_pause(app_outputs(arg), name, true, e);
    return rc ? rc : done(arg, request, name, "paused", reply);
}

int svc_output_resume(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    char name[OUTPUT_MSG_NAME_MAX];
    int rc = output_msg_request_decode(request->data, request->len, "ResumeRequest", name, e);
    if (rc == 0)
        rc = outputs_pause(app_outputs(arg), name, false, e);
    return rc ? rc : done(arg, request, name, "resumed", reply);
}

int svc_output_flush(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    char name[OUTPUT_MSG_NAME_MAX];
    int rc = output_msg_request_decode(request->data, request->len, "FlushRequest", name, e);
    if (rc == 0)
        rc = outputs_flush(app_outputs(arg), name, e);
    return rc ? rc : done(arg, request, name, "flushed", reply);
}

/* ---- Watch ---- */

static void on_event(void *arg, const struct output_event *event)
{
    struct outbox_stream *s = arg;
    struct buf b;
    buf_init(&b);
    if (output_msg_event_encode(event, &b) == 0)
        outbox_stream_send(s, b.data, b.len);
    else
        outbox_stream_abort(s, ERR_LIMIT, "out of memory");
    buf_free(&b);
}

static void watch_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    struct err e = {0};
    int rc = msg_empty_check(request, len, "WatchRequest", &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    struct outbox_stream *s = outbox_stream_new(arg, call, EVENTS_MAX);
    if (s && output_news_watch(app_output_news(arg), on_event, s) != 0)
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
}

static void watch_closed(void *arg, struct rpc_call *call)
{
    struct outbox_stream *s = rpc_call_user(call);
    if (!s)
        return;
    output_news_unwatch(app_output_news(arg), s);
    outbox_stream_free(s);
}

const struct rpc_stream_ops svc_output_watch = {
    .open = watch_open,
    .next = outbox_stream_next,
    .closed = watch_closed,
};

/* ---- Test: a call with one answer, which takes its time. To gRPC a stream of one message is the same ---- */

static void on_tested(void *arg, const struct output_test *test)
{
    struct outbox_stream *s = arg;
    struct buf b;
    buf_init(&b);
    if (output_msg_test_encode(test, &b) == 0) {
        outbox_stream_send(s, b.data, b.len);
        outbox_stream_end(s);
    } else {
        outbox_stream_abort(s, ERR_LIMIT, "out of memory");
    }
    buf_free(&b);
}

static void test_open(void *arg, struct rpc_call *call, const uint8_t *request, size_t len)
{
    char name[OUTPUT_MSG_NAME_MAX];
    struct err e = {0};
    struct outbox_stream *s = NULL;
    int rc = output_msg_request_decode(request, len, "TestRequest", name, &e);
    if (rc == 0)
        s = outbox_stream_new(arg, call, 1);
    if (s)
        rc = output_news_test(app_output_news(arg), name, on_tested, s, &e);
    if (rc)
        rpc_call_finish(call, rc, e.text);
}

static void test_closed(void *arg, struct rpc_call *call)
{
    struct outbox_stream *s = rpc_call_user(call);
    if (!s)
        return;
    output_news_forget(app_output_news(arg), s);
    outbox_stream_free(s);
}

const struct rpc_stream_ops svc_output_test = {
    .open = test_open,
    .next = outbox_stream_next,
    .closed = test_closed,
};
