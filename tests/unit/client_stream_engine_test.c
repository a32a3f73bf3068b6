/* The stream engine with a played network and clock: what it opens, asks, closes and waits for. The linker puts the
 * functions __wrap_… in the place of those that they are named after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/session.h"
#include "client/stream_engine.h"
#include "lib/clock.h"
#include "rpc/client/many_stream.h"
#include "tests/unit/wrap_many_stream.h"

#define TARGETS 2

struct rpc_many_stream {
    size_t target;
    void *owner;
};

/* An event of the network: "m" with a text is a message, "e" with a number the end of the stream. */
struct event {
    int64_t at_ms; /* since the start */
    size_t target;
    const char *what; /* NULL: no more events */
    bool unanswered;  /* the stream ends without an answer */
};

static struct {
    int64_t start, now;
    const struct event *next;
    struct rpc_many_stream streams[TARGETS];
    bool open[TARGETS], connected[TARGETS];
    struct buf log; /* "0.000 open a", … */
    const char *refusal;
} play;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    char text[128];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    int64_t ms = (play.now - play.start) / NS_PER_MS;
    buf_printf(&play.log, "%d.%03d %s\n", (int)(ms / 1000), (int)(ms % 1000), text);
}

int64_t __wrap_clock_mono_ns(void)
{
    return play.now;
}

uint32_t __wrap_arc4random(void)
{
    return (uint32_t)(NS_PER_S / 5); /* in the middle of the jitter of the first wait: it is 1 s */
}

int __wrap_rpc_many_new(struct rpc_many **out)
{
    *out = (struct rpc_many *)&play;
    return 0;
}

void __wrap_rpc_many_free(struct rpc_many *m)
{
    (void)m;
}

int __wrap_rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                                struct rpc_many_stream **out, struct err *e)
{
    size_t i = (size_t)(call->target[0] - 'a');
    (void)m;
    if (strcmp(call->target, "bad") == 0)
        return err_set(e, ERR_USAGE, "bad target");
    rpc_many_stream_close(call->instead);
    note("open %s: %s%s", call->target, buf_cstr((struct buf *)(uintptr_t)call->request),
         call->half_close ? "." : "");
    assert_false(play.open[i]);
    play.open[i] = true;
    play.connected[i] = false;
    play.streams[i] = (struct rpc_many_stream){.target = i, .owner = owner};
    *out = &play.streams[i];
    return 0;
}

int __wrap_rpc_many_stream_send(struct rpc_many_stream *l, const void *message, size_t len)
{
    note("ask %c: %.*s", (char)('a' + l->target), (int)len, (const char *)message);
    return 0;
}

bool __wrap_rpc_many_stream_connected(const struct rpc_many_stream *l)
{
    return play.connected[l->target];
}

void __wrap_rpc_many_stream_close(struct rpc_many_stream *l)
{
    if (!l)
        return;
    note("close %c", (char)('a' + l->target));
    play.open[l->target] = false;
}

enum stop_reason __wrap_stop_reason(const struct stop *s)
{
    (void)s;
    return STOP_NOT;
}

int __wrap_rpc_many_next(struct rpc_many *m, int64_t deadline_ns, struct rpc_many_event *out)
{
    (void)m;
    const struct event *next = play.next;
    int64_t at = play.start + next->at_ms * NS_PER_MS;
    if (deadline_ns && (!next->what || deadline_ns < at)) {
        play.now = deadline_ns > play.now ? deadline_ns : play.now;
        return ERR_TIMEOUT;
    }
    if (!next->what)
        return ERR_CANCELLED; /* nobody would ever wake it */
    play.now = at > play.now ? at : play.now;
    play.next++;
    assert_true(play.open[next->target]);
    play.connected[next->target] = !next->unanswered;
    *out = (struct rpc_many_event){.owner = play.streams[next->target].owner};
    if (next->what[0] == 'e') {
        out->ended = true;
        out->status.code = atoi(next->what + 1);
        snprintf(out->status.text, sizeof(out->status.text), "over");
    } else {
        out->message =
            (struct rpc_bytes){.data = (uint8_t *)strdup(next->what + 1), .len = strlen(next->what + 1)};
    }
    return 1;
}

/* ---- A command: messages are texts; "begin" and "end" are the edges of a poll ---- */

struct command {
    bool polls;
    bool refused;
    enum stream_silence silence;
};

static bool is_text(const struct rpc_bytes *message, const char *text)
{
    return message->len == strlen(text) && memcmp(message->data, text, message->len) == 0;
}

static int on_request(void *context, size_t i, struct stream_request *r)
{
    const struct command *c = context;
    (void)i;
    r->method = "/x/Y";
    r->polls = c->polls;
    buf_str(&r->body, c->refused ? "less" : "all");
    return 0;
}

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    (void)context;
    note("%c says %.*s", (char)('a' + i), (int)message->len, (const char *)message->data);
    if (is_text(message, "garbage"))
        return err_set(e, ERR_MALFORMED, "sent garbage");
    return is_text(message, "enough") ? STREAM_ENOUGH
           : is_text(message, "done") ? STREAM_POLL_ENDED
                                      : STREAM_GO_ON;
}

static enum stream_mark mark_of(void *context, size_t i, const struct rpc_bytes *message)
{
    (void)context, (void)i;
    return is_text(message, "begin") ? STREAM_MARK_BEGIN
           : is_text(message, "end") ? STREAM_MARK_END
                                     : STREAM_MARK_NONE;
}

static void on_idle(void *context)
{
    (void)context;
    note("idle");
}

static enum stream_silence on_silence(void *context, size_t i)
{
    const struct command *c = context;
    (void)i;
    return c->silence;
}

static int on_poll_end(void *context, size_t i)
{
    struct command *c = context;
    c->silence = STREAM_SILENCE_NOTHING;
    note("poll of %c over", (char)('a' + i));
    return 0;
}

static bool on_refused(void *context, size_t i, const struct rpc_status *status)
{
    struct command *c = context;
    (void)i;
    bool first = !c->refused;
    c->refused = c->refused || status->code == 12;
    return first && c->refused;
}

static const struct stream_hooks plain = {.request = on_request,
                                          .message = on_message,
                                          .idle = on_idle,
                                          .silence = on_silence,
                                          .end_poll = on_poll_end,
                                          .refused = on_refused};
static const struct stream_hooks holding = {.request = on_request,
                                            .mark = mark_of,
                                            .message = on_message,
                                            .idle = on_idle,
                                            .silence = on_silence,
                                            .end_poll = on_poll_end,
                                            .refused = on_refused};

/* ---- Running ---- */

struct run {
    struct options options[TARGETS];
    struct stream_target targets[TARGETS];
    struct output out;
    struct stream_report report;
    struct stream_engine *engine;
};

static void start(struct run *r, struct command *c, size_t n, const struct event *events, int64_t timeout_ms)
{
    static const char *const names[TARGETS] = {"a", "b"};
    memset(&play, 0, sizeof(play));
    buf_init(&play.log);
    play.start = play.now = 1000 * NS_PER_S;
    play.next = events;
    *r = (struct run){0};
    output_init(&r->out, -1);
    r->out.notes_fd = memfd_create("notes", MFD_CLOEXEC);
    for (size_t i = 0; i < n; i++) {
        r->options[i] = (struct options){.target = names[i], .address = names[i], .verbose = true};
        r->targets[i].options = &r->options[i];
    }
    stream_report_init(&r->report, &r->out, NULL, n > 1);
    const struct stream_engine_options how = {.targets = r->targets,
                                              .n = n,
                                              .hooks = n > 1 ? &holding : &plain,
                                              .context = c,
                                              .report = &r->report,
                                              .out = &r->out,
                                              .deadline_ns =
                                                  timeout_ms ? play.now + timeout_ms * NS_PER_MS : 0};
    assert_int_equal(stream_engine_new(&how, &r->engine), 0);
}

/* Checks what was done and what was told, and ends. */
static void finish(struct run *r, const char *log, const char *notes)
{
    char told[1024];
    stream_engine_free(r->engine);
    ssize_t n = pread(r->out.notes_fd, told, sizeof(told) - 1, 0);
    told[n > 0 ? n : 0] = 0;
    assert_string_equal(buf_cstr(&play.log), log);
    assert_string_equal(told, notes);
    close(r->out.notes_fd);
    output_fini(&r->out);
    buf_free(&play.log);
}

static void test_refused(void **state)
{
    static const struct event events[] = {
        {5, 0, "e12", 0}, {10, 0, "mrow", 0}, {20, 0, "menough", 0}, {0, 0, NULL, 0}};
    struct command c = {0};
    struct run r;
    (void)state;
    start(&r, &c, 1, events, 0);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_DONE);
    finish(&r,
           "0.000 open a: all.\n0.005 idle\n0.005 close a\n0.005 open a: less.\n0.010 a says row\n"
           "0.020 a says enough\n0.020 close a\n",
           "");
}

static void test_lost_and_silent(void **state)
{
    static const struct event events[] = {{10, 0, "mrow", 0},
                                          {500, 0, "e14", 0},
                                          {1600, 0, "e14", 1},
                                          {9000, 0, "menough", 0},
                                          {0, 0, NULL, 0}};
    struct command c = {0};
    struct run r;
    (void)state;
    start(&r, &c, 1, events, 0);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_DONE);
    /* The second wait is 2 s less a fifth and what the jitter adds; after 3 s without an answer it is told. */
    finish(
        &r,
        "0.000 open a: all.\n0.010 a says row\n0.060 idle\n0.500 idle\n0.500 close a\n1.500 open a: all.\n"
        "1.600 idle\n1.600 close a\n3.400 open a: all.\n9.000 a says enough\n9.000 close a\n",
        "xtcp2client: the connection to a was lost (over); trying again in 1s\n"
        "xtcp2client: no connection to a; if something else than xtcp2 listens there, --target names another place "
        "(over); trying again in 1.8s\n"
        "xtcp2client: waiting for a\n");
}

static void test_final(void **state)
{
    static const struct event never[] = {{5, 0, "e14", 1}, {0, 0, NULL, 0}};
    static const struct event garbage[] = {{5, 0, "mgarbage", 0}, {0, 0, NULL, 0}};
    static const struct event silent[] = {{0, 0, NULL, 0}};
    struct command c = {0};
    struct run r;
    (void)state;
    start(&r, &c, 1, never, 0);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_FAILED);
    finish(
        &r, "0.000 open a: all.\n0.005 idle\n0.005 close a\n",
        "xtcp2client: no connection to a; if something else than xtcp2 listens there, --target names another place "
        "(over)\n");
    start(&r, &c, 1, garbage, 0);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_FAILED);
    finish(&r, "0.000 open a: all.\n0.005 a says garbage\n0.005 close a\n", "xtcp2client: a: sent garbage\n");
    start(&r, &c, 1, silent, 300);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_FAILED);
    finish(&r, "0.000 open a: all.\n0.300 close a\n", "xtcp2client: no answer from a in time\n");
}

static void test_polls_of_one(void **state)
{
    static const struct event events[] = {
        {10, 0, "mrow", 0}, {20, 0, "mdone", 0}, {700, 0, "mrow", 0}, {0, 0, NULL, 0}};
    struct command c = {.polls = true};
    struct run r;
    (void)state;
    start(&r, &c, 1, events, 0);
    assert_int_equal(stream_engine_poll(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_wait(r.engine, play.start + 500 * NS_PER_MS), STREAM_END_TIME);
    c.silence = STREAM_SILENCE_ENDS_POLL;
    assert_int_equal(stream_engine_poll(r.engine), STREAM_END_DONE);
    c.silence = STREAM_SILENCE_FAILS;
    assert_int_equal(stream_engine_poll(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_FAILED);
    finish(
        &r,
        "0.000 open a: all\n0.010 a says row\n0.020 a says done\n0.070 idle\n0.500 ask a: all\n0.700 a says row\n"
        "0.750 idle\n1.700 poll of a over\n1.700 ask a: all\n31.700 close a\n",
        "xtcp2client: no answer from a within 30s\n");
}

/* Messages of a poll are held and come together, unless its end is late; one that is gone comes back. */
static void test_several(void **state)
{
    static const struct event events[] = {
        {10, 0, "mbegin", 0},    {20, 1, "mbegin", 0}, {30, 0, "mrow", 0}, {40, 1, "mend", 0},
        {50, 0, "mend", 0},      {60, 0, "mbegin", 0}, {70, 1, "e14", 0},  {1500, 1, "menough", 0},
        {1550, 0, "menough", 0}, {0, 0, NULL, 0}};
    struct command c = {0};
    struct run r;
    (void)state;
    start(&r, &c, 2, events, 5000);
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_DONE);
    finish(
        &r,
        "0.000 open a: all.\n0.000 open b: all.\n0.040 b says begin\n0.040 b says end\n0.050 a says begin\n"
        "0.050 a says row\n0.050 a says end\n0.070 close b\n1.060 a says begin\n1.060 idle\n1.070 open b: all.\n"
        "1.550 b says enough\n1.550 close b\n2.550 a says enough\n2.550 close a\n",
        "xtcp2client: a has answered\nxtcp2client: b has answered\n"
        "xtcp2client: no connection to b; if something else than xtcp2 listens there, --target names another place "
        "(over); trying again from time to time\nxtcp2client: b is back\n");
}

static void test_some_of_several(void **state)
{
    static const struct event events[] = {
        {10, 0, "e14", 1}, {20, 1, "mend", 0}, {90, 0, "mend", 0}, {95, 1, "mend", 0}, {0, 0, NULL, 0}};
    struct command c = {.polls = true};
    struct run r;
    (void)state;
    start(&r, &c, 2, events, 0);
    assert_int_equal(stream_engine_poll(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_SOME_FAILED);
    assert_int_equal(stream_engine_poll(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_DONE); /* made good */
    finish(
        &r,
        "0.000 open a: all\n0.000 open b: all\n0.010 close a\n0.020 b says end\n0.020 open a: all\n0.020 ask b: all\n"
        "0.090 a says end\n0.095 b says end\n",
        "xtcp2client: no connection to a; if something else than xtcp2 listens there, --target names another place "
        "(over)\nxtcp2client: b has answered\nxtcp2client: a is back\n");
}

static void test_not_opened(void **state)
{
    static const struct event events[] = {{0, 0, NULL, 0}};
    struct command c = {0};
    struct run r;
    (void)state;
    start(&r, &c, 1, events, 0);
    r.options[0].address = "bad";
    assert_int_equal(stream_engine_listen(r.engine), STREAM_END_DONE);
    assert_int_equal(stream_engine_exit_code(r.engine), EXIT_FAILED);
    finish(&r, "", "xtcp2client: bad target\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_lost_and_silent),
        cmocka_unit_test(test_final),      cmocka_unit_test(test_polls_of_one),
        cmocka_unit_test(test_several),    cmocka_unit_test(test_some_of_several),
        cmocka_unit_test(test_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
