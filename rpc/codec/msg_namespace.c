#include "rpc/codec/msg_namespace.h"

#include <errno.h>
#include <xtcp_namespace/v1/xtcp_namespace.upb.h>

#include "rpc/codec/msg_fields.h"

#define LIST(name)  xtcp_namespace_v1_ListResponse_##name
#define EVENT(name) xtcp_namespace_v1_NamespaceEvent_##name

MSG_CODEC(namespace_info, xtcp_namespace_v1_Namespace, NAMESPACE_INFO_FIELDS)

/* ---- Encoding ---- */

int namespace_list_encode(const struct namespace_info *list, size_t n, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_namespace_v1_ListResponse *m = LIST(new)(arena);
    int rc = m ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = msg_namespace_info_put(LIST(add_namespaces)(m, arena), &list[i], arena) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = msg_upb_encode(m, &LIST(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

int namespace_event_encode(const struct namespace_event *event, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_namespace_v1_NamespaceEvent *m = EVENT(new)(arena);
    int rc = m ? 0 : -ENOMEM;
    if (m) {
        EVENT(set_type)(m, (int32_t)event->type);
        EVENT(set_timestamp_ns)(m, event->timestamp_ns);
        if (event->ns)
            rc = msg_namespace_info_put(EVENT(mutable_namespace)(m, arena), event->ns, arena) ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = msg_upb_encode(m, &EVENT(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

/* ---- Decoding ---- */

static int read_list(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    struct namespace_list *out = to;
    xtcp_namespace_v1_ListResponse *m = LIST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &LIST(msginit), arena, "ListResponse", e);
    if (rc < 0)
        return rc;
    const xtcp_namespace_v1_Namespace *const *from = LIST(namespaces)(m, &out->n);
    out->items = msg_upb_list(arena, from, out->n, sizeof(*out->items), msg_namespace_info_get);
    return out->items ? 0 : err_set(e, -ENOMEM, "ListResponse: out of memory");
}

int namespace_list_decode(const void *data, size_t len, struct namespace_list *out, struct err *e)
{
    return msg_upb_read_new(read_list, data, len, out, sizeof(*out), &out->memory, "ListResponse", e);
}

void namespace_list_free(struct namespace_list *list)
{
    msg_upb_free(list->memory);
    *list = (struct namespace_list){0};
}

static int read_event(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    struct namespace_event *out = to;
    xtcp_namespace_v1_NamespaceEvent *m = EVENT(new)(arena);
    int rc = msg_upb_decode(data, len, m, &EVENT(msginit), arena, "NamespaceEvent", e);
    if (rc < 0)
        return rc;
    out->type = (uint32_t)EVENT(type)(m);
    out->timestamp_ns = EVENT(timestamp_ns)(m);
    if (!EVENT(has_namespace)(m))
        return 0;
    const xtcp_namespace_v1_Namespace *ns = EVENT(namespace)(m);
    out->ns = msg_upb_list(arena, &ns, 1, sizeof(*out->ns), msg_namespace_info_get);
    return out->ns ? 0 : err_set(e, -ENOMEM, "NamespaceEvent: out of memory");
}

int namespace_event_decode(const void *data, size_t len, struct namespace_event *out, void **memory,
                           struct err *e)
{
    return msg_upb_read_new(read_event, data, len, out, sizeof(*out), memory, "NamespaceEvent", e);
}

void namespace_event_free(void *memory)
{
    msg_upb_free(memory);
}
