/* The command of StatusService. */
#include "client/cmd/status.h"

#include <inttypes.h>
#include <string.h>

#include "client/command.h"
#include "client/show/report_fields.h"
#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "lib/clock.h"

#define METHOD "/xtcp_status.v1.StatusService/Get"

#define NAME_WIDTH 12 /* columns of the names on the left */

static void name(struct buf *out, const char *text)
{
    buf_printf(out, "%-*s", NAME_WIDTH, text);
}

/* "1 namespace", "3 namespaces" */
static void count(struct buf *out, uint64_t n, const char *what)
{
    buf_printf(out, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

/* The sockets that |p| found: a partial poll tells only of sockets that its readers asked for. */
static void show_found(struct buf *out, const char *title, const struct status_poll *p)
{
    char took[UNITS_TEXT_MAX], time[CLOCK_TEXT_MAX];
    units_time(p->duration_ns, took);
    clock_format(p->timestamp_ns, 3, time);
    name(out, title);
    buf_printf(out, "number %" PRIu64 " (%s) at %s: ", p->poll_id, poll_trigger_name(p->trigger), time);
    count(out, p->sockets, p->partial ? "matching socket" : "socket");
    buf_str(out, " in ");
    count(out, p->namespaces, "namespace");
    buf_printf(out, ", %s", took);
}

static void show_poll(struct buf *out, const struct status_poll *p, const struct status_poll *full)
{
    show_found(out, "last poll", p);
    if (p->namespaces_empty)
        buf_printf(out, "; %" PRIu32 " empty", p->namespaces_empty);
    if (p->namespaces_failed)
        buf_printf(out, "; %" PRIu32 " failed", p->namespaces_failed);
    if (p->namespaces_unseen)
        buf_printf(out, "; %" PRIu32 " not seen", p->namespaces_unseen);
    if (p->dumps_interrupted)
        buf_printf(out, "; %" PRIu32 " perhaps inconsistent", p->dumps_interrupted);
    buf_char(out, '\n');
    for (size_t i = 0; i < p->n_errors; i++) {
        name(out, "");
        text_clean_str(out, p->errors[i].name);
        buf_str(out, ": ");
        text_clean_str(out, p->errors[i].text);
        buf_char(out, '\n');
    }
    if (*p->hint) {
        name(out, "");
        text_clean_str(out, p->hint);
        buf_char(out, '\n');
    }
    if (p->partial && full) {
        show_found(out, "last full", full);
        buf_char(out, '\n');
    }
}

/* The daemon's wall clock when it answered: all of its times are shown relative to it, since the clock here
 * may differ. For a daemon that does not tell its clock, it is derived from the other times. */
static int64_t daemon_now(const struct status_msg *m)
{
    int64_t now;
    if (m->timestamp_ns)
        return m->timestamp_ns;
    if (m->uptime_ns > INT64_MAX || __builtin_add_overflow(m->start_time_ns, (int64_t)m->uptime_ns, &now))
        return INT64_MAX;
    return now;
}

/* "in 3.2s", "now" */
static void when(struct buf *out, int64_t wall_ns, int64_t now)
{
    char text[UNITS_TEXT_MAX];
    if (wall_ns <= now) {
        buf_str(out, "now");
        return;
    }
    units_time((uint64_t)wall_ns - (uint64_t)now, text);
    buf_printf(out, "in %s", text);
}

static void show_schedule(struct buf *out, const struct status_schedule *s, int64_t now)
{
    char text[UNITS_TEXT_MAX];
    name(out, "schedule");
    units_time(s->interval_ns, text);
    buf_printf(out, "every %s, ", text);
    if (s->running_poll_id)
        buf_printf(out, "number %" PRIu64 " is under way", s->running_poll_id);
    else if (s->next_poll_ns) {
        buf_str(out, "the next one ");
        when(out, s->next_poll_ns, now);
    } else {
        buf_str(out, "none is due");
    }
    if (s->limited) {
        buf_str(out, "; ");
        count(out, s->loops_left, "regular poll");
        buf_str(out, " to come (max_loops)");
    }
    buf_char(out, '\n');
    if (!s->burst.left)
        return;
    name(out, "burst");
    units_time(s->burst.interval_ns, text);
    buf_printf(out, "%" PRIu32 " of %" PRIu32 " polls to come, %s apart, the next one ", s->burst.left,
               s->burst.polls, text);
    when(out, s->burst.next_poll_ns, now);
    buf_char(out, '\n');
}

/* Shows only bounds of interest: those that somebody has met, or that are half reached. */
static void show_limits(struct buf *out, const struct status_msg *m)
{
    const char *title = "limits";
    for (size_t i = 0; i < m->n_limits; i++) {
        const struct status_limit *l = &m->limits[i];
        if (!l->refused && l->current < l->max / 2 + 1)
            continue;
        name(out, title);
        title = "";
        text_clean_str(out, l->option);
        buf_printf(out, ": %" PRIu64 " of %" PRIu64 ", %" PRIu64 " refused\n", l->current, l->max,
                   l->refused);
    }
    title = "refused";
    for (size_t i = 0; i < m->n_refusals; i++) {
        name(out, title);
        title = "";
        buf_printf(out, "%" PRIu64 " ", m->refusals[i].count);
        text_clean_str(out, m->refusals[i].kind);
        buf_char(out, '\n');
    }
}

static void show_subscribers(struct buf *out, const struct status_msg *m)
{
    name(out, "subscribers");
    if (!m->n_subscribers)
        buf_str(out, "none\n");
    for (size_t i = 0; i < m->n_subscribers; i++) {
        const struct status_subscriber *sub = &m->subscribers[i];
        char since[CLOCK_TEXT_MAX];
        const char *method = strrchr(sub->method, '/');
        clock_format(sub->since_ns, 0, since);
        if (i)
            name(out, "");
        text_clean_str(out, sub->peer);
        buf_str(out, " ");
        text_clean_str(out, method ? method + 1 : sub->method);
        buf_printf(out, " since %s: ", since);
        count(out, sub->rows_delivered, "row");
        buf_printf(out, " delivered, %" PRIu64 " lost, %" PRIu64 " waiting\n", sub->rows_lost,
                   sub->rows_queued);
    }
}

/* Writes a duration, "-" when none has been measured yet. */
static void put_time(struct buf *out, uint64_t ns)
{
    char text[UNITS_TEXT_MAX];
    units_time(ns, text);
    buf_str(out, ns ? text : "-");
}

/* Writes |part| of |whole| in percent, and |what|; "-" when |whole| is 0. */
static void put_share(struct buf *out, uint64_t part, uint64_t whole, const char *what)
{
    if (whole)
        buf_printf(out, "%.0f%% %s", 100.0 * (double)part / (double)whole, what);
    else
        buf_printf(out, "- %s", what);
}

/* |last|: the poll that the figures of the last one are about, NULL before the first. */
static void show_cost(struct buf *out, const struct status_cost *c, const struct status_poll *last)
{
    char interval[UNITS_TEXT_MAX], rss[UNITS_TEXT_MAX];
    units_time(c->interval_ns, interval);
    units_bytes(c->rss_bytes, rss);
    name(out, "cost");
    if (status_cost_measured(c))
        buf_printf(out, "%.2f%% of a CPU, ", c->cpu_percent);
    else
        buf_str(out, "- of a CPU, ");
    buf_printf(out, "%s in memory, ", c->rss_bytes ? rss : "-");
    if (c->threads)
        count(out, c->threads, "thread");
    else
        buf_str(out, "- threads");
    buf_str(out, "; last poll ");
    put_time(out, c->last_poll_cpu_ns);
    buf_str(out, ", ");
    put_time(out, c->last_socket_cpu_ns);
    buf_printf(out, " per %ssocket\n", last && last->partial ? "matching " : "");
    name(out, "");
    uint64_t user = c->collect_cpu_ns > c->collect_kernel_ns ? c->collect_cpu_ns - c->collect_kernel_ns : 0;
    put_share(out, c->collect_kernel_ns, c->cpu_ns, "kernel, ");
    put_share(out, user, c->cpu_ns, "parsing and encoding, ");
    put_share(out, c->fan_out_cpu_ns, c->cpu_ns, "passing on\n");
    if (c->stretched) {
        name(out, "");
        buf_printf(out, "polls come every %s only: max_cpu_percent is %" PRIu32 "\n", interval,
                   c->max_cpu_percent);
    }
    if (c->late_polls) {
        name(out, "");
        count(out, c->late_polls, "poll");
        buf_str(out, " left out since the one before was still running\n");
    }
    if (c->deferred_polls) {
        name(out, "");
        count(out, c->deferred_polls, "poll");
        buf_str(out, " on request held back by max_cpu_percent\n");
    }
}

static void show_text(struct buf *out, const struct status_msg *m)
{
    char up[UNITS_TEXT_MAX], since[CLOCK_TEXT_MAX];
    units_time(m->uptime_ns, up);
    clock_format(m->start_time_ns, 0, since);
    name(out, "version");
    text_clean_str(out, m->version);
    buf_char(out, '\n');
    name(out, "host");
    text_clean_str(out, m->hostname);
    buf_str(out, ", Linux ");
    text_clean_str(out, m->kernel);
    buf_char(out, '\n');
    name(out, "up");
    buf_printf(out, "%s, since %s\n", up, since);
    name(out, "polls");
    buf_printf(out, "%" PRIu64 ", with ", m->polls);
    count(out, m->sockets, "socket");
    buf_str(out, " in all\n");
    if (m->last_poll)
        show_poll(out, m->last_poll, m->last_full_poll);
    if (m->schedule)
        show_schedule(out, m->schedule, daemon_now(m));
    name(out, "namespaces");
    buf_printf(out, "%" PRIu32, m->namespaces);
    if (m->namespaces_excluded)
        buf_printf(out, ", %" PRIu32 " excluded", m->namespaces_excluded);
    buf_char(out, '\n');
    show_subscribers(out, m);
    show_limits(out, m);
    if (m->cost)
        show_cost(out, m->cost, m->last_poll);
    for (size_t i = 0; i < m->n_errors; i++) {
        name(out, i ? "" : "errors");
        buf_printf(out, "%" PRIu64 " ", m->errors[i].count);
        text_clean_str(out, m->errors[i].kind);
        buf_char(out, '\n');
    }
    if (m->rows_dropped || m->rows_late) {
        name(out, "rows lost");
        buf_printf(out,
                   "%" PRIu64 " for want of room in the daemon, %" PRIu64 " after the end of their poll\n",
                   m->rows_dropped, m->rows_late);
    }
    for (size_t i = 0; i < m->n_gaps; i++) {
        name(out, i ? "" : "unseen");
        text_clean_str(out, m->gaps[i].effect);
        buf_str(out, " (for want of ");
        text_clean_str(out, m->gaps[i].capability);
        buf_str(out, ")\n");
    }
}

REPORT_JSON(poll_error, POLL_ERROR_FIELDS)
REPORT_JSON(status_poll, STATUS_POLL_FIELDS)
REPORT_JSON(status_burst, STATUS_BURST_FIELDS)
REPORT_JSON(status_schedule, STATUS_SCHEDULE_FIELDS)
REPORT_JSON(status_limit, STATUS_LIMIT_FIELDS)
REPORT_JSON(status_error_count, STATUS_ERROR_COUNT_FIELDS)
REPORT_JSON(status_subscriber, STATUS_SUBSCRIBER_FIELDS)
REPORT_JSON(status_gap, STATUS_GAP_FIELDS)
REPORT_JSON(status_cost, STATUS_COST_FIELDS)
REPORT_JSON(status_option_change, STATUS_OPTION_CHANGE_FIELDS)
REPORT_JSON(status_change, STATUS_CHANGE_FIELDS)
REPORT_JSON(status_msg, STATUS_MSG_FIELDS)

static void show_json(struct buf *out, const struct status_msg *m, bool canonical)
{
    struct json j = {.out = out, .canonical = canonical};
    REPORT_PUT_OBJECT(&j, NULL, status_msg, m);
    buf_char(out, '\n');
}

int status_ask(struct session *s, struct status_msg *out, void **memory)
{
    struct rpc_bytes reply = {0};
    struct err e = {0};
    int rc = session_call(s, METHOD, NULL, &reply);
    if (rc != 0)
        return rc;
    rc = status_msg_decode(reply.data, reply.len, out, memory, &e);
    rpc_bytes_free(&reply);
    if (rc == 0)
        return EXIT_DONE;
    output_note(s->out, "%s: %s", s->options->target, e.text);
    return EXIT_FAILED;
}

int command_status(struct session *s)
{
    struct status_msg m;
    void *memory = NULL;
    int rc = status_ask(s, &m, &memory);
    if (rc != EXIT_DONE)
        return rc;
    if (s->options->output == OUTPUT_TABLE)
        show_text(&s->out->data, &m);
    else
        show_json(&s->out->data, &m, s->options->output == OUTPUT_PROTOJSON);
    status_msg_free(memory);
    return EXIT_DONE;
}
