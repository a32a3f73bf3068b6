/* The commands poll and snapshot for several daemons: their records in one output, with a column for
 * the node. */
#include <inttypes.h>

#include "client/command.h"
#include "client/fleet/record_streams.h"
#include "client/show/record_pipeline.h"
#include "lib/clock.h"

struct merged {
    struct fleet *fleet;
    struct record_pipeline pipeline;
    struct record_streams streams;
};

static int on_message(void *context, size_t i, struct stream_reader *r, const struct rpc_bytes *message,
                      struct err *e)
{
    (void)context, (void)i;
    return stream_reader_message(r, message, e);
}

static void on_idle(void *context)
{
    struct merged *d = context;
    record_sink_flush(d->pipeline.records);
}

/* |count| polls of all nodes, 0: without end. */
static int poll_all(struct merged *d, uint64_t count)
{
    const struct options *o = d->fleet->options;
    for (uint64_t i = 0; count == 0 || i < count; i++) {
        int64_t next = clock_mono_ns() + o->every_ns;
        enum stream_end end = stream_engine_poll(d->streams.engine);
        if (end == STREAM_END_DONE && count && i + 1 == count)
            break;
        if (end == STREAM_END_DONE && o->every_ns)
            end = stream_engine_wait(d->streams.engine, next);
        if (end == STREAM_END_STOPPED)
            return count == 0 || stop_reason(d->fleet->stop) == STOP_READER ? EXIT_DONE : EXIT_FAILED;
        if (end == STREAM_END_TIMEOUT && count) {
            output_note(d->fleet->out, "the time is over, after %" PRIu64 " polls", i);
            return EXIT_FAILED;
        }
        if (end == STREAM_END_TIMEOUT || stream_engine_exit_code(d->streams.engine) == EXIT_FAILED || d->fleet->out->error)
            break;
    }
    return stream_engine_exit_code(d->streams.engine);
}

static int run(struct fleet *fleet, uint64_t count)
{
    struct merged d = {.fleet = fleet};
    int rc = record_pipeline_open(&d.pipeline, fleet->options, fleet->out, true);
    if (rc == EXIT_DONE) {
        const struct record_streams_options how = {.query = d.pipeline.query,
                                                   .records = d.pipeline.records,
                                                   .polls = true,
                                                   .context = &d,
                                                   .message = on_message,
                                                   .idle = on_idle};
        rc = record_streams_new(&d.streams, fleet, &how);
        if (rc == 0) {
            rc = poll_all(&d, count);
            record_sink_end(d.pipeline.records, NULL);
        } else {
            output_note(fleet->out, "out of memory");
            rc = EXIT_FAILED;
        }
        record_streams_free(&d.streams);
    }
    record_pipeline_close(&d.pipeline);
    return rc;
}

int fleet_poll(struct fleet *f)
{
    const struct options *o = f->options;
    return run(f, o->count || o->every_ns ? o->count : 1);
}

int fleet_snapshot(struct fleet *f)
{
    return run(f, 1);
}
