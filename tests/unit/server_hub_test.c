/* server/stream/hub.c and server/stream/subscriber.c: who gets which rows and markers, and what is counted as lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "record/batch.h"
#include "record/envelope.h"
#include "rpc/codec/msg_stream.h"
#include "server/services/health.h"
#include "server/services/outbox.h"
#include "server/services/record_message.h"
#include "server/stream/hub.h"
#include "server_fake_rpc.h"

#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <sched.h>

/* ---- Helpers ---- */

/* A sealed batch of |rows| rows of poll |id|, with source ports counting from |port|. */
static struct batch *make_batch(struct batch_pool *pool, uint64_t id, unsigned rows, uint16_t port)
{
    static struct record_frame frame;
    struct record_context context = {.netns = "test", .poll_id = id, .groups = GROUPS_ALL};
    assert_int_equal(record_frame_init(&frame, &context), 0);
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    for (unsigned i = 0; i < rows; i++) {
        struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
        msg.id.idiag_sport = htons((uint16_t)(port + i));
        struct record_source s = {0};
        s.data[PART_MSG] = (const uint8_t *)&msg;
        s.len[PART_MSG] = sizeof(msg);
        assert_true(batch_append(b, &frame, &s, i));
    }
    b->poll_id = id;
    return batch_seal(b);
}

struct received {
    unsigned begins, ends, records, envelopes, rows;
    uint64_t last_sent, last_lost, last_poll, last_deferred;
    bool more; /* of the last message */
};

/* Takes everything out of the queue of |s| and counts it. */
static void take_all(struct subscriber *s, struct received *r, unsigned max)
{
    struct rpc_message m;
    while (max-- && record_message_next(s, &m)) {
        uint8_t bytes[200000];
        size_t n = 0;
        for (size_t i = 0; i < m.n; i++) {
            memcpy(bytes + n, GRPC_SLICE_START_PTR(m.slices[i]), GRPC_SLICE_LENGTH(m.slices[i]));
            n += GRPC_SLICE_LENGTH(m.slices[i]);
            grpc_slice_unref(m.slices[i]);
        }
        struct stream_event event;
        assert_int_equal(stream_event_decode(bytes, n, &event, NULL), 0);
        struct wire w = wire_over(event.bytes, event.len);
        const uint8_t *row;
        size_t row_len;
        switch (event.kind) {
        case STREAM_EVENT_BEGIN:
            r->begins++;
            r->last_deferred = event.begin.deferred_ns;
            break;
        case STREAM_EVENT_END:
            r->ends++;
            r->last_sent = event.end.rows_sent;
            r->last_lost = event.end.rows_lost;
            r->last_poll = event.end.poll_id;
            break;
        case STREAM_EVENT_RECORD:
            r->records++;
            r->rows++;
            break;
        case STREAM_EVENT_ENVELOPE:
            r->envelopes++;
            while (envelope_next(&w, &row, &row_len) == 1)
                r->rows++;
            break;
        default:
            fail_msg("kind %d", event.kind);
        }
        stream_event_free(&event);
        r->more = m.more;
    }
}

struct fixture {
    struct batch_pool *pool;
    struct hub *hub;
    struct quota *quota;
    struct rpc_call call;
    struct selection *all; /* what asks for everything */
};

/* Bounds that are large, but for |subscribers|, of which each user may have all. */
static struct bounds bounds_of(uint64_t subscribers)
{
    struct bounds b;
    for (size_t i = 0; i < QUOTA_KINDS; i++)
        b.of[i] = (struct quota_bound){.max = 1000000, .user_percent = 100};
    b.of[QUOTA_SUBSCRIBERS].max = subscribers;
    return b;
}

static void setup_with(struct fixture *f, size_t queue_bytes)
{
    memset(f, 0, sizeof(*f));
    f->pool = batch_pool_new(4);
    assert_int_equal(hub_new(queue_bytes, &f->hub, NULL), 0);
    f->quota = quota_new();
    assert_non_null(f->quota);
    f->call.quota = quota_user(f->quota, "uid 1000");
    assert_int_equal(selection_new(&(struct subscription){0}, &f->all, NULL), 0);
}

static void setup(struct fixture *f)
{
    setup_with(f, 1 << 20);
}

static struct subscriber *make_subscriber(struct fixture *f, struct subscriber_options options)
{
    if (!options.selection)
        options.selection = f->all;
    struct subscriber *s = record_message_subscriber(&f->call, &options, NULL);
    assert_non_null(s);
    return s;
}

static struct subscriber *subscribe(struct fixture *f, struct subscriber_options options)
{
    struct subscriber *s = make_subscriber(f, options);
    const struct bounds bounds = bounds_of(10);
    assert_int_equal(hub_subscribe(f->hub, s, &bounds, NULL), 0);
    return s;
}

static void begin(struct fixture *f, const struct poll_begin *marker)
{
    struct plan *plan = hub_plan(f->hub, marker->poll_id);
    assert_non_null(plan);
    hub_begin(f->hub, marker, plan);
}

static void one_poll(struct fixture *f, uint64_t id, unsigned batches, unsigned rows)
{
    begin(f, &(struct poll_begin){.poll_id = id, .namespaces = 1});
    for (unsigned i = 0; i < batches; i++)
        hub_batch(f->hub, make_batch(f->pool, id, rows, (uint16_t)(i * rows)));
    hub_end(f->hub, &(struct poll_end){.poll_id = id, .sockets = (uint64_t)batches * rows});
}

/* Runs the hub's thread until its queue is empty. */
static void run_hub(struct fixture *f)
{
    assert_int_equal(hub_start(f->hub), 0);
    hub_stop(f->hub);
}

static void teardown(struct fixture *f, struct subscriber *s)
{
    if (s) {
        hub_unsubscribe(f->hub, s);
        subscriber_unref(s);
    }
    hub_free(f->hub);
    selection_unref(f->all);
    assert_int_equal(atomic_load(&f->call.refs), 0);
    struct batch_pool_stats stats;
    batch_pool_stats(f->pool, &stats);
    assert_int_equal(stats.out, 0); /* nothing holds a batch any more */
    batch_pool_free(f->pool);
    assert_int_equal(quota_total(f->quota, QUOTA_SUBSCRIBERS), 0);
    assert_int_equal(quota_used(f->call.quota, QUOTA_SUBSCRIBERS), 0);
    assert_int_equal(quota_total(f->quota, QUOTA_QUEUE_BYTES), 0);
    assert_int_equal(quota_used(f->call.quota, QUOTA_QUEUE_BYTES), 0);
    quota_user_unref(f->call.quota);
    quota_free(f->quota);
}

/* ---- Tests ---- */

static void test_one_record_per_message_and_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 1000});
    one_poll(&f, 1, 3, 10);
    run_hub(&f);
    take_all(s, &r, 29);
    assert_true(r.more);
    take_all(s, &r, UINT32_MAX);
    assert_false(r.more);
    assert_int_equal(r.records, 30);
    assert_int_equal(r.rows, 30);
    assert_int_equal(r.begins + r.ends + r.envelopes, 0);
    teardown(&f, s);
}

static void test_batches_and_markers(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 1000, .batch_rows = 7, .markers = true});
    one_poll(&f, 5, 2, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.begins, 1);
    assert_int_equal(r.ends, 1);
    assert_int_equal(r.envelopes, 4); /* 7 + 3, twice */
    assert_int_equal(r.rows, 20);
    assert_int_equal(r.last_sent, 20);
    assert_int_equal(r.last_lost, 0);
    assert_int_equal(r.last_poll, 5);
    teardown(&f, s);
}

static void test_a_full_queue_loses_the_newest_and_says_so(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    struct subscriber_stats stats;
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 25, .batch_rows = 100, .markers = true});
    one_poll(&f, 1, 4, 10);
    one_poll(&f, 2, 1, 10);
    run_hub(&f);
    subscriber_stats(s, &stats);
    assert_int_equal(stats.queued, 25);
    assert_int_equal(stats.lost, 25);
    take_all(s, &r, 5); /* begin, 10, 10, 5, end */
    assert_int_equal(r.rows, 25);
    assert_int_equal(r.last_sent, 25);
    assert_int_equal(r.last_lost, 15);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.last_poll, 2);
    assert_int_equal(r.last_sent, 0);
    assert_int_equal(r.last_lost, 10);
    subscriber_stats(s, &stats);
    assert_int_equal(stats.delivered, 25);
    assert_int_equal(stats.queued, 0);
    teardown(&f, s);
}

static void test_a_subscriber_begins_with_a_whole_poll(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    one_poll(&f, 1, 1, 10);
    run_hub(&f);
    begin(&f, &(struct poll_begin){.poll_id = 2});
    run_hub(&f);
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 1000});
    hub_batch(f.hub, make_batch(f.pool, 2, 10, 1));
    hub_end(f.hub, &(struct poll_end){.poll_id = 2});
    one_poll(&f, 3, 1, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 10);
    teardown(&f, s);
}

static void test_on_demand_gets_its_polls_and_is_finished(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 1000, .on_demand = true, .markers = true});
    one_poll(&f, 1, 1, 10);
    subscriber_want(s, 2);
    subscriber_want(s, 2);
    one_poll(&f, 2, 1, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 10);
    assert_int_equal(r.last_poll, 2);
    assert_false(atomic_load(&f.call.finished));
    subscriber_want(s, 3);
    assert_false(subscriber_half_closed(s)); /* still waits for poll 3 */
    one_poll(&f, 3, 1, 10);
    one_poll(&f, 4, 1, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 20);
    assert_true(atomic_load(&f.call.finished));
    teardown(&f, s);
}

/* A stream whose own requests nothing holds back is not told how long those of others were. */
static void test_held_back_is_told_to_those_it_concerns(void **state)
{
    (void)state;
    const struct subscriber_options options[] = {
        {.queue_rows = 1000, .markers = true},
        {.queue_rows = 1000, .markers = true, .on_demand = true},
        {.queue_rows = 1000, .markers = true, .on_demand = true, .held = true}};
    const uint64_t told[] = {70, 0, 70};
    struct subscriber *s[3];
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 3; i++) {
        s[i] = subscribe(&f, options[i]);
        subscriber_want(s[i], 1);
    }
    begin(&f, &(struct poll_begin){.poll_id = 1, .deferred_ns = 70});
    hub_end(f.hub, &(struct poll_end){.poll_id = 1});
    run_hub(&f);
    for (int i = 0; i < 3; i++) {
        struct received r = {0};
        take_all(s[i], &r, UINT32_MAX);
        assert_true(r.begins == 1 && r.ends == 1);
        assert_int_equal(r.last_deferred, told[i]);
        hub_unsubscribe(f.hub, s[i]);
        subscriber_unref(s[i]);
    }
    teardown(&f, NULL);
}

/* The hub is behind: polls that are over still wait in its queue when further ones are asked for. */
static void test_on_demand_while_the_hub_is_behind(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 1000, .on_demand = true, .markers = true});
    for (uint64_t id = 1; id <= 5; id++) {
        subscriber_want(s, id);
        one_poll(&f, id, 1, 10);
    }
    assert_false(subscriber_half_closed(s));
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.ends, 5);
    assert_int_equal(r.rows, 50);
    assert_true(atomic_load(&f.call.finished));
    teardown(&f, s);
}

static void test_on_demand_further_behind_than_it_can_note(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 10000, .on_demand = true, .markers = true});
    for (uint64_t id = 1; id <= 20; id++)
        subscriber_want(s, id);
    assert_false(subscriber_half_closed(s));
    for (uint64_t id = 1; id <= 20; id++)
        one_poll(&f, id, 1, 1);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.last_poll, 20); /* the last request has its poll whatever the others share */
    assert_true(atomic_load(&f.call.finished));
    teardown(&f, s);
}

static void test_a_poll_that_did_not_come_about(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 1000, .on_demand = true, .markers = true});
    subscriber_want(s, 3);
    assert_false(subscriber_half_closed(s));
    one_poll(&f, 2, 1, 10);
    one_poll(&f, 4, 1, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.begins, 1);
    assert_int_equal(r.last_poll, 4);
    assert_true(atomic_load(&f.call.finished));
    teardown(&f, s);
}

/* Nobody reads for thousands of polls: whole ones are left out, never half of one. */
static void test_markers_are_bounded(void **state)
{
    (void)state;
    enum { POLLS = 5000 };
    struct fixture f;
    struct received r = {0};
    struct subscriber_stats stats;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 100000, .markers = true});
    struct rpc_message m;
    one_poll(&f, 1, 0, 0);
    run_hub(&f);
    assert_true(record_message_next(s, &m)); /* an odd number of markers stays */
    grpc_slice_unref(m.slices[0]);
    for (uint64_t id = 2; id <= POLLS; id++)
        one_poll(&f, id, 1, 1);
    run_hub(&f);
    subscriber_stats(s, &stats);
    assert_int_equal(stats.queued + stats.lost, POLLS - 1);
    assert_true(stats.lost > 0);
    uint64_t queued = stats.queued;
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, queued);
    assert_int_equal(r.ends, r.begins + 1); /* the one whose begin was taken above */
    assert_int_equal(r.begins, queued);     /* one row in each */
    one_poll(&f, POLLS + 1, 1, 1);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.last_poll, POLLS + 1);
    assert_int_equal(r.last_lost, stats.lost);
    teardown(&f, s);
}

static void test_rows_of_an_ended_poll_are_dropped(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    struct hub_stats stats;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 1000});
    one_poll(&f, 1, 1, 10);
    hub_batch(f.hub, make_batch(f.pool, 1, 10, 1));
    begin(&f, &(struct poll_begin){.poll_id = 2});
    hub_batch(f.hub, make_batch(f.pool, 1, 10, 1));
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 10);
    hub_stats(f.hub, &stats);
    assert_int_equal(stats.rows_late, 20);
    teardown(&f, s);
}

/* Rows that nobody can get are not even queued; a subscriber that comes later begins with the next poll. */
static void test_rows_that_nobody_reads_are_let_go(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    struct batch_pool_stats pool;
    setup(&f);
    begin(&f, &(struct poll_begin){.poll_id = 1});
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 1000});
    hub_batch(f.hub, make_batch(f.pool, 1, 10, 1));
    batch_pool_stats(f.pool, &pool);
    assert_int_equal(pool.out, 0);
    hub_end(f.hub, &(struct poll_end){.poll_id = 1, .sockets = 20});
    one_poll(&f, 2, 1, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 10);
    teardown(&f, s);
}

static void test_the_hubs_own_queue_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct received r = {0};
    struct hub_stats stats;
    setup_with(&f, 1); /* nothing fits */
    struct subscriber *s = subscribe(&f, (struct subscriber_options){.queue_rows = 1000, .markers = true});
    one_poll(&f, 1, 2, 10);
    run_hub(&f);
    take_all(s, &r, UINT32_MAX);
    assert_int_equal(r.rows, 0);
    assert_int_equal(r.last_lost, 20);
    hub_stats(f.hub, &stats);
    assert_int_equal(stats.rows_dropped, 20);
    teardown(&f, s);
}

static void test_limit_of_subscribers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *a = make_subscriber(&f, (struct subscriber_options){.queue_rows = 1});
    struct subscriber *b = make_subscriber(&f, (struct subscriber_options){.queue_rows = 1});
    const struct bounds bounds = bounds_of(1);
    struct err e;
    assert_int_equal(hub_subscribe(f.hub, a, &bounds, &e), 0);
    assert_int_equal(hub_subscribe(f.hub, b, &bounds, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "subscribers_max"));
    hub_unsubscribe(f.hub, a);
    assert_int_equal(hub_subscribe(f.hub, b, &bounds, &e), 0);
    subscriber_unref(a);
    teardown(&f, b);
}

/* The argument of hub_run: counts how the calls ended. */
struct work {
    unsigned run, dropped;
};

static void note_work(void *arg, bool run)
{
    struct work *w = arg;
    *(run ? &w->run : &w->dropped) += 1;
}

static void test_a_closed_hub_keeps_no_reference(void **state)
{
    (void)state;
    struct fixture f;
    struct work work = {0};
    setup(&f);
    hub_run(f.hub, rpc_call_kick_later, rpc_call_ref(&f.call));
    hub_run(f.hub, note_work, &work);
    assert_int_equal(atomic_load(&f.call.refs), 1);
    assert_int_equal(work.dropped, 0);
    hub_close(f.hub);
    assert_int_equal(atomic_load(&f.call.refs), 0);
    assert_int_equal(work.dropped, 1);
    hub_run(f.hub, rpc_call_kick_later, rpc_call_ref(&f.call));
    hub_run(f.hub, note_work, &work);
    hub_batch(f.hub, make_batch(f.pool, 1, 10, 1));
    assert_int_equal(atomic_load(&f.call.refs), 0);
    assert_int_equal(atomic_load(&f.call.kicks), 0);
    assert_int_equal(work.dropped, 2);
    assert_int_equal(work.run, 0);
    teardown(&f, NULL);
}

static void test_work_is_done_by_the_hub(void **state)
{
    (void)state;
    struct fixture f;
    struct work work = {0};
    setup(&f);
    hub_run(f.hub, rpc_call_kick_later, rpc_call_ref(&f.call));
    hub_run(f.hub, note_work, &work);
    assert_int_equal(atomic_load(&f.call.kicks), 0);
    assert_int_equal(work.run, 0);
    run_hub(&f);
    assert_int_equal(atomic_load(&f.call.kicks), 1);
    assert_int_equal(atomic_load(&f.call.refs), 0);
    assert_int_equal(work.run, 1);
    assert_int_equal(work.dropped, 0);
    teardown(&f, NULL);
}

/* ---- A sink that is no stream ---- */

/* The whole of it: counts what it is given, on the hub's thread. */
struct counter {
    struct subscriber *subscriber;
    unsigned kicks, begins, rows, ends, unrefs;
    uint64_t rows_told;
};

static bool count_item(void *arg, const struct subscriber_item *item, bool more)
{
    struct counter *c = arg;
    (void)more;
    c->begins += item->kind == SUBSCRIBER_BEGIN;
    c->ends += item->kind == SUBSCRIBER_END;
    if (item->kind == SUBSCRIBER_ROWS)
        c->rows += item->rows.end - item->rows.row;
    if (item->kind == SUBSCRIBER_END)
        c->rows_told = item->end->rows_sent;
    return true;
}

static void count_kick(void *arg)
{
    struct counter *c = arg;
    c->kicks++;
    while (subscriber_next(c->subscriber, count_item, c)) {
    }
}

static void count_unref(void *arg)
{
    struct counter *c = arg;
    c->unrefs++;
}

static void test_a_third_sink(void **state)
{
    (void)state;
    struct fixture f;
    struct counter c = {0};
    const struct subscriber_sink sink = {.kick = count_kick, .unref = count_unref, .arg = &c};
    setup(&f);
    c.subscriber = subscriber_new(
        &sink, &(struct subscriber_options){
                   .batch_rows = 100, .markers = true, .queue_rows = 1000, .selection = f.all});
    assert_non_null(c.subscriber);
    assert_int_equal(hub_subscribe(f.hub, c.subscriber, &(struct bounds){0}, NULL),
                     0); /* nobody pays, nothing is bounded */
    one_poll(&f, 1, 3, 50);
    run_hub(&f);
    assert_int_equal(c.begins, 1);
    assert_int_equal(c.rows, 150);
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.rows_told, 150);
    assert_int_equal(c.kicks, 5);
    teardown(&f, c.subscriber);
    assert_int_equal(c.unrefs, 1);
}

static void *reader(void *arg)
{
    struct subscriber *s = arg;
    struct rpc_message m;
    uint64_t end = 0;
    int64_t deadline = clock_mono_ns() + 20 * NS_PER_S;
    while (!end && clock_mono_ns() < deadline) {
        if (!record_message_next(s, &m)) {
            sched_yield();
            continue;
        }
        struct stream_event event;
        if (m.n == 1 && stream_event_decode(GRPC_SLICE_START_PTR(m.slices[0]), GRPC_SLICE_LENGTH(m.slices[0]),
                                            &event, NULL) == 0) {
            if (event.kind == STREAM_EVENT_END && event.end.poll_id == 200)
                end = event.end.poll_id;
            stream_event_free(&event);
        }
        for (size_t i = 0; i < m.n; i++)
            grpc_slice_unref(m.slices[i]);
    }
    return (void *)(uintptr_t)end;
}

/* A reader on another thread while the hub puts in: for ThreadSanitizer, and nothing may be lost or left. */
static void test_reading_while_the_hub_writes(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *s =
        subscribe(&f, (struct subscriber_options){.queue_rows = 1000000, .batch_rows = 16, .markers = true});
    assert_int_equal(hub_start(f.hub), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reader, s), 0);
    for (uint64_t id = 1; id <= 200; id++)
        one_poll(&f, id, 3, 20);
    void *end;
    pthread_join(thread, &end);
    assert_int_equal((uintptr_t)end, 200);
    hub_stop(f.hub);
    struct subscriber_stats stats;
    subscriber_stats(s, &stats);
    assert_int_equal(stats.lost + stats.delivered, 200 * 60);
    teardown(&f, s);
}

static void test_outbox_is_bounded(void **state)
{
    (void)state;
    struct outbox o;
    struct rpc_message m;
    outbox_init(&o, 2, NULL, NULL);
    assert_int_equal(outbox_push(&o, "a", 1), 0);
    assert_int_equal(outbox_push(&o, NULL, 0), 0);
    assert_int_equal(outbox_push(&o, "c", 1), ERR_LIMIT);
    assert_true(outbox_next(&o, &m));
    assert_true(m.more);
    assert_int_equal(GRPC_SLICE_LENGTH(m.slices[0]), 1);
    grpc_slice_unref(m.slices[0]);
    assert_int_equal(outbox_push(&o, "d", 1), 0);
    outbox_fini(&o); /* frees what is left */
}

static void note(void *arg, enum health_status status)
{
    unsigned *seen = arg;
    *seen = *seen * 10 + (unsigned)status;
}

static void test_health(void **state)
{
    (void)state;
    static const char *const services[] = {"a.A", "b.B"};
    struct health *h = health_new(services, 2);
    unsigned known = 0;
    unsigned unknown = 0;
    assert_int_equal(health_get(h, ""), HEALTH_NOT_SERVING);
    assert_int_equal(health_get(h, "c.C"), HEALTH_SERVICE_UNKNOWN);
    assert_int_equal(health_watch(h, "b.B", note, &known), 0);
    assert_int_equal(health_watch(h, "c.C", note, &unknown), 0);
    health_set(h, HEALTH_SERVING);
    health_set(h, HEALTH_SERVING); /* no news */
    assert_int_equal(health_get(h, "a.A"), HEALTH_SERVING);
    health_unwatch(h, &known);
    health_set(h, HEALTH_NOT_SERVING);
    assert_int_equal(known, 10 * HEALTH_NOT_SERVING + HEALTH_SERVING);
    assert_int_equal(unknown, HEALTH_SERVICE_UNKNOWN);
    health_free(h);
}

/* The memory of streams that nobody reads is bounded for each user: further rows are lost, and told. Rows
 * that wait for several streams of a user count once. */
static void test_memory_of_queues(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    const struct quota_bound memory = {.max = 100000, .user_percent = 50};
    const struct subscriber_options options = {
        .queue_rows = 1000000, .batch_rows = 100, .markers = true, .queue_memory = memory};
    struct subscriber *a = subscribe(&f, options);
    struct subscriber *b = subscribe(&f, options);
    for (uint64_t id = 1; id <= 50; id++)
        one_poll(&f, id, 2, 20);
    run_hub(&f);
    uint64_t used = quota_used(f.call.quota, QUOTA_QUEUE_BYTES);
    assert_in_range(used, 25000, 50000);
    struct subscriber_stats stats;
    subscriber_stats(a, &stats);
    assert_true(stats.queued > 0 && stats.lost > 0);
    assert_int_equal(stats.queued + stats.lost, 50 * 2 * 20);
    /* Another user's stream has its own share. */
    struct quota_user *mine = f.call.quota;
    struct quota_user *other = f.call.quota = quota_user(f.quota, "uid 1001");
    struct subscriber *c = subscribe(&f, options);
    one_poll(&f, 51, 2, 20);
    run_hub(&f);
    subscriber_stats(c, &stats);
    assert_int_equal(stats.queued, 40);
    assert_int_equal(stats.lost, 0);
    hub_unsubscribe(f.hub, c);
    subscriber_unref(c);
    run_hub(&f);
    assert_int_equal(quota_used(other, QUOTA_QUEUE_BYTES), 0);
    f.call.quota = mine;
    quota_user_unref(other);
    /* When one of two streams is read, the rows wait for the other one still. */
    struct received r = {0};
    take_all(a, &r, UINT32_MAX);
    assert_true(quota_used(mine, QUOTA_QUEUE_BYTES) > 20000);
    hub_unsubscribe(f.hub, b);
    subscriber_unref(b);
    teardown(&f, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_of_queues),
        cmocka_unit_test(test_one_record_per_message_and_nothing_else),
        cmocka_unit_test(test_batches_and_markers),
        cmocka_unit_test(test_a_full_queue_loses_the_newest_and_says_so),
        cmocka_unit_test(test_a_subscriber_begins_with_a_whole_poll),
        cmocka_unit_test(test_on_demand_gets_its_polls_and_is_finished),
        cmocka_unit_test(test_held_back_is_told_to_those_it_concerns),
        cmocka_unit_test(test_on_demand_while_the_hub_is_behind),
        cmocka_unit_test(test_on_demand_further_behind_than_it_can_note),
        cmocka_unit_test(test_a_poll_that_did_not_come_about),
        cmocka_unit_test(test_markers_are_bounded),
        cmocka_unit_test(test_rows_of_an_ended_poll_are_dropped),
        cmocka_unit_test(test_rows_that_nobody_reads_are_let_go),
        cmocka_unit_test(test_the_hubs_own_queue_is_bounded),
        cmocka_unit_test(test_limit_of_subscribers),
        cmocka_unit_test(test_a_closed_hub_keeps_no_reference),
        cmocka_unit_test(test_work_is_done_by_the_hub),
        cmocka_unit_test(test_a_third_sink),
        cmocka_unit_test(test_reading_while_the_hub_writes),
        cmocka_unit_test(test_outbox_is_bounded),
        cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
