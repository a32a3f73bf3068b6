/* FocusService: the request, both ways. */
#include "rpc/codec/msg_focus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <xtcp_focus/v1/xtcp_focus.upb.h>

#include "rpc/codec/msg_focus_internal.h"
#include "rpc/codec/msg_upb.h"

#define REQUEST(name) xtcp_focus_v1_WatchRequest_##name
#define SOCKET(name)  xtcp_focus_v1_SocketId_##name

/* ---- Sockets ---- */

static size_t address_size(uint32_t family)
{
    return family == AF_INET6 ? 16 : 4;
}

void focus_socket_put(xtcp_focus_v1_SocketId *to, const struct focus_socket *from, upb_Arena *arena)
{
    static const uint8_t zeros[16];
    size_t n = address_size(from->family);
    SOCKET(set_netns_cookie)(to, from->netns_cookie);
    SOCKET(set_netns)(to, msg_upb_text(arena, from->netns));
    SOCKET(set_family)(to, from->family);
    if (memcmp(from->source, zeros, n) != 0)
        SOCKET(set_source)(to, upb_StringView_FromDataAndSize((const char *)from->source, n));
    SOCKET(set_source_port)(to, from->source_port);
    if (memcmp(from->destination, zeros, n) != 0)
        SOCKET(set_destination)(to, upb_StringView_FromDataAndSize((const char *)from->destination, n));
    SOCKET(set_destination_port)(to, from->destination_port);
    SOCKET(set_interface)(to, from->interface);
    SOCKET(set_cookie)(to, from->cookie);
}

static int get_address(upb_StringView from, uint32_t family, uint8_t to[16])
{
    if (from.size && from.size != address_size(family))
        return ERR_RANGE;
    if (from.size)
        memcpy(to, from.data, from.size);
    return 0;
}

int focus_socket_get(const xtcp_focus_v1_SocketId *from, struct focus_socket *to, upb_Arena *arena,
                     const char *what, struct err *e)
{
    *to = (struct focus_socket){
        .netns_cookie = SOCKET(netns_cookie)(from),
        .netns = msg_upb_string(arena, SOCKET(netns)(from)),
        .family = SOCKET(family)(from),
        .source_port = (uint16_t)SOCKET(source_port)(from),
        .destination_port = (uint16_t)SOCKET(destination_port)(from),
        .interface = SOCKET(interface)(from),
        .cookie = SOCKET(cookie)(from),
    };
    if (!to->netns)
        return err_set(e, -ENOMEM, "%s: out of memory", what);
    if (to->family != AF_INET && to->family != AF_INET6)
        return err_set(e, ERR_RANGE, "%s.family: %u is neither 2 (IPv4) nor 10 (IPv6)", what, to->family);
    if (SOCKET(source_port)(from) > UINT16_MAX)
        return err_set(e, ERR_RANGE, "%s.source_port: %u, allowed are 1 to 65535", what,
                       SOCKET(source_port)(from));
    if (SOCKET(destination_port)(from) > UINT16_MAX)
        return err_set(e, ERR_RANGE, "%s.destination_port: %u, allowed are 0 to 65535", what,
                       SOCKET(destination_port)(from));
    size_t n = address_size(to->family);
    if (get_address(SOCKET(source)(from), to->family, to->source))
        return err_set(e, ERR_RANGE, "%s.source: %zu bytes long, must be %zu or empty", what,
                       SOCKET(source)(from).size, n);
    if (get_address(SOCKET(destination)(from), to->family, to->destination))
        return err_set(e, ERR_RANGE, "%s.destination: %zu bytes long, must be %zu or empty", what,
                       SOCKET(destination)(from).size, n);
    return 0;
}

/* ---- Requests ---- */

static int get_texts(const upb_StringView *texts, size_t n, const char *field, upb_Arena *arena,
                     const char *const **out, struct err *e)
{
    if (n > SUBSCRIPTION_NAMES_MAX)
        return err_set(e, ERR_RANGE, "%s: %zu entries, allowed are %d", field, n, SUBSCRIPTION_NAMES_MAX);
    const char **list = msg_upb_array(arena, n, sizeof(*list));
    *out = list;
    for (size_t i = 0; list && i < n; i++) {
        if (texts[i].size == 0)
            return err_set(e, ERR_RANGE, "%s: entry %zu is empty", field, i + 1);
        if (texts[i].size > SUBSCRIPTION_NAME_MAX)
            return err_set(e, ERR_RANGE, "%s: entry %zu is %zu bytes long, allowed are %d", field, i + 1,
                           texts[i].size, SUBSCRIPTION_NAME_MAX);
        list[i] = msg_upb_string(arena, texts[i]);
        if (!list[i])
            return err_set(e, -ENOMEM, "%s: out of memory", field);
    }
    return list ? 0 : err_set(e, -ENOMEM, "%s: out of memory", field);
}

static int get_sockets(const xtcp_focus_v1_WatchRequest *m, struct focus_request *out, upb_Arena *arena,
                       struct err *e)
{
    size_t n;
    const xtcp_focus_v1_SocketId *const *from = REQUEST(sockets)(m, &n);
    if (n > FOCUS_SOCKETS_MAX)
        return err_set(e, ERR_RANGE, "sockets: %zu entries, allowed are %d", n, FOCUS_SOCKETS_MAX);
    struct focus_socket *sockets = msg_upb_array(arena, n, sizeof(*sockets));
    if (!sockets)
        return err_set(e, -ENOMEM, "sockets: out of memory");
    for (size_t i = 0; i < n; i++) {
        char what[32];
        snprintf(what, sizeof(what), "sockets[%zu]", i);
        int rc = focus_socket_get(from[i], &sockets[i], arena, what, e);
        if (rc < 0)
            return rc;
        if (sockets[i].source_port == 0)
            return err_set(e, ERR_RANGE, "%s.source_port: 0, allowed are 1 to 65535", what);
    }
    out->sockets = sockets;
    out->n_sockets = n;
    return 0;
}

static int get_time(uint64_t value, int64_t standard, int64_t least, int64_t most, const char *field,
                    int64_t *out, struct err *e)
{
    *out = value ? (int64_t)value : standard;
    if (value && (value < (uint64_t)least || value > (uint64_t)most))
        return err_set(e, ERR_RANGE, "%s: %llu, allowed are %lld to %lld, and 0 for %lld", field,
                       (unsigned long long)value, (long long)least, (long long)most, (long long)standard);
    return 0;
}

static int get_request(const xtcp_focus_v1_WatchRequest *m, struct focus_request *out, upb_Arena *arena,
                       struct err *e)
{
    upb_StringView filter = REQUEST(filter)(m);
    if (filter.size > SUBSCRIPTION_FILTER_MAX)
        return err_set(e, ERR_RANGE, "filter: %zu bytes long, allowed are %d", filter.size,
                       SUBSCRIPTION_FILTER_MAX);
    if (filter.size && memchr(filter.data, '\0', filter.size))
        return err_set(e, ERR_MALFORMED, "filter: the text holds a NUL byte");
    if (filter.size) {
        out->filter = msg_upb_string(arena, filter);
        if (!out->filter)
            return err_set(e, -ENOMEM, "filter: out of memory");
    }
    out->max_sockets = REQUEST(max_sockets)(m);
    const upb_StringView *netns = REQUEST(netns)(m, &out->n_netns);
    const upb_StringView *columns = REQUEST(columns)(m, &out->n_columns);
    int rc = get_texts(netns, out->n_netns, "netns", arena, &out->netns, e);
    if (rc == 0)
        rc = get_texts(columns, out->n_columns, "columns", arena, &out->columns, e);
    if (rc == 0)
        rc = get_sockets(m, out, arena, e);
    if (rc == 0)
        rc = get_time(REQUEST(interval_ns)(m), FOCUS_INTERVAL_DEFAULT_NS, FOCUS_INTERVAL_MIN_NS,
                      FOCUS_INTERVAL_MAX_NS, "interval_ns", &out->interval_ns, e);
    if (rc == 0)
        rc = get_time(REQUEST(lookup_interval_ns)(m), FOCUS_LOOKUP_DEFAULT_NS, FOCUS_LOOKUP_MIN_NS,
                      FOCUS_LOOKUP_MAX_NS, "lookup_interval_ns", &out->lookup_interval_ns, e);
    if (rc == 0 && !out->filter && !out->n_sockets)
        rc = err_set(e, ERR_RANGE, "nothing to watch: give a filter, or sockets");
    if (rc == 0 && out->max_sockets == 0)
        out->max_sockets =
            out->n_sockets > FOCUS_WATCHED_DEFAULT ? (uint32_t)out->n_sockets : FOCUS_WATCHED_DEFAULT;
    if (rc == 0 && out->n_sockets > out->max_sockets)
        rc = err_set(e, ERR_RANGE, "sockets: %zu entries, more than max_sockets (%u)", out->n_sockets,
                     out->max_sockets);
    return rc;
}

static int read_request(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    xtcp_focus_v1_WatchRequest *m = REQUEST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REQUEST(msginit), arena, "WatchRequest", e);
    return rc == 0 ? get_request(m, to, arena, e) : rc;
}

int focus_request_decode(const void *data, size_t len, struct focus_request *out, struct err *e)
{
    return msg_upb_read_new(read_request, data, len, out, sizeof(*out), &out->memory, "WatchRequest", e);
}

void focus_request_free(struct focus_request *r)
{
    msg_upb_free(r->memory);
    *r = (struct focus_request){0};
}

static int put_request(xtcp_focus_v1_WatchRequest *m, const struct focus_request *r, upb_Arena *arena)
{
    REQUEST(set_filter)(m, msg_upb_text(arena, r->filter));
    REQUEST(set_interval_ns)(m, (uint64_t)r->interval_ns);
    REQUEST(set_lookup_interval_ns)(m, (uint64_t)r->lookup_interval_ns);
    REQUEST(set_max_sockets)(m, r->max_sockets);
    for (size_t i = 0; i < r->n_netns; i++) {
        if (!REQUEST(add_netns)(m, msg_upb_text(arena, r->netns[i]), arena))
            return -ENOMEM;
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!REQUEST(add_columns)(m, msg_upb_text(arena, r->columns[i]), arena))
            return -ENOMEM;
    }
    for (size_t i = 0; i < r->n_sockets; i++) {
        xtcp_focus_v1_SocketId *to = REQUEST(add_sockets)(m, arena);
        if (!to)
            return -ENOMEM;
        focus_socket_put(to, &r->sockets[i], arena);
    }
    return 0;
}

int focus_request_encode(const struct focus_request *r, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    xtcp_focus_v1_WatchRequest *m = arena ? REQUEST(new)(arena) : NULL;
    int rc = m ? put_request(m, r, arena) : -ENOMEM;
    if (rc == 0)
        rc = msg_upb_encode(m, &REQUEST(msginit), arena, out);
    if (arena)
        upb_Arena_Free(arena);
    return rc;
}
