/* All other requests that a client can send: the first byte says which. An accepted request is within its
 * bounds. */
#include "fuzz_rpc.h"

#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_output.h"
#include "rpc/codec/msg_reflection.h"
#include "rpc/codec/msg_stream.h"

static void fuzz_stream(const uint8_t *data, size_t size)
{
    struct subscription r, again;
    struct err e = {0};
    int rc = stream_request_decode(data, size, &r, &e);
    check_error(rc, &e);
    if (rc < 0)
        return;
    if (r.n_columns > SUBSCRIPTION_NAMES_MAX || r.n_netns > SUBSCRIPTION_NAMES_MAX ||
        (r.filter && strlen(r.filter) > SUBSCRIPTION_FILTER_MAX))
        abort();
    struct buf b;
    buf_init(&b);
    if (stream_request_encode(&r, &b) < 0 || stream_request_decode(b.data, b.len, &again, NULL) < 0)
        abort();
    if (again.batch_rows != r.batch_rows || again.n_columns != r.n_columns || again.n_netns != r.n_netns)
        abort();
    subscription_free(&again);
    subscription_free(&r);
    buf_free(&b);
}

static void fuzz_frequency(const uint8_t *data, size_t size)
{
    struct config_msg_set out;
    struct err e = {0};
    int rc = config_msg_apply_poll_frequency(data, size, in_force(), &out, &e);
    check_error(rc, &e);
    if (rc == 0 && out.candidate->poll_timeout >= out.candidate->poll_frequency)
        abort();
    config_unref(out.candidate);
}

static void fuzz_burst(const uint8_t *data, size_t size)
{
    struct config_msg_burst out;
    struct err e = {0};
    int rc = config_msg_decode_burst(data, size, 2000000000, &out, &e);
    check_error(rc, &e);
    if (rc == 0 && (out.count < 1 || out.count > 1000 || out.interval_ns <= 2000000000))
        abort();
}

static void fuzz_s3(const uint8_t *data, size_t size)
{
    struct config_msg_s3 out;
    struct err e = {0};
    int rc = config_msg_decode_s3(data, size, &out, &e);
    check_error(rc, &e);
    if (rc == 0 && out.flush_interval_ns <= 0 && out.flush_threshold_bytes == 0)
        abort();
}

static void fuzz_empty(const uint8_t *data, size_t size)
{
    struct err e = {0};
    check_error(msg_empty_check(data, size, "GetRequest", &e), &e);
}

static void fuzz_health(const uint8_t *data, size_t size)
{
    char service[HEALTH_SERVICE_MAX];
    struct err e = {0};
    check_error(health_request_decode(data, size, service, &e), &e);
}

static void fuzz_reflection(const uint8_t *data, size_t size)
{
    static struct reflection *r;
    struct buf reply;
    struct err e = {0};
    if (!r && reflection_new(reflection_services, REFLECTION_SERVICE_COUNT, &r, NULL) < 0)
        abort();
    buf_init(&reply);
    check_error(reflection_answer(r, data, size, &reply, &e), &e);
    buf_free(&reply);
}

static void fuzz_output(const uint8_t *data, size_t size)
{
    char name[OUTPUT_MSG_NAME_MAX];
    struct err e = {0};
    int rc = output_msg_request_decode(data, size, "PauseRequest", name, &e);
    check_error(rc, &e);
    if (!memchr(name, '\0', sizeof(name)) || (rc == 0) != (name[0] != '\0'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(const uint8_t *, size_t) = {
        fuzz_stream, fuzz_frequency, fuzz_burst,      fuzz_s3,
        fuzz_empty,  fuzz_health,    fuzz_reflection, fuzz_output,
    };
    if (size == 0)
        return 0;
    decoders[data[0] % (sizeof(decoders) / sizeof(decoders[0]))](data + 1, size - 1);
    return 0;
}
