/* The job watch: a client that follows sockets, and counts its ticks. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/thread.h"
#include "record/envelope.h"
#include "rpc/client/client.h"
#include "rpc/codec/msg_focus.h"
#include "tests/bench/tool/tool.h"

#define METHOD "/xtcp_focus.v1.FocusService/Watch"

struct watch {
    const char *target;
    struct buf request;
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun;
    uint64_t sockets; /* in the last tick, and so is what is late */
    uint64_t ticks;
    uint64_t rows;
    uint64_t lost; /* ticks dropped or skipped */
    uint64_t late_ns;
};

static uint64_t count_rows(const struct focus_event *event)
{
    struct wire w = wire_over(event->rows, event->rows_len);
    const uint8_t *row;
    size_t row_len;
    uint64_t n = 0;
    int rc;
    while ((rc = envelope_next(&w, &row, &row_len)) > 0)
        n++;
    if (rc < 0)
        die_text(METHOD, "a malformed envelope");
    return n;
}

static void take(struct watch *w, const struct rpc_bytes *message)
{
    struct focus_event event;
    struct err e = {0};
    if (focus_event_decode(message->data, message->len, &event, &e))
        die_text(METHOD, e.text);
    uint64_t rows = count_rows(&event);
    pthread_mutex_lock(&w->lock);
    w->begun = true;
    if (event.tick.tick) {
        w->sockets = event.tick.sockets;
        w->ticks++;
        w->rows += rows;
        w->lost += event.tick.ticks_dropped + event.tick.ticks_skipped;
        w->late_ns += event.tick.late_ns;
    }
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    focus_event_free(&event);
}

static void *follow(void *arg)
{
    struct watch *w = arg;
    struct rpc_channel *channel;
    struct rpc_stream *stream;
    struct rpc_status status;
    struct rpc_bytes message;
    struct err e = {0};
    const struct rpc_call_options options = {.wait_for_ready = true};
    if (rpc_channel_new(w->target, NULL, &channel, &e) ||
        rpc_stream_open(channel, METHOD, &options, &stream, &e))
        die_text(w->target, e.text);
    rpc_stream_send(stream, w->request.data, w->request.len);
    rpc_stream_half_close(stream);
    while (rpc_stream_recv(stream, 0, &message) == 1) {
        take(w, &message);
        rpc_bytes_free(&message);
    }
    rpc_stream_status(stream, &status);
    die_text("the stream has ended", status.text);
}

/* watch TARGET INTERVAL_MS FILTER. To any line it answers sockets, ticks, rows, lost ticks, and by how many
 * ns all ticks together were late. */
int job_watch(int argc, char **argv)
{
    (void)argc;
    static struct watch w = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const struct focus_request request = {
        .filter = argv[2], .interval_ns = (int64_t)number(argv[1], 10) * NS_PER_MS, .max_sockets = 1000};
    sigset_t all;
    char line[32];
    w.target = argv[0];
    buf_init(&w.request);
    if (focus_request_encode(&request, &w.request))
        die_text("the request", "out of memory");
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    rpc_client_init();
    if (thread_start(&w.thread, "watch", 0, follow, &w))
        die_text("watch", "cannot start a thread");
    pthread_mutex_lock(&w.lock);
    while (!w.begun)
        pthread_cond_wait(&w.changed, &w.lock);
    pthread_mutex_unlock(&w.lock);
    say("ready");
    while (next_line(line, sizeof(line))) {
        pthread_mutex_lock(&w.lock);
        say("%llu %llu %llu %llu %llu", (unsigned long long)w.sockets, (unsigned long long)w.ticks,
            (unsigned long long)w.rows, (unsigned long long)w.lost, (unsigned long long)w.late_ns);
        pthread_mutex_unlock(&w.lock);
    }
    _exit(0); /* the stream waits for more: nobody joins it */
}
