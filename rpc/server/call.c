/* Life of a call on the server.
 *
 * Every operation that is under way holds one reference, so the object lives until the last event is off the
 * queue. The rules of gRPC core that shape this file: batches of one call are started one at a time (the
 * lock); at most one operation of each kind is under way; RECV_CLOSE_ON_SERVER always completes and is the
 * only reliable sign that the client has gone; a status without initial metadata never reaches the client, so
 * every call sends it, a stream as soon as it is open: its arrival tells a client that it has not missed
 * anything from then on; nothing may be started after the close, but a completion may come after it. */
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/tsan.h"
#include "rpc/server/inflate.h"
#include "rpc/server/server_internal.h"
#include "rpc/status.h"

static void on_new(struct rpc_event *event, bool ok);
static void on_initial(struct rpc_event *event, bool ok);
static void on_close(struct rpc_event *event, bool ok);
static void on_recv(struct rpc_event *event, bool ok);
static void on_send(struct rpc_event *event, bool ok);
static void on_status(struct rpc_event *event, bool ok);

static struct rpc_call *call_new(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue)
{
    struct rpc_call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct rpc_call){.refs = 1,
                           .server = s,
                           .slot = slot,
                           .queue = queue,
                           .goodbye_code = ERR_UNAVAILABLE,
                           .goodbye_text = "the daemon is stopping"};
    atomic_fetch_add(&slot->core_server->calls, 1);
    pthread_mutex_init(&c->lock, NULL);
    grpc_metadata_array_init(&c->metadata);
    grpc_call_details_init(&c->details);
    c->on_new = rpc_call_event(c, on_new);
    c->on_initial = rpc_call_event(c, on_initial);
    c->on_close = rpc_call_event(c, on_close);
    c->on_recv = rpc_call_event(c, on_recv);
    c->on_send = rpc_call_event(c, on_send);
    c->on_status = rpc_call_event(c, on_status);
    return c;
}

struct rpc_call *rpc_call_ref(struct rpc_call *call)
{
    atomic_fetch_add(&call->refs, 1);
    return call;
}

void rpc_call_unref(struct rpc_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) != 1)
        return;
    if (call->received)
        grpc_byte_buffer_destroy(call->received);
    quota_user_unref(call->quota);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->call)
        grpc_call_unref(call->call);
    pthread_mutex_destroy(&call->lock);
    atomic_fetch_sub(&call->slot->core_server->calls, 1); /* the last use of the core server */
    free(call);
}

void rpc_call_set_user(struct rpc_call *call, void *user)
{
    atomic_store(&call->user, user);
}

void *rpc_call_user(const struct rpc_call *call)
{
    return atomic_load(&((struct rpc_call *)call)->user);
}

const char *rpc_call_method(const struct rpc_call *call)
{
    return call->slot->spec ? call->slot->spec->path : "";
}

const char *rpc_call_peer(const struct rpc_call *call)
{
    return call->peer;
}

struct quota_user *rpc_call_quota(const struct rpc_call *call, enum quota_rank *rank)
{
    if (rank)
        *rank = call->rank;
    return call->quota;
}

enum rpc_role rpc_call_role(const struct rpc_call *call)
{
    return call->role;
}

struct rpc_message rpc_message_copy(const void *data, size_t len, bool more)
{
    return (struct rpc_message){
        .slices = {grpc_slice_from_copied_buffer(data ? data : "", len)}, .n = 1, .more = more};
}

void rpc_call_post(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue)
{
    if (rpc_call_try_post(s, slot, queue))
        rpc_server_owe(s, slot);
}

/* The queue for the events of a call that comes by |queue|. Streams live long, so they are spread over the
 * queues in turn. */
static grpc_completion_queue *events_of(struct rpc_server *s, const struct rpc_slot *slot,
                                        const struct rpc_queue *queue)
{
    if (!slot->spec->stream)
        return queue->cq;
    if (slot->spec->stream->inline_send)
        return s->callbacks.cq;
    return s->queues[atomic_fetch_add(&s->streams, 1) % s->n_queues].cq;
}

int rpc_call_try_post(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue)
{
    struct rpc_call *c = call_new(s, slot, queue);
    if (!c)
        return -ENOMEM;
    atomic_fetch_add(&s->operations, 1);
    tsan_release(&c->on_new);
    if (slot->spec) {
        grpc_completion_queue *cq = events_of(s, slot, queue);
        grpc_server_request_registered_call(slot->core_server->core, slot->registered, &c->call, &c->deadline,
                                            &c->metadata, NULL, cq, queue->cq, &c->on_new);
    } else {
        grpc_server_request_call(slot->core_server->core, &c->call, &c->details, &c->metadata, queue->cq,
                                 queue->cq, &c->on_new);
    }
    return 0;
}

/* Starts a batch whose event is |event|; the lock is held, or nobody else knows the call yet. */
static bool start(struct rpc_call *c, const grpc_op *ops, size_t n, struct rpc_event *event)
{
    rpc_call_ref(c);
    atomic_fetch_add(&c->server->operations, 1);
    tsan_release(event);
    grpc_call_error error = grpc_call_start_batch(c->call, ops, n, event, NULL);
    if (error == GRPC_CALL_OK)
        return true;
    log_error("rpc", "%s: a batch was refused: %s", rpc_call_method(c), grpc_call_error_to_string(error));
    atomic_fetch_sub(&c->server->operations, 1); /* never the last: the close or the caller is */
    rpc_call_unref(c);
    return false;
}

static bool is_stream(const struct rpc_call *c)
{
    return c->slot->spec && c->slot->spec->kind != RPC_UNARY;
}

/* Nobody else knows the call, or the lock is held. */
static void send_initial(struct rpc_call *c)
{
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    start(c, &op, 1, &c->on_initial);
}

/* Ends the call with a status; the lock is held and nothing is being sent. */
static void send_status(struct rpc_call *c)
{
    grpc_slice text = grpc_slice_from_copied_string(c->finish_text);
    grpc_op op = {
        .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
        .data.send_status_from_server = {.status = (grpc_status_code)rpc_status_from_error(c->finish_code),
                                         .status_details = c->finish_text[0] ? &text : NULL}};
    c->finished = true;
    start(c, &op, 1, &c->on_status);
    grpc_slice_unref(text);
}

/* The lock is held. */
static void start_recv(struct rpc_call *c)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received};
    start(c, &op, 1, &c->on_recv);
}

/* Sends the next message if there is one and the call can take it; the lock is held. */
static void pump(struct rpc_call *c)
{
    if (!c->opened || c->sending || c->dead || c->closed || c->finished)
        return;
    struct rpc_message m;
    const struct rpc_stream_ops *ops = c->slot->spec ? c->slot->spec->stream : NULL;
    if (ops && ops->next && ops->next(c->server->options.app, c, &m)) {
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(m.slices, m.n);
        grpc_op op = {.op = GRPC_OP_SEND_MESSAGE,
                      .flags = m.more ? GRPC_WRITE_BUFFER_HINT : 0,
                      .data.send_message.send_message = buffer};
        c->sending = start(c, &op, 1, &c->on_send);
        c->dead = !c->sending;
        grpc_byte_buffer_destroy(buffer);
        for (size_t i = 0; i < m.n; i++)
            grpc_slice_unref(m.slices[i]);
        return;
    }
    if (c->finishing) {
        send_status(c);
    } else if (c->recv_waits) {
        c->recv_waits = false;
        start_recv(c);
    }
}

/* A message has been sent, or could not be; the lock is held. */
static void sent(struct rpc_call *c, bool ok)
{
    c->sending = false;
    if (!ok)
        c->dead = true;
    pump(c);
}

void rpc_call_kick(struct rpc_call *call)
{
    uint32_t over = 0; /* operations that ended here */
    rpc_callbacks_expect(&call->on_send);
    pthread_mutex_lock(&call->lock);
    pump(call);
    for (; rpc_callbacks_arrived(); over++)
        sent(call, call->on_send.ok);
    pthread_mutex_unlock(&call->lock);
    rpc_callbacks_expect(NULL);
    struct rpc_server *s = call->server;
    for (; over; over--) {
        rpc_call_unref(call);
        rpc_server_operation_done(s);
    }
}

void rpc_call_finish(struct rpc_call *call, int code, const char *text)
{
    pthread_mutex_lock(&call->lock);
    if (!call->finishing) {
        call->finishing = true;
        call->finish_code = code;
        snprintf(call->finish_text, sizeof(call->finish_text), "%s", text ? text : "");
        pump(call);
    }
    pthread_mutex_unlock(&call->lock);
}

void rpc_call_set_goodbye(struct rpc_call *call, int code, const char *text)
{
    pthread_mutex_lock(&call->lock);
    call->goodbye_code = code;
    call->goodbye_text = text;
    pthread_mutex_unlock(&call->lock);
}

void rpc_call_goodbye(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    bool open = call->opened && is_stream(call);
    int code = call->goodbye_code;
    const char *text = call->goodbye_text;
    pthread_mutex_unlock(&call->lock);
    if (open)
        rpc_call_finish(call, code, text);
    else if (atomic_load(&call->due_ns)) /* its request is not waited for any more */
        rpc_call_abort(call, ERR_UNAVAILABLE, "the daemon is stopping");
}

void rpc_call_abort(struct rpc_call *call, int code, const char *text)
{
    grpc_call_cancel_with_status(call->call, (grpc_status_code)rpc_status_from_error(code), text, NULL);
}

void rpc_call_kick_later(void *call, bool run)
{
    if (run)
        rpc_call_kick(call);
    rpc_call_unref(call);
}

struct rpc_abort {
    struct rpc_call *call;
    int code;
    const char *text;
};

struct rpc_abort *rpc_abort_new(struct rpc_call *call, int code, const char *text)
{
    struct rpc_abort *a = malloc(sizeof(*a));
    if (a)
        *a = (struct rpc_abort){.call = rpc_call_ref(call), .code = code, .text = text};
    return a;
}

void rpc_abort_later(void *abort, bool run)
{
    struct rpc_abort *a = abort;
    if (run)
        rpc_call_abort(a->call, a->code, a->text);
    rpc_call_unref(a->call);
    free(a);
}

/* |slice| in one piece, decompressed if need be: the reference is the caller's. */
static int read_received(const struct rpc_call *c, grpc_slice *slice, struct err *e)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, c->received))
        return err_set(e, ERR_MALFORMED, "the call carries no readable request");
    *slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    if (!rpc_is_compressed(c->received))
        return 0;
    grpc_slice packed = *slice;
    int rc = rpc_inflate(c->received, packed, c->server->options.request_max, slice, e);
    grpc_slice_unref(packed);
    return rc;
}

/* The bytes of the message in c->received: |slice| must be released with grpc_slice_unref. Returns 0 or a
 * code with |e|. */
static int take_received(struct rpc_call *c, grpc_slice *slice, struct err *e)
{
    if (!c->received)
        return err_set(e, ERR_MALFORMED, "the call carries no readable request");
    int rc = read_received(c, slice, e);
    grpc_byte_buffer_destroy(c->received);
    c->received = NULL;
    return rc;
}

/* Sends the message of a unary call and its status. The lock is held. */
static void send_answer(struct rpc_call *c, int rc, const struct buf *reply, const struct err *e)
{
    send_initial(c);
    c->finishing = true;
    c->finish_code = rc;
    snprintf(c->finish_text, sizeof(c->finish_text), "%s", rc ? (e->text[0] ? e->text : err_name(rc)) : "");
    if (rc == 0) {
        struct rpc_message m = rpc_message_copy(reply->data, reply->len, true);
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(m.slices, m.n);
        grpc_op op = {.op = GRPC_OP_SEND_MESSAGE,
                      .flags = GRPC_WRITE_BUFFER_HINT, /* the status follows at once */
                      .data.send_message.send_message = buffer};
        c->sending = start(c, &op, 1, &c->on_send);
        grpc_byte_buffer_destroy(buffer);
        grpc_slice_unref(m.slices[0]);
    }
    send_status(c); /* a status may be started behind a message that is on its way */
}

/* Runs a unary handler and sends its answer. */
static void answer_unary(struct rpc_call *c)
{
    struct buf reply;
    struct err e = {0};
    grpc_slice request;
    buf_init(&reply);
    int rc = take_received(c, &request, &e);
    if (rc == 0) {
        const struct rpc_request asked = {GRPC_SLICE_START_PTR(request), GRPC_SLICE_LENGTH(request), c};
        rc = c->slot->spec->unary(c->server->options.app, &asked, &reply, &e);
        grpc_slice_unref(request);
    }
    if (rc == 0 && reply.failed)
        rc = err_set(&e, -ENOMEM, "out of memory");
    pthread_mutex_lock(&c->lock);
    if (!c->closed)
        send_answer(c, rc, &reply, &e);
    pthread_mutex_unlock(&c->lock);
    buf_free(&reply);
}

static void open_stream(struct rpc_call *c)
{
    const struct rpc_method *m = c->slot->spec;
    grpc_slice request = grpc_empty_slice();
    struct err e = {0};
    int rc = m->kind == RPC_BIDI ? 0 : take_received(c, &request, &e);
    if (rc == 0) {
        c->entered = true;
        m->stream->open(c->server->options.app, c, GRPC_SLICE_START_PTR(request), GRPC_SLICE_LENGTH(request));
        grpc_slice_unref(request);
    } else {
        rpc_call_finish(c, rc, e.text);
    }
    pthread_mutex_lock(&c->lock);
    if (!c->closed) {
        send_initial(c);
        c->opened = true;
        pump(c);
        if (m->kind == RPC_BIDI)
            start_recv(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (rpc_server_is_stopping(c->server))
        rpc_call_goodbye(c);
}

/* Ends a call that its handler never gets to see. */
static void refuse(struct rpc_call *c, const struct err *why)
{
    log_limited(LOG_INFO, "rpc", "%s is refused: %s", c->peer, why->text);
    pthread_mutex_lock(&c->lock);
    c->finishing = true;
    c->finish_code = why->code;
    snprintf(c->finish_text, sizeof(c->finish_text), "%s", why->text);
    send_status(c);
    pthread_mutex_unlock(&c->lock);
}

static void refuse_unknown(struct rpc_call *c)
{
    static const char text[] = "unknown method ";
    c->finishing = true;
    c->finish_code = ERR_UNSUPPORTED;
    memcpy(c->finish_text, text, sizeof(text));
    rpc_core_slice_text(c->details.method, c->finish_text + sizeof(text) - 1,
                        sizeof(c->finish_text) - sizeof(text));
    send_status(c);
}

/* Nothing more will come of the call, and nothing can be sent. */
static void over(struct rpc_call *c)
{
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    pthread_mutex_unlock(&c->lock);
    rpc_server_expect_no_more(c);
    log_trace("rpc", "%s: call from %s is over%s", rpc_call_method(c), c->peer,
              c->cancelled ? " (cancelled)" : "");
    if (c->entered)
        c->slot->spec->stream->closed(c->server->options.app, c);
    if (c->counted)
        quota_give(c->quota, QUOTA_CALLS, 1, 1);
    rpc_server_leave(c);
}

/* Whether one more call may be under way for the user of |c|. */
static int count(struct rpc_call *c, struct err *e)
{
    const struct rpc_server_options *o = &c->server->options;
    struct quota_bound bound;
    if (!o->quota)
        return 0;
    if (!c->quota) /* closed already, or memory is short, or gRPC has accepted the connection by itself */
        return err_set(e, ERR_UNAVAILABLE, "the connection of this call is not known any more");
    o->calls_bound(o->app, &bound);
    int rc = quota_take(c->quota, c->rank, QUOTA_CALLS, 1, 1, &bound, e);
    c->counted = rc == 0;
    return rc;
}

/* Waits for the one request of a call that is not bidirectional; the lock is held. */
static void expect_request(struct rpc_call *c)
{
    rpc_server_expect(c);
    start_recv(c);
}

/* A client has called. Its request may still be on its way. A bidirectional call may begin without a
 * request. */
static void on_new(struct rpc_event *event, bool ok)
{
    struct rpc_call *c = event->call;
    if (!ok) { /* the server is shutting down; there is no call */
        rpc_call_unref(c);
        return;
    }
    rpc_call_post(c->server, c->slot, c->queue);
    rpc_server_enter(c);
    rpc_call_describe_peer(c);
    log_trace("rpc", "%s: call from %s", rpc_call_method(c), c->peer);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                     .data.recv_close_on_server.cancelled = &c->cancelled};
    struct err why = {0};
    bool allowed = c->slot->spec && rpc_call_check(c, c->slot->spec, &why) == 0 && count(c, &why) == 0;
    if (!allowed)
        send_initial(c);
    if (!c->slot->spec)
        refuse_unknown(c);
    else if (!allowed)
        refuse(c, &why);
    else if (c->slot->spec->kind == RPC_BIDI)
        open_stream(c);
    pthread_mutex_lock(&c->lock);
    /* RECV_CLOSE last: a stream must not be closed before it is open. For other calls the request comes
     * next. */
    bool watched = start(c, &close, 1, &c->on_close);
    if (watched && allowed && c->slot->spec->kind != RPC_BIDI)
        expect_request(c);
    pthread_mutex_unlock(&c->lock);
    if (!watched)
        over(c);
    rpc_call_unref(c);
}

/* The request of a call that is not bidirectional has come, or none will. */
static void on_request(struct rpc_call *c)
{
    rpc_server_expect_no_more(c);
    if (is_stream(c))
        open_stream(c);
    else
        answer_unary(c);
}

static void on_initial(struct rpc_event *event, bool ok)
{
    (void)ok;
    rpc_call_unref(event->call);
}

static void on_close(struct rpc_event *event, bool ok)
{
    (void)ok;
    over(event->call);
    rpc_call_unref(event->call);
}

static void on_recv(struct rpc_event *event, bool ok)
{
    struct rpc_call *c = event->call;
    const struct rpc_stream_ops *ops = c->slot->spec->stream;
    grpc_slice request;
    pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    pthread_mutex_unlock(&c->lock);
    struct err e = {0};
    if (closed || c->slot->spec->kind != RPC_BIDI) {
        if (!closed)
            on_request(c);
        rpc_call_unref(c);
        return;
    }
    bool message = ok && c->received;
    int rc = message ? take_received(c, &request, &e) : 0;
    if (rc) {
        rpc_call_finish(c, rc, e.text);
    } else if (message) {
        ops->message(c->server->options.app, c, GRPC_SLICE_START_PTR(request), GRPC_SLICE_LENGTH(request));
        grpc_slice_unref(request);
        pthread_mutex_lock(&c->lock);
        c->recv_waits = ops->answers;
        if (c->recv_waits)
            pump(c);
        else if (!c->closed)
            start_recv(c);
        pthread_mutex_unlock(&c->lock);
    } else {
        ops->half_closed(c->server->options.app, c);
    }
    rpc_call_unref(c);
}

static void on_send(struct rpc_event *event, bool ok)
{
    struct rpc_call *c = event->call;
    pthread_mutex_lock(&c->lock);
    sent(c, ok);
    pthread_mutex_unlock(&c->lock);
    rpc_call_unref(c);
}

static void on_status(struct rpc_event *event, bool ok)
{
    (void)ok;
    rpc_call_unref(event->call);
}
