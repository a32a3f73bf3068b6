/* Blocking calls over a pluck completion queue: each operation is started with its own tag and waited for by
 * that tag, so the calling thread reads like a program that does one thing after the other. */
#include "rpc/client.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "rpc/client_auth.h"
#include "rpc/core.h"
#include "rpc/file.h"

#define REPLY_MAX (64 * 1024 * 1024) /* bytes of one message we accept */

struct rpc_channel {
    grpc_channel *channel;
    grpc_completion_queue *cq;
    pthread_mutex_t lock; /* guards current */
    grpc_call *current;   /* what rpc_channel_interrupt cancels; one reference */
    _Atomic bool interrupted;
    bool has_token;
    grpc_slice authorization; /* sent with every call */
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

/* Whether |text| is a port number. */
static bool is_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && port >= 1 && port <= 65535;
}

/* gRPC itself takes anything for a name to resolve: with a slip of the pen that is a long wait for a strange
 * error. */
static int check_target(const char *target, struct err *e)
{
    static const char *const schemes[] = {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(target, schemes[i], n) == 0 && target[n])
            return 0;
    }
    const char *colon = strrchr(target, ':');
    bool bracketed = target[0] == '[' && colon && colon > target + 2 && colon[-1] == ']';
    bool plain = target[0] != '[' && colon && colon > target && strchr(target, ':') == colon;
    if ((bracketed || plain) && is_port(colon + 1) && !strpbrk(target, "/ "))
        return 0;
    return err_set(e, ERR_USAGE, "target \"%s\": expected HOST:PORT, [IPV6]:PORT or unix:/path", target);
}

static grpc_channel *core_channel_new(const char *target, const char *server_name,
                                      grpc_channel_credentials *credentials)
{
    grpc_arg args[] = {
        /* The target is a daemon, not a web site: the proxy of the environment is not meant for it. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_HTTP_PROXY, .value.integer = 0},
        /* A channel is a connection of its own, also when a process has several to one target. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = REPLY_MAX},
        /* Whoever retries does so with a backoff of his own. */
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
         .value.integer = 100},
        /* What one attempt may take, in spite of its name: also far away daemons are to be reached. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, .value.integer = 10000},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, .value.integer = 500},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_KEEPALIVE_TIME_MS, .value.integer = 30000},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_KEEPALIVE_TIMEOUT_MS, .value.integer = 10000},
        /* The last one: left out when there is no name. */
        {.type = GRPC_ARG_STRING,
         .key = (char *)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
         .value.string = (char *)(uintptr_t)server_name},
    };
    grpc_channel_args channel_args = {.num_args = sizeof(args) / sizeof(args[0]) - !server_name,
                                      .args = args};
    return grpc_channel_create(target, credentials, &channel_args);
}

int rpc_channel_new(const char *target, const struct rpc_channel_options *options, struct rpc_channel **out,
                    struct err *e)
{
    static const struct rpc_channel_options none;
    const struct rpc_channel_options *o = options ? options : &none;
    grpc_channel_credentials *credentials = NULL;
    char *authorization = NULL;
    int rc = check_target(target, e);
    if (rc == 0 && o->token_file)
        rc = rpc_client_authorization(o->token_file, &authorization, e);
    if (rc == 0)
        rc = rpc_client_credentials(o, &credentials, e);
    struct rpc_channel *c = rc ? NULL : calloc(1, sizeof(*c));
    if (!c) {
        if (rc == 0)
            grpc_channel_credentials_release(credentials);
        rpc_file_forget(authorization);
        return rc ? rc : err_set(e, -ENOMEM, "out of memory");
    }
    pthread_mutex_init(&c->lock, NULL);
    c->has_token = authorization != NULL;
    c->authorization = authorization ? grpc_slice_from_copied_string(authorization) : grpc_empty_slice();
    rpc_file_forget(authorization);
    c->channel = core_channel_new(target, o->server_name, credentials);
    grpc_channel_credentials_release(credentials);
    c->cq = grpc_completion_queue_create_for_pluck(NULL);
    *out = c;
    return 0;
}

void rpc_channel_free(struct rpc_channel *c)
{
    if (!c)
        return;
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->cq);
    grpc_completion_queue_destroy(c->cq);
    pthread_mutex_destroy(&c->lock);
    grpc_slice_unref(c->authorization);
    free(c);
}

void rpc_channel_interrupt(struct rpc_channel *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->interrupted, true);
    if (c->current)
        grpc_call_cancel(c->current, NULL);
    pthread_mutex_unlock(&c->lock);
}

bool rpc_channel_interrupted(const struct rpc_channel *c)
{
    return atomic_load(&((struct rpc_channel *)c)->interrupted);
}

static grpc_call *call_new(struct rpc_channel *c, const char *method, const struct rpc_call_options *options)
{
    int64_t timeout = options ? options->timeout_ns : 0;
    grpc_slice name = grpc_slice_from_copied_string(method);
    grpc_call *call =
        grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq, name, NULL,
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

/* The operation that begins a call; |metadata| is memory for it, as long as the batch is being started. */
static grpc_op initial_op(const struct rpc_channel *c, const struct rpc_call_options *options,
                          grpc_metadata *metadata)
{
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA, .flags = initial_flags(options)};
    if (c->has_token) {
        *metadata =
            (grpc_metadata){.key = grpc_slice_from_static_string("authorization"), .value = c->authorization};
        op.data.send_initial_metadata.count = 1;
        op.data.send_initial_metadata.metadata = metadata;
    }
    return op;
}

static grpc_byte_buffer *buffer_of(const void *data, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(len ? data : "", len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/* Copies |buffer| to |out|. Returns 0, -ENOMEM, or ERR_MALFORMED when it cannot be decompressed. */
static int bytes_of(grpc_byte_buffer *buffer, struct rpc_bytes *out)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return ERR_MALFORMED;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t n = GRPC_SLICE_LENGTH(all);
    out->data = malloc(n ? n : 1);
    out->len = n;
    if (out->data)
        memcpy(out->data, GRPC_SLICE_START_PTR(all), n);
    grpc_slice_unref(all);
    return out->data ? 0 : -ENOMEM;
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
    grpc_metadata metadata;
    grpc_byte_buffer *sent = buffer_of(request, len);
    grpc_op ops[] = {
        initial_op(c, options, &metadata),
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
            rc = bytes_of(received, reply);
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

/* Waits for |tag|. Returns 1 when it succeeded, 0 when it failed, ERR_TIMEOUT when |deadline_ns| came first.
 */
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
    grpc_metadata metadata;
    grpc_op send_initial = initial_op(c, options, &metadata);
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

/* One sending operation at a time: the one before it has to be through. */
static int send_op(struct rpc_stream *s, const grpc_op *op)
{
    if (wait_for(s, TAG_SEND, 0) != 1)
        return ERR_UNAVAILABLE;
    return start(s, op, 1, TAG_SEND);
}

int rpc_stream_send(struct rpc_stream *s, const void *message, size_t len)
{
    grpc_byte_buffer *buffer = buffer_of(message, len);
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
        s->connected = grpc_channel_check_connectivity_state(s->channel->channel, 0) == GRPC_CHANNEL_READY;
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
    int rc = bytes_of(s->received, out);
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
