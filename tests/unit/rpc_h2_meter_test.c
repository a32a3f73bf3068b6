/* The meter of HTTP/2 frames, and the budgets that they are charged to. */
#include "rpc_test.h"

#include "lib/clock.h"
#include "rpc/server/budget.h"
#include "rpc/server/h2_meter.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t size)
{
    const uint8_t header[H2_HEADER_SIZE] = {
        (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, type, flags, 0, 0, 0, 1};
    buf_bytes(b, header, sizeof(header));
    for (uint32_t i = 0; i < size; i++)
        buf_char(b, (char)i);
}

/* One frame of each kind, some with acknowledgements, an unknown one, and a large one. */
static void put_all(struct buf *b)
{
    buf_str(b, PREFACE);
    for (unsigned type = H2_DATA; type <= H2_CONTINUATION; type++)
        put_frame(b, (uint8_t)type, 0, type);
    put_frame(b, H2_SETTINGS, 1, 0);
    put_frame(b, H2_PING, 1, 8);
    put_frame(b, H2_HEADERS, 1, 5); /* END_STREAM is no acknowledgement */
    put_frame(b, 0x42, 1, 300);
    put_frame(b, H2_DATA, 0, 70000);
    put_frame(b, H2_WINDOW_UPDATE, 0, 4);
}

static const struct h2_count all = {
    .frames = 16, .calls = 2, .resets = 1, .answers = 4, .costly = 6, .data = 70000};

static void assert_count(const struct h2_count *found, const struct h2_count *expected)
{
    assert_int_equal(found->frames, expected->frames);
    assert_int_equal(found->calls, expected->calls);
    assert_int_equal(found->resets, expected->resets);
    assert_int_equal(found->answers, expected->answers);
    assert_int_equal(found->costly, expected->costly);
    assert_int_equal(found->data, expected->data);
}

static void test_kinds(void **state)
{
    (void)state;
    struct buf b;
    struct h2_meter m = {0};
    struct h2_count found = {0};
    buf_init(&b);
    put_all(&b);
    h2_meter_read(&m, (const uint8_t *)b.data, b.len, &found);
    assert_count(&found, &all);
    assert_int_equal(m.left, 0);
    assert_int_equal(m.head, 0);
    buf_free(&b);
}

/* Wherever the bytes are cut, the same is counted. */
static void test_cuts(void **state)
{
    (void)state;
    struct buf b;
    uint64_t random = 7;
    buf_init(&b);
    put_all(&b);
    for (int round = 0; round < 200; round++) {
        struct h2_meter m = {0};
        struct h2_count found = {0};
        for (size_t at = 0; at < b.len;) {
            size_t n = 1 + next_random(&random) % (round < 100 ? 20 : 20000);
            if (n > b.len - at)
                n = b.len - at;
            h2_meter_read(&m, (const uint8_t *)b.data + at, n, &found);
            at += n;
        }
        assert_count(&found, &all);
    }
    buf_free(&b);
}

/* A frame counts as soon as its header is there; what its length says is skipped, however much it is. */
static void test_lengths(void **state)
{
    (void)state;
    static const uint8_t huge[] = {0xff, 0xff, 0xff, H2_DATA, 0, 0, 0, 0, 1};
    struct h2_meter m = {.preface = H2_PREFACE_SIZE};
    struct h2_count found = {0};
    h2_meter_read(&m, huge, sizeof(huge) - 1, &found);
    assert_int_equal(found.frames, 0);
    h2_meter_read(&m, huge + sizeof(huge) - 1, 1, &found);
    assert_int_equal(found.frames, 1);
    assert_int_equal(found.data, 0); /* nothing of it has come */
    assert_int_equal(m.left, 0xffffff);
    h2_meter_read(&m, huge, sizeof(huge), &found);
    assert_int_equal(found.data, sizeof(huge));
}

/* A header block that goes on, by its bytes or by its frames, is noticed before it is over; others are not.
 */
static void test_header_blocks(void **state)
{
    (void)state;
    static const struct {
        unsigned parts;
        uint32_t size; /* of each */
        bool endless;
    } cases[] = {{0, 100, false},   {1, 8000, false}, {8, 100, false}, {9, 0, true},
                 {0, 16384, false}, {0, 16385, true}, {1, 8193, true}, {3, 16384, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b;
        struct h2_meter m = {.preface = H2_PREFACE_SIZE};
        struct h2_count found = {0};
        buf_init(&b);
        for (unsigned twice = 0; twice < 2; twice++) {
            put_frame(&b, H2_HEADERS, 0, cases[i].size);
            for (unsigned n = 0; n < cases[i].parts; n++)
                put_frame(&b, H2_CONTINUATION, 0, cases[i].size);
        }
        h2_meter_read(&m, (const uint8_t *)b.data, b.len, &found);
        assert_int_equal(found.endless, cases[i].endless);
        buf_free(&b);
    }
}

static const struct budget_limit limits[BUDGET_KINDS] = {[BUDGET_CALLS] = {100, 200},
                                                         [BUDGET_FRAMES] = {1000, 1000},
                                                         [BUDGET_BYTES] = {1e6, 1e6},
                                                         [BUDGET_DATA] = {1e6, 1e6}};

static void test_budget(void **state)
{
    (void)state;
    struct budget b;
    enum budget_kind kind = BUDGET_KINDS;
    budget_init(&b, limits, NS_PER_S);
    assert_int_equal(budget_wait(&b, limits, &kind), 0);
    assert_true(budget_has(&b, limits, 1));
    b.have[BUDGET_CALLS] -= 201;
    /* one call too many: it takes a hundredth of a second, and a moment more for some to spend */
    int64_t wait = budget_wait(&b, limits, &kind);
    assert_int_equal(kind, BUDGET_CALLS);
    assert_in_range(wait, 15 * NS_PER_MS, 25 * NS_PER_MS);
    budget_refill(&b, limits, NS_PER_S + wait);
    assert_int_equal(budget_wait(&b, limits, &kind), 0);
    assert_false(budget_has(&b, limits, 0.5));
    /* Time that goes backwards takes nothing; much time fills, and no more than that. */
    budget_refill(&b, limits, 0);
    budget_refill(&b, limits, 1000 * NS_PER_S);
    assert_true(budget_has(&b, limits, 1));
    assert_true(b.have[BUDGET_CALLS] <= 200);
    /* The longest wait counts. */
    b.have[BUDGET_CALLS] = -10;
    b.have[BUDGET_DATA] = -1e6;
    wait = budget_wait(&b, limits, &kind);
    assert_int_equal(kind, BUDGET_DATA);
    assert_in_range(wait, NS_PER_S, 2 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_cuts),   cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_header_blocks), cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
