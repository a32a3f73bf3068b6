/* filter_tool: what a collector makes of filters, for the tests that hold it against ss.
 *
 *     filter_tool
 *
 * Runs in the namespace whose sockets it is about. Takes an expression a line and answers each with one:
 *
 *     SOCKETS FULL KERNEL PARTIAL COOKIES… / COOKIES…
 *
 * SOCKETS: sockets that the kernel sent for the second poll; FULL and KERNEL: sockets that pass, evaluated by
 * the collector in a dump of everything, and with what the kernel can do pushed down; PARTIAL: 1 when that
 * was something. Then the cookies of both, hexadecimal. An expression that is wrong is answered with "error:
 * …". */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "lib/clock.h"
#include "lib/wire.h"
#include "record/envelope.h"
#include "record/fields.h"

#define PATIENCE (60 * NS_PER_S)
#define ROWS_MAX 65536

/* Rows of a poll: the cookies of those that match. */
struct rows {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t cookies[ROWS_MAX];
    size_t count;
    bool done;
    struct collector_result result;
};

static struct rows rows = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "filter_tool: %s: %s\n", what, why);
    exit(1);
}

static uint64_t cookie_of(const uint8_t *record, size_t n)
{
    struct wire w = wire_over(record, n);
    struct wire_field f;
    while (wire_next(&w, &f) == 1) {
        if (f.number == record_fields[FIELD_inet_diag_msg_socket_cookie].number)
            return f.value;
    }
    return 0;
}

static void on_batch(void *arg, struct batch *b)
{
    struct wire w = wire_over(b->bytes, b->len);
    const uint8_t *record;
    size_t n;
    (void)arg;
    pthread_mutex_lock(&rows.lock);
    for (uint32_t i = 0; envelope_next(&w, &record, &n) == 1 && rows.count < ROWS_MAX; i++) {
        if (b->index[i].match & 1)
            rows.cookies[rows.count++] = cookie_of(record, n);
    }
    pthread_mutex_unlock(&rows.lock);
    batch_unref(b);
}

static void on_done(void *arg, const struct collector_result *result)
{
    (void)arg;
    pthread_mutex_lock(&rows.lock);
    rows.result = *result;
    rows.done = true;
    pthread_cond_signal(&rows.changed);
    pthread_mutex_unlock(&rows.lock);
}

/* One poll with the one filter |f|; leaves its rows and its result in |rows|. */
static void poll_with(struct collector *c, struct filter *f, bool want_all)
{
    static uint64_t poll_id;
    struct poll_request *o = poll_request_new();
    if (!o || poll_request_filters(o, &f, 1, want_all))
        die("order", "out of memory");
    o->poll_id = ++poll_id;
    o->groups = 0; /* what the filter needs is asked for all the same */
    o->deadline_ns = clock_mono_ns() + PATIENCE;
    rows.count = 0;
    rows.done = false;
    if (collector_poll(c, o))
        die("poll", "refused");
    pthread_mutex_lock(&rows.lock);
    while (!rows.done)
        pthread_cond_wait(&rows.changed, &rows.lock);
    pthread_mutex_unlock(&rows.lock);
    poll_request_unref(o);
    if (rows.result.err.code)
        die("poll", rows.result.err.text);
}

static size_t keep(uint64_t *cookies)
{
    memcpy(cookies, rows.cookies, rows.count * sizeof(*cookies));
    return rows.count;
}

static void print(const uint64_t *cookies, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf(" %llx", (unsigned long long)cookies[i]);
}

static void answer(struct collector *c, const char *expression)
{
    static uint64_t full[ROWS_MAX];
    struct filter *f;
    struct filter_error e;
    if (filter_parse(expression, &f, &e)) {
        printf("error: %s\n", e.err.text);
        return;
    }
    poll_with(c, f, true);
    size_t n = keep(full);
    poll_with(c, f, false);
    printf("%llu %zu %zu %d", (unsigned long long)rows.result.sockets, n, rows.count, rows.result.partial);
    print(full, n);
    printf(" /");
    print(rows.cookies, rows.count);
    printf("\n");
    filter_unref(f);
}

int main(void)
{
    struct err e;
    struct collectors *set;
    struct collector *c;
    struct batch_pool *pool = batch_pool_new(4);
    const struct collectors_options options = {.pool = pool, .sink = {.batch = on_batch, .done = on_done}};
    const struct netns_ref ns = {.name = "here", .path = "", .own = true};
    char *line = NULL;
    size_t cap = 0;
    if (!pool || collectors_new(&options, &set, &e) || collector_start(set, &ns, &c, &e))
        die("start", pool ? e.text : "out of memory");
    while (getline(&line, &cap, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        answer(c, line);
        fflush(stdout);
    }
    free(line);
    collector_stop(c);
    collector_join(c);
    collectors_free(set);
    batch_pool_free(pool);
    return 0;
}
