#include "client/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/units.h"
#include "lib/clock.h"
#include "rpc/msg_stream.h"

#define BATCH_ROWS 256 /* rows in one message: few messages, and the first rows are there soon */
#define ERRORS_MAX 10  /* failed namespaces that are told for each poll */

int reader_init(struct reader *r, struct session *s)
{
    *r = (struct reader){.out = s->out, .target = s->options->target, .quiet = s->options->quiet};
    r->records = records_new(s->options->output, s->out);
    return r->records ? 0 : -ENOMEM;
}

void reader_fini(struct reader *r)
{
    records_free(r->records);
    r->records = NULL;
}

int reader_request(struct buf *request)
{
    return stream_request_encode(&(struct stream_request){.batch_rows = BATCH_ROWS, .markers = true},
                                 request);
}

void reader_end(struct reader *r)
{
    char time[CLOCK_TEXT_MAX];
    r->n_polls++;
    records_flush(r->records);
    clock_format(r->last.timestamp_ns, 3, time);
    if (!r->quiet)
        output_say(r->out, "poll of %s: %" PRIu64 " socket%s", time, r->n_last, r->n_last == 1 ? "" : "s");
    r->n_last = 0;
}

static int take_row(struct reader *r, const uint8_t *row, size_t len, struct err *e)
{
    struct records_poll poll;
    int rc = records_add(r->records, row, len, &poll, e);
    if (rc != 0)
        return rc;
    if (!r->edges && r->n_last &&
        (poll.timestamp_ns != r->last.timestamp_ns || poll.poll_id != r->last.poll_id))
        reader_end(r);
    r->last = poll;
    r->n_last++;
    r->n_records++;
    return r->max_records && r->n_records >= r->max_records;
}

static int take_envelope(struct reader *r, const struct stream_event *event, struct err *e)
{
    const uint8_t *at = event->bytes, *row;
    size_t len = event->len, row_len;
    int rc;
    while ((rc = stream_envelope_next(&at, &len, &row, &row_len)) == 1) {
        rc = take_row(r, row, row_len, e);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : err_set(e, rc, "sent an envelope that is none");
}

static void tell_failures(struct reader *r, const struct stream_end *end)
{
    size_t told = end->n_errors < ERRORS_MAX ? end->n_errors : ERRORS_MAX;
    for (size_t i = 0; i < told; i++)
        output_say(r->out, "  namespace %s (inode %" PRIu64 "): %s", end->errors[i].name,
                   end->errors[i].inode, end->errors[i].text);
    if (end->namespaces_failed > told && told)
        output_say(r->out, "  and %zu more", end->namespaces_failed - told);
}

/* "poll 7: 42 sockets in 3 namespaces, 3.1ms; 0 lost" */
static void tell_end(struct reader *r, const struct stream_end *end)
{
    struct buf line;
    char took[UNITS_TEXT_MAX];
    bool trouble = end->rows_lost || end->namespaces_failed || end->dumps_interrupted;
    if (r->quiet && !trouble)
        return;
    units_time(end->duration_ns, took);
    buf_init(&line);
    buf_printf(&line,
               "poll %" PRIu64 ": %" PRIu64 " socket%s in %" PRIu32 " namespace%s, %s; %" PRIu64 " lost",
               end->poll_id, end->sockets, end->sockets == 1 ? "" : "s", end->namespaces,
               end->namespaces == 1 ? "" : "s", took, end->rows_lost);
    if (end->rows_lost)
        buf_str(&line, " (this client was too slow)");
    if (end->namespaces_failed)
        buf_printf(&line, "; %" PRIu32 " namespace%s failed", end->namespaces_failed,
                   end->namespaces_failed == 1 ? "" : "s");
    if (end->dumps_interrupted)
        buf_printf(&line, "; sockets came and went during %" PRIu32 " dump%s, some may be missing",
                   end->dumps_interrupted, end->dumps_interrupted == 1 ? "" : "s");
    output_say(r->out, "%s", buf_cstr(&line));
    buf_free(&line);
    tell_failures(r, end);
}

static int take_end(struct reader *r, const struct stream_end *end)
{
    r->edges = true;
    int rc = records_flush(r->records);
    /* The end of a poll that was under way when the stream began does not make it complete. */
    if (r->open) {
        r->n_polls++;
        tell_end(r, end);
    }
    r->open = false;
    return rc;
}

int reader_message(struct reader *r, const struct rpc_bytes *message, struct err *e)
{
    struct stream_event event;
    int rc = stream_event_decode(message->data, message->len, &event, e);
    if (rc != 0)
        return rc;
    switch (event.kind) {
    case STREAM_EVENT_RECORD:
        rc = take_row(r, event.bytes, event.len, e);
        break;
    case STREAM_EVENT_ENVELOPE:
        rc = take_envelope(r, &event, e);
        break;
    case STREAM_EVENT_BEGIN:
        r->edges = r->open = true;
        break;
    case STREAM_EVENT_END:
        rc = take_end(r, &event.end);
        break;
    case STREAM_EVENT_INFO:
    case STREAM_EVENT_NONE:
        break;
    }
    stream_event_free(&event);
    return rc;
}

void reader_again(struct reader *r)
{
    r->open = false;
    r->edges = false;
    r->n_last = 0;
}
