/* FocusService: the response, both ways. */
#include <errno.h>
#include <string.h>

#include "lib/varint.h"
#include "lib/wire.h"
#include "rpc/codec/msg_fields.h"
#include "rpc/codec/msg_focus_internal.h"
#include "rpc/codec/msg_parts.h"
#include "rpc/codec/msg_upb.h"

#define RESPONSE(name) xtcp_focus_v1_WatchResponse_##name
#define ENDED(name)    xtcp_focus_v1_SocketEnd_##name

#define FIELD_ROWS 5 /* WatchResponse.rows */

MSG_CODEC(focus_info, xtcp_focus_v1_WatchInfo, FOCUS_INFO_FIELDS)

/* ---- Encoding, for the server ---- */

int focus_info_encode(struct buf *out, const struct focus_info *info)
{
    upb_Arena *arena = upb_Arena_New();
    xtcp_focus_v1_WatchResponse *m = arena ? RESPONSE(new)(arena) : NULL;
    int rc = m && msg_focus_info_put(RESPONSE(mutable_info)(m, arena), info, arena) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = msg_upb_encode(m, &RESPONSE(msginit), arena, out);
    if (arena)
        upb_Arena_Free(arena);
    return rc;
}

static uint8_t *put_number(uint8_t *at, uint32_t field, uint64_t value)
{
    return value ? varint_put(varint_put(at, WIRE_TAG(field, WIRE_VARINT)), value) : at;
}

static int put_lists(xtcp_focus_v1_WatchResponse *m, const struct focus_tick *t, upb_Arena *arena)
{
    for (size_t i = 0; i < t->n_ended; i++) {
        xtcp_focus_v1_SocketEnd *to = RESPONSE(add_ended)(m, arena);
        xtcp_focus_v1_SocketId *id = to ? ENDED(mutable_socket)(to, arena) : NULL;
        if (!id)
            return -ENOMEM;
        focus_socket_put(id, &t->ended[i].socket, arena);
        ENDED(set_reason)(to, (int32_t)t->ended[i].reason);
        ENDED(set_timestamp_ns)(to, t->ended[i].timestamp_ns);
        ENDED(set_state)(to, t->ended[i].state);
    }
    for (size_t i = 0; i < t->n_errors; i++) {
        if (!msg_poll_error_put(RESPONSE(add_errors)(m, arena), &t->errors[i], arena))
            return -ENOMEM;
    }
    return 0;
}

/* Appends the fields that are messages, which few ticks have. */
static int append_lists(struct buf *out, const struct focus_tick *tick)
{
    upb_Arena *arena = upb_Arena_New();
    xtcp_focus_v1_WatchResponse *m = arena ? RESPONSE(new)(arena) : NULL;
    int rc = m ? put_lists(m, tick, arena) : -ENOMEM;
    if (rc == 0)
        rc = msg_upb_encode(m, &RESPONSE(msginit), arena, out);
    if (arena)
        upb_Arena_Free(arena);
    return rc;
}

int focus_tick_encode(struct buf *out, const struct focus_tick *tick)
{
    /* This runs a hundred times a second, mostly on a CPU that was idle and whose caches are cold: for
     * numbers alone, upb would cost too much. */
    const struct {
        uint32_t field;
        uint64_t value;
    } numbers[] = {
        {2, tick->tick},           {3, (uint64_t)tick->timestamp_ns},
        {4, tick->late_ns},        {7, tick->sockets},
        {8, tick->left_out},       {9, tick->ticks_skipped},
        {10, tick->ticks_dropped}, {11, tick->rows_dropped},
    };
    enum { N = sizeof(numbers) / sizeof(numbers[0]) };
    uint8_t bytes[N * 2 * VARINT_MAX];
    uint8_t *end = bytes;
    for (size_t i = 0; i < N; i++)
        end = put_number(end, numbers[i].field, numbers[i].value);
    buf_bytes(out, bytes, (size_t)(end - bytes));
    return tick->n_ended || tick->n_errors ? append_lists(out, tick) : out->failed ? -ENOMEM : 0;
}

void focus_put_rows(struct buf *out, size_t len)
{
    uint8_t prefix[2 * VARINT_MAX];
    uint8_t *end = varint_put(varint_put(prefix, WIRE_TAG(FIELD_ROWS, WIRE_LEN)), len);
    buf_bytes(out, prefix, (size_t)(end - prefix));
}

/* ---- Read by the client ---- */

/* Copies all fields but the rows, which |out| gets in place, to |rest|. */
static int split(const uint8_t *at, size_t len, struct focus_event *out, uint8_t *rest, size_t *rest_len,
                 struct err *e)
{
    struct wire_field field;
    struct wire w = wire_over(at, len);
    const uint8_t *begin = at;
    int rc;
    *rest_len = 0;
    while ((rc = wire_next(&w, &field)) > 0) {
        if (field.number != FIELD_ROWS) {
            memcpy(rest + *rest_len, begin, (size_t)(w.at - begin));
            *rest_len += (size_t)(w.at - begin);
        } else if (field.type != WIRE_LEN || out->rows) {
            return err_set(e, ERR_MALFORMED, "WatchResponse: rows must be there once, as a message");
        } else {
            out->rows = field.data;
            out->rows_len = field.len;
        }
        begin = w.at;
    }
    return rc < 0 ? err_set(e, ERR_MALFORMED, "WatchResponse: not a protobuf message") : 0;
}

/* NULL without memory. */
static const struct focus_info *get_info(const xtcp_focus_v1_WatchInfo *m, upb_Arena *arena)
{
    struct focus_info *info = msg_upb_array(arena, 1, sizeof(*info));
    return info && msg_focus_info_get(m, info, arena) ? info : NULL;
}

static int get_ended(const xtcp_focus_v1_WatchResponse *m, struct focus_tick *t, upb_Arena *arena,
                     struct err *e)
{
    size_t n;
    const xtcp_focus_v1_SocketEnd *const *from = RESPONSE(ended)(m, &n);
    struct focus_ended *list = msg_upb_array(arena, n, sizeof(*list));
    if (!list)
        return err_set(e, -ENOMEM, "WatchResponse: out of memory");
    for (size_t i = 0; i < n; i++) {
        const xtcp_focus_v1_SocketId *id = ENDED(socket)(from[i]);
        if (!id)
            return err_set(e, ERR_MALFORMED, "ended[%zu]: has no socket", i);
        int rc = focus_socket_get(id, &list[i].socket, arena, "ended.socket", e);
        if (rc < 0)
            return rc;
        list[i].reason = (uint32_t)ENDED(reason)(from[i]);
        list[i].timestamp_ns = ENDED(timestamp_ns)(from[i]);
        list[i].state = ENDED(state)(from[i]);
    }
    t->ended = list;
    t->n_ended = n;
    return 0;
}

static int get_tick(const xtcp_focus_v1_WatchResponse *m, struct focus_tick *t, upb_Arena *arena,
                    struct err *e)
{
    size_t n_errors;
    const void *errors = RESPONSE(errors)(m, &n_errors);
    *t = (struct focus_tick){
        .tick = RESPONSE(tick)(m),
        .timestamp_ns = RESPONSE(timestamp_ns)(m),
        .late_ns = RESPONSE(late_ns)(m),
        .sockets = RESPONSE(sockets)(m),
        .left_out = RESPONSE(left_out)(m),
        .ticks_skipped = RESPONSE(ticks_skipped)(m),
        .ticks_dropped = RESPONSE(ticks_dropped)(m),
        .rows_dropped = RESPONSE(rows_dropped)(m),
        .errors = msg_upb_list(arena, errors, n_errors, sizeof(*t->errors), msg_poll_error_get),
        .n_errors = n_errors,
    };
    if (!t->errors)
        return err_set(e, -ENOMEM, "WatchResponse: out of memory");
    return get_ended(m, t, arena, e);
}

static int read_event(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    struct focus_event *out = to;
    size_t rest_len;
    uint8_t *rest = msg_upb_array(arena, len, 1);
    if (!rest)
        return err_set(e, -ENOMEM, "WatchResponse: out of memory");
    int rc = split(data, len, out, rest, &rest_len, e);
    if (rc < 0)
        return rc;
    xtcp_focus_v1_WatchResponse *m = RESPONSE(new)(arena);
    rc = msg_upb_decode(rest, rest_len, m, &RESPONSE(msginit), arena, "WatchResponse", e);
    if (rc == 0)
        rc = get_tick(m, &out->tick, arena, e);
    if (rc == 0 && RESPONSE(has_info)(m)) {
        out->info = get_info(RESPONSE(info)(m), arena);
        if (!out->info)
            rc = err_set(e, -ENOMEM, "WatchResponse: out of memory");
    }
    return rc;
}

int focus_event_decode(const void *data, size_t len, struct focus_event *out, struct err *e)
{
    return msg_upb_read_new(read_event, data, len, out, sizeof(*out), &out->memory, "WatchResponse", e);
}

void focus_event_free(struct focus_event *event)
{
    msg_upb_free(event->memory);
    *event = (struct focus_event){0};
}
