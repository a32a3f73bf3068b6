/* The command watch: chosen sockets at a high rate. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/command.h"
#include "client/show/address.h"
#include "client/show/record_pipeline.h"
#include "client/show/units.h"
#include "client/show/watch_table.h"
#include "client/stream_engine.h"
#include "lib/clock.h"
#include "record/envelope.h"
#include "rpc/codec/msg_focus.h"

#define METHOD "/xtcp_focus.v1.FocusService/Watch"

#define TELL_NS NS_PER_S /* between notes about ticks that were lost */

struct watch {
    struct session *session;
    struct output *out;
    struct record_pipeline pipeline;
    struct watch_table *table; /* NULL: another format */
    struct record_reader reader;
    struct buf request;
    uint64_t interval_ns; /* the daemon's, and so is the next one */
    uint32_t sockets_max;
    uint64_t max_ticks; /* 0: no limit */
    uint64_t ticks;
    uint64_t dropped; /* since the last note, and so are the next two */
    uint64_t rows_dropped;
    uint64_t skipped;
    uint64_t left_out; /* told last */
    int64_t told_ns;
};

static void say(struct watch *w, const char *text)
{
    if (w->table)
        watch_table_hide(w->table);
    output_say(w->out, "%s", text);
}

/* ---- The request ---- */

static bool has_table(const struct options *o)
{
    return o->output == OUTPUT_TABLE || o->output == OUTPUT_WIDE;
}

/* Fills |names| with the fields that are needed; returns how many, 0: all. */
static size_t wanted_columns(const struct watch *w, const char **names)
{
    const struct record_field *fields[FIELD_COUNT];
    const struct view *v = w->pipeline.view;
    size_t n;
    if (has_table(w->session->options) && !v->chosen) {
        const char *const *own = watch_table_fields(&n);
        for (size_t i = 0; i < n; i++)
            names[i] = own[i];
        return n;
    }
    n = view_mask(v, fields);
    for (size_t i = 0; i < n; i++)
        names[i] = fields[i]->name;
    return n;
}

static int interval_of(const struct options *o, int64_t *out, struct err *e)
{
    if (o->every_ns && o->rate)
        return err_set(e, ERR_USAGE, "--every and --rate say the same: give one of them");
    if (o->rate > NS_PER_S / FOCUS_INTERVAL_MIN_NS)
        return err_set(e, ERR_USAGE, "--rate %" PRIu64 ": expected 1 to %lld ticks a second", o->rate,
                       NS_PER_S / FOCUS_INTERVAL_MIN_NS);
    *out = o->rate ? (int64_t)(NS_PER_S / (int64_t)o->rate) : o->every_ns;
    if (*out && (*out < FOCUS_INTERVAL_MIN_NS || *out > FOCUS_INTERVAL_MAX_NS))
        return err_set(e, ERR_USAGE, "--every: expected 10ms to 10s");
    return 0;
}

static int make_request(struct watch *w)
{
    const struct options *o = w->session->options;
    const char *columns[FIELD_COUNT];
    struct err e = {0};
    struct focus_request r = {.filter = query_filter(w->pipeline.query),
                              .netns = o->netns.items,
                              .n_netns = o->netns.n,
                              .columns = columns,
                              .max_sockets = (uint32_t)o->max_sockets};
    if (o->max_sockets > FOCUS_SOCKETS_MAX) {
        output_note(w->out, "--max %" PRIu64 ": expected 1 to %d sockets", o->max_sockets, FOCUS_SOCKETS_MAX);
        return EXIT_USAGE;
    }
    if (interval_of(o, &r.interval_ns, &e) != 0) {
        output_note(w->out, "%s", e.text);
        return EXIT_USAGE;
    }
    r.n_columns = wanted_columns(w, columns);
    if (focus_request_encode(&r, &w->request) == 0)
        return EXIT_DONE;
    output_note(w->out, "out of memory");
    return EXIT_FAILED;
}

/* ---- Responses ---- */

static void on_info(struct watch *w, const struct focus_info *info)
{
    struct buf line;
    char every[UNITS_TEXT_MAX];
    w->interval_ns = info->interval_ns;
    w->sockets_max = info->max_sockets;
    if (w->session->options->quiet)
        return;
    units_time(info->interval_ns, every);
    buf_init(&line);
    buf_printf(&line, "%" PRIu32 " socket%s in %" PRIu32 " namespace%s, asked for every %s", info->sockets,
               info->sockets == 1 ? "" : "s", info->namespaces, info->namespaces == 1 ? "" : "s", every);
    if (info->sockets == 0)
        buf_str(&line, "; waiting for one that passes the filter");
    say(w, buf_cstr(&line));
    buf_free(&line);
}

static void tell_ended(struct watch *w, const struct focus_ended *ended)
{
    const struct focus_socket *s = &ended->socket;
    char local[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];
    struct buf line;
    struct address_scope scope = {.dual_stack = false};
    address_device(NULL, s->interface, scope.device);
    address_text(s->family, s->source, sizeof(s->source), s->source_port, &scope, local);
    address_text(s->family, s->destination, sizeof(s->destination), s->destination_port, NULL, peer);
    buf_init(&line);
    buf_printf(&line, "ended: %s %s %s: %s", s->netns, local, peer, focus_end_name(ended->reason));
    say(w, buf_cstr(&line));
    buf_free(&line);
}

/* Ticks that were lost are told together, once a second. */
static void tell_lost(struct watch *w, const struct focus_tick *t, bool last)
{
    w->dropped += t->ticks_dropped;
    w->rows_dropped += t->rows_dropped;
    w->skipped += t->ticks_skipped;
    int64_t now = clock_mono_ns();
    if ((!w->dropped && !w->skipped) || (!last && now - w->told_ns < TELL_NS))
        return;
    struct buf line;
    buf_init(&line);
    if (w->dropped)
        buf_printf(&line, "%" PRIu64 " tick%s with %" PRIu64 " records dropped: this client was too slow",
                   w->dropped, w->dropped == 1 ? "" : "s", w->rows_dropped);
    if (w->skipped)
        buf_printf(&line, "%s%" PRIu64 " tick%s left out: the daemon was late", w->dropped ? "; " : "",
                   w->skipped, w->skipped == 1 ? "" : "s");
    say(w, buf_cstr(&line));
    buf_free(&line);
    w->dropped = w->rows_dropped = w->skipped = 0;
    w->told_ns = now;
}

static void tell_troubles(struct watch *w, const struct focus_tick *t)
{
    struct buf line;
    for (size_t i = 0; i < t->n_ended; i++)
        tell_ended(w, &t->ended[i]);
    for (size_t i = 0; i < t->n_errors; i++) {
        buf_init(&line);
        buf_printf(&line, "namespace %s (inode %" PRIu64 "): %s", t->errors[i].name, t->errors[i].inode,
                   t->errors[i].text);
        say(w, buf_cstr(&line));
        buf_free(&line);
    }
    if (t->left_out > w->left_out) {
        buf_init(&line);
        buf_printf(&line,
                   "%" PRIu64 " more sockets pass the filter and are left out (--max, now %" PRIu32 ")",
                   t->left_out, w->sockets_max);
        say(w, buf_cstr(&line));
        buf_free(&line);
    }
    w->left_out = t->left_out;
    tell_lost(w, t, false);
}

static int take_row(struct watch *w, const uint8_t *row, size_t len, struct err *e)
{
    struct record_sink_added added;
    const record_message *m;
    if (!w->table)
        return record_sink_add(w->pipeline.records, row, len, NULL, NULL, &added, e);
    int rc = record_unpack(&w->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    rc = watch_table_add(w->table, m);
    return rc == 0 ? 0 : err_set(e, rc, "%s", err_name(rc));
}

static int show_tick(struct watch *w, const struct focus_tick *t)
{
    if (!w->table)
        return record_sink_end(w->pipeline.records, NULL);
    char caption[160], time[CLOCK_TEXT_MAX], every[UNITS_TEXT_MAX];
    clock_format(t->timestamp_ns, 1, time);
    units_time(w->interval_ns, every);
    snprintf(caption, sizeof(caption), "%s  tick %" PRIu64 ", every %s  %" PRIu32 " socket%s", time, t->tick,
             every, t->sockets, t->sockets == 1 ? "" : "s");
    return watch_table_tick(w->table, caption);
}

static int take_tick(struct watch *w, const struct focus_event *event, struct err *e)
{
    struct wire rows = wire_over(event->rows, event->rows_len);
    const uint8_t *row;
    size_t row_len;
    int rc;
    while ((rc = envelope_next(&rows, &row, &row_len)) == 1) {
        rc = take_row(w, row, row_len, e);
        if (rc != 0)
            return rc;
    }
    if (rc != 0)
        return err_set(e, ERR_MALFORMED, "sent an envelope that is none");
    rc = show_tick(w, &event->tick);
    tell_troubles(w, &event->tick);
    w->ticks++;
    if (rc != 0)
        return rc;
    return w->max_ticks && w->ticks >= w->max_ticks ? STREAM_ENOUGH : STREAM_GO_ON;
}

static int on_request(void *context, size_t i, struct stream_request *r)
{
    const struct watch *w = context;
    (void)i;
    r->method = METHOD;
    buf_bytes(&r->body, w->request.data, w->request.len);
    return r->body.failed ? -ENOMEM : 0;
}

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct watch *w = context;
    struct focus_event event;
    (void)i;
    int rc = focus_event_decode(message->data, message->len, &event, e);
    if (rc != 0)
        return rc;
    if (event.info)
        on_info(w, event.info);
    if (event.tick.tick)
        rc = take_tick(w, &event, e);
    focus_event_free(&event);
    return rc;
}

static void on_idle(void *context)
{
    struct watch *w = context;
    output_flush(w->out);
}

static void on_again(void *context, size_t i)
{
    struct watch *w = context;
    (void)i;
    if (w->table)
        watch_table_hide(w->table);
    w->left_out = 0;
}

/* ---- The command ---- */

static int run(struct watch *w)
{
    int rc = make_request(w);
    if (rc != EXIT_DONE)
        return rc;
    if (has_table(w->session->options)) {
        w->table = watch_table_new(w->pipeline.view, w->out);
        if (!w->table) {
            output_note(w->out, "out of memory");
            return EXIT_FAILED;
        }
    }
    static const struct stream_hooks hooks = {
        .request = on_request, .message = on_message, .idle = on_idle, .again = on_again};
    enum stream_end end;
    rc = stream_engine_follow(w->session, &hooks, w, &end);
    if (w->table)
        watch_table_end(w->table);
    tell_lost(w, &(struct focus_tick){0}, true);
    /* Without a number of ticks, the timeout is the normal end. */
    if (end != STREAM_END_TIMEOUT || !w->max_ticks)
        return rc;
    output_note(w->out, "the time is over, after %" PRIu64 " ticks", w->ticks);
    return EXIT_FAILED;
}

int command_watch(struct session *s)
{
    struct watch w = {.session = s, .out = s->out, .max_ticks = s->options->count};
    buf_init(&w.request);
    int rc = record_pipeline_open(&w.pipeline, s->options, s->out, false);
    if (rc == EXIT_DONE)
        rc = run(&w);
    watch_table_free(w.table);
    record_reader_free(&w.reader);
    record_pipeline_close(&w.pipeline);
    buf_free(&w.request);
    return rc;
}
