/* The commands stream, poll and snapshot for several daemons: their records in one output, with a column for
 * the node. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "client/command.h"
#include "client/fleet/merged_stream.h"
#include "client/show/record_pipeline.h"
#include "lib/clock.h"

#define SERVICE "/xtcp_flat_record.v1.XTCPFlatRecordService/"

struct merged {
    struct fleet *fleet;
    struct record_pipeline pipeline;
    struct stream_reader *readers; /* one for each node */
    uint64_t left;                 /* records that are wanted yet; 0 with |limited|: none */
    bool limited;
    uint64_t max_polls; /* of each node; 0: no limit */
};

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct merged *d = context;
    struct stream_reader *r = &d->readers[i];
    uint64_t before = r->n_records;
    r->max_records = d->limited ? before + d->left : 0;
    int rc = stream_reader_message(r, message, e);
    if (d->limited)
        d->left -= r->n_records - before;
    if (rc < 0)
        return rc;
    if (rc == 1)
        return 2;
    return d->max_polls && r->n_polls >= d->max_polls;
}

static void on_idle(void *context)
{
    struct merged *d = context;
    record_sink_flush(d->pipeline.records);
}

/* Each node's reader; the records of all go to one place. */
static int open_readers(struct merged *d, struct merged_stream_user *user)
{
    const struct nodes *nodes = d->fleet->nodes;
    d->readers = calloc(nodes->n, sizeof(*d->readers));
    if (!d->readers)
        return -ENOMEM;
    user->readers = d->readers;
    for (size_t i = 0; i < nodes->n; i++) {
        struct session as = {.options = &nodes->items[i]->options, .out = d->fleet->out};
        stream_reader_init(&d->readers[i], &as, d->pipeline.records, d->pipeline.query);
        d->readers[i].node = nodes->items[i]->name;
    }
    return 0;
}

static int stream_code(struct merged *d, struct merged_stream *m, enum merged_stream_end end)
{
    const struct options *o = d->fleet->options;
    uint64_t records = 0, polls = 0;
    if (end != MERGED_STREAM_TIMEOUT || (!o->count && !o->polls))
        return merged_stream_exit_code(m);
    for (size_t i = 0; i < d->fleet->nodes->n; i++) {
        records += d->readers[i].n_records;
        polls += d->readers[i].n_polls;
    }
    output_note(d->fleet->out, "the time is over, with %" PRIu64 " records of %" PRIu64 " complete polls",
                records, polls);
    return EXIT_FAILED;
}

static int listen_to_all(struct merged *d, struct merged_stream *m)
{
    return stream_code(d, m, merged_stream_listen(m));
}

/* |count| polls of all nodes, 0: without end. */
static int poll_all(struct merged *d, struct merged_stream *m, uint64_t count)
{
    const struct options *o = d->fleet->options;
    for (uint64_t i = 0; count == 0 || i < count; i++) {
        int64_t next = clock_mono_ns() + o->every_ns;
        enum merged_stream_end end = merged_stream_poll(m);
        if (end == MERGED_STREAM_DONE && count && i + 1 == count)
            break;
        if (end == MERGED_STREAM_DONE && o->every_ns)
            end = merged_stream_wait(m, next);
        if (end == MERGED_STREAM_STOPPED)
            return count == 0 || stop_reason(d->fleet->stop) == STOP_READER ? EXIT_DONE : EXIT_FAILED;
        if (end == MERGED_STREAM_TIMEOUT && count) {
            output_note(d->fleet->out, "the time is over, after %" PRIu64 " polls", i);
            return EXIT_FAILED;
        }
        if (end == MERGED_STREAM_TIMEOUT || merged_stream_exit_code(m) == EXIT_FAILED || d->fleet->out->error)
            break;
    }
    return merged_stream_exit_code(m);
}

static int run(struct fleet *fleet, bool polls, uint64_t count)
{
    struct merged d = {.fleet = fleet};
    struct merged_stream *m = NULL;
    struct merged_stream_user user = {.method = polls ? SERVICE "PollFlatRecords" : SERVICE "FlatRecords",
                                      .polls = polls,
                                      .context = &d,
                                      .message = on_message,
                                      .idle = on_idle};
    if (!polls) {
        d.left = fleet->options->count;
        d.limited = d.left != 0;
        d.max_polls = fleet->options->polls;
    }
    int rc = record_pipeline_open(&d.pipeline, fleet->options, fleet->out, true);
    if (rc == EXIT_DONE && (open_readers(&d, &user) != 0 || merged_stream_new(fleet, &user, &m) != 0)) {
        output_note(fleet->out, "out of memory");
        rc = EXIT_FAILED;
    } else if (rc == EXIT_DONE) {
        rc = polls ? poll_all(&d, m, count) : listen_to_all(&d, m);
        record_sink_end(d.pipeline.records, NULL);
    }
    merged_stream_free(m);
    record_pipeline_close(&d.pipeline);
    free(d.readers);
    return rc;
}

int fleet_stream(struct fleet *f)
{
    return run(f, false, 0);
}

int fleet_poll(struct fleet *f)
{
    const struct options *o = f->options;
    return run(f, true, o->count || o->every_ns ? o->count : 1);
}

int fleet_snapshot(struct fleet *f)
{
    return run(f, true, 1);
}
