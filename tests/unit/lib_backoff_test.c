/* Backoff: bounds, growth, spread, and the system's random numbers at their edges. */
#include "lib_test.h"

#include <sys/random.h>

#include "lib/backoff.h"
#include "lib/clock.h"

ssize_t __real_getrandom(void *out, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t n, unsigned flags);

/* What getrandom(2) says. */
static enum { REAL, LEAST, GREATEST, NOT_YET } random_is;

ssize_t __wrap_getrandom(void *out, size_t n, unsigned flags)
{
    if (random_is == REAL)
        return __real_getrandom(out, n, flags);
    if (random_is == NOT_YET) {
        errno = EAGAIN;
        return -1;
    }
    assert_int_equal(n, sizeof(uint64_t));
    memset(out, random_is == LEAST ? 0 : 0xff, n);
    return (ssize_t)n;
}

static int put_back_random(void **state)
{
    (void)state;
    random_is = REAL;
    return 0;
}

/* Expects the next |n| pauses of |b| to be |bounds|, as they are when each is the longest. */
static void expect_bounds(struct backoff *b, const int64_t *bounds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(backoff_next(b), bounds[i]);
}

static void test_bounds_double(void **state)
{
    (void)state;
    static const int64_t seconds[] = {NS_PER_S,      2 * NS_PER_S,  4 * NS_PER_S,
                                      8 * NS_PER_S,  16 * NS_PER_S, 32 * NS_PER_S,
                                      60 * NS_PER_S, 60 * NS_PER_S, 60 * NS_PER_S};
    static const int64_t small[] = {1, 2, 4, 5, 5};
    static const int64_t even[] = {1, 2, 4, 8, 8};
    static const int64_t cap_first[] = {3, 3, 3};
    struct backoff b;
    random_is = GREATEST;
    backoff_init(&b, NS_PER_S, 60 * NS_PER_S);
    expect_bounds(&b, seconds, COUNT(seconds));
    backoff_reset(&b);
    expect_bounds(&b, seconds, COUNT(seconds));
    backoff_init(&b, 1, 5);
    expect_bounds(&b, small, COUNT(small));
    backoff_init(&b, 1, 8);
    expect_bounds(&b, even, COUNT(even));
    backoff_init(&b, 7, 3);
    expect_bounds(&b, cap_first, COUNT(cap_first));
    random_is = NOT_YET;
    backoff_init(&b, NS_PER_S, 60 * NS_PER_S);
    expect_bounds(&b, seconds, COUNT(seconds));
    random_is = LEAST;
    for (int i = 0; i < 10; i++)
        assert_int_equal(backoff_next(&b), 0);
}

static void test_no_overflow(void **state)
{
    (void)state;
    struct backoff b;
    random_is = GREATEST;
    backoff_init(&b, 1, INT64_MAX);
    int64_t last = 0;
    for (int i = 0; i < 63; i++) {
        int64_t bound = backoff_next(&b);
        assert_true(bound > last);
        last = bound;
    }
    for (int i = 0; i < 1000; i++)
        assert_true(backoff_next(&b) == INT64_MAX);
    backoff_init(&b, INT64_MAX, INT64_MAX);
    assert_true(backoff_next(&b) == INT64_MAX);
    assert_true(backoff_next(&b) == INT64_MAX);
}

#define ROUNDS 4000
#define PARTS  10

/* Pauses at the cap fall evenly into the ten parts of the whole time: with 4,000 of them a part has 400, and 19 more or
 * less at random; 160 is eight times that. */
static void test_spread(void **state)
{
    (void)state;
    unsigned counts[PARTS] = {0};
    struct backoff b;
    backoff_init(&b, 60 * NS_PER_S, 60 * NS_PER_S);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t pause = backoff_next(&b);
        assert_true(pause >= 0 && pause <= 60 * NS_PER_S);
        counts[pause == 60 * NS_PER_S ? PARTS - 1 : pause / (6 * NS_PER_S)]++;
    }
    for (size_t i = 0; i < PARTS; i++)
        assert_in_range(counts[i], ROUNDS / PARTS - 160, ROUNDS / PARTS + 160);
}

/* Both ends belong to the range: of 0 to 3, each comes up. */
static void test_ends(void **state)
{
    (void)state;
    bool seen[4] = {false};
    struct backoff b;
    backoff_init(&b, 3, 3);
    for (int i = 0; i < 1000; i++) {
        int64_t pause = backoff_next(&b);
        assert_in_range(pause, 0, 3);
        seen[pause] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void test_two_differ(void **state)
{
    (void)state;
    struct backoff a, b;
    bool differ = false;
    backoff_init(&a, NS_PER_S, 60 * NS_PER_S);
    backoff_init(&b, NS_PER_S, 60 * NS_PER_S);
    for (int i = 0; i < 8; i++)
        differ = backoff_next(&a) != backoff_next(&b) || differ;
    assert_true(differ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_bounds_double, put_back_random),
        cmocka_unit_test_teardown(test_no_overflow, put_back_random),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_two_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
