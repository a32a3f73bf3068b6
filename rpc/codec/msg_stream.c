#include "rpc/codec/msg_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "lib/varint.h"
#include "rpc/codec/msg_parts.h"
#include "rpc/codec/msg_upb.h"

/* PollFlatRecordsRequest and PollFlatRecordsResponse are the same on the wire; a test compares them with
 * these. */
#define REQUEST(name)  xtcp_flat_record_v1_FlatRecordsRequest_##name
#define RESPONSE(name) xtcp_flat_record_v1_FlatRecordsResponse_##name

/* ---- Requests ---- */

/* Copies the text of |field| into |*out|. */
static int copy_text(upb_StringView text, size_t max, const char *field, char **out, struct err *e)
{
    if (text.size > max)
        return err_set(e, ERR_RANGE, "%s: %zu bytes long, allowed are %zu", field, text.size, max);
    if (text.size && memchr(text.data, '\0', text.size))
        return err_set(e, ERR_MALFORMED, "%s: the text holds a NUL byte", field);
    *out = malloc(text.size + 1);
    if (!*out)
        return err_set(e, -ENOMEM, "%s: out of memory", field);
    if (text.size) /* it may be NULL when empty */
        memcpy(*out, text.data, text.size);
    (*out)[text.size] = '\0';
    return 0;
}

/* Copies the |n| texts of the repeated |field| into |*out| and |*n_out|, which stay valid for
 * subscription_free also after an error. */
static int copy_list(const upb_StringView *list, size_t n, const char *field, char ***out, size_t *n_out,
                     struct err *e)
{
    if (n == 0)
        return 0;
    if (n > SUBSCRIPTION_NAMES_MAX)
        return err_set(e, ERR_RANGE, "%s: %zu entries, allowed are %d", field, n, SUBSCRIPTION_NAMES_MAX);
    *out = calloc(n, sizeof(**out));
    if (!*out)
        return err_set(e, -ENOMEM, "%s: out of memory", field);
    for (size_t i = 0; i < n; i++) {
        if (list[i].size == 0)
            return err_set(e, ERR_RANGE, "%s: entry %zu is empty", field, i + 1);
        int rc = copy_text(list[i], SUBSCRIPTION_NAME_MAX, field, &(*out)[i], e);
        if (rc < 0)
            return rc;
        *n_out = i + 1;
    }
    return 0;
}

static int copy_request(const xtcp_flat_record_v1_FlatRecordsRequest *m, struct subscription *out,
                        struct err *e)
{
    out->batch_rows = REQUEST(batch_rows)(m);
    out->markers = REQUEST(markers)(m);
    out->events = REQUEST(events)(m);
    int rc = 0;
    if (REQUEST(filter)(m).size > 0)
        rc = copy_text(REQUEST(filter)(m), SUBSCRIPTION_FILTER_MAX, "filter", &out->filter, e);
    size_t n;
    if (rc == 0) {
        const upb_StringView *columns = REQUEST(columns)(m, &n);
        rc = copy_list(columns, n, "columns", &out->columns, &out->n_columns, e);
    }
    if (rc == 0) {
        const upb_StringView *netns = REQUEST(netns)(m, &n);
        rc = copy_list(netns, n, "netns", &out->netns, &out->n_netns, e);
    }
    return rc;
}

int stream_request_decode(const void *data, size_t len, struct subscription *out, struct err *e)
{
    *out = (struct subscription){0};
    if (len == 0)
        return 0; /* as of every client of the original schema */
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "out of memory");
    xtcp_flat_record_v1_FlatRecordsRequest *m = REQUEST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REQUEST(msginit), arena, "FlatRecordsRequest", e);
    if (rc == 0)
        rc = copy_request(m, out, e);
    upb_Arena_Free(arena);
    if (rc < 0)
        subscription_free(out);
    return rc;
}

int stream_request_encode(const struct subscription *r, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    xtcp_flat_record_v1_FlatRecordsRequest *m = arena ? REQUEST(new)(arena) : NULL;
    int rc = m ? 0 : -ENOMEM;
    if (m) {
        REQUEST(set_batch_rows)(m, r->batch_rows);
        REQUEST(set_markers)(m, r->markers);
        REQUEST(set_events)(m, r->events);
        REQUEST(set_filter)(m, msg_upb_text(arena, r->filter));
        for (size_t i = 0; i < r->n_columns && rc == 0; i++)
            rc = REQUEST(add_columns)(m, msg_upb_text(arena, r->columns[i]), arena) ? 0 : -ENOMEM;
        for (size_t i = 0; i < r->n_netns && rc == 0; i++)
            rc = REQUEST(add_netns)(m, msg_upb_text(arena, r->netns[i]), arena) ? 0 : -ENOMEM;
        if (rc == 0)
            rc = msg_upb_encode(m, &REQUEST(msginit), arena, out);
    }
    if (arena)
        upb_Arena_Free(arena);
    return rc;
}

/* ---- Responses ---- */

size_t stream_put_envelope(uint8_t *out, size_t len)
{
    uint8_t *end = varint_put(varint_put(out, WIRE_TAG(STREAM_FIELD_ENVELOPE, WIRE_LEN)), len);
    return (size_t)(end - out);
}

/* A response and the arena that all of it lives in. */
struct response {
    upb_Arena *arena;
    xtcp_flat_record_v1_FlatRecordsResponse *message;
};

/* Returns false without memory. */
static bool response_new(struct response *r)
{
    r->arena = upb_Arena_New();
    r->message = r->arena ? RESPONSE(new)(r->arena) : NULL;
    return r->message;
}

/* Appends the response to |out| if it is complete (|ok|), and frees it. Returns 0 or -ENOMEM. */
static int response_end(struct response *r, bool ok, struct buf *out)
{
    int rc = ok ? msg_upb_encode(r->message, &RESPONSE(msginit), r->arena, out) : -ENOMEM;
    if (r->arena)
        upb_Arena_Free(r->arena);
    return rc;
}

int stream_encode_begin(struct buf *out, const struct poll_begin *begin)
{
    struct response r;
    bool ok = response_new(&r) &&
              msg_poll_begin_put(RESPONSE(mutable_poll_begin)(r.message, r.arena), begin, r.arena);
    return response_end(&r, ok, out);
}

int stream_encode_end(struct buf *out, const struct poll_end *end)
{
    struct response r;
    bool ok =
        response_new(&r) && msg_poll_end_put(RESPONSE(mutable_poll_end)(r.message, r.arena), end, r.arena);
    return response_end(&r, ok, out);
}

int stream_encode_info(struct buf *out, const struct subscription_info *info)
{
    struct response r;
    bool ok = response_new(&r) &&
              msg_subscription_info_put(RESPONSE(mutable_stream_info)(r.message, r.arena), info, r.arena);
    return response_end(&r, ok, out);
}
