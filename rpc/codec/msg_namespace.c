#include "rpc/codec/msg_namespace.h"

#include <errno.h>
#include <string.h>
#include <xtcp_namespace/v1/xtcp_namespace.upb.h>

#include "rpc/codec/msg_upb.h"

#define NS(name)    xtcp_namespace_v1_Namespace_##name
#define LIST(name)  xtcp_namespace_v1_ListResponse_##name
#define EVENT(name) xtcp_namespace_v1_NamespaceEvent_##name

/* ---- Encoding ---- */

static int put_namespace(xtcp_namespace_v1_Namespace *m, const struct namespace_info *ns, upb_Arena *arena)
{
    if (!m)
        return -ENOMEM;
    for (size_t i = 0; i < ns->n_names; i++) {
        if (!NS(add_names)(m, msg_upb_text(arena, ns->names[i]), arena))
            return -ENOMEM;
    }
    for (size_t i = 0; i < ns->n_found_at; i++) {
        if (!NS(add_found_at)(m, msg_upb_text(arena, ns->found_at[i]), arena))
            return -ENOMEM;
    }
    NS(set_inode)(m, ns->inode);
    NS(set_cookie)(m, ns->cookie);
    NS(set_kind)(m, (int32_t)ns->kind);
    NS(set_state)(m, (int32_t)ns->state);
    NS(set_sockets)(m, ns->sockets);
    NS(set_last_error)(m, msg_upb_text(arena, ns->last_error));
    NS(set_last_poll_ns)(m, ns->last_poll_ns);
    NS(set_last_poll_id)(m, ns->last_poll_id);
    NS(set_last_poll_duration_ns)(m, ns->last_poll_duration_ns);
    NS(set_errors)(m, ns->errors);
    NS(set_full_poll_id)(m, ns->full_poll_id);
    return 0;
}

int namespace_list_encode(const struct namespace_info *list, size_t n, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_namespace_v1_ListResponse *m = LIST(new)(arena);
    int rc = m ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put_namespace(LIST(add_namespaces)(m, arena), &list[i], arena);
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
            rc = put_namespace(EVENT(mutable_namespace)(m, arena), event->ns, arena);
    }
    if (rc == 0)
        rc = msg_upb_encode(m, &EVENT(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

/* ---- Decoding ---- */

static const char *const *get_texts(const upb_StringView *texts, size_t n, upb_Arena *arena)
{
    const char **out = msg_upb_array(arena, n, sizeof(*out));
    for (size_t i = 0; out && i < n; i++) {
        out[i] = msg_upb_string(arena, texts[i]);
        if (!out[i])
            return NULL;
    }
    return (const char *const *)out;
}

static int get_namespace(const xtcp_namespace_v1_Namespace *m, struct namespace_info *out, upb_Arena *arena)
{
    const upb_StringView *names = NS(names)(m, &out->n_names);
    out->names = get_texts(names, out->n_names, arena);
    const upb_StringView *found_at = NS(found_at)(m, &out->n_found_at);
    out->found_at = get_texts(found_at, out->n_found_at, arena);
    out->inode = NS(inode)(m);
    out->cookie = NS(cookie)(m);
    out->kind = (uint32_t)NS(kind)(m);
    out->state = (uint32_t)NS(state)(m);
    out->sockets = NS(sockets)(m);
    out->last_error = msg_upb_string(arena, NS(last_error)(m));
    out->last_poll_ns = NS(last_poll_ns)(m);
    out->last_poll_id = NS(last_poll_id)(m);
    out->last_poll_duration_ns = NS(last_poll_duration_ns)(m);
    out->errors = NS(errors)(m);
    out->full_poll_id = NS(full_poll_id)(m);
    return out->names && out->found_at && out->last_error ? 0 : -ENOMEM;
}

/* Reads |data| into plain structs in |arena|. */
static int get_list(const void *data, size_t len, struct namespace_list *out, upb_Arena *arena, struct err *e)
{
    xtcp_namespace_v1_ListResponse *m = LIST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &LIST(msginit), arena, "ListResponse", e);
    if (rc < 0)
        return rc;
    size_t n;
    const xtcp_namespace_v1_Namespace *const *from = LIST(namespaces)(m, &n);
    struct namespace_info *items = msg_upb_array(arena, n, sizeof(*items));
    rc = items ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = get_namespace(from[i], &items[i], arena);
    out->items = items;
    out->n = n;
    return rc == 0 ? 0 : err_set(e, rc, "ListResponse: out of memory");
}

int namespace_list_decode(const void *data, size_t len, struct namespace_list *out, struct err *e)
{
    *out = (struct namespace_list){0};
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "ListResponse: out of memory");
    out->memory = arena;
    int rc = get_list(data, len, out, arena, e);
    if (rc < 0)
        namespace_list_free(out);
    return rc;
}

void namespace_list_free(struct namespace_list *list)
{
    namespace_event_free(list->memory);
    *list = (struct namespace_list){0};
}

static int get_event(const void *data, size_t len, struct namespace_event *out, upb_Arena *arena,
                     struct err *e)
{
    xtcp_namespace_v1_NamespaceEvent *m = EVENT(new)(arena);
    int rc = msg_upb_decode(data, len, m, &EVENT(msginit), arena, "NamespaceEvent", e);
    if (rc < 0)
        return rc;
    out->type = (uint32_t)EVENT(type)(m);
    out->timestamp_ns = EVENT(timestamp_ns)(m);
    if (!EVENT(has_namespace)(m))
        return 0;
    struct namespace_info *ns = msg_upb_array(arena, 1, sizeof(*ns));
    out->ns = ns;
    rc = ns ? get_namespace(EVENT(namespace)(m), ns, arena) : -ENOMEM;
    return rc == 0 ? 0 : err_set(e, rc, "NamespaceEvent: out of memory");
}

int namespace_event_decode(const void *data, size_t len, struct namespace_event *out, void **memory,
                           struct err *e)
{
    *out = (struct namespace_event){0};
    *memory = NULL;
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "NamespaceEvent: out of memory");
    int rc = get_event(data, len, out, arena, e);
    if (rc == 0) {
        *memory = arena;
    } else {
        upb_Arena_Free(arena);
        *out = (struct namespace_event){0};
    }
    return rc;
}

void namespace_event_free(void *memory)
{
    if (memory)
        upb_Arena_Free(memory);
}
