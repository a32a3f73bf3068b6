#include "client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "lib/clock.h"
#include "lib/duration.h"

#define BACKOFF_FIRST_NS (1 * NS_PER_S)
#define BACKOFF_LAST_NS  (30 * NS_PER_S)
#define PATIENCE_NS      (3 * NS_PER_S) /* after which a connection that does not come about is mentioned */

/* The numbers of gRPC that matter here (grpc_status_code). */
enum {
    CODE_OK = 0,
    CODE_CANCELLED = 1,
    CODE_DEADLINE_EXCEEDED = 4,
    CODE_PERMISSION_DENIED = 7,
    CODE_UNIMPLEMENTED = 12,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16,
};

int session_open(struct session *s, const struct options *options, struct output *out, struct stop *stop,
                 struct err *e)
{
    *s = (struct session){.options = options, .out = out, .stop = stop};
    if (options->timeout_ns && options->timeout_ns < INT64_MAX / 2)
        s->deadline_ns = clock_mono_ns() + options->timeout_ns;
    int rc = rpc_channel_new(options->target, &s->channel, e);
    if (rc == 0)
        stop_attach(stop, s->channel);
    return rc;
}

void session_close(struct session *s)
{
    stop_attach(s->stop, NULL);
    rpc_channel_free(s->channel);
    s->channel = NULL;
}

/* What a failure means. The first row whose code and words fit counts; %s is the target. */
static const struct {
    int code;
    const char *words; /* part of gRPC's text; NULL: any */
    const char *meaning;
    bool quote; /* the text says more */
} meanings[] = {
    {CODE_UNAVAILABLE, "Connection refused",
     "nothing listens at %s: is xtcp2 running there? (--target names another place)", false},
    {CODE_UNAVAILABLE, "No such file or directory",
     "there is no socket at %s: is xtcp2 running and listening there? (--target names another place)", false},
    {CODE_UNAVAILABLE, "Permission denied", "this user may not connect to %s", false},
    {CODE_UNAVAILABLE, "DNS resolution failed", "cannot find the address of %s", true},
    {CODE_UNAVAILABLE, "No route to host", "there is no way to %s (no route to host)", false},
    {CODE_UNAVAILABLE, "Network is unreachable", "there is no way to %s (network is unreachable)", false},
    {CODE_UNAVAILABLE, "before receiving SETTINGS", "%s takes connections, but does not answer as xtcp2 does",
     false},
    {CODE_UNAVAILABLE, "Timeout", "%s does not answer", true},
    {CODE_UNAVAILABLE, "http1.x", "%s is a web server, not a gRPC one", false},
    {CODE_UNAVAILABLE, "Trying to connect an http1", "%s is a web server, not a gRPC one", false},
    {CODE_UNAVAILABLE, NULL,
     "no connection to %s; if something else than xtcp2 listens there, --target names another place", true},
    {CODE_UNIMPLEMENTED, NULL, "%s does not offer this: it is an older daemon or another program", true},
    {CODE_PERMISSION_DENIED, NULL, "%s does not allow this", true},
    {CODE_UNAUTHENTICATED, NULL, "%s wants to know who you are", true},
};

void session_explain(struct buf *b, const char *target, const char *method, const struct rpc_status *status)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code != status->code ||
            (meanings[i].words && !strstr(status->text, meanings[i].words)))
            continue;
        const char *at = strstr(meanings[i].meaning, "%s");
        buf_bytes(b, meanings[i].meaning, (size_t)(at - meanings[i].meaning));
        buf_str(b, target);
        buf_str(b, at + 2);
        if (meanings[i].quote && status->text[0])
            buf_printf(b, " (%s)", status->text);
        return;
    }
    if (status->code == CODE_DEADLINE_EXCEEDED) {
        buf_printf(b, "no answer from %s in time", target);
        return;
    }
    /* The daemon's own words, which name the field and its bounds. */
    const char *name = strrchr(method, '/');
    buf_printf(b, "%s: %s", name ? name + 1 : method, status->text[0] ? status->text : "failed");
    buf_printf(b, " (%s)", rpc_status_name(status->code));
}

void session_tell_failure(struct session *s, const char *method, const struct rpc_status *status)
{
    switch (stop_reason(s->stop)) {
    case STOP_READER:
        return;
    case STOP_SIGNAL:
        output_note(s->out, "interrupted");
        return;
    case STOP_NOT:
        break;
    }
    struct buf text;
    buf_init(&text);
    session_explain(&text, s->options->target, method, status);
    output_note(s->out, "%s", buf_cstr(&text));
    buf_free(&text);
}

int session_call(struct session *s, const char *method, const struct buf *request, struct rpc_bytes *reply)
{
    struct rpc_status status = {0};
    struct rpc_call_options options = {.timeout_ns = SESSION_CALL_TIMEOUT_NS};
    if (s->deadline_ns) {
        options.timeout_ns = s->deadline_ns - clock_mono_ns();
        if (options.timeout_ns <= 0)
            options.timeout_ns = 1;
    }
    int rc = rpc_unary(s->channel, method, request ? request->data : NULL, request ? request->len : 0,
                       &options, reply, &status);
    if (rc == 0)
        return 0;
    session_tell_failure(s, method, &status);
    return EXIT_FAILED;
}

bool session_may_retry(int code)
{
    switch (code) {
    case CODE_OK:        /* the daemon ends its streams so when it stops */
    case CODE_CANCELLED: /* by the other side */
    case 2:              /* UNKNOWN */
    case 4:              /* DEADLINE_EXCEEDED */
    case 8:              /* RESOURCE_EXHAUSTED: too slow, or too many streams for the moment */
    case 10:             /* ABORTED */
    case 13:             /* INTERNAL: a connection that broke in the middle of a frame */
    case CODE_UNAVAILABLE:
    case 15: /* DATA_LOSS */
        return true;
    default:
        return false;
    }
}

int64_t backoff_next(struct backoff *b, uint32_t random)
{
    b->base_ns = b->base_ns ? b->base_ns * 2 : BACKOFF_FIRST_NS;
    if (b->base_ns > BACKOFF_LAST_NS)
        b->base_ns = BACKOFF_LAST_NS;
    int64_t fifth = b->base_ns / 5;
    return b->base_ns - fifth + (int64_t)(random % (uint64_t)(2 * fifth + 1));
}

/* One life of the stream: *|heard| becomes true with the first message, |status| tells how it ended
 * (FOLLOW_FAILED). */
static enum follow_end follow_once(struct session *s, const struct follow *f, bool *heard,
                                   struct rpc_status *status)
{
    struct rpc_stream *stream = NULL;
    struct err e = {0};
    enum follow_end end = FOLLOW_FAILED;
    int64_t patience = clock_mono_ns() + PATIENCE_NS;

    *status = (struct rpc_status){.code = CODE_UNAVAILABLE};
    if (rpc_stream_open(s->channel, f->method, NULL, &stream, &e) != 0) {
        snprintf(status->text, sizeof(status->text), "%s", e.text);
        return stop_reason(s->stop) == STOP_NOT ? FOLLOW_FAILED : FOLLOW_STOPPED;
    }
    /* When sending fails the call has ended, and receiving tells how. */
    if (rpc_stream_send(stream, f->request->data, f->request->len) == 0)
        rpc_stream_half_close(stream);
    bool dirty = false;
    for (;;) {
        int64_t until = dirty ? clock_mono_ns() + SESSION_IDLE_NS : patience;
        if (s->deadline_ns && (!until || s->deadline_ns < until))
            until = s->deadline_ns;
        struct rpc_bytes message = {0};
        int rc = rpc_stream_recv(stream, until, &message);
        if (stop_reason(s->stop) != STOP_NOT) {
            rpc_bytes_free(&message);
            end = FOLLOW_STOPPED;
            break;
        }
        if (rc == 1) {
            *heard = dirty = true;
            patience = 0;
            rc = f->message(f->context, &message, &e);
            rpc_bytes_free(&message);
            if (rc == 0 && s->out->error == 0)
                continue;
            end = rc < 0 ? FOLLOW_FAILED : FOLLOW_DONE;
            if (rc < 0) {
                /* Not a matter of the connection: trying again would bring the same. */
                status->code = -1;
                snprintf(status->text, sizeof(status->text), "%s", e.text);
            }
            break;
        }
        if (rc == ERR_TIMEOUT) {
            if (s->deadline_ns && clock_mono_ns() >= s->deadline_ns) {
                end = FOLLOW_TIMEOUT;
                break;
            }
            if (!dirty && patience && !rpc_stream_connected(stream))
                output_note(s->out, "waiting for %s", s->options->target);
            if (!dirty)
                patience = 0;
            dirty = false;
            f->idle(f->context);
            continue;
        }
        rpc_stream_status(stream, status);
        break;
    }
    if (rpc_stream_connected(stream))
        *heard = true;
    rpc_stream_free(stream);
    return end;
}

/* Says that the connection was lost and waits. Returns false when it is time to stop. */
static bool wait_again(struct session *s, struct backoff *backoff, const struct follow *f,
                       const struct rpc_status *status)
{
    int64_t wait = backoff_next(backoff, arc4random());
    char text[DURATION_TEXT_MAX];
    struct buf why;

    duration_format((wait + 50 * NS_PER_MS) / (100 * NS_PER_MS) * (100 * NS_PER_MS), text);
    buf_init(&why);
    if (status->code == CODE_OK)
        buf_printf(&why, "%s has ended the stream", s->options->target);
    else
        session_explain(&why, s->options->target, f->method, status);
    output_note(s->out, "%s; trying again in %s", buf_cstr(&why), text);
    buf_free(&why);
    if (s->deadline_ns && clock_mono_ns() + wait > s->deadline_ns)
        wait = s->deadline_ns - clock_mono_ns();
    return stop_sleep(s->stop, wait);
}

enum follow_end session_follow(struct session *s, const struct follow *f)
{
    struct backoff backoff = {0};
    bool ever = false;
    for (;;) {
        struct rpc_status status = {0};
        bool heard = false;
        enum follow_end end = follow_once(s, f, &heard, &status);
        if (end != FOLLOW_FAILED)
            return end;
        f->idle(f->context);
        ever = ever || heard;
        if (heard)
            backoff = (struct backoff){0};
        if (status.code < 0) {
            output_note(s->out, "%s: %s", s->options->target, status.text);
            return FOLLOW_FAILED;
        }
        if (!ever || !session_may_retry(status.code)) {
            session_tell_failure(s, f->method, &status);
            return FOLLOW_FAILED;
        }
        if (!wait_again(s, &backoff, f, &status))
            return FOLLOW_STOPPED;
        if (s->deadline_ns && clock_mono_ns() >= s->deadline_ns)
            return FOLLOW_TIMEOUT;
        f->again(f->context);
    }
}
