/* FocusService: with an even first byte the rest is a request, else a response. */
#include "fuzz_rpc.h"

#include "rpc/codec/msg_focus.h"

static size_t seen; /* what was read, so that reading is not left out */

static void fuzz_request(const uint8_t *data, size_t size)
{
    struct focus_request r, again;
    struct err e = {0};
    int rc = focus_request_decode(data, size, &r, &e);
    check_error(rc, &e);
    if (rc < 0)
        return;
    if (r.n_columns > SUBSCRIPTION_NAMES_MAX || r.n_netns > SUBSCRIPTION_NAMES_MAX ||
        r.n_sockets > r.max_sockets || r.interval_ns < FOCUS_INTERVAL_MIN_NS ||
        r.interval_ns > FOCUS_INTERVAL_MAX_NS || (!r.filter && !r.n_sockets) ||
        (r.filter && strlen(r.filter) > SUBSCRIPTION_FILTER_MAX))
        abort();
    struct buf b;
    buf_init(&b);
    if (focus_request_encode(&r, &b) < 0 || focus_request_decode(b.data, b.len, &again, NULL) < 0)
        abort();
    if (again.n_sockets != r.n_sockets || again.interval_ns != r.interval_ns ||
        again.max_sockets != r.max_sockets || again.n_columns != r.n_columns)
        abort();
    for (size_t i = 0; i < r.n_sockets; i++) {
        if (r.sockets[i].cookie != again.sockets[i].cookie ||
            r.sockets[i].source_port != again.sockets[i].source_port)
            abort();
    }
    focus_request_free(&again);
    focus_request_free(&r);
    buf_free(&b);
}

static void read_info(const struct focus_info *info)
{
    seen += strlen(info->filter);
    for (size_t i = 0; i < info->n_parts; i++)
        seen += strlen(info->parts[i].expression);
    for (size_t i = 0; i < info->n_columns; i++)
        seen += strlen(info->columns[i]);
}

static void fuzz_response(const uint8_t *data, size_t size)
{
    struct focus_event event;
    struct err e = {0};
    int rc = focus_event_decode(data, size, &event, &e);
    check_error(rc, &e);
    if (rc < 0)
        return;
    if (event.info)
        read_info(event.info);
    for (size_t i = 0; i < event.tick.n_ended; i++) {
        seen += strlen(event.tick.ended[i].socket.netns);
        seen += strlen(focus_end_name(event.tick.ended[i].reason));
    }
    for (size_t i = 0; i < event.tick.n_errors; i++)
        seen += strlen(event.tick.errors[i].text);
    for (size_t i = 0; i < event.rows_len; i++)
        seen += event.rows[i];
    focus_event_free(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_request(data + 1, size - 1);
    else
        fuzz_response(data + 1, size - 1);
    return 0;
}
