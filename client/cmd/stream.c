/* The command stream: the polls that daemons make by themselves. With several daemons their records go to one output,
 * with a column for the node. */
#include <inttypes.h>

#include "client/command.h"
#include "client/fleet/record_streams.h"
#include "client/show/record_pipeline.h"

struct stream {
    struct fleet *fleet;
    struct record_pipeline pipeline;
    struct record_streams streams;
    uint64_t left; /* records still wanted, of --count */
};

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct record_streams *s = context;
    struct stream *st = s->owner;
    const struct options *o = st->fleet->options;
    struct stream_reader *r = &s->readers[i];
    uint64_t before = r->n_records;
    r->max_records = o->count ? before + st->left : 0;
    int rc = stream_reader_message(r, message, e);
    if (o->count)
        st->left -= r->n_records - before;
    if (rc < 0)
        return rc;
    if (rc == 1)
        return STREAM_ENOUGH_OF_ALL;
    return o->polls && r->n_polls >= o->polls ? STREAM_ENOUGH : STREAM_GO_ON;
}

static void on_idle(void *context)
{
    const struct record_streams *s = context;
    record_sink_flush(s->records);
}

static int exit_code(struct stream *st, enum stream_end end)
{
    const struct options *o = st->fleet->options;
    uint64_t records = 0, polls = 0;
    /* Without --count and --polls, the timeout is the normal end. */
    if (end != STREAM_END_TIMEOUT || (!o->count && !o->polls))
        return stream_engine_exit_code(st->streams.engine);
    for (size_t i = 0; i < st->fleet->nodes->n; i++) {
        records += st->streams.readers[i].n_records;
        polls += st->streams.readers[i].n_polls;
    }
    output_note(st->fleet->out, "the time is over, with %" PRIu64 " records of %" PRIu64 " complete polls",
                records, polls);
    return EXIT_FAILED;
}

static int listen_to_all(struct stream *st)
{
    static const struct stream_hooks hooks = {.message = on_message, .idle = on_idle};
    st->streams = (struct record_streams){.fleet = st->fleet,
                                          .query = st->pipeline.query,
                                          .records = st->pipeline.records,
                                          .owner = st,
                                          .one = st->fleet->nodes->n == 1};
    if (record_streams_open(&st->streams, &hooks) != 0)
        return EXIT_FAILED;
    enum stream_end end = stream_engine_listen(st->streams.engine);
    record_sink_end(st->pipeline.records, NULL);
    return exit_code(st, end);
}

int command_stream(struct fleet *fleet)
{
    const struct options *o = fleet->options;
    struct stream st = {.fleet = fleet, .left = o->count};
    int rc = record_pipeline_open(&st.pipeline, o, fleet->out, fleet->nodes->n > 1);
    if (rc == EXIT_DONE)
        rc = listen_to_all(&st);
    record_streams_close(&st.streams);
    record_pipeline_close(&st.pipeline);
    return rc;
}
