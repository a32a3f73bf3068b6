/* rpc/server/server.c where memory runs out, and at its end; streams that send inline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grpc/grpc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "rpc/client/client.h"
#include "rpc/server/listen_socket.h"
#include "rpc/server/server_internal.h"

/* No memory for calls: the linker puts this in the place of calloc. */
static _Atomic bool no_calls;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    if (atomic_load(&no_calls) && n == 1 && size == sizeof(struct rpc_call))
        return NULL;
    return __real_calloc(n, size);
}

static int echo(void *app, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    (void)app;
    (void)e;
    buf_bytes(reply, request->data, request->len);
    return 0;
}

/* A stream whose request says how it is to end. */
static void open_stream(void *app, struct rpc_call *call, const uint8_t *request, size_t len)
{
    (void)app;
    if (len == 4 && memcmp(request, "well", 4) == 0)
        rpc_call_set_goodbye(call, 0, "");
}

static void closed(void *app, struct rpc_call *call)
{
    (void)app;
    (void)call;
}

static const struct rpc_stream_ops stream = {.open = open_stream, .closed = closed};

/* A stream that sends inline: |left| messages of |size| bytes wait to be sent, the last one has the number 1. */
static struct {
    _Atomic(struct rpc_call *) call;
    _Atomic unsigned left;
    _Atomic unsigned size;
    _Atomic unsigned here; /* of them, taken on the thread |sender| */
    pthread_t sender;
    _Atomic bool called_back; /* the thread rpc/callback saw the request */
} inline_send;

static void open_inline(void *app, struct rpc_call *call, const uint8_t *request, size_t len)
{
    (void)app, (void)request, (void)len;
    atomic_store(&inline_send.call, rpc_call_ref(call));
}

static void inline_message(void *app, struct rpc_call *call, const uint8_t *request, size_t len)
{
    (void)app, (void)request;
    assert_int_equal(len, 5);
    char name[16];
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    atomic_store(&inline_send.called_back, strcmp(name, "rpc/callback") == 0);
    atomic_store(&inline_send.size, 8);
    atomic_store(&inline_send.left, 1);
    rpc_call_kick(call);
}

static void inline_half_closed(void *app, struct rpc_call *call)
{
    (void)app;
    rpc_call_finish(call, 0, NULL);
}

static bool inline_next(void *app, struct rpc_call *call, struct rpc_message *out)
{
    (void)app;
    /* A call that was given up may still ask for a moment: it takes nothing from the next one. */
    unsigned left = atomic_load(&inline_send.left);
    if (!left || call != atomic_load(&inline_send.call) ||
        !atomic_compare_exchange_strong(&inline_send.left, &left, left - 1))
        return false;
    uint8_t *data = calloc(1, inline_send.size);
    assert_non_null(data);
    memcpy(data, &left, sizeof(left));
    *out = rpc_message_copy(data, inline_send.size, false);
    free(data);
    if (pthread_equal(pthread_self(), inline_send.sender))
        atomic_fetch_add(&inline_send.here, 1);
    return true;
}

static const struct rpc_stream_ops inline_stream = {.open = open_inline,
                                                    .message = inline_message,
                                                    .half_closed = inline_half_closed,
                                                    .next = inline_next,
                                                    .closed = closed,
                                                    .inline_send = true};

static const struct rpc_method methods[] = {
    {.path = "/test.Test/Echo", .kind = RPC_UNARY, .unary = echo},
    {.path = "/test.Test/Wait", .kind = RPC_SERVER_STREAM, .stream = &stream},
    {.path = "/test.Test/Prompt", .kind = RPC_BIDI, .stream = &inline_stream},
};

struct fixture {
    struct rpc_server *server;
    struct listen_socket *listener;
    struct rpc_channel *channel;
};

static void start(struct fixture *f)
{
    const struct rpc_server_options options = {
        .methods = methods, .n_methods = 3, .threads = 1, .request_max = 1000, .streams_max = 100};
    char where[64];
    snprintf(where, sizeof(where), "unix-abstract:xtcp2-rpc-server-test-%d", (int)getpid());
    assert_int_equal(rpc_server_new(&options, &f->server, NULL), 0);
    assert_int_equal(
        listen_socket_open(where, &(struct listen_socket_options){.socket_group = ""}, &f->listener, NULL),
        0);
    assert_int_equal(rpc_channel_new(where, NULL, &f->channel, NULL), 0);
    rpc_channel_connect(f->channel);
    struct pollfd wait = {.fd = listen_socket_fd(f->listener), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    rpc_server_adopt(f->server, listen_socket_accept(f->listener), RPC_ROLE_CONTROL);
}

static void stop(struct fixture *f)
{
    assert_int_equal(rpc_server_stop(f->server, NS_PER_S, 20 * NS_PER_S), 0);
    rpc_channel_free(f->channel);
    listen_socket_close(f->listener);
}

static int call(const struct fixture *f, int64_t timeout_ns)
{
    const struct rpc_call_options options = {.timeout_ns = timeout_ns};
    struct rpc_bytes reply = {0};
    struct rpc_status status = {0};
    int rc = rpc_unary(f->channel, "/test.Test/Echo", "hello", 5, &options, &reply, &status);
    if (rc == 0) {
        assert_int_equal(reply.len, 5);
        assert_memory_equal(reply.data, "hello", 5);
    }
    rpc_bytes_free(&reply);
    return rc;
}

static void test_calls_wait_for_memory(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    assert_int_equal(call(&f, 10 * NS_PER_S), 0);
    /* As many as are posted are answered, and then none, until there is memory: then all come back. */
    atomic_store(&no_calls, true);
    int answered = 0;
    while (call(&f, 400 * NS_PER_MS) == 0)
        answered++;
    assert_int_equal(answered, 2);
    atomic_store(&no_calls, false);
    for (int i = 0; i < 20; i++)
        assert_int_equal(call(&f, 10 * NS_PER_S), 0);
    /* Nor does it matter at the end. */
    atomic_store(&no_calls, true);
    while (call(&f, 400 * NS_PER_MS) == 0)
        continue;
    stop(&f);
    atomic_store(&no_calls, false);
}

static struct rpc_stream *wait_on(const struct fixture *f, const char *request)
{
    const struct rpc_call_options options = {.timeout_ns = 30 * NS_PER_S};
    struct rpc_stream *s;
    struct rpc_bytes none;
    assert_int_equal(rpc_stream_open(f->channel, "/test.Test/Wait", &options, &s, NULL), 0);
    assert_int_equal(rpc_stream_send(s, request, strlen(request)), 0);
    assert_int_equal(rpc_stream_half_close(s), 0);
    for (int i = 0; i < 1000 && !rpc_stream_connected(s); i++)
        assert_int_equal(rpc_stream_recv(s, clock_mono_ns() + 10 * NS_PER_MS, &none), ERR_TIMEOUT);
    assert_true(rpc_stream_connected(s));
    return s;
}

static void check_end(struct rpc_stream *s, int code)
{
    struct rpc_bytes none;
    struct rpc_status status;
    assert_int_equal(rpc_stream_recv(s, clock_mono_ns() + 20 * NS_PER_S, &none), 0);
    rpc_stream_status(s, &status);
    assert_int_equal(status.code, code);
    rpc_stream_free(s);
}

/* Reads |n| messages of the stream, numbered down to 1. */
static void read_all(struct rpc_stream *s, unsigned n, size_t size)
{
    for (; n; n--) {
        struct rpc_bytes message;
        unsigned number;
        assert_int_equal(rpc_stream_recv(s, clock_mono_ns() + 20 * NS_PER_S, &message), 1);
        assert_int_equal(message.len, size);
        memcpy(&number, message.data, sizeof(number));
        assert_int_equal(number, n);
        rpc_bytes_free(&message);
    }
}

static void send_inline(unsigned n, unsigned size)
{
    atomic_store(&inline_send.size, size);
    atomic_store(&inline_send.left, n);
    rpc_call_kick(inline_send.call);
}

static void test_inline_streams_see_to_their_sends(void **state)
{
    (void)state;
    struct fixture f;
    inline_send.sender = pthread_self();
    start(&f);
    const struct rpc_call_options options = {.timeout_ns = 60 * NS_PER_S};
    struct rpc_stream *s;
    assert_int_equal(rpc_stream_open(f.channel, "/test.Test/Prompt", &options, &s, NULL), 0);
    assert_int_equal(rpc_stream_send(s, "hello", 5), 0);
    read_all(s, 1, 8);
    assert_true(atomic_load(&inline_send.called_back));
    /* Small ones are sent at once: by who kicks, one after the other, but where gRPC was busy with what the
     * client has just sent. */
    atomic_store(&inline_send.here, 0);
    for (int i = 0; i < 200; i++) {
        send_inline(5, 8);
        read_all(s, 5, 8);
    }
    assert_in_range(atomic_load(&inline_send.here), 200 + 1, 200 * 5);
    /* These do not fit into what the client has room for: the rest follows when it reads. */
    send_inline(100, 60000);
    read_all(s, 100, 60000);
    /* And what nobody reads ends with the call. */
    send_inline(100, 60000);
    rpc_stream_free(s);
    rpc_call_unref(inline_send.call);
    atomic_store(&inline_send.left, 0);
    /* A good end. */
    assert_int_equal(rpc_stream_open(f.channel, "/test.Test/Prompt", &options, &s, NULL), 0);
    assert_int_equal(rpc_stream_send(s, "hello", 5), 0);
    read_all(s, 1, 8);
    assert_int_equal(rpc_stream_half_close(s), 0);
    check_end(s, GRPC_STATUS_OK);
    rpc_call_unref(inline_send.call);
    stop(&f);
}

static void *stop_it(void *arg)
{
    struct fixture *f = arg;
    assert_int_equal(rpc_server_stop(f->server, 5 * NS_PER_S, 20 * NS_PER_S), 0);
    return NULL;
}

static void test_streams_end_as_they_have_said(void **state)
{
    (void)state;
    struct fixture f;
    struct thread thread;
    start(&f);
    struct rpc_stream *well = wait_on(&f, "well");
    struct rpc_stream *other = wait_on(&f, "");
    assert_int_equal(thread_start(&thread, "stop", 0, stop_it, &f), 0);
    check_end(well, GRPC_STATUS_OK);
    check_end(other, GRPC_STATUS_UNAVAILABLE);
    thread_join(&thread);
    rpc_channel_free(f.channel);
    listen_socket_close(f.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_wait_for_memory),
        cmocka_unit_test(test_streams_end_as_they_have_said),
        cmocka_unit_test(test_inline_streams_see_to_their_sends),
    };
    log_set(LOG_ERROR, LOG_TEXT);
    rpc_server_init();
    rpc_client_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_client_fini();
    rpc_server_fini();
    return failed;
}
