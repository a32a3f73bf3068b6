#include "rpc/codec/msg_output.h"

#include <errno.h>
#include <string.h>
#include <xtcp_output/v1/xtcp_output.upb.h>

#include "rpc/codec/msg_fields.h"

/* Requests that are a name, and answers that are a state, are the same bytes for all methods that have them. */
#define REQUEST(name) xtcp_output_v1_PauseRequest_##name
#define STATE(name)   xtcp_output_v1_PauseResponse_##name
#define LIST(name)    xtcp_output_v1_ListResponse_##name
#define EVENT(name)   xtcp_output_v1_OutputEvent_##name
#define TEST(name)    xtcp_output_v1_TestResponse_##name

MSG_CODEC(output_dropped, xtcp_output_v1_DroppedRows, OUTPUT_DROPPED_FIELDS)
MSG_CODEC(output_status, xtcp_output_v1_OutputStatus, OUTPUT_STATUS_FIELDS)
MSG_CODEC(output_event, xtcp_output_v1_OutputEvent, OUTPUT_EVENT_FIELDS)
MSG_CODEC(output_test, xtcp_output_v1_OutputTest, OUTPUT_TEST_FIELDS)

/* ---- Reading a request ---- */

/* Copies the text of a request to |name|. */
static int take_name(upb_StringView text, const char *message, char name[OUTPUT_MSG_NAME_MAX], struct err *e)
{
    if (text.size == 0)
        return err_set(e, ERR_RANGE, "%s: name is required: that of an output", message);
    if (memchr(text.data, '\0', text.size))
        return err_set(e, ERR_MALFORMED, "%s: name holds a NUL byte", message);
    size_t n = text.size < OUTPUT_MSG_NAME_MAX ? text.size : OUTPUT_MSG_NAME_MAX - 1;
    memcpy(name, text.data, n);
    name[n] = '\0';
    return 0;
}

int output_msg_request_decode(const void *data, size_t len, const char *message,
                              char name[OUTPUT_MSG_NAME_MAX], struct err *e)
{
    name[0] = '\0';
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "%s: out of memory", message);
    xtcp_output_v1_PauseRequest *m = REQUEST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REQUEST(msginit), arena, message, e);
    if (rc == 0)
        rc = take_name(REQUEST(name)(m), message, name, e);
    upb_Arena_Free(arena);
    return rc;
}

/* ---- Encoding ---- */

/* Makes a message of |from|. NULL without memory. */
typedef void *make_message(const void *from, upb_Arena *arena);

static int encode(make_message *make, const void *from, const upb_MiniTable *table, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    int rc = msg_upb_encode(make(from, arena), table, arena, out);
    upb_Arena_Free(arena);
    return rc;
}

static void *make_request(const void *name, upb_Arena *arena)
{
    xtcp_output_v1_PauseRequest *m = REQUEST(new)(arena);
    if (m)
        REQUEST(set_name)(m, msg_upb_text(arena, name));
    return m;
}

int output_msg_request_encode(const char *name, struct buf *out)
{
    return encode(make_request, name, &REQUEST(msginit), out);
}

static void *make_list(const void *list, upb_Arena *arena)
{
    const struct output_msg_list *from = list;
    xtcp_output_v1_ListResponse *m = LIST(new)(arena);
    bool ok = m != NULL;
    for (size_t i = 0; ok && i < from->n; i++)
        ok = msg_output_status_put(LIST(add_outputs)(m, arena), &from->items[i], arena);
    return ok ? m : NULL;
}

int output_msg_list_encode(const struct output_status *list, size_t n, struct buf *out)
{
    const struct output_msg_list from = {list, n};
    return encode(make_list, &from, &LIST(msginit), out);
}

static void *make_event(const void *event, upb_Arena *arena)
{
    xtcp_output_v1_OutputEvent *m = EVENT(new)(arena);
    return msg_output_event_put(m, event, arena) ? m : NULL;
}

int output_msg_event_encode(const struct output_event *event, struct buf *out)
{
    return encode(make_event, event, &EVENT(msginit), out);
}

static void *make_state(const void *status, upb_Arena *arena)
{
    xtcp_output_v1_PauseResponse *m = STATE(new)(arena);
    bool ok = m && (!status || msg_output_status_put(STATE(mutable_output)(m, arena), status, arena));
    return ok ? m : NULL;
}

int output_msg_state_encode(const struct output_status *status, struct buf *out)
{
    return encode(make_state, status, &STATE(msginit), out);
}

static void *make_test(const void *test, upb_Arena *arena)
{
    xtcp_output_v1_TestResponse *m = TEST(new)(arena);
    bool ok = m && msg_output_test_put(TEST(mutable_test)(m, arena), test, arena);
    return ok ? m : NULL;
}

int output_msg_test_encode(const struct output_test *test, struct buf *out)
{
    return encode(make_test, test, &TEST(msginit), out);
}

/* ---- Reading an answer ---- */

static int read_list(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    struct output_msg_list *out = to;
    xtcp_output_v1_ListResponse *m = LIST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &LIST(msginit), arena, "ListResponse", e);
    if (rc < 0)
        return rc;
    const xtcp_output_v1_OutputStatus *const *from = LIST(outputs)(m, &out->n);
    out->items = msg_upb_list(arena, from, out->n, sizeof(*out->items), msg_output_status_get);
    return out->items ? 0 : err_set(e, -ENOMEM, "ListResponse: out of memory");
}

int output_msg_list_decode(const void *data, size_t len, struct output_msg_list *out, void **memory,
                           struct err *e)
{
    return msg_upb_read_new(read_list, data, len, out, sizeof(*out), memory, "ListResponse", e);
}

static int read_event(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    struct output_event *out = to;
    xtcp_output_v1_OutputEvent *m = EVENT(new)(arena);
    int rc = msg_upb_decode(data, len, m, &EVENT(msginit), arena, "OutputEvent", e);
    if (rc < 0)
        return rc;
    if (!msg_output_event_get(m, out, arena))
        return err_set(e, -ENOMEM, "OutputEvent: out of memory");
    return out->output ? 0 : err_set(e, ERR_MALFORMED, "OutputEvent: it has no output");
}

int output_msg_event_decode(const void *data, size_t len, struct output_event *out, void **memory,
                            struct err *e)
{
    return msg_upb_read_new(read_event, data, len, out, sizeof(*out), memory, "OutputEvent", e);
}

static int read_state(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    const struct output_status **out = to;
    xtcp_output_v1_PauseResponse *m = STATE(new)(arena);
    int rc = msg_upb_decode(data, len, m, &STATE(msginit), arena, "OutputStatus", e);
    if (rc < 0 || !STATE(has_output)(m))
        return rc;
    const xtcp_output_v1_OutputStatus *from = STATE(output)(m);
    *out = msg_upb_list(arena, &from, 1, sizeof(**out), msg_output_status_get);
    return *out ? 0 : err_set(e, -ENOMEM, "OutputStatus: out of memory");
}

int output_msg_state_decode(const void *data, size_t len, const struct output_status **out, void **memory,
                            struct err *e)
{
    return msg_upb_read_new(read_state, data, len, out, sizeof(*out), memory, "OutputStatus", e);
}

static int read_test(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    xtcp_output_v1_TestResponse *m = TEST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &TEST(msginit), arena, "TestResponse", e);
    if (rc < 0)
        return rc;
    const xtcp_output_v1_OutputTest *from = TEST(test)(m);
    if (!from)
        return err_set(e, ERR_MALFORMED, "TestResponse: it has no test");
    return msg_output_test_get(from, to, arena) ? 0 : err_set(e, -ENOMEM, "TestResponse: out of memory");
}

int output_msg_test_decode(const void *data, size_t len, struct output_test *out, void **memory,
                           struct err *e)
{
    return msg_upb_read_new(read_test, data, len, out, sizeof(*out), memory, "TestResponse", e);
}

void output_msg_free(void *memory)
{
    msg_upb_free(memory);
}
