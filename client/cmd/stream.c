/* The command stream. */
#include <inttypes.h>

#include "client/command.h"
#include "client/show/record_pipeline.h"
#include "client/show/stream_reader.h"

#define METHOD "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords"

struct stream {
    struct record_pipeline pipeline;
    struct stream_reader reader;
    struct buf request;
    uint64_t max_polls; /* 0: no limit */
};

static int on_message(void *context, const struct rpc_bytes *message, struct err *e)
{
    struct stream *st = context;
    int rc = stream_reader_message(&st->reader, message, e);
    return rc == 0 && st->max_polls && st->reader.n_polls >= st->max_polls ? 1 : rc;
}

static void on_idle(void *context)
{
    struct stream *st = context;
    record_sink_flush(st->pipeline.records);
}

static void on_again(void *context)
{
    struct stream *st = context;
    stream_reader_again(&st->reader);
}

static bool on_refused(void *context, const struct rpc_status *status)
{
    struct stream *st = context;
    return stream_reader_refused(&st->reader, status) &&
           stream_reader_request(&st->reader, &st->request) == 0;
}

static int exit_code(struct session *s, const struct stream *st, enum follow_end end)
{
    /* With nothing else to end it, it was asked to listen so long. */
    bool early = end == FOLLOW_TIMEOUT && (s->options->count || s->options->polls);
    if (early)
        output_note(s->out, "the time is over, with %" PRIu64 " records of %" PRIu64 " complete polls",
                    st->reader.n_records, st->reader.n_polls);
    return early || end == FOLLOW_FAILED ? EXIT_FAILED : EXIT_DONE;
}

static int follow(struct session *s, struct stream *st)
{
    stream_reader_init(&st->reader, s, st->pipeline.records, st->pipeline.query);
    st->reader.max_records = s->options->count;
    if (stream_reader_request(&st->reader, &st->request) != 0) {
        output_note(s->out, "out of memory");
        return EXIT_FAILED;
    }
    const struct follow how = {.method = METHOD,
                               .request = &st->request,
                               .context = st,
                               .message = on_message,
                               .idle = on_idle,
                               .again = on_again,
                               .refused = on_refused};
    enum follow_end end = session_follow(s, &how);
    record_sink_end(st->pipeline.records, NULL);
    return exit_code(s, st, end);
}

int command_stream(struct session *s)
{
    struct stream st = {.max_polls = s->options->polls};
    buf_init(&st.request);
    int rc = record_pipeline_open(&st.pipeline, s->options, s->out, false);
    if (rc == EXIT_DONE)
        rc = follow(s, &st);
    record_pipeline_close(&st.pipeline);
    buf_free(&st.request);
    return rc;
}
