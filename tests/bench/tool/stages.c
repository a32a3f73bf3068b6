/* The job stages: a collection, step by step, in this process: the receiving alone is bare's. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "inet_diag/dump.h"
#include "lib/clock.h"
#include "tests/bench/tool/tool.h"

#define PATIENCE_NS (60 * NS_PER_S)

static uint8_t buffer[DUMP_BUFFER_SIZE] __attribute__((aligned(8)));

/* ---- Receiving, parsing, leaving out what was there already ---- */

static int count_socket(void *arg, const struct record_source *s)
{
    *(uint64_t *)arg += s->data[PART_MSG] != NULL;
    return 0;
}

static uint64_t parse(struct u64set *seen)
{
    struct dump d;
    struct dump_counts counts = {0};
    struct err e = {0};
    const struct dump_options options = {.buffer = buffer,
                                         .buffer_size = sizeof(buffer),
                                         .seen = seen,
                                         .wake_fd = -1,
                                         .deadline_ns = clock_mono_ns() + PATIENCE_NS};
    uint64_t sockets = 0;
    int rc = dump_open(&d, 0, &e);
    if (!rc)
        rc = dump_request(&d, GROUPS_DEFAULT, &e);
    if (!rc)
        rc = dump_receive(&d, &options, count_socket, &sockets, &counts, &e);
    if (rc)
        die_text("a dump", e.text);
    dump_close(&d);
    u64set_clear(seen, SIZE_MAX);
    return sockets;
}

/* ---- A collector, whose batches are thrown away ---- */

struct sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    struct collector_result result;
};

static void sink_batch(void *arg, struct batch *b)
{
    (void)arg;
    batch_unref(b);
}

static void sink_done(void *arg, const struct collector_result *result)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    s->done = true;
    s->result = *result;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* One collection, of what passes |f| alone; NULL: of everything. Returns its CPU time; adds its rows to
 * |rows|. */
static int64_t collect(struct collector *c, struct sink *s, struct filter *f, uint64_t *rows)
{
    struct poll_request *o = poll_request_new();
    if (!o || !(o->hostname = strdup("bench")) || (f && poll_request_filters(o, &f, 1, false)))
        die_text("a poll request", "out of memory");
    o->poll_id = 1;
    o->timestamp_ns = clock_wall_ns();
    o->deadline_ns = clock_mono_ns() + PATIENCE_NS;
    o->groups = GROUPS_DEFAULT;
    s->done = false;
    if (collector_poll(c, o))
        die_text("a poll request", "refused");
    pthread_mutex_lock(&s->lock);
    while (!s->done)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    poll_request_unref(o);
    if (s->result.err.code)
        die_text("a collection", s->result.err.text);
    *rows += s->result.rows;
    return s->result.cpu_ns;
}

/* "filter N EXPRESSION". */
static int64_t collect_filtered(struct collector *c, struct sink *s, const char *text, uint64_t *rows)
{
    int64_t cpu = 0;
    struct filter *f;
    struct filter_error e;
    char *expression;
    unsigned long times = strtoul(text, &expression, 10);
    if (filter_parse(expression, &f, &e))
        die_text(expression, e.err.text);
    for (unsigned long i = 0; i < times; i++)
        cpu += collect(c, s, f, rows);
    filter_unref(f);
    return cpu;
}

static void answer(const char *line, struct u64set *seen, struct collector *c, struct sink *sink)
{
    int64_t cpu = 0;
    uint64_t rows = 0;
    if (!strncmp(line, "parse ", 6)) {
        uint64_t rounds = number(line + 6, 1);
        int64_t start = clock_thread_cpu_ns();
        for (uint64_t i = 0; i < rounds; i++)
            parse(seen);
        cpu = clock_thread_cpu_ns() - start;
    } else if (!strncmp(line, "collect ", 8)) {
        for (uint64_t i = number(line + 8, 1); i > 0; i--)
            cpu += collect(c, sink, NULL, &rows);
    } else if (!strncmp(line, "filter ", 7)) {
        cpu = collect_filtered(c, sink, line + 7, &rows);
    } else {
        die_text(line, "expected parse N, collect N or filter N EXPRESSION");
    }
    say("%lld %llu", (long long)cpu, (unsigned long long)rows);
}

/* In this process's namespace. Says: ready SOCKETS. "parse N", "collect N", "filter N EXPRESSION":
 * does so N times, says: CPU_NS ROWS, of all times together. */
int job_stages(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    char line[256];
    sigset_t all;
    struct sink sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct collectors_options options = {.pool = batch_pool_new(4), .sink = {sink_batch, sink_done, &sink}};
    const struct netns_ref ns = {.id = 1, .name = "bench", .path = "/proc/self/ns/net"};
    struct collectors *set;
    struct collector *c;
    struct u64set seen;
    struct err e = {0};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (!options.pool)
        die_text("stages", "out of memory");
    if (collectors_new(&options, &set, &e) || collector_start(set, &ns, &c, &e))
        die_text("stages", e.text);
    u64set_init(&seen);
    say("ready %llu", (unsigned long long)parse(&seen));
    while (next_line(line, sizeof(line)))
        answer(line, &seen, c, &sink);
    u64set_free(&seen);
    collector_stop(c);
    collector_join(c);
    collectors_free(set);
    batch_pool_free(options.pool);
    return 0;
}
