/* Batches: their contents, their references, their memory. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/wire.h"
#include "record/batch.h"
#include "record/envelope.h"

static struct record_frame frame;

static int make_frame(void **state)
{
    (void)state;
    struct record_context c = {.netns = "blue", .hostname = "host", .groups = GROUPS_DEFAULT};
    return record_frame_init(&frame, &c);
}

static struct batch_pool_stats stats_of(struct batch_pool *pool)
{
    struct batch_pool_stats stats;
    batch_pool_stats(pool, &stats);
    return stats;
}

/* Appends a socket with this source port; false when the batch is full. */
static bool append(struct batch *b, uint16_t sport, uint64_t counter)
{
    struct inet_diag_msg msg = {.idiag_family = AF_INET6, .idiag_state = 10, .id.idiag_sport = htons(sport)};
    msg.id.idiag_dport = htons(443);
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&msg, .len[PART_MSG] = sizeof(msg)};
    return batch_append(b, &frame, &s, counter);
}

static void expect_rows(const struct batch *b, uint32_t rows)
{
    struct wire w = wire_over(b->bytes, b->len);
    const uint8_t *record;
    size_t n;
    assert_int_equal(b->rows, rows);
    for (uint32_t i = 0; i < rows; i++) {
        assert_ptr_equal(w.at, b->bytes + b->index[i].offset);
        assert_int_equal(envelope_next(&w, &record, &n), 1);
        assert_int_equal(b->index[i].sport, i % 60000);
        assert_int_equal(b->index[i].dport, 443);
        assert_int_equal(b->index[i].family, AF_INET6);
        assert_int_equal(b->index[i].state, 10);
        assert_true(b->index[i].match == UINT64_MAX); /* nobody said that it does not */
    }
    assert_int_equal(envelope_next(&w, &record, &n), 0);
}

static void full_batch(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(2);
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    uint32_t rows = 0;
    while (append(b, (uint16_t)rows, rows))
        rows++;
    assert_true(rows > 100);
    assert_true(rows == BATCH_ROWS || BATCH_BYTES - b->len < RECORD_ROW_MAX);
    assert_false(append(b, 1, 1));
    expect_rows(b, rows);
    assert_ptr_equal(batch_seal(b), b); /* well filled: stays as it is */
    batch_unref(b);
    assert_int_equal(stats_of(pool).out, 0);
    batch_pool_free(pool);
}

static void sparse_batch_shrinks(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(2);
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    b->poll_id = 5;
    b->netns_cookie = 6;
    b->netns_id = 7;
    for (uint16_t i = 0; i < 3; i++)
        assert_true(append(b, i, i));
    struct batch *sealed = batch_seal(b);
    assert_ptr_not_equal(sealed, b);
    assert_int_equal(sealed->bytes_cap, sealed->len);
    assert_true(sealed->poll_id == 5 && sealed->netns_cookie == 6 && sealed->netns_id == 7);
    expect_rows(sealed, 3);
    assert_int_equal(stats_of(pool).out, 1);
    batch_ref(sealed);
    batch_unref(sealed);
    assert_int_equal(stats_of(pool).out, 1);
    batch_unref(sealed);
    assert_int_equal(stats_of(pool).out, 0);

    struct batch *empty = batch_seal(batch_new(pool));
    expect_rows(empty, 0);
    batch_unref(empty);
    batch_unref(NULL);
    batch_pool_free(pool);
}

/* The filters that a row matches stay with it. */
static void matches(void **state)
{
    (void)state;
    struct inet_diag_msg msg = {.idiag_family = AF_INET};
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&msg, .len[PART_MSG] = sizeof(msg)};
    struct batch_pool *pool = batch_pool_new(1);
    struct batch *b = batch_new(pool);
    for (unsigned i = 0; i < 64; i++)
        assert_true(batch_append_match(b, &frame, &s, i, UINT64_C(1) << i));
    b = batch_seal(b);
    assert_int_equal(b->rows, 64);
    for (unsigned i = 0; i < 64; i++)
        assert_true(b->index[i].match == UINT64_C(1) << i);
    batch_unref(b);
    batch_pool_free(pool);
}

static void short_answer(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(1);
    struct batch *b = batch_new(pool);
    const uint8_t two[2] = {2, 1};
    struct record_source s = {.data[PART_MSG] = two, .len[PART_MSG] = sizeof(two)};
    struct record_source none = {0};
    assert_true(batch_append(b, &frame, &s, 0));
    assert_true(batch_append(b, &frame, &none, 1));
    assert_int_equal(b->index[0].family, 2);
    assert_int_equal(b->index[0].state, 1);
    assert_int_equal(b->index[0].sport, 0);
    assert_int_equal(b->index[1].family, 0);
    batch_unref(b);
    batch_pool_free(pool);
}

static void pool_keeps_no_more_than_told(void **state)
{
    (void)state;
    enum { MANY = 32, KEEP = 3 };
    struct batch_pool *pool = batch_pool_new(KEEP);
    struct batch *all[MANY];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            assert_non_null(all[i] = batch_new(pool));
        assert_int_equal(stats_of(pool).out, MANY);
        uint64_t one = stats_of(pool).bytes / MANY;
        assert_true(one >= BATCH_BYTES && one < 2 * BATCH_BYTES);
        for (int i = 0; i < MANY; i++)
            batch_unref(all[i]);
        assert_int_equal(stats_of(pool).out, 0);
        assert_int_equal(stats_of(pool).bytes, KEEP * one);
    }
    struct batch *again = batch_new(pool); /* a used one is empty again */
    assert_int_equal(again->rows, 0);
    assert_int_equal(again->len, 0);
    assert_int_equal(again->poll_id, 0);
    assert_int_equal(stats_of(pool).bytes, KEEP * (stats_of(pool).bytes / KEEP));
    batch_unref(again);
    batch_pool_free(pool);

    pool = batch_pool_new(0);
    batch_unref(batch_new(pool));
    assert_int_equal(stats_of(pool).bytes, 0);
    batch_pool_free(pool);
    batch_pool_free(NULL);
}

/* One thread fills batches and passes each to all readers, which look at it and let it go: memory must stay
 * at what is under way, and no byte may be written under a reader's eyes (the thread sanitizer watches). */
enum { READERS = 4, BATCHES = 400, QUEUE = 8 };

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *items[QUEUE];
    unsigned head, count;
    uint64_t rows;
};

static struct queue queues[READERS];

static void queue_push(struct queue *q, struct batch *b)
{
    pthread_mutex_lock(&q->lock);
    while (q->count == QUEUE)
        pthread_cond_wait(&q->changed, &q->lock);
    q->items[(q->head + q->count++) % QUEUE] = b;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static struct batch *queue_pop(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->count == 0)
        pthread_cond_wait(&q->changed, &q->lock);
    struct batch *b = q->items[q->head];
    q->head = (q->head + 1) % QUEUE;
    q->count--;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return b;
}

static void *read_batches(void *arg)
{
    struct queue *q = arg;
    for (struct batch *b; (b = queue_pop(q)) != NULL; batch_unref(b)) {
        int64_t rows = envelope_count(b->bytes, b->len);
        q->rows += rows == (int64_t)b->rows ? (uint64_t)rows : 0;
    }
    return NULL;
}

static void shared_by_threads(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(4);
    pthread_t threads[READERS];
    uint64_t rows = 0;
    uint64_t most = 0;
    for (int i = 0; i < READERS; i++) {
        pthread_mutex_init(&queues[i].lock, NULL);
        pthread_cond_init(&queues[i].changed, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, read_batches, &queues[i]), 0);
    }
    for (int n = 0; n < BATCHES; n++) {
        struct batch *b = batch_new(pool);
        assert_non_null(b);
        for (uint32_t i = 0; (n % 3 == 0 || i < 5) && append(b, (uint16_t)i, i); i++)
            ;
        rows += b->rows;
        b = batch_seal(b);
        for (int i = 0; i < READERS; i++)
            queue_push(&queues[i], batch_ref(b));
        batch_unref(b);
        struct batch_pool_stats stats = stats_of(pool);
        most = stats.bytes > most ? stats.bytes : most;
    }
    for (int i = 0; i < READERS; i++) {
        queue_push(&queues[i], NULL);
        pthread_join(threads[i], NULL);
        assert_int_equal(queues[i].rows, rows);
        pthread_mutex_destroy(&queues[i].lock);
        pthread_cond_destroy(&queues[i].changed);
    }
    /* under way: what the queues hold, one with each reader and one with the writer; and those kept */
    assert_true(most <= (READERS * (QUEUE + 1) + 1 + 4) * (uint64_t)(BATCH_BYTES + 16384));
    assert_int_equal(stats_of(pool).out, 0);
    batch_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_batch),
        cmocka_unit_test(sparse_batch_shrinks),
        cmocka_unit_test(matches),
        cmocka_unit_test(short_answer),
        cmocka_unit_test(pool_keeps_no_more_than_told),
        cmocka_unit_test(shared_by_threads),
    };
    return cmocka_run_group_tests_name("record_batch", tests, make_frame, NULL);
}
