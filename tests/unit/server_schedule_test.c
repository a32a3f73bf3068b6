/* server/poll/schedule.c: when polls begin. Times are small numbers: the schedule knows no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/poll/governor.h"
#include "server/poll/resync.h"
#include "server/poll/schedule.h"

static void expect_deferred(struct schedule *s, int64_t now, uint64_t id, enum poll_trigger trigger,
                            uint64_t deferred)
{
    struct poll_begin begin;
    assert_true(schedule_begin(s, now, &begin));
    assert_int_equal(begin.poll_id, id);
    assert_int_equal(begin.trigger, trigger);
    assert_int_equal(begin.interval_ns, schedule_interval(s));
    assert_int_equal(begin.deferred_ns, deferred);
}

static void expect_begin(struct schedule *s, int64_t now, uint64_t id, enum poll_trigger trigger)
{
    expect_deferred(s, now, id, trigger, 0);
}

static void expect_none(struct schedule *s, int64_t now)
{
    struct poll_begin begin;
    assert_false(schedule_begin(s, now, &begin));
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
    expect_begin(&s, 1000, 1, POLL_TRIGGER_REQUEST);
}

static void test_regular_polls_do_not_drift(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1003, 1, POLL_TRIGGER_START);
    schedule_end(&s, s.begun_ns + 1);
    expect_none(&s, 1099);
    assert_int_equal(schedule_next(&s), 1100);
    expect_begin(&s, 1117, 2, POLL_TRIGGER_SCHEDULE);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 1200);
    assert_int_equal(s.late, 0);
}

static void test_a_long_poll_delays_the_next_and_is_counted(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, POLL_TRIGGER_START);
    expect_none(&s, 1350); /* never two at once */
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_end(&s, s.begun_ns + 1);
    expect_begin(&s, 1350, 2, POLL_TRIGGER_SCHEDULE);
    assert_int_equal(s.late, 2);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 1400);
}

static void test_requests_during_a_poll_become_one(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, POLL_TRIGGER_START);
    assert_int_equal(schedule_request(&s), 2);
    assert_int_equal(schedule_request(&s), 2);
    expect_none(&s, 1010);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 0);
    expect_begin(&s, 1020, 2, POLL_TRIGGER_REQUEST);
    schedule_end(&s, s.begun_ns + 1);
    expect_none(&s, 1030);
    assert_int_equal(schedule_next(&s), 1100); /* the rhythm is the old one */
}

static void test_burst(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 1000, 1);
    schedule_open(&s, 0);
    expect_begin(&s, 0, 1, POLL_TRIGGER_START);
    schedule_end(&s, s.begun_ns + 1);
    assert_true(schedule_burst(&s, 3, 10, false, 100));
    assert_false(schedule_burst(&s, 5, 10, false, 100));
    assert_true(s.burst_polls == 3 && s.burst_left == 3);
    expect_begin(&s, 100, 2, POLL_TRIGGER_BURST);
    assert_true(s.burst_polls == 3 && s.burst_left == 2);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 110);
    expect_begin(&s, 110, 3, POLL_TRIGGER_BURST);
    schedule_end(&s, s.begun_ns + 1);
    assert_true(schedule_burst(&s, 2, 20, true, 115)); /* takes the place of the last one */
    assert_int_equal(s.burst_polls, 2);
    expect_begin(&s, 115, 4, POLL_TRIGGER_BURST);
    schedule_end(&s, s.begun_ns + 1);
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
    expect_begin(&s, 10, 1, POLL_TRIGGER_START);
    schedule_end(&s, s.begun_ns + 1);
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
    expect_begin(&s, 1000, 1, POLL_TRIGGER_START);
    schedule_end(&s, s.begun_ns + 1);
    schedule_stretch(&s, 400);
    schedule_set_frequency(&s, 50, 1010); /* the governor's interval stays in force */
    assert_int_equal(schedule_next(&s), 1400);
}

static double percent_of(const struct governor *g)
{
    double percent = 0;
    assert_true(governor_percent(g, &percent));
    return percent;
}

static void test_governor(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 100, 1);
    assert_true(schedule_stretch(&s, 400)); /* before the first poll: nothing is due to be moved */
    assert_true(schedule_stretch(&s, 0));
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, POLL_TRIGGER_START);
    assert_false(schedule_stretch(&s, 90)); /* the frequency is slower than that */
    assert_int_equal(schedule_interval(&s), 100);
    assert_true(schedule_stretch(&s, 300));
    assert_int_equal(schedule_interval(&s), 300);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 1300);
    schedule_request(&s); /* asked for: not held back */
    expect_begin(&s, 1100, 2, POLL_TRIGGER_REQUEST);
    schedule_end(&s, s.begun_ns + 1);
    expect_begin(&s, 1300, 3, POLL_TRIGGER_SCHEDULE);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 1600);
    assert_true(schedule_stretch(&s, 0)); /* the old rhythm from the next poll on */
    expect_begin(&s, 1600, 4, POLL_TRIGGER_SCHEDULE);
    schedule_end(&s, s.begun_ns + 1);
    assert_int_equal(schedule_next(&s), 1700);
    assert_int_equal(s.late, 0);
}

/* A schedule whose first poll went from 1000 to 1001 and whose governor wants 300 between polls; the regular
 * ones are 1000 apart. */
static void start_limited(struct schedule *s)
{
    schedule_init(s, 1000, 1);
    schedule_open(s, 1000);
    expect_begin(s, 1000, 1, POLL_TRIGGER_START);
    schedule_end(s, 1001);
    assert_false(schedule_stretch(s, 300));
}

static void test_requests_are_held_back_and_become_one(void **state)
{
    (void)state;
    struct schedule s;
    start_limited(&s);
    expect_none(&s, 1050);
    assert_int_equal(schedule_request_held(&s, 1100), 2);
    expect_none(&s, 1100);
    assert_int_equal(schedule_next(&s), 1300);
    assert_int_equal(schedule_request_held(&s, 1200), 2);
    expect_none(&s, 1299);
    expect_deferred(&s, 1300, 2, POLL_TRIGGER_REQUEST, 200); /* since the first of them */
    assert_int_equal(schedule_request_held(&s, 1310), 3);    /* during that poll */
    expect_none(&s, 1311);
    schedule_end(&s, 1320);
    expect_none(&s, 1320);
    assert_int_equal(schedule_next(&s), 1600);
    expect_deferred(&s, 1604, 3, POLL_TRIGGER_REQUEST, 284); /* since the end of that poll */
    schedule_end(&s, 1605);
    assert_int_equal(s.deferred_polls, 2);
    assert_int_equal(schedule_next(&s), 2000); /* the rhythm is the old one */
}

static void test_a_request_within_the_limit_is_not_held_back(void **state)
{
    (void)state;
    struct schedule s;
    schedule_init(&s, 1000, 1);
    assert_int_equal(schedule_request_held(&s, 900), 1);
    expect_none(&s, 950); /* not open yet: that is not the limit's doing */
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_open(&s, 1000);
    expect_begin(&s, 1000, 1, POLL_TRIGGER_REQUEST);
    schedule_request_held(&s, 1005);
    schedule_end(&s, 1010);
    expect_begin(&s, 1010, 2, POLL_TRIGGER_REQUEST); /* no limit */
    schedule_end(&s, 1020);
    schedule_stretch(&s, 300);
    schedule_request_held(&s, 1305); /* the last poll is long enough ago */
    assert_true(schedule_next(&s) <= 1310);
    expect_begin(&s, 1312, 3, POLL_TRIGGER_REQUEST);
    schedule_request_held(&s, 1320);
    schedule_end(&s, 1700); /* a long poll: the interval is over when it ends */
    expect_begin(&s, 1700, 4, POLL_TRIGGER_REQUEST);
    assert_int_equal(s.deferred_polls, 0);
}

static void test_held_requests_are_served_by_earlier_polls(void **state)
{
    (void)state;
    struct schedule s;
    start_limited(&s);
    schedule_request_held(&s, 1100);
    expect_none(&s, 1100);
    assert_int_equal(schedule_request(&s), 2); /* of a caller that nothing holds back */
    assert_int_equal(schedule_next(&s), 0);
    expect_deferred(&s, 1150, 2, POLL_TRIGGER_REQUEST, 50);
    schedule_end(&s, 1151);
    schedule_request_held(&s, 1200);
    expect_none(&s, 1200);
    assert_true(schedule_burst(&s, 2, 100, false, 1220));
    assert_int_equal(schedule_next(&s), 1220);
    expect_deferred(&s, 1220, 3, POLL_TRIGGER_REQUEST, 20);
    schedule_end(&s, 1221);
    expect_begin(&s, 1320, 4, POLL_TRIGGER_BURST); /* the burst is not held back */
    schedule_end(&s, 1321);
    expect_none(&s, 1800); /* nothing of the requests is left */
    schedule_request(&s);
    expect_begin(&s, 1900, 5, POLL_TRIGGER_REQUEST);
    schedule_end(&s, 1901);
    schedule_request_held(&s, 1950);
    expect_none(&s, 1950);
    assert_int_equal(schedule_next(&s), 2000);
    expect_deferred(&s, 2000, 6, POLL_TRIGGER_REQUEST, 50); /* the regular one */
    schedule_end(&s, 2001);
    assert_int_equal(schedule_next(&s), 3000);
    assert_int_equal(s.deferred_polls, 3);
}

static void test_another_limit_counts_for_held_requests(void **state)
{
    (void)state;
    struct schedule s;
    start_limited(&s);
    schedule_request_held(&s, 1100);
    expect_none(&s, 1100);
    schedule_stretch(&s, 5000);
    assert_int_equal(schedule_next(&s), 6000); /* now the regular one as well */
    schedule_stretch(&s, 200);
    assert_int_equal(schedule_next(&s), 1200);
    expect_none(&s, 1110);
    schedule_stretch(&s, 0); /* switched off: the request is released, and knows that it has waited */
    assert_true(schedule_next(&s) <= 1120);
    expect_deferred(&s, 1120, 2, POLL_TRIGGER_REQUEST, 20);
}

/* Work for clients exceeds the limit by itself: polls have a fifth of it, and go on. */
static void test_governor_beside_other_work(void **state)
{
    (void)state;
    struct governor g = {0};
    int64_t now = 1000;
    int64_t cpu = 500;
    for (int i = 0; i < 20; i++) {
        int64_t interval = governor_least(&g, 10, 1000);
        now += interval > 1000 ? interval : 1000;
        cpu += (interval > 1000 ? interval : 1000) / 2; /* half of a CPU */
        governor_begin(&g, cpu);
        cpu += 40;
        governor_step(&g, now, cpu);
    }
    assert_in_range(governor_least(&g, 10, 1000), 1900, 2100); /* 5 * 40 of CPU: 10 % of 2000 */
    assert_int_equal(governor_least(&g, 10, 3000), 3000);      /* as often as is asked for takes less */
    assert_true(percent_of(&g) > 50);
}

static void test_governor_counts_cpu_per_poll(void **state)
{
    (void)state;
    struct governor g = {0};
    governor_step(&g, 1000, 500); /* the first one has nothing to compare with */
    assert_int_equal(governor_least(&g, 10, 1000), 0);
    double percent = 1;
    assert_false(governor_percent(&g, &percent)); /* not known, which is not nothing */
    assert_true(percent == 0);
    governor_step(&g, 2000, 600);
    assert_int_equal(governor_least(&g, 10, 1000), 1000); /* 100 of CPU: 10 % of 1000 */
    assert_int_equal(governor_least(&g, 20, 1000), 500);
    assert_int_equal(governor_least(&g, 0, 1000), 0); /* no limit */
    assert_true(percent_of(&g) > 9.99 && percent_of(&g) < 10.01);
    governor_step(&g, 3000, 700);
    governor_step(&g, 4000, 1700); /* one peak */
    assert_in_range(governor_least(&g, 10, 1000), 1001, 4999);
    for (int i = 0; i < 40; i++)
        governor_step(&g, 5000 + i * 1000, 1800 + i * 100);
    assert_in_range(governor_least(&g, 10, 1000), 1000, 1009); /* forgotten */
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
        struct poll_begin begin;
        assert_in_range(delay, 0, 499);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        differ |= schedule_next(&s) != schedule_next(&other);
        expect_none(&s, schedule_next(&s) - 1);
        assert_true(schedule_begin(&s, schedule_next(&s), &begin));
        assert_true(schedule_begin(&other, schedule_next(&other), &begin));
        schedule_end(&s, s.begun_ns + 1);
        schedule_end(&other, other.begun_ns + 1);
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
        expect_begin(&s, schedule_next(&s) + 20, i, i == 1 ? POLL_TRIGGER_START : POLL_TRIGGER_SCHEDULE);
        schedule_end(&s, s.begun_ns + 1);
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
    expect_begin(&s, 0, 1, POLL_TRIGGER_START);
    schedule_end(&s, s.begun_ns + 1);
    schedule_request(&s); /* does not count */
    expect_begin(&s, 50, 2, POLL_TRIGGER_REQUEST);
    schedule_end(&s, s.begun_ns + 1);
    expect_begin(&s, 100, 3, POLL_TRIGGER_SCHEDULE);
    schedule_end(&s, s.begun_ns + 1);
    expect_none(&s, 200);
    assert_int_equal(schedule_next(&s), INT64_MAX);
    schedule_request(&s);
    expect_begin(&s, 1000, 4, POLL_TRIGGER_REQUEST);
    schedule_end(&s, s.begun_ns + 1);
    expect_none(&s, 2000);
    schedule_set_loops(&s, 1);
    expect_begin(&s, 2000, 5, POLL_TRIGGER_SCHEDULE);
    schedule_end(&s, s.begun_ns + 1);
    expect_none(&s, 3000);
    schedule_set_loops(&s, 0);
    expect_begin(&s, 3000, 6, POLL_TRIGGER_SCHEDULE);
}

static void test_reconcile(void **state)
{
    (void)state;
    struct resync r = {0};
    bool ask;
    /* by the clock */
    assert_false(resync_step(&r, 1000, false, true, false, 1000, &ask));
    assert_true(ask);
    assert_int_equal(resync_next(&r, 1000), 2000);
    assert_false(resync_step(&r, 1000, false, true, true, 1999, &ask));
    assert_false(ask);
    assert_int_equal(resync_next(&r, 0), INT64_MAX);
    /* before a poll: asks once, waits until it is done */
    assert_false(resync_step(&r, 0, true, false, true, 3000, &ask));
    assert_false(ask);
    assert_true(resync_step(&r, 0, true, true, true, 3000, &ask));
    assert_true(ask);
    assert_int_equal(resync_next(&r, 0), 3000 + RECONCILE_WAIT_NS);
    assert_true(resync_step(&r, 1, true, true, false, 4000, &ask));
    assert_false(ask);
    assert_false(resync_step(&r, 1, true, true, true, 4001, &ask));
    assert_false(ask);
    assert_int_equal(resync_next(&r, 0), INT64_MAX);
    /* or for so long */
    assert_true(resync_step(&r, 0, true, true, false, 5000, &ask));
    assert_false(resync_step(&r, 0, true, true, false, 5000 + RECONCILE_WAIT_NS, &ask));
    /* the option goes while a poll waits */
    assert_true(resync_step(&r, 0, true, true, false, 6000, &ask));
    assert_false(resync_step(&r, 0, false, true, false, 6001, &ask));
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
        cmocka_unit_test(test_governor_beside_other_work),
        cmocka_unit_test(test_requests_are_held_back_and_become_one),
        cmocka_unit_test(test_a_request_within_the_limit_is_not_held_back),
        cmocka_unit_test(test_held_requests_are_served_by_earlier_polls),
        cmocka_unit_test(test_another_limit_counts_for_held_requests),
        cmocka_unit_test(test_governor_counts_cpu_per_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
