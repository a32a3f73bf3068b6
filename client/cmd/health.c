/* The command of grpc.health.v1.Health. */
#include "client/command.h"
#include "lib/clock.h"
#include "rpc/codec/msg_health.h"

#define SERVICE "/grpc.health.v1.Health/"

static int answer(struct session *s, uint32_t status)
{
    buf_printf(&s->out->data, "%s\n", health_status_name(status));
    return status == HEALTH_SERVING ? EXIT_DONE : EXIT_FAILED;
}

static int check(struct session *s, const struct buf *request)
{
    struct rpc_bytes reply = {0};
    struct err e = {0};
    uint32_t status = HEALTH_UNKNOWN;
    int rc = session_call(s, SERVICE "Check", request, &reply);
    if (rc != 0)
        return rc;
    rc = health_reply_decode(reply.data, reply.len, &status, &e);
    rpc_bytes_free(&reply);
    if (rc != 0) {
        output_note(s->out, "%s: %s", s->options->target, e.text);
        return EXIT_FAILED;
    }
    return answer(s, status);
}

/* Watches until the daemon serves. Returns an exit code, or -1 when the connection was lost and another one
 * may work. */
static int watch(struct session *s, struct rpc_stream *stream, const struct buf *request, uint32_t *last)
{
    struct err e = {0};
    if (rpc_stream_send(stream, request->data, request->len) == 0)
        rpc_stream_half_close(stream);
    for (;;) {
        struct rpc_bytes message = {0};
        int rc = rpc_stream_recv(stream, s->deadline_ns, &message);
        if (rc == 1) {
            rc = health_reply_decode(message.data, message.len, last, &e);
            rpc_bytes_free(&message);
            if (rc != 0) {
                output_note(s->out, "%s: %s", s->options->target, e.text);
                return EXIT_FAILED;
            }
            if (*last == HEALTH_SERVING)
                return answer(s, *last);
            continue;
        }
        struct rpc_status status = {0};
        if (rc == 0)
            rpc_stream_status(stream, &status);
        if (stop_reason(s->stop) != STOP_NOT || (rc == 0 && !session_may_retry(status.code))) {
            session_tell_failure(s, SERVICE "Watch", &status);
            return EXIT_FAILED;
        }
        return -1;
    }
}

/* Waits until the daemon runs and serves. Attempts follow each other closely: a script that waits for a start
 * wants to go on soon. */
static int wait_for_serving(struct session *s, const struct buf *request)
{
    const struct rpc_call_options options = {.wait_for_ready = true};
    uint32_t last = HEALTH_UNKNOWN;
    for (;;) {
        struct rpc_stream *stream = NULL;
        struct err e = {0};
        if (rpc_stream_open(s->channel, SERVICE "Watch", &options, &stream, &e) != 0) {
            output_note(s->out, "%s", e.text);
            return EXIT_FAILED;
        }
        int rc = watch(s, stream, request, &last);
        rpc_stream_free(stream);
        if (rc >= 0)
            return rc;
        if (s->deadline_ns && clock_mono_ns() >= s->deadline_ns) {
            output_note(s->out, "%s does not serve yet (%s)", s->options->target,
                        last == HEALTH_UNKNOWN ? "no answer" : health_status_name(last));
            return EXIT_FAILED;
        }
        if (!stop_sleep(s->stop, 100 * NS_PER_MS)) {
            session_tell_failure(s, SERVICE "Watch", &(struct rpc_status){0});
            return EXIT_FAILED;
        }
    }
}

int command_health(struct session *s)
{
    struct buf request;
    buf_init(&request);
    int rc = EXIT_FAILED;
    if (health_request_encode("", &request) != 0)
        output_note(s->out, "out of memory");
    else
        rc = s->options->wait ? wait_for_serving(s, &request) : check(s, &request);
    buf_free(&request);
    return rc;
}
