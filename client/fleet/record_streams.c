#include "client/fleet/record_streams.h"

#include <errno.h>
#include <stdlib.h>

#include "client/session.h"
#include "lib/clock.h"
#include "rpc/codec/msg_stream.h"

#define SERVICE "/xtcp_flat_record.v1.XTCPFlatRecordService/"

static int on_request(void *context, size_t i, struct stream_request *r)
{
    struct record_streams *s = context;
    r->polls = s->polls;
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

/* A daemon that sends stream_info marks the edges of polls, and may hold the first poll back for long. One of several
 * that is silent must not delay the polls of the others. */
static enum stream_silence on_silence(void *context, size_t i)
{
    struct record_streams *s = context;
    const struct stream_reader *r = &s->readers[i];
    if (s->one && (r->edges || r->informed))
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

static void init_node(struct record_streams *s, size_t i)
{
    const struct nodes *nodes = s->fleet->nodes;
    const struct options *o = &nodes->items[i]->options;
    struct session as = {.options = o, .out = s->fleet->out};
    stream_reader_init(&s->readers[i], &as, s->records, s->query);
    s->readers[i].node = nodes->n > 1 ? nodes->items[i]->name : NULL;
    s->targets[i] = (struct stream_target){.options = o, .channel = s->fleet->channel};
}

/* Returns 0 or -ENOMEM. */
static int make_streams(struct record_streams *s)
{
    size_t n = s->fleet->nodes->n;
    s->readers = calloc(n, sizeof(*s->readers));
    s->targets = calloc(n, sizeof(*s->targets));
    if (!s->readers || !s->targets)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        init_node(s, i);
    const struct stream_engine_options how = {.targets = s->targets,
                                              .n = n,
                                              .hooks = &s->hooks,
                                              .context = s,
                                              .report = &s->report,
                                              .out = s->fleet->out,
                                              .stop = s->fleet->stop,
                                              .deadline_ns = s->fleet->deadline_ns};
    return stream_engine_new(&how, &s->engine);
}

int record_streams_open(struct record_streams *s, const struct stream_hooks *own)
{
    stream_report_init(&s->report, s->fleet->out, s->fleet->stop, !s->one);
    s->hooks = *own;
    s->hooks.request = on_request;
    s->hooks.mark = s->one ? NULL : mark_of;
    s->hooks.silence = s->polls ? on_silence : NULL;
    s->hooks.end_poll = on_poll_end;
    s->hooks.again = on_again;
    s->hooks.refused = on_refused;
    int rc = make_streams(s);
    if (rc != 0)
        output_note(s->fleet->out, "out of memory");
    return rc;
}

void record_streams_close(struct record_streams *s)
{
    stream_engine_free(s->engine);
    stream_report_end(&s->report);
    free(s->readers);
    free(s->targets);
}

/* Whether no poll is to follow one that ended with |end|. */
static bool is_at_end(const struct record_streams *s, enum stream_end end)
{
    return end == STREAM_END_STOPPED || end == STREAM_END_TIMEOUT || s->fleet->out->error ||
           stream_engine_exit_code(s->engine) == EXIT_FAILED;
}

enum stream_end record_streams_poll(struct record_streams *s, uint64_t count,
                                    void (*on_poll)(void *owner, bool complete), uint64_t *done)
{
    int64_t every = s->fleet->options->every_ns;
    enum stream_end end = STREAM_END_DONE;
    for (*done = 0; count == 0 || *done < count;) {
        int64_t next = clock_mono_ns() + every;
        if (on_poll)
            on_poll(s->owner, false);
        end = stream_engine_poll(s->engine);
        s->between = end == STREAM_END_DONE;
        if (s->between && on_poll)
            on_poll(s->owner, true);
        *done += s->between;
        if (every && *done != count && !is_at_end(s, end))
            end = stream_engine_wait(s->engine, next);
        if (is_at_end(s, end))
            break;
    }
    return end;
}
