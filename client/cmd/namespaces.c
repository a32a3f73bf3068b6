/* The commands of NamespaceService: namespaces, with or without --watch. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/show/report_fields.h"
#include "client/show/table.h"
#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "client/stream_engine.h"
#include "lib/clock.h"
#include "rpc/codec/msg_namespace.h"

#define SERVICE "/xtcp_namespace.v1.NamespaceService/"

static const struct table_column columns[] = {
    {.title = "NAME", .least = 7, .cut = 12},
    {.title = "KIND", .drop = 3, .least = 9},
    {.title = "STATE", .least = 6},
    {.title = "SOCKETS", .align = TABLE_RIGHT, .least = 7},
    {.title = "INODE", .align = TABLE_RIGHT, .drop = 1, .least = 10},
    {.title = "COOKIE", .align = TABLE_RIGHT, .drop = 4, .least = 6},
    {.title = "POLL", .align = TABLE_RIGHT, .drop = 5, .least = 6},
    {.title = "FOUND AT", .drop = 6, .least = 8, .cut = 16},
    {.title = "LAST ERROR", .drop = 2, .least = 10, .cut = 20},
};

static void cell_u64(struct table *t, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, v);
    table_cell_str(t, v ? text : "");
}

/* "blue, green": the first few of |list|. */
static void cell_list(struct table *t, const char *const *list, size_t n)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n && b.len < TABLE_CELL_MAX; i++) {
        buf_str(&b, i ? ", " : "");
        buf_str(&b, list[i]);
    }
    table_cell(t, buf_cstr(&b), b.len);
    buf_free(&b);
}

static void add_row(struct table *t, const struct namespace_info *ns)
{
    char text[UNITS_TEXT_MAX] = "", sockets[24];
    if (ns->last_poll_duration_ns)
        units_time(ns->last_poll_duration_ns, text);
    snprintf(sockets, sizeof(sockets), "%" PRIu64, ns->sockets);

    table_row(t, NULL, 0); /* in the daemon's order */
    cell_list(t, ns->names, ns->n_names);
    table_cell_str(t, namespace_kind_name(ns->kind));
    table_cell_str(t, namespace_state_name(ns->state));
    table_cell_str(t, ns->full_poll_id ? sockets : "");
    cell_u64(t, ns->inode);
    cell_u64(t, ns->cookie);
    table_cell_str(t, text);
    cell_list(t, ns->found_at, ns->n_found_at);
    table_cell_str(t, ns->last_error);
}

REPORT_JSON(namespace_info, NAMESPACE_INFO_FIELDS)

static int show_list(struct session *s, const struct namespace_list *list)
{
    struct buf *out = &s->out->data;
    if (s->options->output == OUTPUT_TABLE) {
        struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        if (!t)
            return -1;
        table_set_size(t, output_width(s->out), 0);
        int rc = 0;
        for (size_t i = 0; i < list->n && rc == 0; i++) {
            add_row(t, &list->items[i]);
            if (table_full(t))
                rc = table_flush(t, out);
        }
        if (rc == 0)
            rc = table_flush(t, out);
        table_free(t);
        return rc;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct json j = {.out = out, .canonical = s->options->output == OUTPUT_PROTOJSON};
        REPORT_PUT_OBJECT(&j, NULL, namespace_info, &list->items[i]);
        buf_char(out, '\n');
    }
    return out->failed ? -1 : 0;
}

static int list_namespaces(struct session *s)
{
    struct rpc_bytes reply = {0};
    struct namespace_list list = {0};
    struct err e = {0};
    int rc = session_call(s, SERVICE "List", NULL, &reply);
    if (rc != 0)
        return rc;
    rc = namespace_list_decode(reply.data, reply.len, &list, &e);
    rpc_bytes_free(&reply);
    if (rc != 0) {
        output_note(s->out, "%s: %s", s->options->target, e.text);
        return EXIT_FAILED;
    }
    rc = show_list(s, &list);
    namespace_list_free(&list);
    if (rc == 0)
        return EXIT_DONE;
    output_note(s->out, "out of memory");
    return EXIT_FAILED;
}

/* "12:00:05.123  added    blue  inode 4026532761, at /run/netns/blue" */
static void show_event_line(struct buf *out, const struct namespace_event *event)
{
    char time[CLOCK_TEXT_MAX];
    const struct namespace_info *ns = event->ns;
    clock_format(event->timestamp_ns, 3, time);
    buf_printf(out, "%s  %-8s", time, namespace_event_name(event->type));
    if (!ns) {
        buf_str(out,
                event->type == NAMESPACE_EVENT_SYNCED ? "these are all; what follows are changes\n" : "\n");
        return;
    }
    size_t width =
        text_clean(out, ns->n_names ? ns->names[0] : "?", ns->n_names ? strlen(ns->names[0]) : 1, 64);
    buf_printf(out, "%*s  %s", width < 18 ? (int)(18 - width) : 0, "", namespace_kind_name(ns->kind));
    if (ns->inode)
        buf_printf(out, ", inode %" PRIu64, ns->inode);
    if (ns->cookie)
        buf_printf(out, ", cookie %" PRIu64, ns->cookie);
    if (ns->n_found_at) {
        buf_str(out, ", at ");
        text_clean(out, ns->found_at[0], strlen(ns->found_at[0]), TABLE_CELL_MAX);
    }
    if (ns->last_error && *ns->last_error) {
        buf_str(out, ": ");
        text_clean(out, ns->last_error, strlen(ns->last_error), TABLE_CELL_MAX);
    }
    buf_char(out, '\n');
}

static void show_event_json(struct session *s, const struct namespace_event *event)
{
    struct json j = {.out = &s->out->data, .canonical = s->options->output == OUTPUT_PROTOJSON};
    json_object(&j, NULL);
    json_enum(&j, "type", "NAMESPACE_EVENT_TYPE_", namespace_event_name(event->type), event->type);
    json_time(&j, "timestamp_ns", event->timestamp_ns);
    if (event->ns)
        REPORT_PUT_OBJECT(&j, "namespace", namespace_info, event->ns);
    json_object_end(&j);
    buf_char(&s->out->data, '\n');
}

static int on_request(void *context, size_t i, struct stream_request *r)
{
    (void)context, (void)i;
    r->method = SERVICE "Watch"; /* WatchRequest is empty */
    return 0;
}

static int on_event(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct session *s = context;
    struct namespace_event event;
    void *memory = NULL;
    (void)i;
    int rc = namespace_event_decode(message->data, message->len, &event, &memory, e);
    if (rc != 0)
        return rc;
    if (s->options->output == OUTPUT_TABLE)
        show_event_line(&s->out->data, &event);
    else
        show_event_json(s, &event);
    namespace_event_free(memory);
    output_flush(s->out); /* events are rare, and each is waited for */
    return 0;
}

static int watch_namespaces(struct session *s)
{
    /* The other hooks are not needed: no message is held back, and a new stream begins with all namespaces
     * again. */
    static const struct stream_hooks hooks = {.request = on_request, .message = on_event};
    enum stream_end end;
    return stream_engine_follow(s, &hooks, s, &end);
}

int command_namespaces(struct session *s)
{
    return s->options->watch ? watch_namespaces(s) : list_namespaces(s);
}
