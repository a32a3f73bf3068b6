/* server/schedule.c: when polls begin. Times are small numbers: the schedule knows no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/governor.h"
#include "server/reconcile.h"
#include "server/schedule.h"

static void expect_begin(struct schedule *s, int64_t now, uint64_t id, enum stream_trigger trigger)
{
    uint64_t got_id = 0;
    enum stream_trigger got = STREAM_TRIGGER_UNSPECIFIED;
    assert_true(schedule_begin(s, now, &got_id, &got));
    assert_int_equal(got_id, id);
    assert_int_equal(got, trigger);
}

static void expect_none(struct schedule *s, int64_t now)
{
    uint64_t id;
    enum stream_trigger trigger;
    assert_false(schedule_begin(s, now, &id, &trigger));
}

static void test_first_poll_waits_until_opened(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_request(&s);
    expect_none(&s, 1000);
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, STREAM_TRIGGER_REQUEST);
}

static void test_regular_polls_do_not_drift(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1003, 1, STREAM_TRIGGER_START);
    schedule_end(&s);
    expect_none(&s, 1099);
    assert_int_equal(schedule_next(&s), 1100);
    expect_begin(&s, 1117, 2, STREAM_TRIGGER_SCHEDULE);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 1200);
    assert_int_equal(s.late, 0);
}

static void test_a_long_poll_delays_the_next_and_is_counted(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, STREAM_TRIGGER_START);
    expect_none(&s, 1350); /* never two at once */
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_end(&s);
    expect_begin(&s, 1350, 2, STREAM_TRIGGER_SCHEDULE);
    assert_int_equal(s.late, 2);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 1400);
}

static void test_requests_during_a_poll_become_one(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, STREAM_TRIGGER_START);
    assert_int_equal(schedule_request(&s), 2);
    assert_int_equal(schedule_request(&s), 2);
    expect_none(&s, 1010);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 0);
    expect_begin(&s, 1020, 2, STREAM_TRIGGER_REQUEST);
    schedule_end(&s);
    expect_none(&s, 1030);
    assert_int_equal(schedule_next(&s), 1100); /* the rhythm is the old one */
}

static void test_burst(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 1000, 1);
    schedule_open(&s, 0);
    expect_begin(&s, 0, 1, STREAM_TRIGGER_START);
    schedule_end(&s);
    assert_true(schedule_burst(&s, 3, 10, false, 100));
    assert_false(schedule_burst(&s, 5, 10, false, 100));
    assert_true(s.burst_polls == 3 && s.burst_left == 3);
    expect_begin(&s, 100, 2, STREAM_TRIGGER_BURST);
    assert_true(s.burst_polls == 3 && s.burst_left == 2);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 110);
    expect_begin(&s, 110, 3, STREAM_TRIGGER_BURST);
    schedule_end(&s);
    assert_true(schedule_burst(&s, 2, 20, true, 115)); /* takes the place of the last one */
    assert_int_equal(s.burst_polls, 2);
    expect_begin(&s, 115, 4, STREAM_TRIGGER_BURST);
    schedule_end(&s);
    assert_int_equal(schedule_cancel_burst(&s), 1);
    assert_int_equal(schedule_cancel_burst(&s), 0);
    expect_none(&s, 500);
    assert_int_equal(schedule_next(&s), 1000);
}

static void test_frequency_change(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 1000, 1);
    schedule_set_frequency(&s, 2000, 5); /* not open yet: nothing is due */
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_open(&s, 10);
    expect_begin(&s, 10, 1, STREAM_TRIGGER_START);
    schedule_end(&s);
    schedule_set_frequency(&s, 100, 50);
    assert_int_equal(schedule_next(&s), 110);
    schedule_set_frequency(&s, 10, 50); /* was due at 20 under the new interval */
    assert_int_equal(schedule_next(&s), 50);
    schedule_set_frequency(&s, 5000, 60);
    assert_int_equal(schedule_next(&s), 5040);
}

static void test_frequency_under_a_stretch(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, STREAM_TRIGGER_START);
    schedule_end(&s);
    schedule_stretch(&s, 400);
    schedule_set_frequency(&s, 50, 1010); /* the governor's interval stays in force */
    assert_int_equal(schedule_next(&s), 1400);
}

static void test_governor(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    assert_true(schedule_stretch(&s, 400)); /* before the first poll: nothing is due to be moved */
    assert_true(schedule_stretch(&s, 0));
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, STREAM_TRIGGER_START);
    assert_false(schedule_stretch(&s, 90)); /* the frequency is slower than that */
    assert_int_equal(schedule_interval(&s), 100);
    assert_true(schedule_stretch(&s, 300));
    assert_int_equal(schedule_interval(&s), 300);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 1300);
    schedule_request(&s); /* asked for: not held back */
    expect_begin(&s, 1100, 2, STREAM_TRIGGER_REQUEST);
    schedule_end(&s);
    expect_begin(&s, 1300, 3, STREAM_TRIGGER_SCHEDULE);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 1600);
    assert_true(schedule_stretch(&s, 0)); /* the old rhythm from the next poll on */
    expect_begin(&s, 1600, 4, STREAM_TRIGGER_SCHEDULE);
    schedule_end(&s);
    assert_int_equal(schedule_next(&s), 1700);
    assert_int_equal(s.late, 0);
}

static void test_governor_counts_cpu_per_poll(void **state)
{
    (void)state;
    struct governor g = {0};
    assert_int_equal(governor_step(&g, 1000, 500, 10), 0); /* the first one has nothing to compare with */
    assert_true(governor_percent(&g) == 0);
    assert_int_equal(governor_step(&g, 2000, 600, 10), 1000); /* 100 of CPU: 10 % of 1000 */
    assert_true(governor_percent(&g) > 9.99 && governor_percent(&g) < 10.01);
    assert_int_equal(governor_step(&g, 3000, 700, 0), 0); /* no limit */
    int64_t least = governor_step(&g, 4000, 1700, 10);    /* one peak */
    assert_true(least > 1000 && least < 5000);
    for (int i = 0; i < 40; i++)
        least = governor_step(&g, 5000 + i * 1000, 1800 + i * 100, 10);
    assert_true(least >= 1000 && least < 1010); /* forgotten */
}

static void test_jitter_delays_and_does_not_drift(void **state)
{
    (void)state;
    struct schedule s, other;
    schedule_init(&s, 1000, 7);
    schedule_init(&other, 1000, 8);
    schedule_set_jitter(&s, 50);
    schedule_set_jitter(&other, 50);
    schedule_open(&s, 0);
    schedule_open(&other, 0);
    int64_t least = INT64_MAX, most = 0;
    bool differ = false;
    for (int64_t i = 0; i < 1000; i++) {
        int64_t delay = schedule_next(&s) - 1000 * i;
        uint64_t id;
        enum stream_trigger trigger;
        assert_in_range(delay, 0, 499);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        differ |= schedule_next(&s) != schedule_next(&other);
        expect_none(&s, schedule_next(&s) - 1);
        assert_true(schedule_begin(&s, schedule_next(&s), &id, &trigger));
        assert_true(schedule_begin(&other, schedule_next(&other), &id, &trigger));
        schedule_end(&s);
        schedule_end(&other);
    }
    assert_true(least < 50 && most > 450 && differ);
    assert_int_equal(s.late, 0);
    schedule_set_jitter(&s, 0);
    assert_int_equal(schedule_next(&s), 1000 * 1000);
}

/* The greatest delay reaches almost to the next poll: a late timer must not make it skip one. */
static void test_full_jitter_skips_no_poll(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 1000, 3);
    schedule_set_jitter(&s, 100);
    schedule_open(&s, 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        uint64_t id;
        enum stream_trigger trigger;
        assert_true(schedule_begin(&s, schedule_next(&s) + 20, &id, &trigger));
        assert_int_equal(id, i);
        schedule_end(&s);
        assert_int_equal(s.due_ns, 1000 * (int64_t)i);
    }
    assert_int_equal(s.late, 0);
}

static void test_loops(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_set_loops(&s, 2);
    schedule_open(&s, 0);
    expect_begin(&s, 0, 1, STREAM_TRIGGER_START);
    schedule_end(&s);
    schedule_request(&s); /* does not count */
    expect_begin(&s, 50, 2, STREAM_TRIGGER_REQUEST);
    schedule_end(&s);
    expect_begin(&s, 100, 3, STREAM_TRIGGER_SCHEDULE);
    schedule_end(&s);
    expect_none(&s, 200);
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_request(&s);
    expect_begin(&s, 1000, 4, STREAM_TRIGGER_REQUEST);
    schedule_end(&s);
    expect_none(&s, 2000);
    schedule_set_loops(&s, 1);
    expect_begin(&s, 2000, 5, STREAM_TRIGGER_SCHEDULE);
    schedule_end(&s);
    expect_none(&s, 3000);
    schedule_set_loops(&s, 0);
    expect_begin(&s, 3000, 6, STREAM_TRIGGER_SCHEDULE);
}

static void test_reconcile(void **state)
{
    (void)state;
    struct reconcile r = {0};
    bool ask;
    /* by the clock */
    assert_false(reconcile_step(&r, 1000, false, true, false, 1000, &ask));
    assert_true(ask);
    assert_int_equal(reconcile_next(&r, 1000), 2000);
    assert_false(reconcile_step(&r, 1000, false, true, true, 1999, &ask));
    assert_false(ask);
    assert_int_equal(reconcile_next(&r, 0), INT64_MAX);
    /* before a poll: asks once, waits until it is done */
    assert_false(reconcile_step(&r, 0, true, false, true, 3000, &ask));
    assert_false(ask);
    assert_true(reconcile_step(&r, 0, true, true, true, 3000, &ask));
    assert_true(ask);
    assert_int_equal(reconcile_next(&r, 0), 3000 + RECONCILE_WAIT_NS);
    assert_true(reconcile_step(&r, 1, true, true, false, 4000, &ask));
    assert_false(ask);
    assert_false(reconcile_step(&r, 1, true, true, true, 4001, &ask));
    assert_false(ask);
    assert_int_equal(reconcile_next(&r, 0), INT64_MAX);
    /* or for so long */
    assert_true(reconcile_step(&r, 0, true, true, false, 5000, &ask));
    assert_false(reconcile_step(&r, 0, true, true, false, 5000 + RECONCILE_WAIT_NS, &ask));
    /* the option goes while a poll waits */
    assert_true(reconcile_step(&r, 0, true, true, false, 6000, &ask));
    assert_false(reconcile_step(&r, 0, false, true, false, 6001, &ask));
    assert_int_equal(r.until_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_poll_waits_until_opened),
        cmocka_unit_test(test_regular_polls_do_not_drift),
        cmocka_unit_test(test_a_long_poll_delays_the_next_and_is_counted),
        cmocka_unit_test(test_requests_during_a_poll_become_one),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_frequency_change),
        cmocka_unit_test(test_jitter_delays_and_does_not_drift),
        cmocka_unit_test(test_full_jitter_skips_no_poll),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_reconcile),
        cmocka_unit_test(test_frequency_under_a_stretch),
        cmocka_unit_test(test_governor),
        cmocka_unit_test(test_governor_counts_cpu_per_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
