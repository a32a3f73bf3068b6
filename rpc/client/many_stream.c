#include "rpc/client/many_stream.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "rpc/client/client_link.h"
#include "rpc/core.h"

/* The step that a completion belongs to: its address is the tag. */
enum step { STEP_SEND, STEP_INITIAL, STEP_RECV, STEP_STATUS, STEPS };

struct tag {
    struct rpc_many_stream *stream;
    enum step step;
};

struct rpc_many {
    grpc_completion_queue *cq;
    grpc_channel *nowhere;
    grpc_call *waker; /* on |nowhere|: an empty batch on it ends the wait of rpc_many_next */
    _Atomic bool interrupted;
    struct rpc_many_stream *streams; /* all that are not freed */
    size_t pending;                  /* completions to come */
};

struct rpc_many_stream {
    struct rpc_many *many;
    struct rpc_many_stream *next, *previous;
    void *owner;
    struct client_link link;
    grpc_call *call;
    struct tag tags[STEPS];
    bool under_way[STEPS];
    bool connected;
    bool closed; /* by its owner: it is freed with its last completion */
    bool received_end;
    bool told_end;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice status_text;
};

int rpc_many_new(struct rpc_many **out)
{
    struct rpc_many *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->cq = grpc_completion_queue_create_for_next(NULL);
    m->nowhere = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "");
    m->waker = grpc_channel_create_call(m->nowhere, NULL, GRPC_PROPAGATE_DEFAULTS, m->cq,
                                        grpc_slice_from_static_string("/wake"), NULL,
                                        gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    *out = m;
    return 0;
}

void rpc_many_interrupt(struct rpc_many *m)
{
    /* The completion of an empty batch comes at once, whatever the state of its call. */
    if (!atomic_exchange(&m->interrupted, true))
        grpc_call_start_batch(m->waker, NULL, 0, NULL, NULL);
}

static void stream_free(struct rpc_many_stream *s)
{
    struct rpc_many *m = s->many;
    if (s->previous)
        s->previous->next = s->next;
    else
        m->streams = s->next;
    if (s->next)
        s->next->previous = s->previous;
    if (s->received)
        grpc_byte_buffer_destroy(s->received);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->status_text);
    if (s->call)
        grpc_call_unref(s->call);
    client_link_close(&s->link);
    free(s);
}

static int start(struct rpc_many_stream *s, const grpc_op *op, size_t n, enum step step)
{
    if (grpc_call_start_batch(s->call, op, n, &s->tags[step], NULL) != GRPC_CALL_OK)
        return ERR_UNAVAILABLE;
    s->under_way[step] = true;
    s->many->pending++;
    return 0;
}

static int start_receiving(struct rpc_many_stream *s)
{
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &s->received};
    return start(s, &op, 1, STEP_RECV);
}

static int start_call(struct rpc_many_stream *s, const struct buf *request, bool half_close)
{
    grpc_byte_buffer *buffer = client_buffer(request->data, request->len);
    const grpc_op send[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = s->link.n_metadata, .metadata = s->link.metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    const grpc_op initial = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                             .data.recv_initial_metadata.recv_initial_metadata = &s->initial};
    const grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                            .data.recv_status_on_client = {.trailing_metadata = &s->trailing,
                                                           .status = &s->status,
                                                           .status_details = &s->status_text}};
    int rc = start(s, &status, 1, STEP_STATUS);
    if (rc == 0)
        rc = start(s, send, half_close ? 3 : 2, STEP_SEND);
    if (rc == 0)
        rc = start(s, &initial, 1, STEP_INITIAL);
    if (rc == 0)
        rc = start_receiving(s);
    grpc_byte_buffer_destroy(buffer);
    return rc;
}

/* Gives |s| the channel for |call|. */
static int take_link(struct rpc_many_stream *s, const struct rpc_many_stream_call *call, struct err *e)
{
    if (call->instead) {
        s->link = call->instead->link;
        call->instead->link = (struct client_link){0};
    } else if (call->channel) {
        client_link_take(call->channel, &s->link);
    } else {
        return client_link_open(call->target, call->options, &s->link, e);
    }
    return 0;
}

int rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                         struct rpc_many_stream **out, struct err *e)
{
    struct rpc_many_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = take_link(s, call, e);
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->many = m;
    s->owner = owner;
    s->status = GRPC_STATUS_UNKNOWN;
    s->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    for (size_t i = 0; i < STEPS; i++)
        s->tags[i] = (struct tag){.stream = s, .step = (enum step)i};
    s->next = m->streams;
    if (m->streams)
        m->streams->previous = s;
    m->streams = s;
    grpc_slice name = grpc_slice_from_copied_string(call->method);
    s->call = grpc_channel_create_call(s->link.channel, NULL, GRPC_PROPAGATE_DEFAULTS, m->cq, name, NULL,
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_slice_unref(name);
    rc = start_call(s, call->request, call->half_close);
    if (rc != 0) {
        rpc_many_stream_close(s);
        return err_set(e, rc, "the call to %s cannot be started", call->method);
    }
    rpc_many_stream_close(call->instead);
    *out = s;
    return 0;
}

int rpc_many_stream_send(struct rpc_many_stream *s, const void *message, size_t len)
{
    if (s->under_way[STEP_SEND] || s->received_end)
        return ERR_UNAVAILABLE;
    grpc_byte_buffer *buffer = client_buffer(message, len);
    const grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    int rc = start(s, &op, 1, STEP_SEND);
    grpc_byte_buffer_destroy(buffer);
    return rc;
}

bool rpc_many_stream_connected(const struct rpc_many_stream *s)
{
    return s->connected;
}

static bool has_pending(const struct rpc_many_stream *s)
{
    for (size_t i = 0; i < STEPS; i++)
        if (s->under_way[i])
            return true;
    return false;
}

void rpc_many_stream_close(struct rpc_many_stream *s)
{
    if (!s)
        return;
    s->closed = true;
    if (has_pending(s))
        grpc_call_cancel(s->call, NULL);
    else
        stream_free(s);
}

/* A message has come, or the end of all messages. Returns 1 when |out| holds an event. */
static int on_received(struct rpc_many_stream *s, struct rpc_many_event *out)
{
    if (!s->received) {
        s->received_end = true;
        return 0;
    }
    s->connected = true;
    *out = (struct rpc_many_event){.owner = s->owner};
    int rc = client_bytes(s->received, &out->message);
    grpc_byte_buffer_destroy(s->received);
    s->received = NULL;
    if (rc == 0 && start_receiving(s) != 0)
        s->received_end = true;
    if (rc == 0)
        return 1;
    grpc_call_cancel_with_status(s->call, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for a message", NULL);
    s->received_end = true;
    return 0;
}

/* All messages have been told and the status has come. */
static int on_end(struct rpc_many_stream *s, struct rpc_many_event *out)
{
    if (!s->received_end || s->under_way[STEP_STATUS] || s->told_end)
        return 0;
    s->told_end = true;
    *out = (struct rpc_many_event){.owner = s->owner, .ended = true};
    out->status.code = (int)s->status;
    rpc_core_slice_text(s->status_text, out->status.text, sizeof(out->status.text));
    return 1;
}

/* One completion. Returns 1 when there is something to tell. */
static int on_completion(struct tag *tag, struct rpc_many_event *out)
{
    struct rpc_many_stream *s = tag->stream;
    int told = 0;
    s->under_way[tag->step] = false;
    s->many->pending--;
    if (!s->closed) {
        if (tag->step == STEP_INITIAL)
            s->connected = s->connected ||
                           grpc_channel_check_connectivity_state(s->link.channel, 0) == GRPC_CHANNEL_READY;
        if (tag->step == STEP_RECV)
            told = on_received(s, out);
        if (!told)
            told = on_end(s, out);
    } else if (!has_pending(s)) {
        stream_free(s);
    }
    return told;
}

int rpc_many_next(struct rpc_many *m, int64_t deadline_ns, struct rpc_many_event *out)
{
    for (;;) {
        if (atomic_load(&m->interrupted))
            return ERR_CANCELLED;
        grpc_event event = grpc_completion_queue_next(m->cq, rpc_core_deadline(deadline_ns), NULL);
        if (event.type == GRPC_QUEUE_TIMEOUT)
            return ERR_TIMEOUT;
        if (event.tag && on_completion(event.tag, out))
            return 1;
    }
}

void rpc_many_free(struct rpc_many *m)
{
    struct rpc_many_event event;
    if (!m)
        return;
    for (struct rpc_many_stream *s = m->streams, *next; s; s = next) {
        next = s->next;
        if (!s->closed)
            rpc_many_stream_close(s);
    }
    while (m->pending) {
        grpc_event e = grpc_completion_queue_next(m->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.tag)
            on_completion(e.tag, &event);
    }
    grpc_call_unref(m->waker);
    grpc_channel_destroy(m->nowhere);
    grpc_completion_queue_shutdown(m->cq);
    while (grpc_completion_queue_next(m->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(m->cq);
    free(m);
}
