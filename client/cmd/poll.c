/* The commands poll and snapshot: polls that the daemons make now. With several daemons their records go to one
 * output, with a column for the node. */
#include <inttypes.h>

#include "client/command.h"
#include "client/fleet/record_streams.h"
#include "client/show/record_pipeline.h"
#include "lib/clock.h"

#define PATIENCE_NS (2 * NS_PER_S) /* a poll that takes longer counts as a long one */

struct poll_run {
    struct fleet *fleet;
    struct record_pipeline pipeline;
    struct record_streams streams;
    bool one;       /* there is one daemon */
    uint64_t count; /* polls that are wanted; 0: no end of their own */
};

static int on_message(void *context, size_t i, struct stream_reader *r, const struct rpc_bytes *message,
                      struct err *e)
{
    struct poll_run *p = context;
    uint64_t polls = r->n_polls;
    (void)i;
    int rc = stream_reader_message(r, message, e);
    if (rc < 0)
        return rc;
    return p->one && r->n_polls > polls ? STREAM_POLL_ENDED : STREAM_GO_ON;
}

static void on_idle(void *context)
{
    struct poll_run *p = context;
    record_sink_flush(p->pipeline.records);
}

/* Tells each second, as progress, that the poll of the only daemon takes long. */
static int64_t on_waiting(void *context, size_t i, const struct stream_waiting *w)
{
    struct poll_run *p = context;
    if (!p->one)
        return 0;
    output_progress(p->fleet->out, "waiting for the poll of %s: %" PRId64 "s, %" PRIu64 " records",
                    w->options->target, (int64_t)(w->elapsed_ns / NS_PER_S), p->streams.readers[i].n_last);
    return NS_PER_S;
}

/* The time is over in the middle of poll |i| (from 0), or |between| it and the next one. */
static int on_timeout(struct poll_run *p, uint64_t i, bool between)
{
    struct output *out = p->fleet->out;
    if (p->one && !between)
        output_note(out, "the time is over, before the end of the poll");
    else if (p->count)
        output_note(out, "the time is over, after %" PRIu64 " polls", between ? i + 1 : i);
    else
        return stream_engine_exit_code(p->streams.engine);
    return EXIT_FAILED;
}

/* Polls that are to go on until they are interrupted end well with that. */
static int on_stopped(struct poll_run *p)
{
    enum stop_reason why = stop_reason(p->fleet->stop);
    if (p->one && why == STOP_SIGNAL && !p->fleet->out->error)
        output_note(p->fleet->out, "interrupted");
    return p->count == 0 || why == STOP_READER ? EXIT_DONE : EXIT_FAILED;
}

static int run_polls(struct poll_run *p)
{
    struct stream_engine *engine = p->streams.engine;
    int64_t every = p->fleet->options->every_ns;
    for (uint64_t i = 0; p->count == 0 || i < p->count; i++) {
        int64_t next = clock_mono_ns() + every;
        enum stream_end end = stream_engine_poll(engine);
        bool polled = end == STREAM_END_DONE;
        bool last = p->count && i + 1 == p->count;
        if (polled && every && !last && stream_engine_exit_code(engine) != EXIT_FAILED)
            end = stream_engine_wait(engine, next);
        if (p->fleet->out->error || end == STREAM_END_STOPPED)
            return on_stopped(p);
        if (end == STREAM_END_TIMEOUT)
            return on_timeout(p, i, polled);
        if (stream_engine_exit_code(engine) == EXIT_FAILED)
            break;
    }
    return stream_engine_exit_code(engine);
}

static int open_and_run(struct poll_run *p)
{
    const struct record_streams_options how = {.query = p->pipeline.query,
                                               .records = p->pipeline.records,
                                               .polls = true,
                                               .one = p->one,
                                               .context = p,
                                               .message = on_message,
                                               .idle = on_idle,
                                               .waiting = on_waiting,
                                               .waiting_ns = PATIENCE_NS};
    if (record_streams_new(&p->streams, p->fleet, &how) != 0) {
        output_note(p->fleet->out, "out of memory");
        return EXIT_FAILED;
    }
    int rc = run_polls(p);
    record_sink_end(p->pipeline.records, NULL);
    return rc;
}

static int run(struct fleet *fleet, uint64_t count)
{
    struct poll_run p = {.fleet = fleet, .one = fleet->nodes->n == 1, .count = count};
    int rc = record_pipeline_open(&p.pipeline, fleet->options, fleet->out, !p.one);
    if (rc == EXIT_DONE)
        rc = open_and_run(&p);
    record_streams_free(&p.streams);
    record_pipeline_close(&p.pipeline);
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
