/* Blocking calls over a pluck completion queue: each operation is started with its own tag and waited for by
 * that tag, so the calling thread reads like a program that does one thing after the other. */
#include "rpc/client/client.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "rpc/client/client_link.h"
#include "rpc/core.h"

struct rpc_channel {
    struct client_link link;
    grpc_completion_queue *cq;
    pthread_mutex_t lock; /* guards current */
    grpc_call *current;   /* the call that rpc_channel_interrupt cancels; one reference */
    _Atomic bool interrupted;
};

enum stream_tag { TAG_START, TAG_INITIAL, TAG_SEND, TAG_CLOSE, TAG_RECV, TAG_STATUS, TAG_COUNT };

struct rpc_stream {
    struct rpc_channel *channel;
    grpc_call *call;
    bool pending[TAG_COUNT]; /* operations whose completion has not been taken yet */
    bool connected;
    bool ended;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice status_text;
    char tags[TAG_COUNT]; /* their addresses are the tags */
};

void rpc_client_init(void)
{
    rpc_core_init();
}

void rpc_client_fini(void)
{
    rpc_core_fini();
}

void rpc_bytes_free(struct rpc_bytes *b)
{
    free(b->data);
    *b = (struct rpc_bytes){0};
}

int rpc_channel_new(const char *target, const struct rpc_channel_options *options, struct rpc_channel **out,
                    struct err *e)
{
    struct rpc_channel *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = client_link_open(target, options, &c->link, e);
    if (rc != 0) {
        free(c);
        return rc;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->cq = grpc_completion_queue_create_for_pluck(NULL);
    *out = c;
    return 0;
}

void rpc_channel_free(struct rpc_channel *c)
{
    if (!c)
        return;
    client_link_close(&c->link);
    grpc_completion_queue_shutdown(c->cq);
    grpc_completion_queue_destroy(c->cq);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void client_link_take(struct rpc_channel *c, struct client_link *out)
{
    *out = c->link;
    c->link = (struct client_link){0};
}

void rpc_channel_connect(struct rpc_channel *c)
{
    grpc_channel_check_connectivity_state(c->link.channel, 1);
}

void rpc_channel_interrupt(struct rpc_channel *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->interrupted, true);
    if (c->current)
        grpc_call_cancel(c->current, NULL);
    pthread_mutex_unlock(&c->lock);
}

static grpc_call *call_new(struct rpc_channel *c, const char *method, const struct rpc_call_options *options)
{
    int64_t timeout = options ? options->timeout_ns : 0;
    grpc_slice name = grpc_slice_from_copied_string(method);
    grpc_call *call =
        grpc_channel_create_call(c->link.channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq, name, NULL,
                                 rpc_core_deadline(timeout ? clock_mono_ns() + timeout : 0), NULL);
    grpc_slice_unref(name); /* the call has a reference of its own */
    pthread_mutex_lock(&c->lock);
    c->current = call;
    if (atomic_load(&c->interrupted))
        grpc_call_cancel(call, NULL);
    pthread_mutex_unlock(&c->lock);
    return call;
}

static void call_free(struct rpc_channel *c, grpc_call *call)
{
    pthread_mutex_lock(&c->lock);
    if (c->current == call)
        c->current = NULL;
    pthread_mutex_unlock(&c->lock);
    grpc_call_unref(call);
}

static uint32_t initial_flags(const struct rpc_call_options *options)
{
    if (!options || !options->wait_for_ready)
        return 0;
    return GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
}

/* The operation that begins a call. */
static grpc_op initial_op(const struct rpc_channel *c, const struct rpc_call_options *options)
{
    return (grpc_op){
        .op = GRPC_OP_SEND_INITIAL_METADATA,
        .flags = initial_flags(options),
        .data.send_initial_metadata = {.count = c->link.n_metadata, .metadata = c->link.metadata}};
}

static void status_fill(struct rpc_status *status, grpc_status_code code, grpc_slice text)
{
    if (!status)
        return;
    status->code = (int)code;
    rpc_core_slice_text(text, status->text, sizeof(status->text));
}

int rpc_unary(struct rpc_channel *c, const char *method, const void *request, size_t len,
              const struct rpc_call_options *options, struct rpc_bytes *reply, struct rpc_status *status)
{
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *received = NULL;
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice text = grpc_empty_slice();
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    grpc_call *call = call_new(c, method, options);
    grpc_byte_buffer *sent = client_buffer(request, len);
    grpc_op ops[] = {
        initial_op(c, options),
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &received},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &trailing,
                                        .status = &code,
                                        .status_details = &text}},
    };
    int rc = ERR_UNAVAILABLE;
    if (grpc_call_start_batch(call, ops, sizeof(ops) / sizeof(ops[0]), call, NULL) == GRPC_CALL_OK) {
        grpc_completion_queue_pluck(c->cq, call, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        status_fill(status, code, text);
        rc = rpc_status_error((int)code);
        if (rc == 0 && !received)
            rc = ERR_MALFORMED;
        if (rc == 0 && reply)
            rc = client_bytes(received, reply);
    }
    grpc_byte_buffer_destroy(sent);
    if (received)
        grpc_byte_buffer_destroy(received);
    grpc_slice_unref(text);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    call_free(c, call);
    return rc;
}

static int start(struct rpc_stream *s, const grpc_op *ops, size_t n, enum stream_tag tag)
{
    if (grpc_call_start_batch(s->call, ops, n, &s->tags[tag], NULL) != GRPC_CALL_OK)
        return ERR_UNAVAILABLE;
    s->pending[tag] = true;
    return 0;
}

/* Waits for |tag|. Returns 1 when it succeeded, 0 when it failed, ERR_TIMEOUT when |deadline_ns| came first. */
static int wait_for(struct rpc_stream *s, enum stream_tag tag, int64_t deadline_ns)
{
    if (!s->pending[tag])
        return 1;
    grpc_event event =
        grpc_completion_queue_pluck(s->channel->cq, &s->tags[tag], rpc_core_deadline(deadline_ns), NULL);
    if (event.type == GRPC_QUEUE_TIMEOUT)
        return ERR_TIMEOUT;
    s->pending[tag] = false;
    return event.success ? 1 : 0;
}

int rpc_stream_open(struct rpc_channel *c, const char *method, const struct rpc_call_options *options,
                    struct rpc_stream **out, struct err *e)
{
    struct rpc_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->channel = c;
    s->status = GRPC_STATUS_UNKNOWN;
    s->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    s->call = call_new(c, method, options);
    grpc_op send_initial = initial_op(c, options);
    grpc_op recv_initial = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                            .data.recv_initial_metadata.recv_initial_metadata = &s->initial};
    grpc_op recv_status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                           .data.recv_status_on_client = {.trailing_metadata = &s->trailing,
                                                          .status = &s->status,
                                                          .status_details = &s->status_text}};
    if (start(s, &send_initial, 1, TAG_START) || start(s, &recv_initial, 1, TAG_INITIAL) ||
        start(s, &recv_status, 1, TAG_STATUS)) {
        rpc_stream_free(s);
        return err_set(e, ERR_UNAVAILABLE, "the call to %s cannot be started", method);
    }
    *out = s;
    return 0;
}

/* One sending operation at a time: the one before it has to be complete. */
static int send_op(struct rpc_stream *s, const grpc_op *op)
{
    if (wait_for(s, TAG_SEND, 0) != 1)
        return ERR_UNAVAILABLE;
    return start(s, op, 1, TAG_SEND);
}

int rpc_stream_send(struct rpc_stream *s, const void *message, size_t len)
{
    grpc_byte_buffer *buffer = client_buffer(message, len);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    int rc = send_op(s, &op);
    grpc_byte_buffer_destroy(buffer);
    return rc;
}

int rpc_stream_half_close(struct rpc_stream *s)
{
    /* gRPC sends it behind the last message; waiting for that here would be waiting for the connection. */
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    return start(s, &op, 1, TAG_CLOSE);
}

int rpc_stream_recv(struct rpc_stream *s, int64_t deadline_ns, struct rpc_bytes *out)
{
    if (s->ended)
        return 0;
    if (s->pending[TAG_INITIAL]) {
        if (wait_for(s, TAG_INITIAL, deadline_ns) == ERR_TIMEOUT)
            return ERR_TIMEOUT;
        s->connected =
            grpc_channel_check_connectivity_state(s->channel->link.channel, 0) == GRPC_CHANNEL_READY;
    }
    if (!s->pending[TAG_RECV]) {
        grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &s->received};
        if (start(s, &op, 1, TAG_RECV))
            return 0;
    }
    if (wait_for(s, TAG_RECV, deadline_ns) == ERR_TIMEOUT)
        return ERR_TIMEOUT;
    if (!s->received) {
        wait_for(s, TAG_STATUS, 0);
        s->ended = true;
        return 0;
    }
    s->connected = true;
    int rc = client_bytes(s->received, out);
    grpc_byte_buffer_destroy(s->received);
    s->received = NULL;
    return rc ? rc : 1;
}

bool rpc_stream_connected(const struct rpc_stream *s)
{
    return s->connected;
}

void rpc_stream_status(struct rpc_stream *s, struct rpc_status *status)
{
    wait_for(s, TAG_STATUS, 0);
    status_fill(status, s->status, s->status_text);
}

void rpc_stream_free(struct rpc_stream *s)
{
    if (!s)
        return;
    grpc_call_cancel(s->call, NULL);
    for (int tag = 0; tag < TAG_COUNT; tag++)
        wait_for(s, (enum stream_tag)tag, 0);
    if (s->received)
        grpc_byte_buffer_destroy(s->received);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->status_text);
    call_free(s->channel, s->call);
    free(s);
}
