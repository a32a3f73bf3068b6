/* The commands poll and snapshot: polls that the daemons make now. With several daemons their records go to one
 * output, with a column for the node. */
#include <inttypes.h>

#include "client/command.h"
#include "client/fleet/record_streams.h"
#include "client/show/record_pipeline.h"
#include "lib/clock.h"

#define PATIENCE_NS (2 * NS_PER_S) /* a poll that takes longer counts as a long one */

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct record_streams *s = context;
    struct stream_reader *r = &s->readers[i];
    uint64_t polls = r->n_polls;
    int rc = stream_reader_message(r, message, e);
    if (rc < 0)
        return rc;
    return s->one && r->n_polls > polls ? STREAM_POLL_ENDED : STREAM_GO_ON;
}

static void on_idle(void *context)
{
    const struct record_streams *s = context;
    record_sink_flush(s->records);
}

/* Tells each second, as progress, that the poll of the only daemon takes long. */
static int64_t on_waiting(void *context, size_t i, const struct stream_waiting *w)
{
    const struct record_streams *s = context;
    if (!s->one)
        return 0;
    output_progress(s->fleet->out, "waiting for the poll of %s: %" PRId64 "s, %" PRIu64 " records",
                    w->options->target, (int64_t)(w->elapsed_ns / NS_PER_S), s->readers[i].n_last);
    return NS_PER_S;
}

/* The time is over after |done| of |count| polls. */
static int on_timeout(const struct record_streams *s, uint64_t count, uint64_t done)
{
    if (s->one && !s->between)
        output_note(s->fleet->out, "the time is over, before the end of the poll");
    else if (count)
        output_note(s->fleet->out, "the time is over, after %" PRIu64 " polls", done);
    else
        return stream_engine_exit_code(s->engine);
    return EXIT_FAILED;
}

/* An interrupt is the normal end of polls without a count. */
static int on_stopped(const struct record_streams *s, uint64_t count)
{
    enum stop_reason why = stop_reason(s->fleet->stop);
    if (s->one && why == STOP_SIGNAL && !s->fleet->out->error)
        output_note(s->fleet->out, "interrupted");
    return count == 0 || why == STOP_READER ? EXIT_DONE : EXIT_FAILED;
}

static int run_polls(struct record_streams *s, uint64_t count)
{
    static const struct stream_hooks hooks = {
        .message = on_message, .idle = on_idle, .waiting = on_waiting, .waiting_ns = PATIENCE_NS};
    uint64_t done;
    if (record_streams_open(s, &hooks) != 0)
        return EXIT_FAILED;
    enum stream_end end = record_streams_poll(s, count, NULL, &done);
    int rc = s->fleet->out->error || end == STREAM_END_STOPPED ? on_stopped(s, count)
             : end == STREAM_END_TIMEOUT                       ? on_timeout(s, count, done)
                                                               : stream_engine_exit_code(s->engine);
    record_sink_end(s->records, NULL);
    return rc;
}

/* |count| polls of all nodes; 0: without an end of their own. */
static int run(struct fleet *fleet, uint64_t count)
{
    struct record_streams streams = {.fleet = fleet, .polls = true, .one = fleet->nodes->n == 1};
    struct record_pipeline pipeline = {0};
    int rc = record_pipeline_open(&pipeline, fleet->options, fleet->out, !streams.one);
    streams.query = pipeline.query;
    streams.records = pipeline.records;
    if (rc == EXIT_DONE)
        rc = run_polls(&streams, count);
    record_streams_close(&streams);
    record_pipeline_close(&pipeline);
    return rc;
}

int command_poll(struct fleet *fleet)
{
    const struct options *o = fleet->options;
    return run(fleet, o->count || o->every_ns ? o->count : 1);
}

int command_snapshot(struct fleet *fleet)
{
    return run(fleet, 1);
}
