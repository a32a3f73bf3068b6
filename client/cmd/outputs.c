/* The commands of OutputService: outputs, with or without --watch, and what can be done to one of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cmd/outputs_change.h"
#include "client/command.h"
#include "client/show/report_fields.h"
#include "client/show/table.h"
#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "client/stream_engine.h"
#include "lib/clock.h"
#include "rpc/codec/msg_output.h"

#define SERVICE "/xtcp_output.v1.OutputService/"

/* Longer than the daemon gives a test. */
#define TEST_TIMEOUT_NS (15 * NS_PER_S)

/* ---- The list ---- */

static const struct table_column columns[] = {
    {.title = "NAME", .least = 7},
    {.title = "STATE", .least = 8},
    {.title = "TO", .least = 12, .drop = 1, .cut = 24},
    {.title = "FORMAT", .drop = 4},
    {.title = "SENT", .align = TABLE_RIGHT, .least = 6},
    {.title = "BYTES", .align = TABLE_RIGHT, .drop = 5, .least = 6},
    {.title = "DROPPED", .align = TABLE_RIGHT, .least = 7},
    {.title = "QUEUE", .align = TABLE_RIGHT, .drop = 3, .least = 6},
    {.title = "SPOOL", .align = TABLE_RIGHT, .drop = 6, .least = 6},
    {.title = "LAST ERROR", .drop = 2, .least = 10, .cut = 20},
};

static void cell_count(struct table *t, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, n);
    table_cell_str(t, text);
}

static void cell_bytes(struct table *t, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX];
    units_bytes(bytes, text);
    table_cell_str(t, text);
}

static uint64_t dropped_rows(const struct output_status *o)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < o->n_dropped; i++)
        rows += o->dropped[i].rows;
    return rows;
}

static void add_row(struct table *t, const struct output_status *o)
{
    table_row(t, NULL, 0); /* in the daemon's order */
    table_cell_str(t, o->name);
    table_cell_str(t, output_state_name(o->state));
    table_cell_str(t, o->to);
    table_cell_str(t, o->format);
    cell_count(t, o->rows_sent);
    cell_bytes(t, o->bytes_sent);
    cell_count(t, dropped_rows(o));
    cell_bytes(t, o->bytes_queued);
    if (o->spool_bytes)
        cell_bytes(t, o->bytes_spooled);
    else
        table_cell_str(t, "");
    table_cell_str(t, o->last_error);
}

REPORT_JSON(output_dropped, OUTPUT_DROPPED_FIELDS)
REPORT_JSON(output_status, OUTPUT_STATUS_FIELDS)
REPORT_JSON(output_event, OUTPUT_EVENT_FIELDS)
REPORT_JSON(output_test, OUTPUT_TEST_FIELDS)

/* An object on a line of its own. */
#define SHOW_OBJECT(s, type, from)                                                                           \
    do {                                                                                                     \
        struct json j = {.out = &(s)->out->data, .canonical = (s)->options->output == OUTPUT_PROTOJSON};     \
        REPORT_PUT_OBJECT(&j, NULL, type, from);                                                             \
        buf_char(&(s)->out->data, '\n');                                                                     \
    } while (0)

static int show_table(struct session *s, const struct output_msg_list *list)
{
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    if (!t)
        return -1;
    table_set_size(t, output_width(s->out), 0);
    int rc = 0;
    for (size_t i = 0; i < list->n && rc == 0; i++) {
        add_row(t, &list->items[i]);
        if (table_full(t))
            rc = table_flush(t, &s->out->data);
    }
    if (rc == 0)
        rc = table_flush(t, &s->out->data);
    table_free(t);
    return rc;
}

static int show_list(struct session *s, const struct output_msg_list *list)
{
    if (s->options->output == OUTPUT_TABLE)
        return show_table(s, list);
    for (size_t i = 0; i < list->n; i++)
        SHOW_OBJECT(s, output_status, &list->items[i]);
    return s->out->data.failed ? -1 : 0;
}

/* Tells that the answer of the daemon is none. */
static int failed(struct session *s, const char *text)
{
    output_note(s->out, "%s: %s", s->options->target, text);
    return EXIT_FAILED;
}

static int list_outputs(struct session *s)
{
    struct rpc_bytes reply = {0};
    struct output_msg_list list;
    struct err e = {0};
    void *memory = NULL;
    int rc = session_call(s, SERVICE "List", NULL, &reply);
    if (rc != 0)
        return rc;
    rc = output_msg_list_decode(reply.data, reply.len, &list, &memory, &e);
    rpc_bytes_free(&reply);
    if (rc != 0)
        return failed(s, e.text);
    if (list.n == 0)
        output_note(s->out, "there are no outputs: records go to gRPC streams only");
    rc = show_list(s, &list);
    output_msg_free(memory);
    return rc == 0 ? EXIT_DONE : failed(s, "out of memory");
}

/* ---- Watch ---- */

/* "archive  retrying  tcp:10.0.0.7:5170, 1200 rows sent: connection refused" */
static void show_state_line(struct buf *out, const struct output_status *o)
{
    size_t width = text_clean(out, o->name, strlen(o->name), TABLE_CELL_MAX);
    buf_printf(out, "%*s  %-8s  ", width < 12 ? (int)(12 - width) : 0, "", output_state_name(o->state));
    text_clean(out, o->to, strlen(o->to), TABLE_CELL_MAX);
    buf_printf(out, ", %" PRIu64 " rows sent", o->rows_sent);
    uint64_t dropped = dropped_rows(o);
    if (dropped)
        buf_printf(out, ", %" PRIu64 " dropped", dropped);
    if (*o->last_error && o->last_failure_ns >= o->last_success_ns) {
        buf_str(out, ": ");
        text_clean(out, o->last_error, strlen(o->last_error), TABLE_CELL_MAX);
    }
    buf_char(out, '\n');
}

/* A line of the time here: the daemon's events have none. */
static void show_event_line(struct buf *out, const struct output_event *event)
{
    char time[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ns(), 3, time);
    buf_printf(out, "%s  ", time);
    if (!event->removed) {
        show_state_line(out, event->output);
        return;
    }
    size_t width = text_clean(out, event->output->name, strlen(event->output->name), TABLE_CELL_MAX);
    buf_printf(out, "%*s  removed\n", width < 12 ? (int)(12 - width) : 0, "");
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
    struct output_event event;
    void *memory = NULL;
    (void)i;
    int rc = output_msg_event_decode(message->data, message->len, &event, &memory, e);
    if (rc != 0)
        return rc;
    if (s->options->output == OUTPUT_TABLE)
        show_event_line(&s->out->data, &event);
    else
        SHOW_OBJECT(s, output_event, &event);
    output_msg_free(memory);
    output_flush(s->out); /* events are rare, and each is waited for */
    return 0;
}

static int watch_outputs(struct session *s)
{
    /* The other hooks are not needed: no message is held back, and a new stream begins with all outputs again. */
    static const struct stream_hooks hooks = {.request = on_request, .message = on_event};
    enum stream_end end;
    return stream_engine_follow(s, &hooks, s, &end);
}

/* ---- One output ---- */

/* Calls |method| for the output |name|; |timeout_ns| as session_call_within has it. */
static int call_for(struct session *s, const char *method, const char *name, int64_t timeout_ns,
                    struct rpc_bytes *reply)
{
    struct buf request;
    buf_init(&request);
    int rc = output_msg_request_encode(name, &request) == 0
                 ? session_call_within(s, method, &request, timeout_ns, reply)
                 : failed(s, "out of memory");
    buf_free(&request);
    return rc;
}

/* Has something done to an output, and shows its state. */
static int act(struct session *s, const char *method, const char *name)
{
    struct rpc_bytes reply = {0};
    const struct output_status *state;
    struct err e = {0};
    void *memory = NULL;
    int rc = call_for(s, method, name, SESSION_CALL_TIMEOUT_NS, &reply);
    if (rc != EXIT_DONE)
        return rc;
    rc = output_msg_state_decode(reply.data, reply.len, &state, &memory, &e);
    rpc_bytes_free(&reply);
    if (rc != 0)
        return failed(s, e.text);
    if (!state)
        rc = failed(s, "the output is being removed");
    else if (s->options->output == OUTPUT_TABLE)
        show_state_line(&s->out->data, state);
    else
        SHOW_OBJECT(s, output_status, state);
    output_msg_free(memory);
    return rc;
}

static int pause_output(struct session *s, const char *name)
{
    return act(s, SERVICE "Pause", name);
}

static int resume_output(struct session *s, const char *name)
{
    return act(s, SERVICE "Resume", name);
}

static int flush_output(struct session *s, const char *name)
{
    return act(s, SERVICE "Flush", name);
}

/* "archive: delivered 163B in 1.2ms" */
static void show_test(struct session *s, const char *name, const struct output_test *test)
{
    char bytes[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
    if (s->options->output != OUTPUT_TABLE) {
        SHOW_OBJECT(s, output_test, test);
        return;
    }
    units_bytes(test->bytes, bytes);
    units_time(test->duration_ns, time);
    text_clean_str(&s->out->data, name);
    if (test->delivered)
        buf_printf(&s->out->data, ": delivered %s in %s", bytes, time);
    else
        buf_printf(&s->out->data, ": not delivered, after %s", time);
    if (*test->error) {
        buf_str(&s->out->data, ": ");
        text_clean_str(&s->out->data, test->error);
    }
    buf_char(&s->out->data, '\n');
}

static int test_output(struct session *s, const char *name)
{
    struct rpc_bytes reply = {0};
    struct output_test test;
    struct err e = {0};
    void *memory = NULL;
    int rc = call_for(s, SERVICE "Test", name, TEST_TIMEOUT_NS, &reply);
    if (rc != EXIT_DONE)
        return rc;
    rc = output_msg_test_decode(reply.data, reply.len, &test, &memory, &e);
    rpc_bytes_free(&reply);
    if (rc != 0)
        return failed(s, e.text);
    show_test(s, name, &test);
    output_msg_free(memory);
    return test.delivered ? EXIT_DONE : EXIT_FAILED;
}

/* ---- The words behind the command ---- */

const char *const command_outputs_actions[] = {"add", "remove", "pause", "resume", "flush", "test", NULL};

static int (*const actions[])(struct session *s, const char *name) = {
    outputs_change_add, outputs_change_remove, pause_output, resume_output, flush_output, test_output,
};

static int usage(struct session *s, const char *text)
{
    output_note(s->out, "%s", text);
    return EXIT_USAGE;
}

/* The number of |action|, negative when it is none. */
static int find_action(const char *action)
{
    for (int i = 0; command_outputs_actions[i]; i++) {
        if (strcmp(action, command_outputs_actions[i]) == 0)
            return i;
    }
    return -1;
}

/* The first of |words| is what to do, the second the name of an output. */
static int run_action(struct session *s, const struct option_list *words)
{
    const struct options *o = s->options;
    int action = find_action(words->items[0]);
    if (action < 0) {
        output_note(s->out, "outputs %s: expected one of add, remove, pause, resume, flush, test",
                    words->items[0]);
        return EXIT_USAGE;
    }
    if (words->n != 2) {
        output_note(s->out, "outputs %s needs the name of one output", words->items[0]);
        return EXIT_USAGE;
    }
    if (o->watch)
        return usage(s, "outputs --watch tells of all outputs: leave out the words behind it");
    return actions[action](s, words->items[1]);
}

int command_outputs(struct session *s)
{
    const struct options *o = s->options;
    bool changes = o->argument && (strcmp(o->argument, "add") == 0 || strcmp(o->argument, "remove") == 0);
    bool adds = changes && strcmp(o->argument, "add") == 0;
    if (!adds && (o->to || o->format || o->filter || o->settings.n))
        return usage(s, "--to, --format, --filter and --set are for outputs add");
    if (!changes && o->dry_run)
        return usage(s, "--dry-run is for outputs add and outputs remove");
    if (o->arguments.n)
        return run_action(s, &o->arguments);
    return o->watch ? watch_outputs(s) : list_outputs(s);
}
