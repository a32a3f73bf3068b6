/* The client's side of msg_stream.h: what a response holds. */
#include <errno.h>

#include "lib/varint.h"
#include "lib/wire.h"
#include "rpc/codec/msg_error.h"
#include "rpc/codec/msg_stream.h"
#include "rpc/codec/msg_upb.h"

#define BEGIN(name) xtcp_flat_record_v1_PollBegin_##name
#define END(name)   xtcp_flat_record_v1_PollEnd_##name
#define INFO(name)  xtcp_flat_record_v1_StreamInfo_##name
#define PART(name)  xtcp_flat_record_v1_FilterPart_##name

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
    xtcp_flat_record_v1_PollBegin *m = BEGIN(new)(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &BEGIN(msginit), arena, "PollBegin", e);
    if (rc < 0)
        return rc;
    event->begin = (struct poll_begin){
        .poll_id = BEGIN(poll_id)(m),
        .timestamp_ns = BEGIN(timestamp_ns)(m),
        .trigger = (uint32_t)BEGIN(trigger)(m),
        .namespaces = BEGIN(namespaces)(m),
        .interval_ns = BEGIN(interval_ns)(m),
        .deferred_ns = BEGIN(deferred_ns)(m),
    };
    return 0;
}

static int read_end(struct stream_event *event, upb_Arena *arena, struct err *e)
{
    xtcp_flat_record_v1_PollEnd *m = END(new)(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &END(msginit), arena, "PollEnd", e);
    if (rc < 0)
        return rc;
    size_t n, n_warnings;
    const upb_StringView *warnings = END(warnings)(m, &n_warnings);
    const xtcp_flat_record_v1_NamespaceError *const *errors = END(errors)(m, &n);
    event->end = (struct poll_end){
        .poll_id = END(poll_id)(m),
        .timestamp_ns = END(timestamp_ns)(m),
        .duration_ns = END(duration_ns)(m),
        .namespaces = END(namespaces)(m),
        .namespaces_empty = END(namespaces_empty)(m),
        .namespaces_failed = END(namespaces_failed)(m),
        .namespaces_unseen = END(namespaces_unseen)(m),
        .dumps_interrupted = END(dumps_interrupted)(m),
        .sockets = END(sockets)(m),
        .rows_sent = END(rows_sent)(m),
        .rows_lost = END(rows_lost)(m),
        .cpu_ns = END(cpu_ns)(m),
        .errors = msg_error_list(errors, n, arena),
        .n_errors = n,
        .warnings = msg_upb_strings(arena, warnings, n_warnings),
        .n_warnings = n_warnings,
    };
    return event->end.errors && event->end.warnings ? 0 : -ENOMEM;
}

static int read_info(struct stream_event *event, upb_Arena *arena, struct err *e)
{
    xtcp_flat_record_v1_StreamInfo *m = INFO(new)(arena);
    int rc = msg_upb_decode(event->bytes, event->len, m, &INFO(msginit), arena, "StreamInfo", e);
    if (rc < 0)
        return rc;
    size_t n_parts, n_columns, n_warnings;
    const xtcp_flat_record_v1_FilterPart *const *from = INFO(parts)(m, &n_parts);
    const upb_StringView *names = INFO(columns)(m, &n_columns);
    struct filter_part *parts = msg_upb_array(arena, n_parts, sizeof(*parts));
    const upb_StringView *said = INFO(warnings)(m, &n_warnings);
    const char *const *columns = msg_upb_strings(arena, names, n_columns);
    const char *const *warnings = msg_upb_strings(arena, said, n_warnings);
    const char *filter = msg_upb_string(arena, INFO(filter)(m));
    if (!parts || !columns || !warnings || !filter)
        return -ENOMEM;
    for (size_t i = 0; i < n_parts; i++) {
        parts[i].expression = msg_upb_string(arena, PART(expression)(from[i]));
        parts[i].place = (uint32_t)PART(place)(from[i]);
        if (!parts[i].expression)
            return -ENOMEM;
    }
    event->info = (struct subscription_info){.filter = filter,
                                             .parts = parts,
                                             .n_parts = n_parts,
                                             .columns = columns,
                                             .n_columns = n_columns,
                                             .warnings = warnings,
                                             .n_warnings = n_warnings};
    return 0;
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
