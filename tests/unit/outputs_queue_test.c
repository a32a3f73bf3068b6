/* outputs/queue.c: order, ownership, and what is dropped when there is no room. */
#include "lib_test.h"

#include <linux/inet_diag.h>
#include <pthread.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "outputs/queue.h"

static struct batch_pool *pool;
static struct record_frame frame;

/* A sealed batch of the poll |poll_id| with |rows| rows. */
static struct batch *make_batch(uint64_t poll_id, uint32_t rows)
{
    struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&msg, .len[PART_MSG] = sizeof(msg)};
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    b->poll_id = poll_id;
    for (uint32_t i = 0; i < rows; i++)
        assert_true(batch_append(b, &frame, &s, i));
    return batch_seal(b);
}

/* The bytes that a batch of |rows| rows counts for in a queue: its memory, and a little more. */
static uint64_t cost_of(uint32_t rows)
{
    struct output_queue *q;
    struct output_queue_stats stats;
    struct batch_pool_stats memory;
    struct batch_pool *others = pool;
    pool = batch_pool_new(0);
    struct batch *b = make_batch(1, rows);
    assert_int_equal(output_queue_new(UINT64_MAX, false, &q), 0);
    assert_true(output_queue_put_rows(q, b, 0, rows));
    output_queue_stats(q, &stats);
    batch_pool_stats(pool, &memory);
    assert_in_range(stats.bytes - memory.bytes, sizeof(struct queue_item), 4 * sizeof(struct queue_item));
    output_queue_free(q);
    batch_unref(b);
    batch_pool_free(pool);
    pool = others;
    return stats.bytes;
}

static struct output_queue *new_queue(uint64_t bytes_max, bool drop_newest)
{
    struct output_queue *q;
    assert_int_equal(output_queue_new(bytes_max, drop_newest, &q), 0);
    return q;
}

/* Puts in the rows of a poll, as a batch of their own. */
static bool put(struct output_queue *q, uint64_t poll_id, uint32_t rows)
{
    struct batch *b = make_batch(poll_id, rows);
    bool kept = output_queue_put_rows(q, b, 0, rows);
    batch_unref(b);
    return kept;
}

static void expect_rows(struct output_queue *q, uint64_t poll_id, uint32_t rows)
{
    struct queue_item item;
    assert_true(output_queue_take(q, &item));
    assert_non_null(item.batch);
    assert_int_equal(item.poll_id, poll_id);
    assert_int_equal(item.batch->poll_id, poll_id);
    assert_int_equal(item.end - item.row, rows);
    batch_unref(item.batch);
}

static void expect_end(struct output_queue *q, uint64_t poll_id)
{
    struct queue_item item;
    assert_true(output_queue_take(q, &item));
    assert_null(item.batch);
    assert_int_equal(item.poll_id, poll_id);
}

static struct output_queue_stats stats_of(struct output_queue *q)
{
    struct output_queue_stats stats;
    output_queue_stats(q, &stats);
    return stats;
}

static void expect_empty(struct output_queue *q)
{
    struct queue_item item = {.batch = (struct batch *)&frame};
    assert_false(output_queue_take(q, &item));
    assert_null(item.batch);
    assert_int_equal(stats_of(q).rows, 0);
    assert_int_equal(stats_of(q).bytes, 0);
    assert_int_equal(stats_of(q).oldest_ns, 0);
}

static int setup(void **state)
{
    (void)state;
    const struct record_context c = {.netns = "blue", .hostname = "host", .groups = GROUPS_DEFAULT};
    pool = batch_pool_new(0);
    return pool ? record_frame_init(&frame, &c) : -1;
}

/* Every reference has been given back, unless the test has failed: then the memory is left behind. */
static int teardown(void **state)
{
    (void)state;
    struct batch_pool_stats stats;
    batch_pool_stats(pool, &stats);
    if (stats.out > 0)
        return -1;
    batch_pool_free(pool);
    return 0;
}

static void test_order(void **state)
{
    (void)state;
    struct queue_item item;
    struct output_queue *q = new_queue(1 << 20, false);
    expect_empty(q);
    int64_t before_ns = clock_wall_ns();
    struct batch *b = make_batch(7, 10);
    assert_true(output_queue_put_rows(q, b, 2, 5));
    assert_true(output_queue_put_rows(q, b, 5, 5)); /* nothing */
    assert_true(output_queue_put_rows(q, b, 9, 10));
    output_queue_put_end(q, 7);
    assert_true(put(q, 8, 3));
    output_queue_put_end(q, 8);
    assert_int_equal(b->refs, 3);
    assert_int_equal(stats_of(q).rows, 7);
    assert_in_range(stats_of(q).oldest_ns, before_ns, clock_wall_ns());

    assert_true(output_queue_take(q, &item));
    assert_true(item.batch == b && item.row == 2 && item.end == 5 && item.poll_id == 7);
    assert_in_range(item.time_ns, before_ns, clock_wall_ns());
    assert_int_equal(b->refs, 3); /* the reference has moved */
    batch_unref(item.batch);
    batch_unref(b);
    expect_rows(q, 7, 1);
    expect_end(q, 7);
    expect_rows(q, 8, 3);
    assert_true(stats_of(q).oldest_ns >= before_ns); /* an end waits, too */
    expect_end(q, 8);
    expect_empty(q);
    assert_int_equal(stats_of(q).rows_dropped, 0);
    put(q, 9, 1);
    output_queue_put_end(q, 9);
    output_queue_free(q);
    output_queue_free(NULL);
}

static void test_drop_oldest(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(5);
    struct output_queue *q = new_queue(3 * cost, false);
    for (uint64_t poll = 1; poll <= 10; poll++) {
        assert_true(put(q, poll, 5));
        output_queue_put_end(q, poll);
        assert_true(stats_of(q).bytes <= 3 * cost);
    }
    assert_int_equal(stats_of(q).rows, 15);
    assert_int_equal(stats_of(q).rows_dropped, 35);
    assert_int_equal(stats_of(q).bytes, 3 * cost);
    for (uint64_t poll = 8; poll <= 10; poll++) { /* the ends of the others have gone with their rows */
        expect_rows(q, poll, 5);
        expect_end(q, poll);
    }
    expect_empty(q);
    output_queue_free(q);
}

/* One large part takes the room of several small ones, and no more of them than that. */
static void test_drop_as_many_as_needed(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(1);
    struct output_queue *q = new_queue(10 * cost, false);
    for (uint64_t poll = 1; poll <= 10; poll++)
        assert_true(put(q, poll, 1));
    uint32_t rows = 2;
    while (cost_of(rows) <= 2 * cost)
        rows++;
    assert_true(put(q, 11, rows)); /* as large as between two and three of them */
    assert_int_equal(stats_of(q).rows_dropped, 3);
    expect_rows(q, 4, 1);
    output_queue_free(q);
}

static void test_larger_than_the_queue(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(5);
    for (int newest = 0; newest < 2; newest++) {
        struct output_queue *q = new_queue(cost, newest);
        assert_true(put(q, 1, 5));
        assert_false(put(q, 2, 6));
        assert_int_equal(stats_of(q).rows_dropped, 6);
        expect_rows(q, 1, 5); /* it has not made room for what could not have it */
        output_queue_set_bounds(q, 0, newest);
        assert_false(put(q, 3, 1));
        expect_empty(q);
        output_queue_free(q);
    }
}

static void test_drop_newest(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(5);
    struct output_queue *q = new_queue(2 * cost + cost / 2, true);
    assert_true(put(q, 1, 5));
    output_queue_put_end(q, 1);
    assert_true(put(q, 2, 5));
    assert_false(put(q, 2, 5));
    output_queue_put_end(q, 2);
    assert_false(put(q, 3, 5));
    output_queue_put_end(q, 3);
    assert_int_equal(stats_of(q).rows_dropped, 10);
    expect_rows(q, 1, 5);
    assert_true(put(q, 4, 5));
    expect_end(q, 1);
    expect_rows(q, 2, 5);
    expect_end(q, 2);
    expect_end(q, 3);
    expect_rows(q, 4, 5);
    expect_empty(q);
    output_queue_free(q);
}

/* Whoever took rows of a poll is told its end, though the others of its rows are dropped. */
static void test_awaited_end(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(5);
    struct output_queue *q = new_queue(2 * cost, false);
    put(q, 1, 5);
    put(q, 1, 5);
    output_queue_put_end(q, 1);
    expect_rows(q, 1, 5);
    for (uint64_t poll = 2; poll <= 5; poll++) {
        put(q, poll, 5);
        put(q, poll, 5);
        output_queue_put_end(q, poll);
    }
    expect_end(q, 1);
    expect_rows(q, 5, 5);
    expect_rows(q, 5, 5);
    expect_end(q, 5);
    expect_empty(q);
    output_queue_free(q);
}

/* Polls without rows do not fill the memory, however long nobody takes their ends. */
static void test_many_ends(void **state)
{
    (void)state;
    enum { MANY = 10000, MOST = 20 };
    for (int newest = 0; newest < 2; newest++) {
        struct output_queue *q = new_queue(3 * cost_of(5), newest);
        struct queue_item item;
        uint64_t poll = 1;
        put(q, poll, 5);
        expect_rows(q, poll, 5); /* its end is awaited */
        for (int i = 0; i < MANY; i++) {
            if (i % 10 == 0)
                put(q, poll, 5);
            output_queue_put_end(q, poll++);
        }
        unsigned ends = 0;
        uint64_t last = 0;
        bool awaited = false;
        while (output_queue_take(q, &item)) {
            ends += !item.batch;
            awaited = awaited || (!item.batch && item.poll_id == 1);
            assert_true(item.poll_id >= last);
            last = item.poll_id;
            batch_unref(item.batch);
        }
        assert_true(awaited);
        assert_in_range(ends, 3, MOST);
        assert_int_equal(last, poll - 1); /* the newest one is there */
        expect_empty(q);
        output_queue_put_end(q, poll);
        expect_end(q, poll);
        expect_empty(q);
        output_queue_free(q);
    }
}

static void test_new_bounds(void **state)
{
    (void)state;
    const uint64_t cost = cost_of(5);
    struct output_queue *q = new_queue(4 * cost, true);
    for (uint64_t poll = 1; poll <= 4; poll++)
        assert_true(put(q, poll, 5));
    output_queue_set_bounds(q, 2 * cost, true);
    assert_int_equal(stats_of(q).rows, 20);
    assert_false(put(q, 5, 5));
    output_queue_set_bounds(q, 2 * cost, false);
    assert_true(put(q, 6, 5));
    assert_int_equal(stats_of(q).rows_dropped, 20);
    expect_rows(q, 4, 5);
    expect_rows(q, 6, 5);
    expect_empty(q);
    output_queue_free(q);
}

/* ---- Threads ---- */

enum { POLLS = 2000, PARTS = 5 };

static _Atomic bool done;

struct writer {
    uint32_t rows;
    struct output_queue *q;
};

static void *write_polls(void *arg)
{
    struct writer *w = arg;
    for (uint64_t poll = 1; poll <= POLLS; poll++) {
        for (uint32_t i = 1; i <= PARTS; i++) {
            put(w->q, poll, i);
            w->rows += i;
        }
        output_queue_put_end(w->q, poll);
    }
    done = true;
    return NULL;
}

/* One puts in, one takes out: each row is either taken or counted, and the order is kept. */
static void test_threads(void **state)
{
    (void)state;
    const uint64_t most = 10 * cost_of(3);
    for (int newest = 0; newest < 2; newest++) {
        struct writer w = {.q = new_queue(most, newest)};
        struct queue_item item;
        pthread_t thread;
        uint64_t taken = 0;
        uint64_t last = 0;
        done = false;
        assert_int_equal(pthread_create(&thread, NULL, write_polls, &w), 0);
        for (bool more = true; more;) {
            more = !done;
            while (output_queue_take(w.q, &item)) {
                taken += item.end - item.row;
                assert_true(item.poll_id >= last);
                last = item.poll_id;
                batch_unref(item.batch);
            }
            assert_true(stats_of(w.q).bytes <= most);
        }
        pthread_join(thread, NULL);
        assert_int_equal(taken + stats_of(w.q).rows_dropped, w.rows);
        assert_int_equal(w.rows, POLLS * PARTS * (PARTS + 1) / 2);
        assert_true(taken > 0);
        expect_empty(w.q);
        output_queue_free(w.q);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_drop_oldest),
        TEST(test_drop_as_many_as_needed),
        TEST(test_larger_than_the_queue),
        TEST(test_drop_newest),
        TEST(test_awaited_end),
        TEST(test_many_ends),
        TEST(test_new_bounds),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
