/* Rates between polls, whatever comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/show/measured_rate.h"
#include "lib/clock.h"

static struct measured_rate *m;

/* Notes the socket |cookie| at |ms| with |acked| bytes, and tells its rate: -1 without. */
static int64_t rate(uint64_t cookie, int64_t ms, uint64_t acked, const char *node)
{
    record_message r;
    uint64_t out;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    r.netns_cookie = 1;
    r.inet_diag_msg_socket_cookie = cookie;
    r.inet_diag_msg_state = r.tcp_info_state = 1;
    r.timestamp_ns = INT64_C(1700000000000000000) + ms * NS_PER_MS;
    r.tcp_info_bytes_acked = acked;
    measured_rate_take(m, &r, node);
    return measured_rate(m, &r, node, &out) ? (int64_t)out : -1;
}

static void test_rates(void **state)
{
    (void)state;
    m = measured_rate_new();
    assert_int_equal(rate(1, 0, 1000, NULL), -1);
    assert_int_equal(rate(1, 1000, 6000, NULL), 5000);
    assert_int_equal(rate(1, 3000, 6000, NULL), 0);
    assert_int_equal(rate(1, 3000, 6000, NULL), 0); /* the same poll once more */
    assert_int_equal(rate(2, 3000, 5, NULL), -1);
    assert_int_equal(rate(1, 4000, 10, NULL), -1); /* another one */
    assert_int_equal(rate(1, 5000, 20, NULL), 10);
    assert_int_equal(rate(1, 4500, 20, NULL), -1); /* the clock was set back */
    assert_int_equal(rate(0, 0, 0, NULL), -1);     /* no cookie */
    assert_int_equal(rate(0, 1000, 10, NULL), -1);
    /* The same cookies on two nodes. */
    static const char a[] = "a", b[] = "b";
    assert_int_equal(rate(7, 0, 0, a), -1);
    assert_int_equal(rate(7, 0, 500000, b), -1);
    assert_int_equal(rate(7, 2000, 2000, a), 1000);
    assert_int_equal(rate(7, 2000, 500002, b), 1);
    measured_rate_free(m);
    measured_rate_free(NULL);
}

/* Polls that follow each other fast are put together to half a second. */
static void test_fast_polls(void **state)
{
    (void)state;
    m = measured_rate_new();
    for (int64_t ms = 0; ms <= 3000; ms += 50) {
        int64_t bursts = ms / 250 * 25000; /* 100 kB/s, unevenly */
        int64_t r = rate(1, ms, (uint64_t)bursts, NULL);
        if (ms >= 1000)
            assert_true(r > 60000 && r < 140000);
    }
    measured_rate_free(m);
}

/* A hundred polls of 5000 sockets, of which a tenth is new each time: those that stay are known throughout.
 */
static void test_churn(void **state)
{
    (void)state;
    m = measured_rate_new();
    for (uint64_t poll = 0; poll < 100; poll++) {
        for (uint64_t i = 0; i < 5000; i++) {
            bool fresh = poll == 0 || i >= 4500;
            uint64_t cookie = 1 + poll * 500 + i;
            assert_int_equal(rate(cookie, (int64_t)poll * 1000, poll * 300, NULL), fresh ? -1 : 300);
        }
        measured_rate_end(m, NULL);
    }
    measured_rate_free(m);
}

/* Of many sockets, each is known in the next poll, and no longer than that. */
static void test_many(void **state)
{
    (void)state;
    const uint64_t many = 25000;
    m = measured_rate_new();
    for (int64_t poll = 0; poll < 3; poll++) {
        for (uint64_t cookie = 1; cookie <= many; cookie++)
            assert_int_equal(rate(cookie, poll * 1000, (uint64_t)poll * 7, NULL), poll ? 7 : -1);
        measured_rate_end(m, NULL);
    }
    /* A poll of others. */
    for (uint64_t cookie = many + 1; cookie <= 2 * many; cookie++)
        assert_int_equal(rate(cookie, 3000, 0, NULL), -1);
    measured_rate_end(m, NULL);
    assert_int_equal(rate(1, 4000, 50, NULL), -1);
    assert_int_equal(rate(2 * many, 4000, 50, NULL), 50);
    measured_rate_free(m);
}

/* The end of a poll is that of one node. */
static void test_nodes_end(void **state)
{
    (void)state;
    static const char a[] = "a", b[] = "b", c[] = "c";
    m = measured_rate_new();
    assert_int_equal(rate(1, 0, 0, a), -1);
    measured_rate_end(m, a);
    assert_int_equal(rate(1, 0, 0, b), -1);
    measured_rate_end(m, b);
    measured_rate_end(m, b);
    measured_rate_end(m, c);
    assert_int_equal(rate(1, 1000, 30, a), 30);
    assert_int_equal(rate(1, 1000, 30, b), -1);
    measured_rate_free(m);
}

static void test_no_flow(void **state)
{
    (void)state;
    record_message r;
    uint64_t out;
    m = measured_rate_new();
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    r.inet_diag_msg_socket_cookie = 5;
    r.inet_diag_msg_state = r.tcp_info_state = 10; /* LISTEN */
    for (r.timestamp_ns = 0; r.timestamp_ns < 3 * NS_PER_S; r.timestamp_ns += NS_PER_S) {
        measured_rate_take(m, &r, NULL);
        assert_false(measured_rate(m, &r, NULL, &out));
    }
    measured_rate_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates), cmocka_unit_test(test_fast_polls), cmocka_unit_test(test_churn),
        cmocka_unit_test(test_many),  cmocka_unit_test(test_nodes_end),  cmocka_unit_test(test_no_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
