#include "client/top/top_feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/session.h"
#include "client/show/socket_sample.h"
#include "client/stream_engine.h"
#include "client/top/top_intake.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/thread.h"
#include "rpc/codec/msg_stream.h"

#define SERVICE     "/xtcp_flat_record.v1.XTCPFlatRecordService/"
#define METHOD_POLL SERVICE "PollFlatRecords"
#define METHOD_ALL  SERVICE "FlatRecords"

#define BATCH_ROWS      256
#define FIRST_POLLS     2 /* that are asked for at the start, so that rates are there soon */
#define FIRST_POLLS_GAP (1 * NS_PER_S)
#define LOOK_NS         (NS_PER_S / 4) /* between checks for the daemon's first answer, until it sends something */

/* The first polls show sockets at once, before the daemon's next poll is due. If a daemon refuses them, its
 * polls are still listened to. */
enum phase { PHASE_ASK, PHASE_FIRST_POLLS, PHASE_LISTEN };

struct top_feed {
    struct thread thread;
    const struct options *client;
    struct stream_target target;
    int64_t every_ns;
    int news; /* eventfd */
    pthread_mutex_t lock;
    /* Under |lock|. */
    bool ending;
    bool changed; /* |filter| has, the stream is to be opened anew */
    struct filter *filter;
    struct stream_engine *engine; /* while the thread listens */
    struct top_poll *ready;       /* complete, not taken yet */
    struct top_poll *spare;
    struct top_feed_status status;
    /* The thread's own. */
    struct top_intake intake;
    struct filter *asked; /* the filter of the stream that is open; NULL: none */
    bool plain;           /* the daemon refused our request: ask for nothing special */
    enum phase phase;
    uint64_t polls_before; /* complete ones when the daemon was last connected to */
    int64_t asked_ns;      /* monotonic: when the last poll was asked for */
    bool heard;            /* something came on this stream */
    bool told;             /* the reader has been told that the connection stands */
    struct backoff backoff;
};

/* ---- To the reader ---- */

static void set_status(struct top_feed *f, enum top_feed_state state, int64_t retry_ns, const char *text)
{
    pthread_mutex_lock(&f->lock);
    f->status.state = state;
    f->status.ever = f->status.ever || state == TOP_FEED_LISTENING;
    f->status.retry_ns = retry_ns;
    snprintf(f->status.text, sizeof(f->status.text), "%s", text);
    pthread_mutex_unlock(&f->lock);
    eventfd_write(f->news, 1);
}

/* A poll is complete. It replaces one that was not taken, whose lost rows still count. */
static int publish(void *context, struct top_poll **poll)
{
    struct top_feed *f = context;
    struct top_poll *done = *poll;
    pthread_mutex_lock(&f->lock);
    f->status.filter_here = f->asked && !f->intake.filters;
    if (f->changed) {
        *poll = done; /* made with another filter */
    } else if (f->ready) {
        done->head.rows_lost += f->ready->head.rows_lost;
        *poll = f->ready;
        f->ready = done;
    } else {
        *poll = f->spare;
        f->spare = NULL;
        f->ready = done;
    }
    pthread_mutex_unlock(&f->lock);
    eventfd_write(f->news, 1);
    if (*poll)
        top_poll_reset(*poll);
    else
        *poll = top_poll_new();
    return *poll ? 0 : -ENOMEM;
}

/* Whether the thread is to end or to take another filter. */
static bool called_away(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool away = f->ending || f->changed;
    pthread_mutex_unlock(&f->lock);
    return away;
}

/* ---- The stream ---- */

/* A stream is about to be opened. */
static void begin_stream(struct top_feed *f)
{
    f->heard = f->told = false;
    top_intake_begin(&f->intake);
    if (f->phase == PHASE_LISTEN)
        return;
    f->polls_before = f->intake.polls;
    set_status(f, TOP_FEED_CONNECTING, 0, "");
}

static void on_again(void *context, size_t i)
{
    (void)i;
    begin_stream(context);
}

static int on_request(void *context, size_t i, struct stream_request *r)
{
    struct top_feed *f = context;
    struct subscription request = {.batch_rows = BATCH_ROWS, .markers = true};
    (void)i;
    if (!f->plain) {
        request.filter = f->asked ? (char *)filter_text(f->asked) : NULL;
        request.columns = (char **)socket_sample_fields;
        request.n_columns = n_socket_sample_fields;
    }
    r->polls = f->phase != PHASE_LISTEN;
    r->method = r->polls ? METHOD_POLL : METHOD_ALL;
    f->asked_ns = clock_mono_ns();
    return stream_request_encode(&request, &r->body);
}

static void tell_listening(struct top_feed *f)
{
    if (!f->told)
        set_status(f, TOP_FEED_LISTENING, 0, "");
    f->told = true;
}

static int64_t on_waiting(void *context, size_t i, const struct stream_waiting *w)
{
    struct top_feed *f = context;
    (void)i;
    if (w->connected)
        tell_listening(f);
    return f->told ? 0 : LOOK_NS;
}

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct top_feed *f = context;
    uint64_t polls = f->intake.polls;
    (void)i;
    tell_listening(f);
    f->heard = true;
    int rc = top_intake_message(&f->intake, message, e);
    return rc != 0 ? rc : f->intake.polls > polls ? STREAM_POLL_ENDED : STREAM_GO_ON;
}

static enum stream_silence on_silence(void *context, size_t i)
{
    const struct top_feed *f = context;
    (void)i;
    return top_intake_unmarked(&f->intake) ? STREAM_SILENCE_ENDS_POLL : STREAM_SILENCE_NOTHING;
}

static int on_poll_end(void *context, size_t i)
{
    struct top_feed *f = context;
    (void)i;
    return top_intake_end(&f->intake);
}

/* ---- Failures ---- */

static enum phase first_phase(const struct top_feed *f)
{
    return f->every_ns ? PHASE_ASK : PHASE_FIRST_POLLS;
}

/* A daemon that knows neither filter nor columns tells that. One that refuses the first polls may still know
 * them. */
static bool on_refused(void *context, size_t i, const struct rpc_status *status)
{
    struct top_feed *f = context;
    (void)i;
    if (f->phase == PHASE_FIRST_POLLS || f->plain || f->heard ||
        (status->code != CODE_INVALID_ARGUMENT && status->code != CODE_UNIMPLEMENTED))
        return false;
    f->plain = true;
    f->phase = first_phase(f);
    return true;
}

/* Explains to people why a stream failed. */
static void explain(const struct top_feed *f, const struct stream_failure *failure, bool ever,
                    struct buf *out)
{
    const char *method = f->every_ns ? METHOD_POLL : METHOD_ALL;
    const char *target = f->client->target;
    if (failure->kind != STREAM_ENDED)
        buf_printf(out, "%s: %s", target, failure->text);
    else if (failure->status.code == 0)
        buf_printf(out, "%s has ended the stream", target);
    else if (ever)
        session_explain(out, target, method, &failure->status);
    else
        session_why(out, f->client, method, &failure->status);
}

/* Tells of a failure, and whether there is another attempt. */
static enum stream_next tell_failure(struct top_feed *f, struct stream_failure *failure)
{
    struct buf text;
    pthread_mutex_lock(&f->lock);
    bool ever = f->status.ever;
    pthread_mutex_unlock(&f->lock);
    bool again = ever && failure->kind == STREAM_ENDED && session_may_retry(failure->status.code);
    if (f->intake.polls > f->polls_before)
        f->backoff = (struct backoff){0};
    failure->wait_ns = again ? backoff_next(&f->backoff, arc4random()) : 0;
    f->phase = first_phase(f);
    buf_init(&text);
    explain(f, failure, ever, &text);
    set_status(f, again ? TOP_FEED_WAITING : TOP_FEED_FAILED, clock_mono_ns() + failure->wait_ns,
               buf_cstr(&text));
    buf_free(&text);
    return again ? STREAM_NEXT_WAIT : STREAM_NEXT_GIVE_UP;
}

static enum stream_next on_failed(void *context, size_t i, struct stream_failure *failure)
{
    struct top_feed *f = context;
    bool unreachable = !f->heard && failure->status.code == CODE_UNAVAILABLE;
    bool listen = f->phase == PHASE_FIRST_POLLS && failure->kind == STREAM_ENDED && !unreachable;
    (void)i;
    if (listen)
        f->phase = PHASE_LISTEN;
    if (!listen && !called_away(f))
        return tell_failure(f, failure);
    failure->wait_ns = 0;
    return STREAM_NEXT_WAIT;
}

/* ---- The thread ---- */

static const struct stream_hooks hooks = {.request = on_request,
                                          .message = on_message,
                                          .silence = on_silence,
                                          .end_poll = on_poll_end,
                                          .again = on_again,
                                          .refused = on_refused,
                                          .waiting = on_waiting,
                                          .waiting_ns = LOOK_NS,
                                          .failed = on_failed};

/* Makes an engine for the filter of the moment. Returns false when the thread is to end. */
static bool begin(struct top_feed *f)
{
    const struct stream_engine_options how = {.targets = &f->target, .n = 1, .hooks = &hooks, .context = f};
    struct stream_engine *engine;
    if (stream_engine_new(&how, &engine) != 0)
        return false;
    pthread_mutex_lock(&f->lock);
    bool go = !f->ending;
    if (go) {
        f->changed = false;
        f->engine = engine;
        filter_unref(f->asked);
        f->asked = f->filter ? filter_ref(f->filter) : NULL;
        f->intake.filter = f->asked;
        top_poll_free(f->ready);
        f->ready = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    if (!go)
        stream_engine_free(engine);
    f->phase = first_phase(f);
    return go;
}

static void end(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    struct stream_engine *engine = f->engine;
    f->engine = NULL;
    pthread_mutex_unlock(&f->lock);
    stream_engine_free(engine);
}

/* Asks and listens. Returns true when the thread is called away, false when no attempt is left. */
static bool read_polls(struct top_feed *f)
{
    for (;;) {
        enum stream_end ended =
            f->phase == PHASE_LISTEN ? stream_engine_listen(f->engine) : stream_engine_poll(f->engine);
        if (ended == STREAM_END_STOPPED || stream_engine_exit_code(f->engine) != EXIT_DONE)
            return ended == STREAM_END_STOPPED;
        int64_t next = f->asked_ns + (f->every_ns ? f->every_ns : FIRST_POLLS_GAP);
        if (f->phase == PHASE_FIRST_POLLS && f->intake.polls - f->polls_before >= FIRST_POLLS)
            f->phase = PHASE_LISTEN;
        else if (stream_engine_wait(f->engine, next) == STREAM_END_STOPPED)
            return true;
    }
}

static void *run(void *arg)
{
    struct top_feed *f = arg;
    bool again = true;
    while (again && begin(f)) {
        begin_stream(f);
        again = read_polls(f);
        end(f);
    }
    return NULL;
}

/* ---- The interface ---- */

int top_feed_new(const struct top_feed_options *options, struct top_feed **out)
{
    struct top_feed *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->client = options->client;
    f->target = (struct stream_target){.options = options->client};
    f->every_ns = options->every_ns;
    f->filter = options->filter ? filter_ref(options->filter) : NULL;
    pthread_mutex_init(&f->lock, NULL);
    f->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->intake = (struct top_intake){.poll = top_poll_new(), .complete = publish, .context = f};
    int rc = f->news < 0 ? -errno : 0;
    if (rc == 0 && !f->intake.poll)
        rc = -ENOMEM;
    if (rc == 0)
        rc = thread_start(&f->thread, "feed", 0, run, f);
    if (rc != 0) {
        top_feed_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

/* Interrupts the thread, to end it or to give it another filter. */
static void call(struct top_feed *f, bool ending)
{
    pthread_mutex_lock(&f->lock);
    if (ending)
        f->ending = true;
    else
        f->changed = true;
    if (f->engine)
        stream_engine_interrupt(f->engine);
    pthread_mutex_unlock(&f->lock);
}

void top_feed_free(struct top_feed *f)
{
    if (!f)
        return;
    call(f, true);
    thread_join(&f->thread);
    if (f->news >= 0)
        close(f->news);
    top_intake_free(&f->intake);
    top_poll_free(f->intake.poll);
    top_poll_free(f->ready);
    top_poll_free(f->spare);
    pthread_mutex_destroy(&f->lock);
    filter_unref(f->filter);
    filter_unref(f->asked);
    free(f);
}

int top_feed_fd(const struct top_feed *f)
{
    return f->news;
}

struct top_poll *top_feed_take(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    struct top_poll *p = f->ready;
    f->ready = NULL;
    pthread_mutex_unlock(&f->lock);
    return p;
}

void top_feed_give_back(struct top_feed *f, struct top_poll *p)
{
    pthread_mutex_lock(&f->lock);
    struct top_poll *old = f->spare;
    f->spare = p;
    pthread_mutex_unlock(&f->lock);
    top_poll_free(old);
}

void top_feed_status(struct top_feed *f, struct top_feed_status *out)
{
    eventfd_t n;
    eventfd_read(f->news, &n); /* non-blocking: it may be empty */
    pthread_mutex_lock(&f->lock);
    *out = f->status;
    pthread_mutex_unlock(&f->lock);
}

void top_feed_filter(struct top_feed *f, struct filter *filter)
{
    pthread_mutex_lock(&f->lock);
    struct filter *old = f->filter;
    f->filter = filter ? filter_ref(filter) : NULL;
    pthread_mutex_unlock(&f->lock);
    filter_unref(old);
    call(f, false);
}

void top_feed_hurry(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->engine && f->status.state == TOP_FEED_WAITING)
        stream_engine_interrupt(f->engine);
    pthread_mutex_unlock(&f->lock);
}
