/* The model that top makes of polls: rates, the rule of LIMITED BY, gone sockets, order, sums, histories. */
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/top/top_model.h"
#include "lib/clock.h"

typedef XtcpFlatRecord__V1__XtcpFlatRecord record;

/* ---- The rule ---- */

static const struct {
    const char *what;
    struct socket_interval i;
    enum socket_limit limit;
} limits[] = {
    {"nothing at all", {.length_us = 1000000, .cwnd = 10}, SOCKET_LIMIT_IDLE},
    {"only receives", {.length_us = 1000000, .received = 1, .cwnd = 10}, SOCKET_LIMIT_RECEIVING},
    {"mostly receives",
     {.length_us = 1000000, .busy_us = 100, .acked = 10, .received = 11},
     SOCKET_LIMIT_RECEIVING},
    {"nothing to send for most of the time",
     {.length_us = 1000000, .busy_us = 400000, .acked = 100, .sent = 10, .cwnd = 10},
     SOCKET_LIMIT_APPLICATION},
    {"the same with losses",
     {.length_us = 1000000, .busy_us = 400000, .acked = 100, .sent = 10, .retrans = 5, .cwnd = 10},
     SOCKET_LIMIT_APPLICATION},
    {"little, too quick to be measured",
     {.length_us = 1000000, .acked = 100, .sent = 1, .cwnd = 10},
     SOCKET_LIMIT_APPLICATION},
    {"just begun to send",
     {.length_us = 1000000, .unacked = 1, .sent = 1, .cwnd = 10},
     SOCKET_LIMIT_APPLICATION},
    {"busy, full window",
     {.length_us = 1000000, .busy_us = 1000000, .acked = 1, .sent = 100, .unacked = 10, .cwnd = 10},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"busy, paced below the window",
     {.length_us = 1000000, .busy_us = 1000000, .acked = 1, .sent = 100, .unacked = 5, .cwnd = 10},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"one question at a time over a long path",
     {.length_us = 1000000,
      .busy_us = 990000,
      .acked = 1,
      .sent = 5,
      .unacked = 1,
      .cwnd = 10,
      .app_limited = true},
     SOCKET_LIMIT_APPLICATION},
    {"app-limited once, but the window is full",
     {.length_us = 1000000,
      .busy_us = 990000,
      .acked = 1,
      .sent = 5,
      .unacked = 10,
      .cwnd = 10,
      .app_limited = true},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"the peer's window, for most of it",
     {.length_us = 1000000, .busy_us = 1000000, .rwnd_us = 510000, .acked = 1, .sent = 5},
     SOCKET_LIMIT_RECEIVE_WINDOW},
    {"the peer's window, for less than half",
     {.length_us = 1000000,
      .busy_us = 1000000,
      .rwnd_us = 490000,
      .acked = 1,
      .sent = 5,
      .unacked = 9,
      .cwnd = 9},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"the peer's window is closed and probed",
     {.length_us = 1000000, .busy_us = 1000000, .rwnd_us = 1000000, .unacked = 0, .cwnd = 10},
     SOCKET_LIMIT_RECEIVE_WINDOW},
    {"the send buffer",
     {.length_us = 1000000,
      .busy_us = 1000000,
      .rwnd_us = 100000,
      .sndbuf_us = 600000,
      .acked = 1,
      .sent = 5},
     SOCKET_LIMIT_SEND_BUFFER},
    {"one percent retransmitted",
     {.length_us = 1000000,
      .busy_us = 1000000,
      .acked = 1,
      .sent = 100,
      .retrans = 1,
      .unacked = 9,
      .cwnd = 9},
     SOCKET_LIMIT_RETRANSMISSION},
    {"less than one percent",
     {.length_us = 1000000,
      .busy_us = 1000000,
      .acked = 1,
      .sent = 101,
      .retrans = 1,
      .unacked = 9,
      .cwnd = 9},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"less, but recovering right now",
     {.length_us = 1000000,
      .busy_us = 1000000,
      .acked = 1,
      .sent = 500,
      .unacked = 9,
      .cwnd = 9,
      .ca_state = 3},
     SOCKET_LIMIT_RETRANSMISSION},
    {"silence after a loss",
     {.length_us = 1000000, .busy_us = 1000000, .unacked = 3, .cwnd = 1, .ca_state = 4},
     SOCKET_LIMIT_RETRANSMISSION},
    {"a clock that ran ahead: busy for longer than the interval",
     {.length_us = 1000000, .busy_us = 1004000, .acked = 1, .sent = 100, .unacked = 10, .cwnd = 10},
     SOCKET_LIMIT_CONGESTION_WINDOW},
    {"counters that do not fit together",
     {.length_us = 1000000,
      .busy_us = 10,
      .rwnd_us = UINT64_MAX / 2,
      .sndbuf_us = UINT64_MAX / 2,
      .acked = 1},
     SOCKET_LIMIT_RECEIVE_WINDOW},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        enum socket_limit got = socket_limit_of(&limits[i].i);
        if (got != limits[i].limit)
            fail_msg("%s: %s instead of %s", limits[i].what, socket_limit_names[got],
                     socket_limit_names[limits[i].limit]);
    }
}

/* ---- Rates ---- */

static struct socket_sample flow(int64_t seconds)
{
    return (struct socket_sample){.timestamp_ns = seconds * NS_PER_S, .flow = true, .state = TCP_ESTABLISHED};
}

static void test_rates(void **state)
{
    (void)state;
    struct socket_sample a = flow(10), b = flow(12);
    struct socket_rates r;
    a.bytes_acked = 1000, b.bytes_acked = 5000;
    b.bytes_received = 100;
    a.total_retrans = UINT32_MAX - 1, b.total_retrans = 4; /* wraps: 6 */
    a.data_segs_out = UINT32_MAX, b.data_segs_out = 23;    /* 24 */
    b.bytes_retrans = 8000;
    assert_true(socket_rates_between(&a, &b, &r));
    assert_float_equal(r.sent, 2000, 0.01);
    assert_float_equal(r.received, 50, 0.01);
    assert_float_equal(r.retrans, 3, 0.01);
    assert_float_equal(r.retrans_bytes, 4000, 0.01);
    assert_float_equal(r.retrans_share, 0.25, 0.001);
    /* The real time between the polls, whatever the schedule. */
    b.timestamp_ns = 10 * NS_PER_S + 10 * NS_PER_MS;
    assert_true(socket_rates_between(&a, &b, &r));
    assert_float_equal(r.sent, 400000, 1);
}

static void test_no_rates(void **state)
{
    (void)state;
    const struct socket_sample zero = flow(12);
    struct socket_rates r;
    struct socket_sample a = flow(10), b = flow(10);
    assert_false(socket_rates_between(&a, &b, &r)); /* no time between them */
    b.timestamp_ns--;
    assert_false(socket_rates_between(&a, &b, &r));
    b = flow(12);
    assert_true(socket_rates_between(&a, &b, &r));
    assert_true(r.retrans_share < 0); /* nothing was sent */
    a.flow = false;
    assert_false(socket_rates_between(&a, &b, &r));
    a.flow = true, b.flow = false;
    assert_false(socket_rates_between(&a, &b, &r));
    uint64_t *wide[] = {&a.bytes_acked, &a.bytes_received, &a.bytes_retrans,
                        &a.busy_us,     &a.rwnd_us,        &a.sndbuf_us};
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        a = flow(10), b = zero;
        *wide[i] = 1;
        assert_false(socket_rates_between(&a, &b, &r));
        assert_true(r.sent == 0 && r.received == 0 && r.retrans == 0);
    }
    a = flow(10), b = zero;
    a.total_retrans = 1; /* one back is not nearly a whole turn */
    assert_false(socket_rates_between(&a, &b, &r));
}

/* ---- Polls ---- */

struct world {
    struct top_model model;
    struct top_poll *poll;
    int64_t seconds;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    top_model_init(&w->model);
    w->poll = top_poll_new();
    assert_non_null(w->poll);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    top_model_free(&w->model);
    top_poll_free(w->poll);
    free(w);
    return 0;
}

static void begin(struct world *w)
{
    top_poll_reset(w->poll);
    w->seconds++;
}

static record socket_of(const struct world *w, uint64_t netns, char *name, uint64_t cookie, uint64_t acked)
{
    record r;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    r.timestamp_ns = w->seconds * NS_PER_S;
    r.poll_id = (uint64_t)w->seconds;
    r.hostname = "node7";
    r.netns = name;
    r.netns_cookie = netns;
    r.inet_diag_msg_socket_cookie = cookie;
    r.inet_diag_msg_state = r.tcp_info_state = TCP_ESTABLISHED;
    r.tcp_info_bytes_acked = acked;
    return r;
}

static void add(struct world *w, uint64_t netns, char *name, uint64_t cookie, uint64_t acked)
{
    record r = socket_of(w, netns, name, cookie, acked);
    assert_int_equal(top_poll_add(w->poll, &r), 0);
}

static void end(struct world *w, enum top_sort by)
{
    assert_int_equal(top_model_apply(&w->model, w->poll), 0);
    top_model_sort(&w->model, by);
}

static uint64_t row_cookie(const struct world *w, size_t i)
{
    assert_true(i < w->model.n_order);
    return top_model_row(&w->model, i)->now.key.cookie;
}

static void test_polls(void **state)
{
    struct world *w = *state;
    begin(w);
    add(w, 1, "a", 10, 100);
    add(w, 1, "a", 11, 200);
    add(w, 2, "b", 10, 0); /* the same cookie in another namespace is another socket */
    add(w, 1, "a", 12, 300);
    end(w, TOP_SORT_THROUGHPUT);
    assert_int_equal(w->model.n_order, 4);
    assert_int_equal(w->model.n_netns, 2);
    assert_string_equal(w->model.head.hostname, "node7");
    for (size_t i = 0; i < 4; i++)
        assert_false(top_model_row(&w->model, i)->has_rates); /* first sight */
    assert_int_equal(row_cookie(w, 0), 12);                   /* who has moved the most */

    begin(w);
    add(w, 1, "a", 10, 100);
    add(w, 1, "a", 11, 1200);
    add(w, 2, "b", 10, 5000);
    add(w, 1, "a", 12, 300);
    add(w, 1, "a", 12, 99999); /* twice: the first counts */
    end(w, TOP_SORT_THROUGHPUT);
    assert_int_equal(w->model.n_order, 4);
    assert_int_equal(top_model_row(&w->model, 0)->now.key.netns, 2);
    assert_float_equal(top_model_row(&w->model, 0)->rates.sent, 5000, 0.1);
    assert_int_equal(row_cookie(w, 1), 11);
    assert_float_equal(w->model.total.sent, 6000, 0.1);
    const struct top_sums *first = top_model_netns(&w->model, 0), *second = top_model_netns(&w->model, 1);
    assert_string_equal(w->model.netns[first->netns].name, "b");
    assert_int_equal(first->sockets, 1);
    assert_int_equal(second->sockets, 3);
    assert_int_equal(second->by_state[TCP_ESTABLISHED], 3);
    assert_float_equal(second->sent, 1000, 0.1);
}

/* A daemon that tells neither cookie: the inode number, addresses and ports must do. */
static void test_no_cookies(void **state)
{
    struct world *w = *state;
    uint8_t local[4] = {192, 0, 2, 1}, peer[4] = {192, 0, 2, 2};
    for (uint32_t poll = 0; poll < 2; poll++) {
        begin(w);
        for (uint32_t i = 0; i < 8; i++) {
            record r = socket_of(w, 0, "a", 0, (uint64_t)poll * 1000 * i);
            r.netns_inode = 4026531840 + (i & 1);
            local[3] = (uint8_t)(i >> 1);
            r.inet_diag_msg_family = 2;
            r.inet_diag_msg_socket_source = (ProtobufCBinaryData){.len = 4, .data = local};
            r.inet_diag_msg_socket_destination = (ProtobufCBinaryData){.len = 4, .data = peer};
            r.inet_diag_msg_socket_destination_port = 443;
            assert_int_equal(top_poll_add(w->poll, &r), 0);
        }
        end(w, TOP_SORT_THROUGHPUT);
    }
    assert_int_equal(w->model.n_order, 8);
    assert_int_equal(w->model.n_netns, 2);
    assert_float_equal(top_model_row(&w->model, 0)->rates.sent, 7000, 0.1);
}

static void test_gone_after_two_polls(void **state)
{
    struct world *w = *state;
    const struct socket_key gone = {.netns = 1, .cookie = 10};
    begin(w), add(w, 1, "a", 10, 0), add(w, 1, "a", 11, 0), end(w, TOP_SORT_RTT);
    begin(w), add(w, 1, "a", 11, 0), end(w, TOP_SORT_RTT);
    assert_int_equal(w->model.n_order, 1); /* not shown, but known: its counters still count */
    assert_non_null(top_model_entry(&w->model, &gone));
    assert_int_equal(top_model_find(&w->model, &gone), SIZE_MAX);
    begin(w), add(w, 1, "a", 10, 4000), add(w, 1, "a", 11, 0), end(w, TOP_SORT_THROUGHPUT);
    assert_int_equal(top_model_find(&w->model, &gone), 0);
    assert_float_equal(top_model_row(&w->model, 0)->rates.sent, 2000, 0.1); /* over both intervals */
    for (int i = 0; i < 2; i++)
        begin(w), add(w, 1, "a", 11, 0), end(w, TOP_SORT_RTT);
    assert_null(top_model_entry(&w->model, &gone));
    assert_int_equal(w->model.n_used, 1);
}

static void test_incomplete_polls_end_nothing(void **state)
{
    struct world *w = *state;
    const struct socket_key key = {.netns = 1, .cookie = 10};
    begin(w), add(w, 1, "a", 10, 0), end(w, TOP_SORT_RTT);
    for (int i = 0; i < 10; i++) {
        assert_non_null(top_model_entry(&w->model, &key));
        begin(w);
        w->poll->head.rows_lost = 3;
        end(w, TOP_SORT_RTT);
    }
    assert_null(top_model_entry(&w->model, &key)); /* but not for ever */
    assert_int_equal(w->model.rows_lost, 30);
}

static void test_pinned(void **state)
{
    struct world *w = *state;
    const struct socket_key key = {.netns = 1, .cookie = 10};
    begin(w), add(w, 1, "a", 10, 0), end(w, TOP_SORT_RTT);
    top_model_pin(&w->model, &key);
    for (int i = 0; i < 20; i++)
        begin(w), end(w, TOP_SORT_RTT);
    assert_non_null(top_model_entry(&w->model, &key));
    top_model_pin(&w->model, NULL);
    begin(w), end(w, TOP_SORT_RTT);
    assert_null(top_model_entry(&w->model, &key));
}

static void test_orders(void **state)
{
    struct world *w = *state;
    for (int poll = 0; poll < 2; poll++) {
        begin(w);
        for (uint64_t c = 1; c <= 4; c++) {
            record r = socket_of(w, 1, "a", c, 0);
            if (poll) {
                r.tcp_info_bytes_received = c == 1 ? 1000 : 0;
                r.tcp_info_total_retrans = c == 2 ? 7 : 0;
            }
            r.tcp_info_rtt = c == 3 ? 900 : 5;
            r.inet_diag_msg_rqueue = c == 4 ? 10 : 0;
            assert_int_equal(top_poll_add(w->poll, &r), 0);
        }
        end(w, TOP_SORT_THROUGHPUT);
    }
    static const uint64_t first[TOP_SORTS] = {
        [TOP_SORT_THROUGHPUT] = 1, [TOP_SORT_RETRANS] = 2, [TOP_SORT_RTT] = 3, [TOP_SORT_QUEUE] = 4};
    for (enum top_sort by = 0; by < TOP_SORTS; by++) {
        top_model_sort(&w->model, by);
        assert_int_equal(row_cookie(w, 0), first[by]);
        assert_int_equal(top_model_find(&w->model, &(struct socket_key){.netns = 1, .cookie = first[by]}), 0);
    }
}

static void test_listeners_have_no_flow(void **state)
{
    struct world *w = *state;
    for (int poll = 0; poll < 2; poll++) {
        begin(w);
        record r = socket_of(w, 1, "a", 5, 100);
        r.inet_diag_msg_state = r.tcp_info_state = TCP_LISTEN;
        r.inet_diag_msg_rqueue = 3, r.inet_diag_msg_wqueue = 4096;
        assert_int_equal(top_poll_add(w->poll, &r), 0);
        r = socket_of(w, 1, "a", 6, 0);
        r.inet_diag_msg_state = TCP_TIME_WAIT, r.tcp_info_state = 0;
        assert_int_equal(top_poll_add(w->poll, &r), 0);
        end(w, TOP_SORT_QUEUE);
    }
    assert_int_equal(row_cookie(w, 0), 5);
    assert_int_equal(socket_sample_queue(&top_model_row(&w->model, 0)->now), 3);
    assert_false(top_model_row(&w->model, 0)->has_rates);
    assert_false(top_model_row(&w->model, 1)->has_rates);
    assert_int_equal(w->model.total.by_state[TCP_LISTEN], 1);
    assert_int_equal(w->model.total.queue, 0);
}

static void test_history(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < TOP_HISTORY_POINTS + 10; i++) {
        begin(w), add(w, 1, "a", 10, i * i), end(w, TOP_SORT_THROUGHPUT);
        top_model_show(&w->model, 0);
    }
    const struct top_history *h = top_model_history(&w->model, top_model_row(&w->model, 0));
    assert_non_null(h);
    assert_int_equal(top_history_length(h), TOP_HISTORY_POINTS);
    for (size_t back = 0; back < TOP_HISTORY_POINTS; back++) {
        double i = TOP_HISTORY_POINTS + 9 - (double)back;
        assert_float_equal(top_history_point(h, TOP_SERIES_THROUGHPUT, back), 2 * i - 1, 0.5);
    }
}

/* More sockets than histories: those shown of late have one each, and no two share one. */
static void test_histories_move_on(void **state)
{
    struct world *w = *state;
    const size_t many = TOP_HISTORIES + 500;
    for (int poll = 0; poll < 3; poll++) {
        begin(w);
        for (size_t c = 0; c < many; c++)
            add(w, 1, "a", c + 1, 0);
        end(w, TOP_SORT_RTT);
        for (size_t i = 0; i < 800; i++)
            top_model_show(&w->model, poll == 1 ? many - 1 - i : i);
    }
    for (size_t i = 0; i < 800; i++) {
        const struct top_entry *e = top_model_row(&w->model, i);
        assert_int_not_equal(e->history, SOCKET_INDEX_NONE);
        assert_ptr_equal(top_model_entry(&w->model, &e->now.key),
                         &w->model.items[w->model.histories[e->history].entry]);
    }
    begin(w), end(w, TOP_SORT_RTT);
    begin(w), end(w, TOP_SORT_RTT);
    assert_int_equal(w->model.n_used, 0);
    for (size_t i = 0; i < TOP_HISTORIES; i++)
        assert_int_equal(w->model.histories[i].entry, SOCKET_INDEX_NONE);
}

/* Sockets come and go at random; a plain array says what must be known. */
static void test_churn(void **state)
{
    enum { SOCKETS = 3000, POLLS = 60 };
    struct world *w = *state;
    static uint8_t missed[SOCKETS];
    static bool known[SOCKETS];
    uint32_t random = 7;
    memset(missed, 0, sizeof(missed));
    memset(known, 0, sizeof(known));
    for (int poll = 0; poll < POLLS; poll++) {
        begin(w);
        size_t n = 0, there = 0;
        for (uint32_t c = 0; c < SOCKETS; c++) {
            random = random * 1664525 + 1013904223;
            bool present = (random >> 16) % 3 != 0;
            if (present)
                add(w, c % 7, "a", (uint64_t)c << 32 | 1, 0);
            missed[c] = present ? 0 : (uint8_t)(missed[c] + 1);
            known[c] = present || (known[c] && missed[c] < 2);
            n += known[c];
            there += present;
        }
        end(w, TOP_SORT_RTT);
        assert_int_equal(w->model.n_used, n);
        assert_int_equal(w->model.n_order, there);
        for (uint32_t c = 0; c < SOCKETS; c++) {
            const struct socket_key key = {.netns = c % 7, .cookie = (uint64_t)c << 32 | 1};
            assert_int_equal(top_model_entry(&w->model, &key) != NULL, known[c]);
        }
    }
    assert_true(w->model.n_items <= SOCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_no_rates),
        cmocka_unit_test_setup_teardown(test_polls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_cookies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_after_two_polls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_incomplete_polls_end_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pinned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listeners_have_no_flow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histories_move_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_churn, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
