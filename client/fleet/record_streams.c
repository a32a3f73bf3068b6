#include "client/fleet/record_streams.h"

#include <errno.h>
#include <stdlib.h>

#include "client/session.h"
#include "rpc/codec/msg_stream.h"

#define SERVICE "/xtcp_flat_record.v1.XTCPFlatRecordService/"

static int on_request(void *context, size_t i, struct stream_request *r)
{
    struct record_streams *s = context;
    r->polls = s->options.polls;
    r->method = r->polls ? SERVICE "PollFlatRecords" : SERVICE "FlatRecords";
    return stream_reader_request(&s->readers[i], &r->body);
}

static enum stream_mark mark_of(void *context, size_t i, const struct rpc_bytes *message)
{
    struct stream_event event;
    (void)context, (void)i;
    if (stream_event_decode(message->data, message->len, &event, NULL) != 0)
        return STREAM_MARK_END; /* the reader will tell the error */
    enum stream_event_kind kind = event.kind;
    stream_event_free(&event);
    return kind == STREAM_EVENT_BEGIN ? STREAM_MARK_BEGIN
           : kind == STREAM_EVENT_END ? STREAM_MARK_END
                                      : STREAM_MARK_NONE;
}

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct record_streams *s = context;
    return s->options.message(s->options.context, i, &s->readers[i], message, e);
}

static void on_idle(void *context)
{
    struct record_streams *s = context;
    s->options.idle(s->options.context);
}

/* One daemon that tells what it makes of a request marks the edges of polls, and may hold the first one back for
 * long. Of several, one that is silent must not keep the others' polls. */
static enum stream_silence on_silence(void *context, size_t i)
{
    struct record_streams *s = context;
    const struct stream_reader *r = &s->readers[i];
    if (s->options.one && (r->edges || r->informed))
        return STREAM_SILENCE_NOTHING;
    return !r->edges && r->any_last ? STREAM_SILENCE_ENDS_POLL : STREAM_SILENCE_FAILS;
}

static int on_poll_end(void *context, size_t i)
{
    struct record_streams *s = context;
    stream_reader_end(&s->readers[i]);
    return 0;
}

static void on_again(void *context, size_t i)
{
    struct record_streams *s = context;
    stream_reader_again(&s->readers[i]);
}

static bool on_refused(void *context, size_t i, const struct rpc_status *status)
{
    struct record_streams *s = context;
    return stream_reader_refused(&s->readers[i], status);
}

static int64_t on_waiting(void *context, size_t i, const struct stream_waiting *w)
{
    struct record_streams *s = context;
    return s->options.waiting(s->options.context, i, w);
}

static void init_node(struct record_streams *s, size_t i)
{
    const struct nodes *nodes = s->fleet->nodes;
    const struct options *o = &nodes->items[i]->options;
    struct session as = {.options = o, .out = s->fleet->out};
    stream_reader_init(&s->readers[i], &as, s->options.records, s->options.query);
    s->readers[i].node = nodes->n > 1 ? nodes->items[i]->name : NULL;
    s->targets[i] = (struct stream_target){.options = o, .channel = s->fleet->channel};
}

int record_streams_new(struct record_streams *s, struct fleet *fleet,
                       const struct record_streams_options *options)
{
    size_t n = fleet->nodes->n;
    *s = (struct record_streams){.fleet = fleet, .options = *options};
    stream_report_init(&s->report, fleet->out, fleet->stop, !options->one);
    s->readers = calloc(n, sizeof(*s->readers));
    s->targets = calloc(n, sizeof(*s->targets));
    if (!s->readers || !s->targets)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        init_node(s, i);
    s->hooks = (struct stream_hooks){.request = on_request,
                                     .mark = options->one ? NULL : mark_of,
                                     .message = on_message,
                                     .idle = options->idle ? on_idle : NULL,
                                     .silence = options->polls ? on_silence : NULL,
                                     .end_poll = on_poll_end,
                                     .again = on_again,
                                     .refused = on_refused,
                                     .waiting = options->waiting ? on_waiting : NULL,
                                     .waiting_ns = options->waiting_ns};
    const struct stream_engine_options how = {.targets = s->targets,
                                              .n = n,
                                              .hooks = &s->hooks,
                                              .context = s,
                                              .report = &s->report,
                                              .out = fleet->out,
                                              .stop = fleet->stop,
                                              .deadline_ns = fleet->deadline_ns};
    return stream_engine_new(&how, &s->engine);
}

void record_streams_free(struct record_streams *s)
{
    stream_engine_free(s->engine);
    stream_report_end(&s->report);
    free(s->readers);
    free(s->targets);
    *s = (struct record_streams){0};
}
