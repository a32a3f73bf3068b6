/* The job readers: subscribers that count what comes, each on a connection and a thread of its own. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/thread.h"
#include "record/envelope.h"
#include "rpc/client/client.h"
#include "rpc/codec/msg_stream.h"
#include "tests/bench/tool/tool.h"

#define METHOD "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords"

/* The first byte of a response that carries one record: field 1, length-delimited. */
#define RECORD_TAG (STREAM_FIELD_RECORD << 3 | 2)

struct count {
    uint64_t rows, lost, messages, polls;
};

struct reader {
    struct thread thread;
    const char *target;
    const struct buf *request;
    struct count seen; /* guarded by |lock| */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void count_envelope(const uint8_t *data, size_t len, struct count *count)
{
    struct wire w = wire_over(data, len);
    const uint8_t *row;
    size_t row_len;
    int rc;
    while ((rc = envelope_next(&w, &row, &row_len)) > 0)
        count->rows++;
    if (rc < 0)
        die_text(METHOD, "a malformed envelope");
}

static void count_message(const struct rpc_bytes *message, struct count *count)
{
    struct stream_event event;
    struct err e = {0};
    count->messages++;
    if (message->len && message->data[0] == RECORD_TAG) {
        count->rows++; /* nothing else is in it: no need to decode */
        return;
    }
    if (stream_event_decode(message->data, message->len, &event, &e))
        die_text(METHOD, e.text);
    if (event.kind == STREAM_EVENT_ENVELOPE)
        count_envelope(event.bytes, event.len, count);
    if (event.kind == STREAM_EVENT_END) {
        count->polls++;
        count->lost += event.end.rows_lost;
    }
    stream_event_free(&event);
}

static void publish(struct reader *r, const struct count *count)
{
    pthread_mutex_lock(&lock);
    r->seen = *count;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Counts are published at the end of a poll, and at least once for this many messages. */
#define PUBLISH_EVERY 64

static void *read_stream(void *arg)
{
    struct reader *r = arg;
    struct rpc_channel *channel;
    struct rpc_stream *stream;
    struct rpc_status status;
    struct rpc_bytes message;
    struct count count = {0};
    struct err e = {0};
    const struct rpc_call_options options = {.wait_for_ready = true};
    if (rpc_channel_new(r->target, NULL, &channel, &e) ||
        rpc_stream_open(channel, METHOD, &options, &stream, &e))
        die_text(r->target, e.text);
    /* When sending fails the call has ended, and receiving tells how. */
    rpc_stream_send(stream, r->request->data, r->request->len);
    rpc_stream_half_close(stream);
    while (rpc_stream_recv(stream, 0, &message) == 1) {
        uint64_t polls = count.polls;
        count_message(&message, &count);
        rpc_bytes_free(&message);
        if (count.polls > polls || count.messages % PUBLISH_EVERY == 0)
            publish(r, &count);
    }
    rpc_stream_status(stream, &status);
    die_text("the stream has ended", status.text);
}

/* The sum of what |n| readers have; |polls| is what the slowest has. */
static struct count sum_up(const struct reader *readers, size_t n)
{
    struct count sum = {.polls = UINT64_MAX};
    for (size_t i = 0; i < n; i++) {
        const struct count *seen = &readers[i].seen;
        sum.rows += seen->rows;
        sum.lost += seen->lost;
        sum.messages += seen->messages;
        sum.polls = seen->polls < sum.polls ? seen->polls : sum.polls;
    }
    return sum;
}

static void say_when(const struct reader *readers, size_t n, uint64_t polls)
{
    pthread_mutex_lock(&lock);
    struct count sum = sum_up(readers, n);
    while (sum.polls < polls) {
        pthread_cond_wait(&changed, &lock);
        sum = sum_up(readers, n);
    }
    pthread_mutex_unlock(&lock);
    say("%llu %llu %llu %llu", (unsigned long long)sum.polls, (unsigned long long)sum.rows,
        (unsigned long long)sum.lost, (unsigned long long)sum.messages);
}

static void raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* COUNT streams of TARGET with BATCH_ROWS (0: one record per message; "-": what a client of the original
 * schema asks for). Says: ready. Each line N: as soon as every stream has seen the ends of N polls in all,
 * says: POLLS ROWS LOST MESSAGES, totals of all streams. */
int job_readers(int argc, char **argv)
{
    (void)argc;
    size_t n = number(argv[1], 1);
    bool plain = !strcmp(argv[2], "-");
    struct subscription request = {.markers = true};
    struct buf encoded;
    sigset_t all;
    char line[32];
    buf_init(&encoded);
    if (!plain) {
        request.batch_rows = (uint32_t)number(argv[2], 0);
        if (stream_request_encode(&request, &encoded))
            die_text("the request", "out of memory");
    }
    raise_limit();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    rpc_client_init();
    struct reader *readers = calloc(n, sizeof(*readers));
    if (!readers)
        die_text("readers", "out of memory");
    for (size_t i = 0; i < n; i++) {
        readers[i] = (struct reader){.target = argv[0], .request = &encoded};
        if (thread_start(&readers[i].thread, "reader", 0, read_stream, &readers[i]))
            die_text("readers", "cannot start a thread");
    }
    say("ready");
    while (next_line(line, sizeof(line)))
        say_when(readers, n, number(line, 0));
    _exit(0); /* the readers wait for more: nobody joins them */
}
