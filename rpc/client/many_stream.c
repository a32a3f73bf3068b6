#include "rpc/client/many_stream.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "rpc/client/client_link.h"
#include "rpc/core.h"

/* What a completion is about: its address is the tag. */
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
    struct rpc_many_stream *lines; /* all that are not freed */
    size_t pending;                /* completions to come */
};

struct rpc_many_stream {
    struct rpc_many *many;
    struct rpc_many_stream *next, *previous;
    void *owner;
    struct client_link link;
    bool lent; /* |link| is another one's */
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

static void line_free(struct rpc_many_stream *l)
{
    struct rpc_many *m = l->many;
    if (l->previous)
        l->previous->next = l->next;
    else
        m->lines = l->next;
    if (l->next)
        l->next->previous = l->previous;
    if (l->received)
        grpc_byte_buffer_destroy(l->received);
    grpc_metadata_array_destroy(&l->initial);
    grpc_metadata_array_destroy(&l->trailing);
    grpc_slice_unref(l->status_text);
    if (l->call)
        grpc_call_unref(l->call);
    if (!l->lent)
        client_link_close(&l->link);
    free(l);
}

static int start(struct rpc_many_stream *l, const grpc_op *op, size_t n, enum step step)
{
    if (grpc_call_start_batch(l->call, op, n, &l->tags[step], NULL) != GRPC_CALL_OK)
        return ERR_UNAVAILABLE;
    l->under_way[step] = true;
    l->many->pending++;
    return 0;
}

static int start_receiving(struct rpc_many_stream *l)
{
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &l->received};
    return start(l, &op, 1, STEP_RECV);
}

static int start_call(struct rpc_many_stream *l, const struct buf *request, bool half_close)
{
    grpc_byte_buffer *buffer = client_buffer(request->data, request->len);
    const grpc_op send[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = l->link.n_metadata, .metadata = l->link.metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    const grpc_op initial = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                             .data.recv_initial_metadata.recv_initial_metadata = &l->initial};
    const grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                            .data.recv_status_on_client = {.trailing_metadata = &l->trailing,
                                                           .status = &l->status,
                                                           .status_details = &l->status_text}};
    int rc = start(l, &status, 1, STEP_STATUS);
    if (rc == 0)
        rc = start(l, send, half_close ? 3 : 2, STEP_SEND);
    if (rc == 0)
        rc = start(l, &initial, 1, STEP_INITIAL);
    if (rc == 0)
        rc = start_receiving(l);
    grpc_byte_buffer_destroy(buffer);
    return rc;
}

int rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                         struct rpc_many_stream **out, struct err *e)
{
    struct rpc_many_stream *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, -ENOMEM, "out of memory");
    l->lent = call->channel != NULL;
    if (l->lent)
        l->link = *client_link_of(call->channel);
    int rc = l->lent ? 0 : client_link_open(call->target, call->options, &l->link, e);
    if (rc != 0) {
        free(l);
        return rc;
    }
    l->many = m;
    l->owner = owner;
    l->status = GRPC_STATUS_UNKNOWN;
    l->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&l->initial);
    grpc_metadata_array_init(&l->trailing);
    for (size_t i = 0; i < STEPS; i++)
        l->tags[i] = (struct tag){.stream = l, .step = (enum step)i};
    l->next = m->lines;
    if (m->lines)
        m->lines->previous = l;
    m->lines = l;
    grpc_slice name = grpc_slice_from_copied_string(call->method);
    l->call = grpc_channel_create_call(l->link.channel, NULL, GRPC_PROPAGATE_DEFAULTS, m->cq, name, NULL,
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_slice_unref(name);
    rc = start_call(l, call->request, call->half_close);
    if (rc != 0) {
        rpc_many_stream_close(l);
        return err_set(e, rc, "the call to %s cannot be started", call->method);
    }
    *out = l;
    return 0;
}

int rpc_many_stream_send(struct rpc_many_stream *l, const void *message, size_t len)
{
    if (l->under_way[STEP_SEND] || l->received_end)
        return ERR_UNAVAILABLE;
    grpc_byte_buffer *buffer = client_buffer(message, len);
    const grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    int rc = start(l, &op, 1, STEP_SEND);
    grpc_byte_buffer_destroy(buffer);
    return rc;
}

bool rpc_many_stream_connected(const struct rpc_many_stream *l)
{
    return l->connected;
}

static bool has_pending(const struct rpc_many_stream *l)
{
    for (size_t i = 0; i < STEPS; i++)
        if (l->under_way[i])
            return true;
    return false;
}

void rpc_many_stream_close(struct rpc_many_stream *l)
{
    if (!l)
        return;
    l->closed = true;
    if (has_pending(l))
        grpc_call_cancel(l->call, NULL);
    else
        line_free(l);
}

/* A message came, or the end of them. Returns 1 when |out| is to be told. */
static int on_received(struct rpc_many_stream *l, struct rpc_many_event *out)
{
    if (!l->received) {
        l->received_end = true;
        return 0;
    }
    l->connected = true;
    *out = (struct rpc_many_event){.owner = l->owner};
    int rc = client_bytes(l->received, &out->message);
    grpc_byte_buffer_destroy(l->received);
    l->received = NULL;
    if (rc == 0 && start_receiving(l) != 0)
        l->received_end = true;
    if (rc == 0)
        return 1;
    grpc_call_cancel_with_status(l->call, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for a message", NULL);
    l->received_end = true;
    return 0;
}

/* All messages have been told and the status is there. */
static int on_end(struct rpc_many_stream *l, struct rpc_many_event *out)
{
    if (!l->received_end || l->under_way[STEP_STATUS] || l->told_end)
        return 0;
    l->told_end = true;
    *out = (struct rpc_many_event){.owner = l->owner, .ended = true};
    out->status.code = (int)l->status;
    rpc_core_slice_text(l->status_text, out->status.text, sizeof(out->status.text));
    return 1;
}

/* One completion. Returns 1 when there is something to tell. */
static int on_completion(struct tag *tag, struct rpc_many_event *out)
{
    struct rpc_many_stream *l = tag->stream;
    int told = 0;
    l->under_way[tag->step] = false;
    l->many->pending--;
    if (!l->closed) {
        if (tag->step == STEP_INITIAL)
            l->connected = l->connected ||
                           grpc_channel_check_connectivity_state(l->link.channel, 0) == GRPC_CHANNEL_READY;
        if (tag->step == STEP_RECV)
            told = on_received(l, out);
        if (!told)
            told = on_end(l, out);
    } else if (!has_pending(l)) {
        line_free(l);
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
    for (struct rpc_many_stream *l = m->lines, *next; l; l = next) {
        next = l->next;
        if (!l->closed)
            rpc_many_stream_close(l);
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
