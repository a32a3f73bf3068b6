#include "client/stream_report.h"

#include <inttypes.h>

#include "client/session.h"
#include "client/show/units.h"
#include "lib/clock.h"

void stream_report_init(struct stream_report *r, struct output *out, struct stop *stop, bool several)
{
    *r = (struct stream_report){.out = out, .stop = stop, .several = several};
    throttled_notes_init(&r->notes, out);
}

void stream_report_end(struct stream_report *r)
{
    throttled_notes_end(&r->notes);
}

void stream_report_connected(struct stream_report *r, const struct options *options,
                             const struct stream_history *before)
{
    if (!r->several)
        return;
    if (before->lost)
        throttled_notes_add(&r->notes, "%s is back", options->target);
    else if (!before->ever && options->verbose)
        throttled_notes_add(&r->notes, "%s has answered", options->target);
}

/* ---- Several daemons ---- */

static void explain(struct buf *why, const struct stream_failure *f)
{
    if (f->status.code == CODE_OK)
        buf_printf(why, "%s has ended the stream", f->options->target);
    else
        session_why(why, f->options, f->method, &f->status);
}

static enum stream_next one_of_several_ended(struct stream_report *r, const struct stream_failure *f)
{
    struct buf why;
    bool retry = session_may_retry(f->status.code);
    enum stream_next next = !retry ? STREAM_NEXT_GIVE_UP : f->polls ? STREAM_NEXT_POLL : STREAM_NEXT_WAIT;
    if (f->history.lost && retry)
        return next; /* told before */
    buf_init(&why);
    explain(&why, f);
    throttled_notes_add(&r->notes, "%s%s", buf_cstr(&why),
                        next == STREAM_NEXT_WAIT ? "; trying again from time to time" : "");
    buf_free(&why);
    return next;
}

static enum stream_next one_of_several_failed(struct stream_report *r, const struct stream_failure *f)
{
    const char *target = f->options->target;
    switch (f->kind) {
    case STREAM_ENDED:
        return one_of_several_ended(r, f);
    case STREAM_SILENT:
        throttled_notes_add(&r->notes, "no answer from %s within 30s", target);
        return STREAM_NEXT_POLL;
    case STREAM_BROKEN:
    case STREAM_NOT_OPENED:
        throttled_notes_add(&r->notes, "%s: %s", target, f->text);
        break;
    }
    return STREAM_NEXT_GIVE_UP;
}

/* ---- One daemon ---- */

static void tell_end(struct stream_report *r, const struct stream_failure *f)
{
    struct session s = {.options = f->options, .out = r->out, .stop = r->stop};
    session_tell_failure(&s, f->method, &f->status);
}

/* "the connection to … was lost (Socket closed); trying again in 1.1s" */
static void tell_wait(struct stream_report *r, const struct stream_failure *f)
{
    char time[UNITS_TEXT_MAX];
    struct buf why;
    units_time((uint64_t)f->wait_ns, time);
    buf_init(&why);
    if (f->status.code != CODE_OK && f->history.heard)
        buf_printf(&why, "the connection to %s was lost (%s)", f->options->target,
                   f->status.text[0] ? f->status.text : rpc_status_name(f->status.code));
    else
        explain(&why, f);
    output_note(r->out, "%s; trying again in %s", buf_cstr(&why), time);
    buf_free(&why);
}

static enum stream_next only_one_ended(struct stream_report *r, const struct stream_failure *f)
{
    /* Before the first message this code means that the request asks for too much. */
    bool too_much = !f->history.spoken && f->status.code == CODE_RESOURCE_EXHAUSTED;
    if (f->polls && f->status.code == CODE_OK) {
        output_note(r->out, "%s ended the stream before the end of the poll", f->options->target);
    } else if (f->polls || !f->history.ever || too_much || !session_may_retry(f->status.code)) {
        tell_end(r, f);
    } else {
        tell_wait(r, f);
        return STREAM_NEXT_WAIT;
    }
    return STREAM_NEXT_GIVE_UP;
}

static enum stream_next only_one_failed(struct stream_report *r, const struct stream_failure *f)
{
    const char *target = f->options->target;
    switch (f->kind) {
    case STREAM_ENDED:
        return only_one_ended(r, f);
    case STREAM_SILENT:
        output_note(r->out, "no answer from %s within 30s", target);
        break;
    case STREAM_BROKEN:
        output_note(r->out, "%s: %s", target, f->text);
        break;
    case STREAM_NOT_OPENED:
        output_note(r->out, "%s", f->text);
        break;
    }
    return STREAM_NEXT_GIVE_UP;
}

int64_t stream_report_waiting(struct stream_report *r, const struct stream_waiting *w)
{
    if (r->several || w->polls)
        return 0;
    if (!w->connected) {
        output_note(r->out, "waiting for %s", w->options->target);
        return 0;
    }
    output_progress(r->out, "waiting for what %s sends first: %" PRId64 "s", w->options->target,
                    (int64_t)(w->elapsed_ns / NS_PER_S));
    return NS_PER_S;
}

bool stream_report_timeout(struct stream_report *r, const struct options *options)
{
    if (!r->several)
        output_note(r->out, "no answer from %s in time", options->target);
    return !r->several;
}

/* ---- Both ---- */

enum stream_next stream_report_failed(struct stream_report *r, const struct stream_failure *f)
{
    return r->several ? one_of_several_failed(r, f) : only_one_failed(r, f);
}
