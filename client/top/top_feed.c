#include "client/top/top_feed.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/session.h"
#include "client/show/socket_sample.h"
#include "client/top/top_intake.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/thread.h"
#include "rpc/client/many_stream.h"
#include "rpc/codec/msg_stream.h"

#define SERVICE     "/xtcp_flat_record.v1.XTCPFlatRecordService/"
#define METHOD_POLL SERVICE "PollFlatRecords"
#define METHOD_ALL  SERVICE "FlatRecords"

#define BATCH_ROWS      256
#define SILENCE_END_NS  (1 * NS_PER_S) /* ends a poll whose end the daemon does not mark */
#define FIRST_POLLS     2              /* that are asked for at the start, so that rates are there soon */
#define FIRST_POLLS_GAP (1 * NS_PER_S)
#define LOOK_NS         (NS_PER_S / 4) /* between looks whether the daemon has answered, until it sends something */

enum { CODE_INVALID_ARGUMENT = 3, CODE_UNIMPLEMENTED = 12, CODE_UNAVAILABLE = 14 };

struct top_feed {
    struct thread thread;
    const struct options *client;
    int64_t every_ns;
    int news; /* eventfd */
    int wake; /* eventfd: the thread is to look up from waiting */
    pthread_mutex_t lock;
    /* Under |lock|. */
    bool ending;
    bool changed; /* |filter| has, the stream is to be opened anew */
    struct filter *filter;
    struct rpc_many *many;  /* while there is a stream */
    struct top_poll *ready; /* complete, not taken yet */
    struct top_poll *spare;
    struct top_feed_status status;
    /* The thread's own. */
    struct top_intake intake;
    struct filter *asked; /* the filter of the stream that is open; NULL: none */
    bool plain;           /* the daemon refused what we asked for: ask for nothing special */
};

/* One stream. */
struct attempt {
    struct top_feed *feed;
    struct rpc_many_stream *line;
    struct rpc_status status; /* how it ended */
    struct err err;           /* what is wrong with what came, with |broken| */
    bool broken;
    bool heard; /* something came */
    bool told;  /* that the connection stands */
    int64_t heard_ns;
};

static void raise_event(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));
    (void)n; /* an eventfd that is far from its maximum takes it */
}

static void drain_event(int fd)
{
    uint64_t n;
    ssize_t got = read(fd, &n, sizeof(n));
    (void)got; /* non-blocking: nothing there is fine */
}

/* ---- To the reader ---- */

static void set_status(struct top_feed *f, enum top_feed_state state, int64_t retry_ns, const char *text)
{
    pthread_mutex_lock(&f->lock);
    f->status.state = state;
    f->status.ever = f->status.ever || state == TOP_FEED_LISTENING;
    f->status.retry_ns = retry_ns;
    snprintf(f->status.text, sizeof(f->status.text), "%s", text);
    pthread_mutex_unlock(&f->lock);
    raise_event(f->news);
}

/* A poll is complete. One that was not taken makes room; what it lost is not forgotten. */
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
    raise_event(f->news);
    if (*poll)
        top_poll_reset(*poll);
    else
        *poll = top_poll_new();
    return *poll ? 0 : -ENOMEM;
}

/* ---- The stream ---- */

static int encode_request(const struct top_feed *f, struct buf *out)
{
    struct subscription request = {.batch_rows = BATCH_ROWS, .markers = true};
    if (!f->plain) {
        request.filter = f->asked ? (char *)filter_text(f->asked) : NULL;
        request.columns = (char **)socket_sample_fields;
        request.n_columns = n_socket_sample_fields;
    }
    return stream_request_encode(&request, out);
}

/* Whether somebody wants the thread: its end, or another filter. */
static bool called_away(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool away = f->ending || f->changed;
    pthread_mutex_unlock(&f->lock);
    return away;
}

/* When to look up from waiting; 0: never. */
static int64_t next_look(const struct attempt *l, int64_t silence_ns, int64_t deadline_ns)
{
    int64_t next = silence_ns;
    if (!l->told)
        next = clock_mono_ns() + LOOK_NS;
    return deadline_ns && (!next || deadline_ns < next) ? deadline_ns : next;
}

/* Nothing came for the time being. Returns false when the stream is of no use any more. */
static bool on_silence(struct attempt *l, int64_t silence_ns)
{
    if (!l->told && rpc_many_stream_connected(l->line)) {
        l->told = true;
        set_status(l->feed, TOP_FEED_LISTENING, 0, "");
    }
    return !silence_ns || clock_mono_ns() < silence_ns || top_intake_end(&l->feed->intake) == 0;
}

static bool on_event(struct attempt *l, struct rpc_many_event *event)
{
    if (event->ended) {
        l->status = event->status;
        return false;
    }
    if (!l->told)
        set_status(l->feed, TOP_FEED_LISTENING, 0, "");
    l->told = true;
    l->heard = true;
    l->heard_ns = clock_mono_ns();
    int rc = top_intake_message(&l->feed->intake, &event->message, &l->err);
    rpc_bytes_free(&event->message);
    l->broken = rc != 0;
    return rc == 0;
}

/* Reads until |polls| polls are complete (0: for ever), or |deadline_ns| (0: none). Returns true then, false
 * when the stream has ended or is of no use any more. */
static bool read_stream(struct attempt *l, uint64_t polls, int64_t deadline_ns)
{
    struct top_feed *f = l->feed;
    uint64_t until = f->intake.polls + polls;
    while (!polls || f->intake.polls < until) {
        struct rpc_many_event event = {0};
        int64_t silence = top_intake_unmarked(&f->intake) ? l->heard_ns + SILENCE_END_NS : 0;
        int rc = rpc_many_next(f->many, next_look(l, silence, deadline_ns), &event);
        if (rc == ERR_TIMEOUT) {
            if (!on_silence(l, silence))
                return false;
            if (deadline_ns && clock_mono_ns() >= deadline_ns)
                return true;
        } else if (rc != 1 || !on_event(l, &event)) {
            return false;
        }
    }
    return true;
}

/* Asks for |count| polls (0: for ever), one each |every_ns|. Returns as read_stream. */
static bool ask(struct attempt *l, const struct buf *request, uint64_t count, int64_t every_ns)
{
    for (uint64_t i = 0; !count || i < count; i++) {
        int64_t next = clock_mono_ns() + every_ns;
        /* The request before the first poll went with the call. When sending fails, the call has ended, and
         * reading tells how. */
        if (i)
            rpc_many_stream_send(l->line, request->data, request->len);
        if (!read_stream(l, 1, 0))
            return false;
        if (count && i + 1 == count)
            return true;
        if (!read_stream(l, 0, next))
            return false;
    }
    return true;
}

/* One stream from its beginning to its end. */
static bool run_stream(struct attempt *l, const char *method, uint64_t count, int64_t every_ns)
{
    struct top_feed *f = l->feed;
    bool asks = strcmp(method, METHOD_POLL) == 0;
    struct rpc_channel_options how;
    struct buf request;
    const struct rpc_many_stream_call call = {.target = session_address(f->client),
                                              .options = &how,
                                              .method = method,
                                              .request = &request,
                                              .half_close = !asks};
    bool done = false;

    session_channel_options(f->client, &how);
    buf_init(&request);
    l->line = NULL;
    l->heard = l->told = false;
    l->status = (struct rpc_status){.code = CODE_UNAVAILABLE};
    top_intake_begin(&f->intake);
    if (encode_request(f, &request) != 0) {
        l->broken = true;
        err_set(&l->err, -ENOMEM, "out of memory");
    } else if (rpc_many_stream_open(f->many, &call, l, &l->line, &l->err) != 0) {
        l->broken = true;
    } else {
        done = asks ? ask(l, &request, count, every_ns) : read_stream(l, 0, 0);
    }
    rpc_many_stream_close(l->line);
    buf_free(&request);
    return done;
}

/* All streams of one attempt. The status of the last one is that of the attempt. */
static void run_attempt(struct attempt *l)
{
    struct top_feed *f = l->feed;
    if (f->every_ns) {
        run_stream(l, METHOD_POLL, 0, f->every_ns);
        return;
    }
    /* Something to see now, not only when the daemon's next poll is due. Who may not ask for polls, or asks a
     * daemon that has no such method, goes on without. */
    bool done = run_stream(l, METHOD_POLL, FIRST_POLLS, FIRST_POLLS_GAP);
    bool unreachable = !done && !l->heard && l->status.code == CODE_UNAVAILABLE;
    if (!l->broken && !unreachable && !called_away(f))
        run_stream(l, METHOD_ALL, 0, 0);
}

/* ---- The thread ---- */

/* Before an attempt. Returns false when there is none to be made. */
static bool attempt_begin(struct top_feed *f)
{
    struct rpc_many *many;
    if (rpc_many_new(&many) != 0)
        return false;
    pthread_mutex_lock(&f->lock);
    bool go = !f->ending;
    if (go) {
        f->changed = false;
        f->many = many;
        filter_unref(f->asked);
        f->asked = f->filter ? filter_ref(f->filter) : NULL;
        f->intake.filter = f->asked;
        top_poll_free(f->ready);
        f->ready = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    if (!go)
        rpc_many_free(many);
    return go;
}

static void attempt_end(struct top_feed *f)
{
    pthread_mutex_lock(&f->lock);
    struct rpc_many *many = f->many;
    f->many = NULL;
    pthread_mutex_unlock(&f->lock);
    rpc_many_free(many);
}

/* Why an attempt failed, for people. */
static void explain(const struct top_feed *f, const struct attempt *l, bool ever, struct buf *out)
{
    const char *method = f->every_ns ? METHOD_POLL : METHOD_ALL;
    const char *target = f->client->target;
    if (l->broken)
        buf_printf(out, "%s: %s", target, l->err.text);
    else if (l->status.code == 0)
        buf_printf(out, "%s has ended the stream", target);
    else if (ever)
        session_explain(out, target, method, &l->status);
    else
        session_why(out, f->client, method, &l->status);
}

/* Tells how an attempt ended and waits. Returns false when there is nothing to be tried again. */
static bool attempt_failed(struct top_feed *f, const struct attempt *l, struct backoff *backoff)
{
    struct buf text;
    pthread_mutex_lock(&f->lock);
    bool ever = f->status.ever;
    pthread_mutex_unlock(&f->lock);
    bool again = ever && !l->broken && session_may_retry(l->status.code);
    int64_t wait = again ? backoff_next(backoff, arc4random()) : 0;
    buf_init(&text);
    explain(f, l, ever, &text);
    set_status(f, again ? TOP_FEED_WAITING : TOP_FEED_FAILED, clock_mono_ns() + wait, buf_cstr(&text));
    buf_free(&text);
    if (!again)
        return false;
    struct pollfd fd = {.fd = f->wake, .events = POLLIN};
    struct timespec t = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
    ppoll(&fd, 1, &t, NULL);
    drain_event(f->wake);
    return true;
}

/* A daemon that knows neither filter nor columns says so. */
static bool refused(const struct top_feed *f, const struct attempt *l)
{
    return !f->plain && !l->broken && !l->heard &&
           (l->status.code == CODE_INVALID_ARGUMENT || l->status.code == CODE_UNIMPLEMENTED);
}

static void *run(void *arg)
{
    struct top_feed *f = arg;
    struct backoff backoff = {0};
    while (attempt_begin(f)) {
        struct attempt attempt = {.feed = f};
        uint64_t polls = f->intake.polls;
        set_status(f, TOP_FEED_CONNECTING, 0, "");
        run_attempt(&attempt);
        attempt_end(f);
        if (f->intake.polls > polls)
            backoff = (struct backoff){0};
        if (called_away(f))
            continue; /* attempt_begin tells what for */
        if (refused(f, &attempt)) {
            f->plain = true;
            continue;
        }
        if (!attempt_failed(f, &attempt, &backoff))
            break;
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
    f->every_ns = options->every_ns;
    f->filter = options->filter ? filter_ref(options->filter) : NULL;
    pthread_mutex_init(&f->lock, NULL);
    f->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->intake = (struct top_intake){.poll = top_poll_new(), .complete = publish, .context = f};
    int rc = f->news < 0 || f->wake < 0 ? -errno : 0;
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

/* Has the thread look up from whatever it does. */
static void call(struct top_feed *f, bool end)
{
    pthread_mutex_lock(&f->lock);
    if (end)
        f->ending = true;
    else
        f->changed = true;
    if (f->many)
        rpc_many_interrupt(f->many);
    pthread_mutex_unlock(&f->lock);
    raise_event(f->wake);
}

void top_feed_free(struct top_feed *f)
{
    if (!f)
        return;
    call(f, true);
    thread_join(&f->thread);
    if (f->news >= 0)
        close(f->news);
    if (f->wake >= 0)
        close(f->wake);
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
    drain_event(f->news);
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
    raise_event(f->wake);
}
