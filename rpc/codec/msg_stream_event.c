/* The client's side of msg_stream.h: reads responses. */
#include <errno.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "lib/varint.h"
#include "lib/wire.h"
#include "rpc/codec/msg_parts.h"
#include "rpc/codec/msg_stream.h"
#include "rpc/codec/msg_upb.h"

static enum stream_event_kind kind_of_field(uint32_t number)
{
    switch (number) {
    case STREAM_FIELD_RECORD:
        return STREAM_EVENT_RECORD;
    case STREAM_FIELD_ENVELOPE:
        return STREAM_EVENT_ENVELOPE;
    case STREAM_FIELD_POLL_BEGIN:
        return STREAM_EVENT_BEGIN;
    case STREAM_FIELD_POLL_END:
        return STREAM_EVENT_END;
    case STREAM_FIELD_STREAM_INFO:
        return STREAM_EVENT_INFO;
    default:
        return STREAM_EVENT_NONE;
    }
}

/* Finds the one known field of a response: its kind and its bytes. */
static int find_field(const uint8_t *at, size_t len, struct stream_event *out, struct err *e)
{
    struct wire w = wire_over(at, len);
    struct wire_field field;
    int rc;
    while ((rc = wire_next(&w, &field)) > 0) {
        enum stream_event_kind kind = kind_of_field(field.number);
        if (kind == STREAM_EVENT_NONE)
            continue;
        if (field.type != WIRE_LEN)
            return err_set(e, ERR_MALFORMED, "FlatRecordsResponse: field %u is no message", field.number);
        if (out->kind != STREAM_EVENT_NONE)
            return err_set(e, ERR_MALFORMED, "FlatRecordsResponse: more than one field, the last is %u",
                           field.number);
        out->kind = kind;
        out->bytes = field.data;
        out->len = field.len;
    }
    return rc < 0 ? err_set(e, ERR_MALFORMED, "FlatRecordsResponse: not a protobuf message") : 0;
}

static int read_begin(struct stream_event *event, upb_Arena *arena, struct err *e)
{
    xtcp_flat_record_v1_PollBegin *m = xtcp_flat_record_v1_PollBegin_new(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &xtcp_flat_record_v1_PollBegin_msginit, arena,
                            "PollBegin", e);
    return rc < 0 || msg_poll_begin_get(m, &event->begin, arena) ? rc : -ENOMEM;
}

static int read_end(struct stream_event *event, upb_Arena *arena, struct err *e)
{
    xtcp_flat_record_v1_PollEnd *m = xtcp_flat_record_v1_PollEnd_new(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &xtcp_flat_record_v1_PollEnd_msginit, arena,
                            "PollEnd", e);
    return rc < 0 || msg_poll_end_get(m, &event->end, arena) ? rc : -ENOMEM;
}

static int read_info(struct stream_event *event, upb_Arena *arena, struct err *e)
{
    xtcp_flat_record_v1_StreamInfo *m = xtcp_flat_record_v1_StreamInfo_new(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &xtcp_flat_record_v1_StreamInfo_msginit, arena,
                            "StreamInfo", e);
    return rc < 0 || msg_subscription_info_get(m, &event->info, arena) ? rc : -ENOMEM;
}

int stream_event_decode(const void *data, size_t len, struct stream_event *out, struct err *e)
{
    *out = (struct stream_event){0};
    int rc = find_field(data, len, out, e);
    if (rc == 0 && out->kind >= STREAM_EVENT_BEGIN) {
        upb_Arena *arena = upb_Arena_New();
        out->memory = arena;
        rc = !arena                            ? -ENOMEM
             : out->kind == STREAM_EVENT_BEGIN ? read_begin(out, arena, e)
             : out->kind == STREAM_EVENT_END   ? read_end(out, arena, e)
                                               : read_info(out, arena, e);
        if (rc == -ENOMEM)
            err_set(e, rc, "FlatRecordsResponse: out of memory");
    }
    if (rc < 0)
        stream_event_free(out);
    return rc;
}

void stream_event_free(struct stream_event *event)
{
    msg_upb_free(event->memory);
    *event = (struct stream_event){0};
}
