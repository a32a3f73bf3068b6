#include "client/stream_engine.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "rpc/client/many_stream.h"

#define HOLD_MAX     (16u << 20)  /* bytes of one target that are held back */
#define HOLD_ALL_MAX (256u << 20) /* bytes of all targets */

enum attempt_state {
    ATTEMPT_CLOSED,  /* not yet open, or to be opened by the next poll */
    ATTEMPT_BUSY,    /* its stream is open, and something is awaited */
    ATTEMPT_READY,   /* its stream is open; its poll is complete */
    ATTEMPT_WAITING, /* to be opened again at |retry_ns| */
    ATTEMPT_DONE,
    ATTEMPT_FAILED, /* for good */
};

/* The attempts to have a stream of one target, one after the other. */
struct attempt {
    struct stream_engine *engine;
    size_t i; /* of the target */
    const struct stream_target *target;
    const struct stream_hooks *hooks;
    void *context;
    enum attempt_state state;
    struct rpc_many_stream *stream;
    struct rpc_bytes *held; /* messages of a poll that is not complete */
    size_t n_held, room_held, held_bytes;
    const char *method; /* of the stream */
    bool polls;         /* each request is a poll */
    bool marked;        /* the daemon marks the edges of polls */
    bool pending;       /* something came that may not be shown yet */
    struct stream_history history;
    bool tried;         /* a stream has ended at some time */
    bool trouble;       /* a request failed and was not made good later */
    bool again;         /* the next stream is not the first one */
    int64_t asked_ns;   /* monotonic, as the next three: when the stream was opened or a poll asked for */
    int64_t heard_ns;   /* last message, or request */
    int64_t waiting_ns; /* when to call the hook |waiting|; 0: no more */
    int64_t retry_ns;
    struct backoff backoff;
};

struct stream_engine {
    struct stream_engine_options options;
    struct rpc_many *many;
    struct attempt *attempts;
    size_t held_bytes;
    bool enough; /* no more is wanted of any target */
};

static void interrupt(void *context)
{
    rpc_many_interrupt(context);
}

int stream_engine_new(const struct stream_engine_options *options, struct stream_engine **out)
{
    struct stream_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->options = *options;
    e->attempts = calloc(options->n, sizeof(*e->attempts));
    if (!e->attempts || rpc_many_new(&e->many) != 0) {
        free(e->attempts);
        free(e);
        return -ENOMEM;
    }
    for (size_t i = 0; i < options->n; i++)
        e->attempts[i] = (struct attempt){.engine = e,
                                          .i = i,
                                          .target = &options->targets[i],
                                          .hooks = options->hooks,
                                          .context = options->context};
    if (options->stop)
        stop_call(options->stop, interrupt, e->many);
    *out = e;
    return 0;
}

void stream_engine_interrupt(struct stream_engine *e)
{
    rpc_many_interrupt(e->many);
}

static void drop_held(struct attempt *a)
{
    for (size_t i = 0; i < a->n_held; i++)
        rpc_bytes_free(&a->held[i]);
    a->engine->held_bytes -= a->held_bytes;
    a->n_held = a->held_bytes = 0;
}

void stream_engine_free(struct stream_engine *e)
{
    if (!e)
        return;
    if (e->options.stop)
        stop_call(e->options.stop, NULL, NULL);
    rpc_many_free(e->many);
    for (size_t i = 0; i < e->options.n; i++) {
        drop_held(&e->attempts[i]);
        free(e->attempts[i].held);
    }
    free(e->attempts);
    free(e);
}

static void close_stream(struct attempt *a, enum attempt_state state)
{
    rpc_many_stream_close(a->stream);
    a->stream = NULL;
    a->state = state;
}

/* ---- Failures ---- */

static void fail(struct attempt *a, struct stream_failure *f)
{
    struct stream_engine *e = a->engine;
    f->options = a->target->options;
    f->method = a->method;
    f->polls = a->polls;
    f->history = a->history;
    f->wait_ns = backoff_next(&a->backoff, arc4random());
    drop_held(a);
    a->pending = false;
    a->tried = a->trouble = true;
    a->history.lost = a->history.lost || f->kind == STREAM_ENDED;
    enum stream_next next =
        a->hooks->failed ? a->hooks->failed(a->context, a->i, f) : stream_report_failed(e->options.report, f);
    a->retry_ns = clock_mono_ns() + f->wait_ns;
    close_stream(a, next == STREAM_NEXT_WAIT   ? ATTEMPT_WAITING
                    : next == STREAM_NEXT_POLL ? ATTEMPT_CLOSED
                                               : ATTEMPT_FAILED);
}

static void fail_text(struct attempt *a, enum stream_failure_kind kind, const char *text)
{
    struct stream_failure f = {.kind = kind, .text = text};
    fail(a, &f);
}

/* ---- Requests ---- */

static int make_request(struct attempt *a, struct stream_request *r)
{
    *r = (struct stream_request){0};
    buf_init(&r->body);
    return a->hooks->request(a->context, a->i, r);
}

/* A request is sent: silence is measured from now on. */
static void begin_waiting(struct attempt *a)
{
    a->state = ATTEMPT_BUSY;
    a->asked_ns = a->heard_ns = clock_mono_ns();
    a->waiting_ns = a->asked_ns + (a->hooks->waiting ? a->hooks->waiting_ns : STREAM_PATIENCE_NS);
}

/* Opens the stream, with its first request; in place of one that was refused, if there is one. */
static void open_stream(struct attempt *a)
{
    struct rpc_channel_options how;
    struct stream_request request;
    struct err e = {0};
    if (a->again && a->hooks->again)
        a->hooks->again(a->context, a->i);
    a->marked = a->history.heard = a->pending = false;
    session_channel_options(a->target->options, &how);
    int rc = make_request(a, &request);
    a->method = request.method;
    a->polls = request.polls;
    begin_waiting(a);
    const struct rpc_many_stream_call call = {.instead = a->stream,
                                              .channel = a->again ? NULL : a->target->channel,
                                              .target = session_address(a->target->options),
                                              .options = &how,
                                              .method = request.method,
                                              .request = &request.body,
                                              .half_close = !request.polls};
    a->again = true;
    if (rc == 0)
        rc = rpc_many_stream_open(a->engine->many, &call, a, &a->stream, &e);
    else
        err_set(&e, rc, "out of memory");
    buf_free(&request.body);
    if (rc != 0)
        fail_text(a, STREAM_NOT_OPENED, e.text);
}

/* Asks for a poll. */
static void ask(struct attempt *a)
{
    struct stream_request request;
    if (a->state == ATTEMPT_CLOSED) {
        open_stream(a);
        return;
    }
    if (a->state != ATTEMPT_READY)
        return;
    begin_waiting(a);
    /* When sending fails the call has ended, and an event tells how. */
    if (make_request(a, &request) == 0)
        rpc_many_stream_send(a->stream, request.body.data, request.body.len);
    buf_free(&request.body);
}

/* ---- Messages ---- */

/* Hands the held messages on, up to one with which the stream is over. Returns the result of the last one. */
static int hand_on(struct attempt *a, struct err *err)
{
    int rc = STREAM_GO_ON;
    for (size_t i = 0; i < a->n_held && (rc == STREAM_GO_ON || rc == STREAM_POLL_ENDED); i++)
        rc = a->hooks->message(a->context, a->i, &a->held[i], err);
    drop_held(a);
    return rc;
}

/* The same for the caller's loop. Returns STREAM_GO_ON or STREAM_POLL_ENDED, or STREAM_ENOUGH when the stream
 * is over with that. */
static enum stream_result pass_on(struct attempt *a)
{
    struct stream_engine *e = a->engine;
    struct err err = {0};
    int rc = hand_on(a, &err);
    bool no_output = e->options.out && e->options.out->error;
    a->pending = false;
    if (no_output || rc == STREAM_ENOUGH_OF_ALL)
        e->enough = true;
    if (rc < 0 && !no_output)
        fail_text(a, STREAM_BROKEN, err.text);
    else if (rc < 0 || rc == STREAM_ENOUGH || rc == STREAM_ENOUGH_OF_ALL)
        close_stream(a, ATTEMPT_DONE);
    else
        return (enum stream_result)rc;
    return STREAM_ENOUGH;
}

static void poll_complete(struct attempt *a)
{
    a->trouble = false;
    if (a->polls && a->state == ATTEMPT_BUSY)
        a->state = ATTEMPT_READY;
}

static void hold(struct attempt *a, struct rpc_bytes *message)
{
    a->held[a->n_held++] = *message;
    a->held_bytes += message->len;
    a->engine->held_bytes += message->len;
}

static void connected(struct attempt *a)
{
    if (a->engine->options.report)
        stream_report_connected(a->engine->options.report, a->target->options, &a->history);
    a->history.heard = a->history.ever = true;
    a->history.lost = false;
    a->backoff = (struct backoff){0};
    if (!a->polls)
        a->trouble = false;
}

/* Whether a message is to be held back until more of its poll has come. */
static bool is_held(const struct attempt *a, enum stream_mark mark)
{
    return a->hooks->mark && mark != STREAM_MARK_END && a->held_bytes <= HOLD_MAX &&
           a->engine->held_bytes <= HOLD_ALL_MAX;
}

static void on_message(struct attempt *a, struct rpc_bytes *message)
{
    enum stream_mark mark = STREAM_MARK_NONE;
    connected(a);
    a->history.spoken = true;
    a->heard_ns = clock_mono_ns();
    if (!a->polls)
        a->waiting_ns = 0;
    if (a->hooks->mark)
        mark = a->hooks->mark(a->context, a->i, message);
    a->marked = a->marked || mark != STREAM_MARK_NONE;
    if (array_room(&a->held, a->n_held + 1, &a->room_held, sizeof(*a->held)) != 0) {
        rpc_bytes_free(message);
        fail_text(a, STREAM_BROKEN, "out of memory");
        return;
    }
    hold(a, message);
    if (is_held(a, mark)) {
        a->pending = true;
        return;
    }
    enum stream_result result = pass_on(a);
    if (result == STREAM_POLL_ENDED || (result == STREAM_GO_ON && mark == STREAM_MARK_END))
        poll_complete(a);
    a->pending = result != STREAM_ENOUGH && !a->hooks->mark;
}

static void on_ended(struct attempt *a, const struct rpc_status *status)
{
    if (rpc_many_stream_connected(a->stream))
        connected(a);
    if (pass_on(a) == STREAM_ENOUGH)
        return;
    if (!a->hooks->mark && !a->polls && a->hooks->idle)
        a->hooks->idle(a->context);
    if (a->hooks->refused && a->hooks->refused(a->context, a->i, status)) {
        open_stream(a);
        return;
    }
    struct stream_failure f = {.kind = STREAM_ENDED, .text = "", .status = *status};
    fail(a, &f);
}

/* ---- Time ---- */

static bool is_open(const struct attempt *a)
{
    return a->state == ATTEMPT_BUSY || a->state == ATTEMPT_READY;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* When the messages that have come are shown although the rest of their poll is missing; 0: never. */
static int64_t idle_at(const struct attempt *a)
{
    bool holds = a->hooks->mark != NULL;
    if (!a->pending || (holds && a->state != ATTEMPT_BUSY))
        return 0;
    return a->heard_ns + (holds && a->marked ? STREAM_LATE_NS : STREAM_IDLE_NS);
}

/* When silence gets a meaning, and which one; 0: never. */
static int64_t silence_at(const struct attempt *a, enum stream_silence *meaning)
{
    if (!is_open(a) || a->pending || !a->hooks->silence)
        return 0;
    *meaning = a->hooks->silence(a->context, a->i);
    switch (*meaning) {
    case STREAM_SILENCE_NOTHING:
        break;
    case STREAM_SILENCE_ENDS_POLL:
        return a->heard_ns + STREAM_POLL_END_NS;
    case STREAM_SILENCE_FAILS:
        return a->state == ATTEMPT_BUSY ? a->heard_ns + STREAM_ANSWER_NS : 0;
    }
    return 0;
}

static int64_t waiting_at(const struct attempt *a)
{
    return a->state == ATTEMPT_BUSY ? a->waiting_ns : 0;
}

/* When |a| has to be looked at; 0: never. */
static int64_t look_at(const struct attempt *a)
{
    enum stream_silence meaning;
    if (a->state == ATTEMPT_WAITING)
        return a->retry_ns;
    return earlier(earlier(idle_at(a), silence_at(a, &meaning)), waiting_at(a));
}

static bool is_due(int64_t at, int64_t now)
{
    return at && now >= at;
}

static void on_idle(struct attempt *a)
{
    a->pending = false;
    if (pass_on(a) != STREAM_ENOUGH && a->hooks->idle)
        a->hooks->idle(a->context);
}

static void on_waiting(struct attempt *a, int64_t now)
{
    const struct stream_waiting w = {.options = a->target->options,
                                     .polls = a->polls,
                                     .connected = rpc_many_stream_connected(a->stream),
                                     .elapsed_ns = now - a->asked_ns};
    int64_t wait = a->hooks->waiting ? a->hooks->waiting(a->context, a->i, &w)
                                     : stream_report_waiting(a->engine->options.report, &w);
    a->waiting_ns = wait ? now + wait : 0;
}

static void on_silence(struct attempt *a, enum stream_silence meaning)
{
    if (meaning == STREAM_SILENCE_FAILS) {
        fail_text(a, STREAM_SILENT, "");
        return;
    }
    int rc = a->hooks->end_poll(a->context, a->i);
    if (rc == 0)
        poll_complete(a);
    else
        fail_text(a, STREAM_BROKEN, err_name(rc));
}

/* Does what is due at |now|; |over|: waiting is over. */
static void on_time(struct attempt *a, int64_t now, bool over)
{
    enum stream_silence meaning = STREAM_SILENCE_NOTHING;
    if (a->state == ATTEMPT_WAITING && is_due(a->retry_ns, now))
        open_stream(a);
    if (is_due(idle_at(a), now))
        on_idle(a);
    if (!over && is_due(waiting_at(a), now))
        on_waiting(a, now);
    if (is_due(silence_at(a, &meaning), now))
        on_silence(a, meaning);
}

static int64_t next_look(const struct stream_engine *e, int64_t until)
{
    for (size_t i = 0; i < e->options.n; i++)
        until = earlier(until, look_at(&e->attempts[i]));
    return e->options.report ? earlier(until, throttled_notes_due(&e->options.report->notes)) : until;
}

/* ---- The loop ---- */

static bool is_reached(const struct attempt *a)
{
    return a->history.ever || (a->state == ATTEMPT_BUSY && rpc_many_stream_connected(a->stream));
}

/* Whether there is nothing to wait for. |listening|: targets are not waited for when none has ever
 * answered. */
static bool is_settled(const struct stream_engine *e, bool listening)
{
    bool reached = false, untried = false, busy = false, waiting = false;
    for (size_t i = 0; i < e->options.n; i++) {
        const struct attempt *a = &e->attempts[i];
        bool open = a->state == ATTEMPT_BUSY;
        busy = busy || open;
        untried = untried || (open && !a->tried);
        reached = reached || is_reached(a);
        waiting = waiting || a->state == ATTEMPT_WAITING;
    }
    if (listening && !reached)
        return !untried;
    return !busy && !waiting;
}

/* Waits for an event until |until|, handles it and everything that is due at |*now|. Returns false after a
 * stop. */
static bool turn(struct stream_engine *e, int64_t until, int64_t *now)
{
    struct rpc_many_event event = {0};
    int rc = rpc_many_next(e->many, next_look(e, until), &event);
    *now = clock_mono_ns();
    if (rc == ERR_CANCELLED || (e->options.stop && stop_reason(e->options.stop) != STOP_NOT)) {
        rpc_bytes_free(&event.message);
        return false;
    }
    if (rc == 1 && event.ended)
        on_ended(event.owner, &event.status);
    else if (rc == 1)
        on_message(event.owner, &event.message);
    for (size_t i = 0; i < e->options.n; i++)
        on_time(&e->attempts[i], *now, is_due(until, *now));
    if (e->options.report)
        throttled_notes_look(&e->options.report->notes, *now);
    return true;
}

/* Whether no target has a stream, nor will have one. */
static bool is_over(const struct stream_engine *e)
{
    size_t over = 0;
    for (size_t i = 0; i < e->options.n; i++)
        over += e->attempts[i].state == ATTEMPT_DONE || e->attempts[i].state == ATTEMPT_FAILED;
    return over == e->options.n;
}

enum run_kind { RUN_WAIT, RUN_POLL, RUN_LISTEN };

/* Runs until everything is settled (not RUN_WAIT), until |at|, or to the deadline. */
static enum stream_end run(struct stream_engine *e, enum run_kind kind, int64_t at)
{
    int64_t end = earlier(e->options.deadline_ns, at), now;
    while (!e->enough && !(kind == RUN_WAIT ? is_over(e) : is_settled(e, kind == RUN_LISTEN))) {
        if (!turn(e, end, &now))
            return STREAM_END_STOPPED;
        if (is_due(end, now))
            return end == at ? STREAM_END_TIME : STREAM_END_TIMEOUT;
    }
    return STREAM_END_DONE;
}

/* Whether the end of the time is a failure, since the only target was never reached. */
static bool has_failed_in_time(struct stream_engine *e)
{
    struct attempt *a = &e->attempts[0];
    if (!e->options.report || is_reached(a) || !stream_report_timeout(e->options.report, a->target->options))
        return false;
    close_stream(a, ATTEMPT_FAILED);
    return true;
}

/* Opens a stream, in place of one whose poll is complete. */
static void begin_to_listen(struct attempt *a)
{
    if (a->state == ATTEMPT_READY)
        close_stream(a, ATTEMPT_CLOSED);
    if (a->state == ATTEMPT_CLOSED)
        open_stream(a);
}

enum stream_end stream_engine_listen(struct stream_engine *e)
{
    for (size_t i = 0; i < e->options.n; i++)
        begin_to_listen(&e->attempts[i]);
    enum stream_end end = run(e, RUN_LISTEN, 0);
    return end == STREAM_END_TIMEOUT && has_failed_in_time(e) ? STREAM_END_DONE : end;
}

enum stream_end stream_engine_poll(struct stream_engine *e)
{
    for (size_t i = 0; i < e->options.n; i++)
        ask(&e->attempts[i]);
    return run(e, RUN_POLL, 0);
}

enum stream_end stream_engine_wait(struct stream_engine *e, int64_t at)
{
    return run(e, RUN_WAIT, at);
}

int stream_engine_exit_code(const struct stream_engine *e)
{
    size_t failed = 0;
    for (size_t i = 0; i < e->options.n; i++) {
        const struct attempt *a = &e->attempts[i];
        failed += a->state == ATTEMPT_FAILED || (a->trouble && (!a->history.ever || a->polls));
    }
    return failed == 0 ? EXIT_DONE : failed == e->options.n ? EXIT_FAILED : EXIT_SOME_FAILED;
}

int stream_engine_follow(struct session *s, const struct stream_hooks *hooks, void *context,
                         enum stream_end *end)
{
    const struct stream_target target = {.options = s->options, .channel = s->channel};
    struct stream_engine *e = NULL;
    struct stream_report report;
    const struct stream_engine_options how = {.targets = &target,
                                              .n = 1,
                                              .hooks = hooks,
                                              .context = context,
                                              .report = &report,
                                              .out = s->out,
                                              .stop = s->stop,
                                              .deadline_ns = s->deadline_ns};
    int rc = EXIT_FAILED;
    *end = STREAM_END_DONE;
    stream_report_init(&report, s->out, s->stop, false);
    if (stream_engine_new(&how, &e) == 0) {
        *end = stream_engine_listen(e);
        rc = stream_engine_exit_code(e);
    } else {
        output_note(s->out, "out of memory");
    }
    stream_engine_free(e);
    stream_report_end(&report);
    return rc;
}
