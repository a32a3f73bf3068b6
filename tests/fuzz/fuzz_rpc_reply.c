/* All that a server can send to the client: the first byte says which message. */
#include "fuzz_rpc.h"

#include "record/envelope.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_output.h"
#include "rpc/codec/msg_status.h"
#include "rpc/codec/msg_stream.h"

static size_t seen; /* what was read, so that reading is not left out */

static void read_text(const char *text)
{
    seen += strlen(text);
}

static void read_errors(const struct poll_error *errors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        read_text(errors[i].name);
        read_text(errors[i].text);
    }
}

static void read_rows(const uint8_t *data, size_t size)
{
    struct wire w = wire_over(data, size);
    const uint8_t *row;
    size_t len;
    while (envelope_next(&w, &row, &len) > 0) {
        for (size_t i = 0; i < len; i++)
            seen += row[i];
    }
}

static void fuzz_event(const uint8_t *data, size_t size)
{
    struct stream_event event;
    struct err e = {0};
    int rc = stream_event_decode(data, size, &event, &e);
    check_error(rc, &e);
    if (event.kind == STREAM_EVENT_ENVELOPE)
        read_rows(event.bytes, event.len);
    if (event.kind == STREAM_EVENT_END)
        read_errors(event.end.errors, event.end.n_errors);
    for (size_t i = 0; event.kind == STREAM_EVENT_INFO && i < event.info.n_parts; i++)
        read_text(event.info.parts[i].expression);
    for (size_t i = 0; event.kind == STREAM_EVENT_INFO && i < event.info.n_columns; i++)
        read_text(event.info.columns[i]);
    stream_event_free(&event);
}

static void fuzz_config(const uint8_t *data, size_t size)
{
    struct config_reply *reply;
    struct err e = {0};
    int rc = config_reply_decode(data, size, &reply, &e);
    check_error(rc, &e);
    if (rc < 0)
        return;
    size_t n;
    const char *const *changed = config_reply_changed(reply, &n);
    for (size_t i = 0; i < n; i++)
        read_text(changed[i]);
    seen += (size_t)(config_reply_poll_frequency(reply) + config_reply_poll_timeout(reply));
    struct buf json, request;
    buf_init(&json);
    buf_init(&request);
    /* Our output is JSON; it is refused only for durations outside of their type, and keys that come
     * twice. */
    if (config_reply_json(reply, &json) < 0)
        abort();
    rc = config_set_request_from_json(json.data, json.len, "fuzz", false, &request, &e);
    if (rc < 0 && rc != ERR_TYPE && rc != ERR_DUPLICATE)
        abort();
    buf_free(&json);
    buf_free(&request);
    config_reply_free(reply);
}

static void fuzz_burst(const uint8_t *data, size_t size)
{
    struct config_msg_burst burst;
    uint32_t cancelled;
    struct err e = {0};
    check_error(config_burst_reply_decode(data, size, &burst, &e), &e);
    check_error(config_cancel_reply_decode(data, size, &cancelled, &e), &e);
}

static void read_namespace(const struct namespace_info *ns)
{
    for (size_t i = 0; i < ns->n_names; i++)
        read_text(ns->names[i]);
    for (size_t i = 0; i < ns->n_found_at; i++)
        read_text(ns->found_at[i]);
    read_text(ns->last_error);
    read_text(namespace_kind_name(ns->kind));
    read_text(namespace_state_name(ns->state));
}

static void fuzz_namespaces(const uint8_t *data, size_t size)
{
    struct namespace_list list;
    struct namespace_event event;
    struct err e = {0};
    void *memory;
    check_error(namespace_list_decode(data, size, &list, &e), &e);
    for (size_t i = 0; i < list.n; i++)
        read_namespace(&list.items[i]);
    namespace_list_free(&list);
    check_error(namespace_event_decode(data, size, &event, &memory, &e), &e);
    if (event.ns)
        read_namespace(event.ns);
    namespace_event_free(memory);
}

static void fuzz_status(const uint8_t *data, size_t size)
{
    struct status_msg status;
    struct err e = {0};
    void *memory;
    int rc = status_msg_decode(data, size, &status, &memory, &e);
    check_error(rc, &e);
    if (rc < 0)
        return;
    if (status.last_poll)
        read_errors(status.last_poll->errors, status.last_poll->n_errors);
    for (size_t i = 0; i < status.n_errors; i++)
        read_text(status.errors[i].kind);
    for (size_t i = 0; i < status.n_subscribers; i++)
        read_text(status.subscribers[i].peer);
    for (size_t i = 0; i < status.n_gaps; i++)
        read_text(status.gaps[i].effect);
    read_text(status.kernel);
    struct buf b;
    buf_init(&b);
    if (status_msg_encode(&status, &b) < 0)
        abort();
    buf_free(&b);
    status_msg_free(memory);
}

static void fuzz_health(const uint8_t *data, size_t size)
{
    uint32_t status;
    struct err e = {0};
    check_error(health_reply_decode(data, size, &status, &e), &e);
    read_text(health_status_name(status));
}

static void read_output(const struct output_status *output)
{
    read_text(output->name);
    read_text(output->to);
    read_text(output->format);
    read_text(output->last_error);
    read_text(output_state_name(output->state));
    for (size_t i = 0; i < output->n_dropped; i++)
        read_text(output->dropped[i].reason);
}

static void fuzz_outputs(const uint8_t *data, size_t size)
{
    struct output_msg_list list;
    struct output_event event;
    const struct output_status *output;
    struct output_test test;
    struct err e = {0};
    void *memory;
    check_error(output_msg_list_decode(data, size, &list, &memory, &e), &e);
    for (size_t i = 0; i < list.n; i++)
        read_output(&list.items[i]);
    output_msg_free(memory);
    check_error(output_msg_event_decode(data, size, &event, &memory, &e), &e);
    if (event.output)
        read_output(event.output);
    output_msg_free(memory);
    check_error(output_msg_state_decode(data, size, &output, &memory, &e), &e);
    if (output)
        read_output(output);
    output_msg_free(memory);
    int rc = output_msg_test_decode(data, size, &test, &memory, &e);
    check_error(rc, &e);
    if (rc == 0)
        read_text(test.error);
    output_msg_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(const uint8_t *, size_t) = {
        fuzz_event, fuzz_config, fuzz_burst, fuzz_namespaces, fuzz_status, fuzz_health, fuzz_outputs,
    };
    if (size == 0)
        return 0;
    decoders[data[0] % (sizeof(decoders) / sizeof(decoders[0]))](data + 1, size - 1);
    return 0;
}
