#include "client/fleet/merged_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/fleet/throttled_notes.h"
#include "client/session.h"
#include "lib/clock.h"
#include "rpc/client/many_stream.h"
#include "rpc/codec/msg_stream.h"

#define HOLD_MAX         (16u << 20)    /* bytes of one node that are held back */
#define HOLD_ALL_MAX     (256u << 20)   /* bytes of all nodes */
#define LATE_NS          (1 * NS_PER_S) /* silence after which the begin of a poll is shown without its end */
#define UNMARKED_LATE_NS SESSION_IDLE_NS /* the same where edges are not marked */
#define UNMARKED_END_NS  (1 * NS_PER_S)  /* silence that ends a poll whose end is not marked */
#define ANSWER_NS        (30 * NS_PER_S) /* silence after which an answer is given up */

enum { CODE_OK = 0 }; /* grpc_status_code */

enum feed_state {
    FEED_CLOSED,  /* not yet open, or to be opened by the next poll */
    FEED_BUSY,    /* its stream is open, and something is awaited */
    FEED_READY,   /* open; its poll is complete */
    FEED_WAITING, /* to be opened again at |retry_ns| */
    FEED_DONE,
    FEED_FAILED, /* for good */
};

struct feed {
    struct merged_stream *merge;
    size_t i;
    const struct node *node;
    enum feed_state state;
    struct rpc_many_stream *line;
    struct rpc_bytes *held; /* messages of a poll that is not complete */
    size_t n_held, cap_held, held_bytes;
    bool edges;       /* it marks the edges of polls */
    bool rows;        /* something came since the last poll's end */
    bool ever;        /* it has answered at some time */
    bool lost;        /* told to be unreachable */
    bool tried;       /* its stream has ended at some time */
    bool trouble;     /* something failed that was asked for and not made good */
    bool again;       /* its stream is not the first one */
    int64_t heard_ns; /* monotonic: last message, or request */
    int64_t retry_ns;
    struct backoff backoff;
};

struct merged_stream {
    const struct fleet *fleet;
    const struct merged_stream_user *user;
    struct rpc_many *many;
    struct feed *feeds;
    size_t n;
    size_t held_bytes;
    bool enough; /* no more is wanted of any node */
    struct throttled_notes notes;
};

static void interrupt(void *context)
{
    rpc_many_interrupt(context);
}

int merged_stream_new(const struct fleet *fleet, const struct merged_stream_user *user,
                      struct merged_stream **out)
{
    struct merged_stream *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->fleet = fleet;
    m->user = user;
    m->n = fleet->nodes->n;
    throttled_notes_init(&m->notes, fleet->out);
    m->feeds = calloc(m->n, sizeof(*m->feeds));
    if (!m->feeds || rpc_many_new(&m->many) != 0) {
        merged_stream_free(m);
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->n; i++)
        m->feeds[i] = (struct feed){.merge = m, .i = i, .node = fleet->nodes->items[i]};
    stop_call(fleet->stop, interrupt, m->many);
    *out = m;
    return 0;
}

static void drop_held(struct feed *f)
{
    for (size_t i = 0; i < f->n_held; i++)
        rpc_bytes_free(&f->held[i]);
    f->merge->held_bytes -= f->held_bytes;
    f->n_held = f->held_bytes = 0;
}

void merged_stream_free(struct merged_stream *m)
{
    if (!m)
        return;
    stop_call(m->fleet->stop, NULL, NULL);
    rpc_many_free(m->many);
    for (size_t i = 0; m->feeds && i < m->n; i++) {
        drop_held(&m->feeds[i]);
        free(m->feeds[i].held);
    }
    throttled_notes_end(&m->notes);
    free(m->feeds);
    free(m);
}

/* ---- The life of a stream ---- */

static void close_line(struct feed *f, enum feed_state state)
{
    rpc_many_stream_close(f->line);
    f->line = NULL;
    f->state = state;
}

static void give_up(struct feed *f, const char *why)
{
    throttled_notes_add(&f->merge->notes, "%s: %s", f->node->told, why);
    drop_held(f);
    f->trouble = true;
    close_line(f, FEED_FAILED);
}

/* Opens the stream, with its first request. */
static void open_line(struct feed *f)
{
    struct merged_stream *m = f->merge;
    struct rpc_channel_options how;
    struct err e = {0};
    struct buf request;
    const struct rpc_many_stream_call call = {.target = f->node->address,
                                              .options = &how,
                                              .method = m->user->method,
                                              .request = &request,
                                              .half_close = !m->user->polls};
    buf_init(&request);
    if (f->again)
        stream_reader_again(&m->user->readers[f->i]);
    f->again = true;
    f->edges = f->rows = false;
    f->heard_ns = clock_mono_ns();
    f->state = FEED_BUSY;
    session_channel_options(&f->node->options, &how);
    int rc = stream_reader_request(&m->user->readers[f->i], &request);
    if (rc == 0)
        rc = rpc_many_stream_open(m->many, &call, f, &f->line, &e);
    else
        err_set(&e, rc, "out of memory");
    buf_free(&request);
    if (rc != 0)
        give_up(f, e.text);
}

/* Passes on what was held back. Returns false when the stream is over with that. */
static bool pass_on(struct feed *f)
{
    struct merged_stream *m = f->merge;
    struct err e = {0};
    int rc = 0;
    for (size_t i = 0; i < f->n_held && rc == 0; i++)
        rc = m->user->message(m->user->context, f->i, &f->held[i], &e);
    drop_held(f);
    if (m->fleet->out->error || rc == 2)
        m->enough = true;
    if (rc < 0 && !m->fleet->out->error)
        give_up(f, e.text);
    else if (rc != 0)
        close_line(f, FEED_DONE);
    return rc == 0;
}

static void poll_complete(struct feed *f)
{
    f->rows = false;
    f->trouble = false;
    if (f->merge->user->polls && f->state == FEED_BUSY)
        f->state = FEED_READY;
}

/* Looks at |message|, without its rows: whether it ends a poll. */
static bool note_edges(struct feed *f, const struct rpc_bytes *message)
{
    struct stream_event event;
    if (stream_event_decode(message->data, message->len, &event, NULL) != 0)
        return true; /* whoever reads it will say what is wrong */
    enum stream_event_kind kind = event.kind;
    stream_event_free(&event);
    f->edges = f->edges || kind == STREAM_EVENT_BEGIN || kind == STREAM_EVENT_END;
    f->rows = f->rows || kind == STREAM_EVENT_RECORD || kind == STREAM_EVENT_ENVELOPE;
    return kind == STREAM_EVENT_END;
}

static bool hold(struct feed *f, struct rpc_bytes *message)
{
    if (f->n_held == f->cap_held) {
        size_t cap = f->cap_held ? 2 * f->cap_held : 16;
        struct rpc_bytes *grown = reallocarray(f->held, cap, sizeof(*grown));
        if (!grown) {
            rpc_bytes_free(message);
            give_up(f, "out of memory");
            return false;
        }
        f->held = grown;
        f->cap_held = cap;
    }
    f->held[f->n_held++] = *message;
    f->held_bytes += message->len;
    f->merge->held_bytes += message->len;
    return true;
}

static void connected(struct feed *f)
{
    if (f->lost)
        throttled_notes_add(&f->merge->notes, "%s is back", f->node->told);
    else if (!f->ever && f->merge->fleet->options->verbose)
        throttled_notes_add(&f->merge->notes, "%s has answered", f->node->told);
    f->ever = true;
    f->lost = false;
    f->backoff = (struct backoff){0};
    if (!f->merge->user->polls)
        f->trouble = false;
}

static void on_message(struct feed *f, struct rpc_bytes *message)
{
    connected(f);
    f->heard_ns = clock_mono_ns();
    bool end = note_edges(f, message);
    if (!hold(f, message))
        return;
    if (end) {
        if (pass_on(f))
            poll_complete(f);
    } else if (f->held_bytes > HOLD_MAX || f->merge->held_bytes > HOLD_ALL_MAX) {
        pass_on(f);
    }
}

/* ---- Failures ---- */

static void explain(struct feed *f, const struct rpc_status *status, struct buf *why)
{
    struct merged_stream *m = f->merge;
    if (status->code == CODE_OK)
        buf_printf(why, "%s has ended the stream", f->node->told);
    else
        session_why(why, &f->node->options, m->user->method, status);
}

static void on_ended(struct feed *f, const struct rpc_status *status)
{
    struct merged_stream *m = f->merge;
    if (rpc_many_stream_connected(f->line))
        connected(f);
    if (!pass_on(f))
        return;
    if (stream_reader_refused(&m->user->readers[f->i], status)) {
        close_line(f, FEED_CLOSED);
        open_line(f);
        return;
    }
    bool retry = session_may_retry(status->code);
    f->tried = true;
    close_line(f, !retry ? FEED_FAILED : m->user->polls ? FEED_CLOSED : FEED_WAITING);
    f->trouble = true;
    f->retry_ns = clock_mono_ns() + backoff_next(&f->backoff, arc4random());
    if (f->lost && retry)
        return; /* told before */
    struct buf why;
    buf_init(&why);
    explain(f, status, &why);
    throttled_notes_add(&m->notes, "%s%s", buf_cstr(&why),
                        retry && !m->user->polls ? "; trying again from time to time" : "");
    buf_free(&why);
    f->lost = true;
}

/* ---- Time ---- */

/* When feed |f| has to be looked at; 0: never. */
static int64_t look_at(const struct feed *f)
{
    bool polls = f->merge->user->polls;
    if (f->state == FEED_WAITING)
        return f->retry_ns;
    if (f->state != FEED_BUSY)
        return 0;
    if (f->n_held)
        return f->heard_ns + (f->edges ? LATE_NS : UNMARKED_LATE_NS);
    if (polls)
        return f->heard_ns + (!f->edges && f->rows ? UNMARKED_END_NS : ANSWER_NS);
    return 0;
}

static void on_time(struct feed *f, int64_t now)
{
    struct merged_stream *m = f->merge;
    int64_t at = look_at(f);
    if (!at || now < at)
        return;
    if (f->state == FEED_WAITING) {
        open_line(f);
    } else if (f->n_held) {
        if (pass_on(f) && m->user->idle)
            m->user->idle(m->user->context);
    } else if (!f->edges && f->rows) {
        stream_reader_end(&m->user->readers[f->i]);
        poll_complete(f);
    } else {
        throttled_notes_add(&m->notes, "no answer from %s within 30s", f->node->told);
        f->trouble = true;
        close_line(f, FEED_CLOSED);
    }
}

static int64_t next_look(const struct merged_stream *m, int64_t until)
{
    for (size_t i = 0; i < m->n; i++) {
        int64_t at = look_at(&m->feeds[i]);
        if (at && (!until || at < until))
            until = at;
    }
    int64_t notes = throttled_notes_due(&m->notes);
    return notes && (!until || notes < until) ? notes : until;
}

/* ---- The loop ---- */

/* Whether there is nothing to wait for. */
static bool settled(const struct merged_stream *m)
{
    bool reached = false, untried = false, busy = false, waiting = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct feed *f = &m->feeds[i];
        bool open = f->state == FEED_BUSY;
        busy = busy || open;
        untried = untried || (open && !f->tried);
        reached = reached || f->ever || (open && rpc_many_stream_connected(f->line));
        waiting = waiting || f->state == FEED_WAITING;
    }
    if (!m->user->polls && !reached)
        return !untried; /* what was never there is not waited for */
    return !busy && !waiting;
}

/* Runs until everything is settled (|until_settled|), or |at|. */
static enum merged_stream_end run(struct merged_stream *m, bool until_settled, int64_t at)
{
    const struct fleet *fleet = m->fleet;
    int64_t end = at && (!fleet->deadline_ns || at < fleet->deadline_ns) ? at : fleet->deadline_ns;
    while (!m->enough && !(until_settled && settled(m))) {
        struct rpc_many_event event;
        int rc = rpc_many_next(m->many, next_look(m, end), &event);
        int64_t now = clock_mono_ns();
        if (rc == ERR_CANCELLED)
            return MERGED_STREAM_STOPPED;
        if (rc == 1 && event.ended)
            on_ended(event.owner, &event.status);
        else if (rc == 1)
            on_message(event.owner, &event.message);
        for (size_t i = 0; i < m->n; i++)
            on_time(&m->feeds[i], now);
        throttled_notes_look(&m->notes, now);
        if (end && now >= end)
            return end == at ? MERGED_STREAM_TIME : MERGED_STREAM_TIMEOUT;
    }
    return MERGED_STREAM_DONE;
}

enum merged_stream_end merged_stream_listen(struct merged_stream *m)
{
    for (size_t i = 0; i < m->n; i++)
        open_line(&m->feeds[i]);
    return run(m, true, 0);
}

/* Asks the node of |f| for a poll. */
static void ask(struct feed *f)
{
    struct merged_stream *m = f->merge;
    struct buf request;
    if (f->state == FEED_CLOSED) {
        open_line(f);
        return;
    }
    if (f->state != FEED_READY)
        return;
    buf_init(&request);
    f->state = FEED_BUSY;
    f->heard_ns = clock_mono_ns();
    /* When sending fails the call has ended, and an event tells how. */
    if (stream_reader_request(&m->user->readers[f->i], &request) == 0)
        rpc_many_stream_send(f->line, request.data, request.len);
    buf_free(&request);
}

enum merged_stream_end merged_stream_poll(struct merged_stream *m)
{
    for (size_t i = 0; i < m->n; i++)
        ask(&m->feeds[i]);
    return run(m, true, 0);
}

enum merged_stream_end merged_stream_wait(struct merged_stream *m, int64_t at)
{
    return run(m, false, at);
}

bool merged_stream_answered(const struct merged_stream *m, size_t i)
{
    return m->feeds[i].state == FEED_READY;
}

int merged_stream_exit_code(const struct merged_stream *m)
{
    size_t failed = 0;
    for (size_t i = 0; i < m->n; i++)
        failed += m->feeds[i].state == FEED_FAILED || (m->feeds[i].trouble && !m->feeds[i].ever) ||
                  (m->feeds[i].trouble && m->user->polls);
    return failed == 0 ? EXIT_DONE : failed == m->n ? EXIT_FAILED : EXIT_SOME_FAILED;
}
