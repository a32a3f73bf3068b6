/* The command stream. */
#include <inttypes.h>

#include "client/command.h"
#include "client/reader.h"

#define METHOD "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords"

struct stream {
    struct reader reader;
    uint64_t max_polls; /* 0: no limit */
};

static int on_message(void *context, const struct rpc_bytes *message, struct err *e)
{
    struct stream *st = context;
    int rc = reader_message(&st->reader, message, e);
    return rc == 0 && st->max_polls && st->reader.n_polls >= st->max_polls ? 1 : rc;
}

static void on_idle(void *context)
{
    struct stream *st = context;
    records_flush(st->reader.records);
}

static void on_again(void *context)
{
    struct stream *st = context;
    reader_again(&st->reader);
}

static int exit_code(struct session *s, const struct stream *st, enum follow_end end)
{
    switch (end) {
    case FOLLOW_DONE:
    case FOLLOW_STOPPED:
        return EXIT_DONE;
    case FOLLOW_FAILED:
        return EXIT_FAILED;
    case FOLLOW_TIMEOUT:
        break;
    }
    if (!s->options->count && !s->options->polls)
        return EXIT_DONE; /* it was asked to listen so long */
    output_note(s->out, "the time is over, with %" PRIu64 " records of %" PRIu64 " complete polls",
                st->reader.n_records, st->reader.n_polls);
    return EXIT_FAILED;
}

int command_stream(struct session *s)
{
    struct stream st = {.max_polls = s->options->polls};
    struct buf request;
    buf_init(&request);
    if (reader_init(&st.reader, s) != 0 || reader_request(&request) != 0) {
        output_note(s->out, "out of memory");
        buf_free(&request);
        reader_fini(&st.reader);
        return EXIT_FAILED;
    }
    st.reader.max_records = s->options->count;
    const struct follow follow = {.method = METHOD,
                                  .request = &request,
                                  .context = &st,
                                  .message = on_message,
                                  .idle = on_idle,
                                  .again = on_again};
    enum follow_end end = session_follow(s, &follow);
    records_flush(st.reader.records);
    int rc = exit_code(s, &st, end);
    reader_fini(&st.reader);
    buf_free(&request);
    return rc;
}
