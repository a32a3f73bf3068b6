/* The commands poll and snapshot: one bidirectional stream, on which each request is a poll. */
#include <inttypes.h>

#include "client/command.h"
#include "client/show/record_pipeline.h"
#include "client/show/stream_reader.h"
#include "lib/clock.h"

#define METHOD "/xtcp_flat_record.v1.XTCPFlatRecordService/PollFlatRecords"

/* Ends a poll whose end the daemon does not mark, once records have come. */
#define SILENCE_END_NS (1 * NS_PER_S)
/* A poll that takes longer counts as a long one. */
#define PATIENCE_NS (2 * NS_PER_S)
/* Nothing at all in this time: something is wrong. */
#define SILENCE_FAIL_NS (30 * NS_PER_S)

struct poll_run {
    struct session *session;
    struct record_pipeline pipeline;
    struct stream_reader reader;
    struct buf request;
    struct rpc_stream *stream;
    int64_t begin_ns; /* monotonic: when the poll was asked for */
    int64_t shown_ns; /* when the next line of progress is due */
    int64_t heard_ns; /* when the last message came or the request went */
    bool dirty;       /* something came since the last flush */
};

/* Whether the end of a poll may have to be told from silence. A daemon that tells what it makes of a request
 * marks the edges of polls, and may hold the first one back for long. */
static bool is_unmarked(const struct stream_reader *r)
{
    return !r->edges && !r->informed;
}

/* When to look up from waiting. */
static int64_t next_deadline(const struct poll_run *p)
{
    const struct stream_reader *r = &p->reader;
    int64_t until = 0;
    if (p->dirty)
        until = clock_mono_ns() + SESSION_IDLE_NS;
    else if (is_unmarked(r))
        until = p->heard_ns + (r->any_last ? SILENCE_END_NS : SILENCE_FAIL_NS);
    int64_t end = p->session->deadline_ns;
    if (end && (!until || end < until))
        until = end;
    return !until || p->shown_ns < until ? p->shown_ns : until;
}

/* Tells each second, for whoever looks on, that a poll takes long. */
static void show_progress(struct poll_run *p, int64_t now)
{
    if (now < p->shown_ns)
        return;
    output_progress(p->session->out, "waiting for the poll of %s: %" PRId64 "s, %" PRIu64 " records",
                    p->session->options->target, (int64_t)((now - p->begin_ns) / NS_PER_S), p->reader.n_last);
    p->shown_ns = now + NS_PER_S;
}

enum poll_outcome { POLL_GOES_ON, POLL_DONE, POLL_FAILED, POLL_REFUSED };

/* Nothing came until next_deadline. */
static enum poll_outcome on_silence(struct poll_run *p)
{
    struct session *s = p->session;
    int64_t now = clock_mono_ns();
    bool unmarked = is_unmarked(&p->reader);
    if (p->dirty) {
        record_sink_flush(p->reader.records);
        p->dirty = false;
    }
    show_progress(p, now);
    if (s->deadline_ns && now >= s->deadline_ns) {
        output_note(s->out, "the time is over, before the end of the poll");
        return POLL_FAILED;
    }
    if (unmarked && p->reader.any_last && now >= p->heard_ns + SILENCE_END_NS) {
        stream_reader_end(&p->reader);
        return POLL_DONE;
    }
    if (unmarked && !p->reader.any_last && now >= p->heard_ns + SILENCE_FAIL_NS) {
        output_note(s->out, "no answer from %s within 30s", s->options->target);
        return POLL_FAILED;
    }
    return POLL_GOES_ON;
}

static enum poll_outcome on_ended(struct poll_run *p)
{
    struct rpc_status status;
    rpc_stream_status(p->stream, &status);
    if (stream_reader_refused(&p->reader, &status))
        return POLL_REFUSED; /* to be asked again, for less */
    if (status.code == 0 && stop_reason(p->session->stop) == STOP_NOT)
        output_note(p->session->out, "%s ended the stream before the end of the poll",
                    p->session->options->target);
    else
        session_tell_failure(p->session, METHOD, &status);
    return POLL_FAILED;
}

/* Reads until the poll that was asked for is complete. */
static enum poll_outcome read_poll(struct poll_run *p)
{
    struct session *s = p->session;
    uint64_t polls = p->reader.n_polls;
    p->heard_ns = p->begin_ns = clock_mono_ns();
    p->shown_ns = p->begin_ns + PATIENCE_NS;
    for (;;) {
        struct rpc_bytes message = {0};
        struct err e = {0};
        int rc = rpc_stream_recv(p->stream, next_deadline(p), &message);
        if (rc == 0)
            return on_ended(p);
        if (rc == 1) {
            p->heard_ns = clock_mono_ns();
            p->dirty = true;
            rc = stream_reader_message(&p->reader, &message, &e);
            rpc_bytes_free(&message);
            if (s->out->error)
                return POLL_FAILED;
            if (rc < 0) {
                output_note(s->out, "%s: %s", s->options->target, e.text);
                return POLL_FAILED;
            }
            if (p->reader.n_polls > polls)
                return POLL_DONE;
            show_progress(p, p->heard_ns);
            continue;
        }
        enum poll_outcome end = on_silence(p);
        if (end != POLL_GOES_ON)
            return end;
    }
}

/* Waits until |at| between two polls. What comes meanwhile is shown; false when the stream or the time has
 * ended. */
static enum poll_outcome wait_until(struct poll_run *p, int64_t at)
{
    struct session *s = p->session;
    int64_t until = s->deadline_ns && s->deadline_ns < at ? s->deadline_ns : at;
    for (;;) {
        struct rpc_bytes message = {0};
        struct err e = {0};
        int rc = rpc_stream_recv(p->stream, until, &message);
        if (rc == 0)
            return on_ended(p);
        if (rc != 1)
            break;
        rc = stream_reader_message(&p->reader, &message, &e);
        rpc_bytes_free(&message);
        record_sink_flush(p->reader.records);
        if (rc < 0 || s->out->error)
            return POLL_FAILED;
    }
    return until == at ? POLL_GOES_ON : POLL_DONE;
}

/* Opens the stream anew. Returns 0 or an error, which has been told. */
static int open_stream(struct poll_run *p)
{
    struct err e = {0};
    rpc_stream_free(p->stream);
    p->stream = NULL;
    int rc = stream_reader_request(&p->reader, &p->request);
    if (rc != 0)
        output_note(p->session->out, "out of memory");
    else if ((rc = rpc_stream_open(p->session->channel, METHOD, NULL, &p->stream, &e)) != 0)
        output_note(p->session->out, "%s", e.text);
    return rc;
}

/* Asks for one poll and shows it. */
static enum poll_outcome one_poll(struct poll_run *p)
{
    for (;;) {
        /* When sending fails the call has ended, and receiving tells how. */
        rpc_stream_send(p->stream, p->request.data, p->request.len);
        enum poll_outcome end = read_poll(p);
        if (end != POLL_REFUSED)
            return end;
        if (open_stream(p) != 0)
            return POLL_FAILED;
    }
}

static int run_polls(struct poll_run *p, uint64_t count)
{
    struct session *s = p->session;
    bool endless = count == 0;
    for (uint64_t i = 0; endless || i < count; i++) {
        int64_t next = clock_mono_ns() + s->options->every_ns;
        if (one_poll(p) != POLL_DONE)
            break;
        if (!endless && i + 1 == count)
            return EXIT_DONE;
        if (!s->options->every_ns)
            continue;
        enum poll_outcome end = wait_until(p, next);
        if (end == POLL_DONE) {
            if (endless)
                return EXIT_DONE;
            output_note(s->out, "the time is over, after %" PRIu64 " polls", i + 1);
        }
        if (end != POLL_GOES_ON)
            break;
    }
    return EXIT_FAILED;
}

/* |count| polls; 0: without an end of their own. */
static int run(struct session *s, uint64_t count)
{
    struct poll_run p = {.session = s};
    buf_init(&p.request);
    int rc = record_pipeline_open(&p.pipeline, s->options, s->out, false);
    if (rc == EXIT_DONE) {
        stream_reader_init(&p.reader, s, p.pipeline.records, p.pipeline.query);
        rc = open_stream(&p) == 0 ? run_polls(&p, count) : EXIT_FAILED;
        record_sink_end(p.pipeline.records, NULL);
        /* Without an end of its own, Ctrl-C is how it is meant to end. */
        if (rc != EXIT_DONE && count == 0 && stop_reason(s->stop) == STOP_SIGNAL)
            rc = EXIT_DONE;
        if (p.stream)
            rpc_stream_half_close(p.stream);
    }
    rpc_stream_free(p.stream);
    record_pipeline_close(&p.pipeline);
    buf_free(&p.request);
    return rc;
}

int command_poll(struct session *s)
{
    const struct options *o = s->options;
    return run(s, o->count || o->every_ns ? o->count : 1);
}

int command_snapshot(struct session *s)
{
    return run(s, 1);
}
