/* outputs/output*.c: batches, attempts, bounds, requests and the end of an output, with a sink that does what the test
 * says. That no row is missing is looked at whenever the status is (look_at). */
#include "outputs_output_fixture.h"

/* A moment in which something that must not happen would have happened. */
#define MOMENT_NS (30 * NS_PER_MS)

/* Whether |text| is in |whole|. */
static void assert_says(const char *whole, const char *text)
{
    if (!strstr(whole, text))
        fail_msg("\"%s\" does not say \"%s\"", whole, text);
}

/* ---- All is well ---- */

static void test_delivers(void **state)
{
    (void)state;
    make();
    look();
    assert_int_equal(now.s.state, OUTPUT_STATE_STARTING);
    assert_true(now.s.since_ns > 0);
    assert_string_equal(now.error, "");
    assert_int_equal(output_start(fix.o), 0);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING); /* it has connected, with nothing to send */
    assert_int_equal(SCRIPT(connected_times), 1);
    assert_int_equal(now.s.messages_sent, 0);
    assert_int_equal(now.s.last_success_ns, 0);
    for (int i = 0; i < 20; i++)
        poll_of(250);
    wait_until_sent();
    WAIT_UNTIL(SCRIPT(poll_ends) == 20);
    expect_all_once(1, fix.id);
    expect_in_order();
    assert_int_equal(now.s.rows_taken, 5000);
    assert_int_equal(now.s.rows_sent, 5000);
    assert_int_equal(now.s.messages_sent, 20); /* one for each poll */
    assert_int_equal(now.s.bytes_sent, SCRIPT(written));
    assert_true(now.s.last_success_ns >= now.s.since_ns);
    assert_int_equal(now.s.retries, 0);
    assert_int_equal(now.s.n_dropped, 0);
    assert_int_equal(now.s.oldest_ns, 0);
    assert_int_equal(now.s.last_failure_ns, 0);
    assert_int_equal(now.s.queue_bytes, fix.config.queue);
    assert_int_equal(now.s.spool_bytes, 0);
    assert_true(fix.changes >= 1);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(SCRIPT(log[i].poll_id), i + 1);
    finish(NS_PER_S);
    assert_int_equal(now.s.state, OUTPUT_STATE_STOPPING);
    assert_int_equal(SCRIPT(closed), 1);
}

/* Polls without rows for this output have an end, too. */
static void test_empty_polls(void **state)
{
    (void)state;
    start();
    for (unsigned i = 1; i <= 20; i++) {
        end_poll();
        WAIT_UNTIL(SCRIPT(poll_ends) == i);
    }
    assert_int_equal(SCRIPT(sends_begun), 0);
    poll_of(5);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 5);
    finish(NS_PER_S);
}

/* The end of a poll without rows shows that the destination is back, as rows would. */
static void test_empty_poll_after_failure(void **state)
{
    (void)state;
    script_connect(SINK_BROKEN);
    start();
    WAIT_UNTIL(now.s.retries == 1);
    end_poll();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    assert_int_equal(now.s.next_attempt_ns, 0);
    finish(NS_PER_S);
}

static void test_never_started(void **state)
{
    (void)state;
    make();
    output_free(fix.o);
    fix.o = NULL;
    assert_int_equal(SCRIPT(closed), 1);
    output_free(NULL);
}

static void test_made_of_nonsense(void **state)
{
    (void)state;
    const struct output_env env = {.hostname = "host-1"};
    struct output *o = NULL;
    struct err e = {0};
    config_to("pigeon:coop");
    assert_int_equal(output_new(&fix.config, &env, &o, &e), ERR_UNKNOWN);
    assert_says(e.text, "to: ");
    config_to("tcp:127.0.0.1:9");
    config_format("scroll");
    assert_int_equal(output_new(&fix.config, &env, &o, &e), ERR_UNKNOWN);
    assert_says(e.text, "format: ");
    config_format("jsonl");
    fix.config.on_full = OUTPUT_SPOOL; /* and there is no place for it */
    assert_int_equal(output_new(&fix.config, &env, &o, &e), ERR_PRECONDITION);
    assert_says(e.text, "spool_dir");
    assert_null(o);
    assert_int_equal(SCRIPT(opened), SCRIPT(closed));
}

/* ---- Batches ---- */

static void test_batch_rows(void **state)
{
    (void)state;
    fix.config.batch_rows = 70;
    start();
    poll_of(1000);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    assert_int_equal(now.s.messages_sent, 1000 / 70 + 1);
    for (size_t i = 0; i < 1000 / 70; i++)
        assert_int_equal(SCRIPT(log[i].rows), 70);
    assert_int_equal(SCRIPT(log[1000 / 70].rows), 1000 % 70);
    WAIT_UNTIL(SCRIPT(poll_ends) == 1);
    finish(NS_PER_S);
}

static void test_batch_bytes(void **state)
{
    (void)state;
    fix.config.batch_bytes = 4 * KIB;
    start();
    poll_of(1000);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    assert_true(now.s.messages_sent > 5);
    for (size_t i = 0; i + 1 < now.s.messages_sent; i++)
        assert_in_range(SCRIPT(log[i].len), 4 * KIB - 200, 4 * KIB + 2); /* full, but for one row */
    finish(NS_PER_S);
}

/* A row that is longer than the batch may be is sent alone. */
static void test_batch_of_one_row(void **state)
{
    (void)state;
    fix.config.batch_bytes = 1;
    start();
    poll_of(30);
    wait_until_sent();
    assert_int_equal(now.s.messages_sent, 30);
    expect_in_order();
    finish(NS_PER_S);
}

static void test_batch_interval(void **state)
{
    (void)state;
    fix.config.batch_interval = 60 * NS_PER_MS;
    start();
    int64_t begin_ns = clock_mono_ns();
    put(10);
    put(10);
    WAIT_UNTIL(now.s.rows_sent > 0);
    assert_true(clock_mono_ns() - begin_ns >= 60 * NS_PER_MS);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 20);
    assert_int_equal(SCRIPT(poll_ends), 0);
    finish(NS_PER_S);
}

/* Without an interval rows wait for the end of their poll, however long it is. */
static void test_poll_end(void **state)
{
    (void)state;
    start();
    put(100);
    nap(MOMENT_NS);
    look();
    assert_int_equal(now.s.rows_queued, 100);
    assert_int_equal(now.s.rows_sent, 0);
    assert_true(now.s.oldest_ns >= now.s.since_ns);
    assert_true(now.s.bytes_queued >= 100);
    end_poll();
    wait_until_sent();
    assert_int_equal(now.s.messages_sent, 1);
    finish(NS_PER_S);
}

/* Rows of two polls are not in one message, even though the end between them was lost. */
static void test_polls_apart(void **state)
{
    (void)state;
    start();
    put(10);
    fix.poll_id++;
    poll_of(10);
    wait_until_sent();
    assert_int_equal(now.s.messages_sent, 2);
    assert_int_equal(SCRIPT(log[0].poll_id), 1);
    assert_int_equal(SCRIPT(log[1].poll_id), 2);
    finish(NS_PER_S);
}

static void test_keys_and_largest(void **state)
{
    (void)state;
    script.key = OUTPUT_KEY_SOCKET; /* the fixture has seven */
    script.largest = 1000;
    start();
    poll_of(300);
    wait_until_sent();
    expect_all_once(1, fix.id);
    for (size_t i = 0; i < SCRIPT(n_log); i++) {
        assert_true(SCRIPT(log[i].len) <= 1000);
        assert_int_equal((SCRIPT(log[i].last) - SCRIPT(log[i].first)) % 7, 0);
        assert_int_equal(SCRIPT(log[i].last) - SCRIPT(log[i].first), 7 * (SCRIPT(log[i].rows) - 1));
    }
    finish(NS_PER_S);
}

/* ---- Attempts ---- */

static void test_connect_fails(void **state)
{
    (void)state;
    struct err e = {0};
    for (int i = 0; i < 5; i++)
        script_connect(i % 2 ? SINK_AGAIN : SINK_BROKEN);
    start();
    poll_of(10);
    wait_until_sent();
    assert_int_equal(now.s.retries, 5);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    assert_says(now.error, "not connected: by the script");
    assert_true(now.s.last_failure_ns >= now.s.since_ns);
    expect_all_once(1, fix.id);
    assert_int_equal(output_wait_connected(fix.o, 0, &e), 0);
    finish(NS_PER_S);
}

static void test_wait_connected(void **state)
{
    (void)state;
    struct err e = {0};
    script.hangs_connect = true;
    make();
    assert_int_equal(output_wait_connected(fix.o, MOMENT_NS, &e), ERR_UNAVAILABLE);
    assert_says(e.text, "has not answered in time");
    assert_int_equal(output_start(fix.o), 0);
    assert_int_equal(output_wait_connected(fix.o, MOMENT_NS, &e), ERR_UNAVAILABLE);
    pthread_mutex_lock(&script.lock);
    script.hangs_connect = false;
    pthread_mutex_unlock(&script.lock);
    assert_int_equal(output_wait_connected(fix.o, 20 * NS_PER_S, &e), 0);
    finish(NS_PER_S);
}

static void test_wait_connected_fails(void **state)
{
    (void)state;
    struct err e = {0};
    script_defaults(SINK_BROKEN, SINK_DONE);
    script.pause_ns = 100 * NS_PER_S;
    start();
    int64_t begin_ns = clock_mono_ns();
    assert_int_equal(output_wait_connected(fix.o, 20 * NS_PER_S, &e), ERR_UNAVAILABLE);
    assert_says(e.text, "not connected: by the script");
    assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RETRYING);
    assert_true(now.s.next_attempt_ns > clock_wall_ns() + 90 * NS_PER_S);
    finish(0);
    assert_int_equal(now.s.state, OUTPUT_STATE_STOPPING);
}

/* Messages of one attempt: what is done is done, what follows a failure comes again in its order. */
static void test_send_fails(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        output_teardown(NULL);
        output_setup(NULL);
        script.largest = 500;
        for (int i = 0; i < 4; i++) {
            script_send(SINK_DONE);
            script_send(SINK_DONE);
            script_send(broken ? SINK_BROKEN : SINK_AGAIN);
        }
        start();
        poll_of(100);
        wait_until_sent();
        expect_all_once(1, fix.id);
        expect_in_order();
        assert_int_equal(now.s.retries, 4);
        assert_int_equal(now.s.rows_sent, 100);
        assert_int_equal(now.s.messages_sent, SCRIPT(n_log));
        assert_int_equal(SCRIPT(connected_times), broken ? 5 : 1);
        WAIT_UNTIL(SCRIPT(poll_ends) == 1);
        assert_says(now.error, "not sent: by the script");
        finish(NS_PER_S);
    }
}

static void test_refused(void **state)
{
    (void)state;
    script.largest = 500;
    script_send(SINK_DONE);
    script_send(SINK_REFUSED);
    script_send(SINK_DONE);
    script_send(SINK_REFUSED);
    start();
    poll_of(100);
    wait_until_sent();
    struct deliveries d = deliveries(1, fix.id);
    assert_int_equal(d.rows, now.s.rows_sent);
    assert_int_equal(d.twice, 0);
    assert_int_equal(now.dropped[OUTPUT_DROP_REFUSED], 100 - now.s.rows_sent);
    assert_in_range(now.dropped[OUTPUT_DROP_REFUSED], 2, 20);
    assert_int_equal(now.s.retries, 0); /* trying again is of no use */
    assert_says(now.error, "not sent: by the script");
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    script_defaults(SINK_DONE, SINK_REFUSED);
    poll_of(100);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, d.rows);
    assert_int_equal(now.dropped_all, 200 - d.rows);
    finish(NS_PER_S);
}

/* Refused, delivered, and not now, in one attempt. */
static void test_mixed_results(void **state)
{
    (void)state;
    script.largest = 500;
    script_send(SINK_REFUSED);
    script_send(SINK_DONE);
    script_send(SINK_AGAIN);
    script_send(SINK_REFUSED); /* that one again */
    start();
    poll_of(100);
    wait_until_sent();
    assert_int_equal(deliveries(1, fix.id).rows, now.s.rows_sent);
    assert_int_equal(now.dropped[OUTPUT_DROP_REFUSED], 100 - now.s.rows_sent);
    assert_int_equal(now.s.retries, 1);
    expect_in_order();
    finish(NS_PER_S);
}

/* What makes progress is tried again after a short pause, what does not after growing ones. */
static void test_pauses(void **state)
{
    (void)state;
    script.pause_ns = 50 * NS_PER_MS;
    script_connect(SINK_BROKEN);
    script_connect(SINK_BROKEN);
    int64_t begin_ns = clock_mono_ns();
    start();
    poll_of(1); /* makes no attempt earlier */
    wait_until_sent();
    assert_true(clock_mono_ns() - begin_ns >= 100 * NS_PER_MS);
    assert_int_equal(SCRIPT(pauses), 2);
    finish(NS_PER_S);
}

static void test_slow(void **state)
{
    (void)state;
    script.slow_ns = 5 * NS_PER_MS;
    fix.config.batch_rows = 50;
    start();
    for (int i = 0; i < 4; i++)
        poll_of(200);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    finish(NS_PER_S);
}

/* ---- Headers ---- */

static void csv(void)
{
    static char *names[] = {(char *)(uintptr_t) "record_counter", (char *)(uintptr_t) "netns"};
    config_format("csv");
    fix.config.columns.items = calloc(2, sizeof(char *));
    assert_non_null(fix.config.columns.items);
    for (; fix.config.columns.n < 2; fix.config.columns.n++) {
        fix.config.columns.items[fix.config.columns.n] = strdup(names[fix.config.columns.n]);
        assert_non_null(fix.config.columns.items[fix.config.columns.n]);
    }
}

/* One stands at the beginning of each connection on which something is delivered. */
static void test_header(void **state)
{
    (void)state;
    csv();
    script_send(SINK_DONE);
    script_send(SINK_DONE);
    script_send(SINK_AGAIN);
    script_send(SINK_DONE);
    script_send(SINK_BROKEN);
    script_send(SINK_BROKEN);
    script_send(SINK_DONE);
    script_send(SINK_DONE);
    start();
    for (int i = 0; i < 5; i++) {
        poll_of(10);
        wait_until_sent();
    }
    assert_int_equal(SCRIPT(n_log), 5);
    static const bool expected[] = {true, false, false, true, false};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(SCRIPT(log[i].header), expected[i]);
    assert_int_equal(SCRIPT(connected_times), 3);
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* Where messages stand for themselves, in each of them. */
static void test_headers(void **state)
{
    (void)state;
    csv();
    config_to("udp:127.0.0.1:9");
    fix.config.batch_rows = 10;
    start();
    poll_of(50);
    wait_until_sent();
    assert_int_equal(SCRIPT(n_log), 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(SCRIPT(log[i].header));
    finish(NS_PER_S);
}

/* ---- What is sent again after a connection broke ---- */

static void with_resend(size_t bytes)
{
    script.resends = true;
    script.resend = bytes;
}

/* The last message may be lost, and those before it not. */
static void test_resend(void **state)
{
    (void)state;
    with_resend(100); /* less than a message */
    script_send(SINK_DONE);
    script_send(SINK_DONE);
    script_send(SINK_BROKEN);
    start();
    for (int i = 0; i < 3; i++) {
        poll_of(10);
        wait_until_sent();
    }
    WAIT_UNTIL(now.s.rows_resent == 10);
    assert_int_equal(now.s.rows_sent, 30);
    assert_int_equal(SCRIPT(rows), 40);
    expect_all_once(1, 11);
    assert_int_equal(deliveries(11, 21).twice, 10);
    expect_all_once(21, fix.id);
    static const uint64_t polls[] = {1, 2, 2, 3}; /* in their order */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(SCRIPT(log[i].poll_id), polls[i]);
    assert_int_equal(now.s.messages_sent, 4);
    finish(NS_PER_S);
}

/* All of a connection, in the messages that it was sent in; also what was delivered of an attempt that failed later. */
static void test_resend_all(void **state)
{
    (void)state;
    with_resend(1 << 20);
    script.largest = 500;
    start();
    for (int i = 0; i < 100; i++)
        poll_of(10);
    wait_until_sent();
    size_t messages = SCRIPT(n_log);
    script_send(SINK_DONE);
    script_send(SINK_DONE);
    script_send(SINK_BROKEN);
    poll_of(100);
    wait_until_sent();
    uint64_t broken_at = SCRIPT(log[messages + 1].last) + 1;
    assert_int_equal(now.s.rows_sent, 1100);
    assert_int_equal(now.s.rows_resent, broken_at - 1);
    assert_int_equal(deliveries(1, broken_at).twice, broken_at - 1);
    expect_all_once(broken_at, fix.id);
    for (size_t i = 0; i < messages + 2; i++) { /* as they were, each with its poll */
        size_t again = i + messages + 2;
        assert_int_equal(SCRIPT(log[again].first), SCRIPT(log[i].first));
        assert_int_equal(SCRIPT(log[again].poll_id), SCRIPT(log[i].poll_id));
    }
    finish(NS_PER_S);
}

/* The connection breaks while things are sent again: nothing is forgotten, and the order stays. */
static void test_resend_breaks(void **state)
{
    (void)state;
    with_resend(1 << 20);
    start();
    for (int i = 0; i < 5; i++) {
        poll_of(10);
        wait_until_sent();
    }
    script_send(SINK_BROKEN); /* polls 1 to 5 are to be sent again, then 6 */
    script_send(SINK_DONE);
    script_send(SINK_DONE);
    script_send(SINK_BROKEN); /* polls 1 and 2 once more, then 3 to 5 */
    script_send(SINK_DONE);
    script_send(SINK_AGAIN);
    poll_of(10);
    wait_until_sent();
    static const uint64_t polls[] = {1, 2, 3, 4, 5, 1, 2, 1, 2, 3, 4, 5, 6};
    assert_int_equal(SCRIPT(n_log), COUNT(polls));
    for (size_t i = 0; i < COUNT(polls); i++)
        assert_int_equal(SCRIPT(log[i].poll_id), polls[i]);
    assert_int_equal(now.s.rows_sent, 60);
    assert_int_equal(now.s.rows_resent, 70);
    finish(NS_PER_S);
}

/* The sink notices the end of the connection only at the next connect; or at a test. */
static void test_resend_noticed_late(void **state)
{
    (void)state;
    with_resend(1 << 20);
    start();
    poll_of(10);
    wait_until_sent();
    script_connect(SINK_BROKEN);
    script_connect(SINK_BROKEN); /* there is no doubt any more, but what was in doubt is not forgotten */
    poll_of(10);
    wait_until_sent();
    WAIT_UNTIL(now.s.rows_resent == 10);
    assert_int_equal(now.s.rows_sent, 20);
    assert_int_equal(deliveries(1, 11).twice, 10);
    expect_all_once(11, 21);
    finish(NS_PER_S);
}

/* A connection that stays is no reason to send again. */
static void test_no_resend(void **state)
{
    (void)state;
    with_resend(1 << 20);
    start();
    poll_of(10);
    wait_until_sent();
    script_connect(SINK_AGAIN);
    script_send(SINK_AGAIN);
    script_send(SINK_REFUSED);
    poll_of(10);
    poll_of(10);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 20);
    assert_int_equal(now.s.rows_resent, 0);
    finish(NS_PER_S);
}

/* More than a few megabytes, or than many small messages, when the option says so. */
static void test_resend_much(void **state)
{
    (void)state;
    with_resend(SIZE_MAX / 2);
    fix.config.batch_rows = 1;
    start();
    poll_of(3000);
    wait_until_sent();
    script_connect(SINK_BROKEN);
    poll_of(1);
    WAIT_UNTIL(now.s.rows_resent == 3000 && now.s.rows_queued == 0);
    assert_int_equal(deliveries(1, 3001).twice, 3000);
    finish(NS_PER_S);
}

/* ---- The queue is full ---- */

static void test_drop_oldest(void **state)
{
    (void)state;
    script.hangs = true;
    fix.config.queue = 10 * queue_bytes(100);
    start();
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
    for (int i = 0; i < 50; i++)
        poll_of(100);
    look();
    assert_int_equal(now.s.rows_taken, 5100);
    assert_true(now.s.bytes_queued <= fix.config.queue + 64 * KIB);
    assert_true(now.dropped[OUTPUT_DROP_QUEUE] >= 4000);
    assert_int_equal(now.dropped[OUTPUT_DROP_QUEUE], now.dropped_all);
    script_hang(false);
    wait_until_sent();
    expect_all_once(1, 101);               /* under way: not dropped */
    expect_all_once(fix.id - 200, fix.id); /* the newest ones */
    assert_int_equal(deliveries(1, fix.id).rows, now.s.rows_sent);
    expect_in_order();
    finish(NS_PER_S);
}

static void test_drop_newest(void **state)
{
    (void)state;
    script.hangs = true;
    fix.config.on_full = OUTPUT_DROP_NEWEST;
    fix.config.queue = 10 * queue_bytes(100);
    start();
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
    for (int i = 0; i < 50; i++)
        poll_of(100);
    look();
    assert_true(now.dropped[OUTPUT_DROP_QUEUE] >= 4000);
    script_hang(false);
    wait_until_sent();
    assert_int_equal(deliveries(1, fix.id).rows, now.s.rows_sent);
    expect_all_once(1, 301); /* the oldest ones */
    assert_int_equal(deliveries(fix.id - 300, fix.id).rows, 0);
    finish(NS_PER_S);
}

/* A part that is larger than the queue never has room. */
static void test_queue_too_small(void **state)
{
    (void)state;
    fix.config.queue = 1;
    start();
    poll_of(100);
    look();
    assert_int_equal(now.dropped[OUTPUT_DROP_QUEUE], 100);
    finish(NS_PER_S);
}

/* Rows that never reached the hub's queue. */
static void test_lost(void **state)
{
    (void)state;
    start();
    put(10);
    output_lost(fix.o, 7);
    end_poll();
    wait_until_sent();
    assert_int_equal(now.s.rows_taken, 17);
    assert_int_equal(now.dropped[OUTPUT_DROP_QUEUE], 7);
    finish(NS_PER_S);
}

/* A destination that is up gets all rows of a poll that is larger than the queue: they are taken out while it goes on. */
static void test_large_poll(void **state)
{
    (void)state;
    fix.config.queue = 20 * queue_bytes(100);
    fix.config.batch_rows = 100;
    start();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    for (int i = 0; i < 200; i++) {
        put(100);
        WAIT_UNTIL(now.s.bytes_queued < fix.config.queue * 3 / 4);
    }
    end_poll();
    wait_until_sent();
    assert_int_equal(now.dropped_all, 0);
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* ---- Requests ---- */

static void test_pause(void **state)
{
    (void)state;
    start();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    unsigned changes = fix.changes;
    output_pause(fix.o, true);
    look();
    assert_int_equal(now.s.state, OUTPUT_STATE_PAUSED);
    assert_int_equal(fix.changes, changes + 1);
    output_pause(fix.o, true);
    assert_int_equal(fix.changes, changes + 1); /* no news */
    poll_of(100);
    output_flush(fix.o);
    nap(MOMENT_NS);
    look();
    assert_int_equal(now.s.rows_queued, 100);
    assert_int_equal(now.s.state, OUTPUT_STATE_PAUSED);
    assert_int_equal(SCRIPT(sends_begun), 0);
    output_pause(fix.o, false);
    wait_until_sent();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* What is queued in the middle of a poll is sent with the end of a pause: it may have lasted long. */
static void test_resume_flushes(void **state)
{
    (void)state;
    start();
    output_pause(fix.o, true);
    put(100);
    output_pause(fix.o, false);
    wait_until_sent();
    finish(NS_PER_S);
}

/* A pause while an attempt is under way. */
static void test_pause_during_attempt(void **state)
{
    (void)state;
    script.hangs = true;
    start();
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
    output_pause(fix.o, true);
    script_hang(false);
    wait_until_sent(); /* that one */
    look();
    assert_int_equal(now.s.state, OUTPUT_STATE_PAUSED); /* a success does not end the pause */
    poll_of(100);
    nap(MOMENT_NS);
    look();
    assert_int_equal(now.s.rows_queued, 100);
    output_pause(fix.o, false);
    wait_until_sent();
    finish(NS_PER_S);
}

/* At the end, what waited during a pause is sent. */
static void test_stop_while_paused(void **state)
{
    (void)state;
    start();
    output_pause(fix.o, true);
    poll_of(100);
    finish(10 * NS_PER_S);
    assert_int_equal(now.s.state, OUTPUT_STATE_STOPPING);
    assert_int_equal(now.s.rows_sent, 100);
}

static void test_flush(void **state)
{
    (void)state;
    fix.config.batch_rows = 30;
    start();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    put(100); /* too few bytes for the thread to be told of them */
    nap(MOMENT_NS);
    look();
    assert_int_equal(now.s.rows_sent, 0);
    output_flush(fix.o);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 100);
    assert_int_equal(SCRIPT(poll_ends), 0);
    nap(MOMENT_NS);
    put(10); /* the next ones wait again */
    nap(MOMENT_NS);
    look();
    assert_int_equal(now.s.rows_queued, 10);
    finish(NS_PER_S);
    assert_int_equal(now.s.rows_sent, 110);
}

/* The end of a poll that stands in front of the rows is passed over. */
static void test_flush_behind_an_end(void **state)
{
    (void)state;
    start();
    output_pause(fix.o, true);
    end_poll();
    put(10);
    output_pause(fix.o, false);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 10);
    finish(NS_PER_S);
}

/* The next attempt comes at once, however far off it was. */
static void test_flush_ends_a_pause_between_attempts(void **state)
{
    (void)state;
    script.pause_ns = 1000 * NS_PER_S;
    script_connect(SINK_BROKEN);
    start();
    poll_of(10);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RETRYING);
    output_flush(fix.o);
    wait_until_sent();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    finish(NS_PER_S);
}

static void test_reopen(void **state)
{
    (void)state;
    start();
    output_reopen(fix.o);
    WAIT_UNTIL(SCRIPT(reopened) == 1);
    nap(MOMENT_NS);
    assert_int_equal(SCRIPT(reopened), 1);
    finish(NS_PER_S);
}

/* ---- Tests of the destination ---- */

struct tested {
    _Atomic unsigned calls;
    bool delivered;
    char error[ERR_TEXT_MAX];
    uint64_t bytes;
};

static void on_tested(void *arg, const struct output_test *test)
{
    struct tested *t = arg;
    t->delivered = test->delivered;
    t->bytes = test->bytes;
    snprintf(t->error, sizeof(t->error), "%s", test->error);
    t->calls++;
}

static void test_test(void **state)
{
    (void)state;
    struct tested t = {0};
    start();
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(t.calls == 1);
    assert_true(t.delivered);
    assert_string_equal(t.error, "");
    assert_true(t.bytes > 20);
    assert_int_equal(SCRIPT(tests), 1);
    poll_of(10);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 10); /* a test is no row */
    assert_int_equal(now.s.rows_taken, 10);
    assert_int_equal(t.calls, 1);
    finish(NS_PER_S);
}

static void test_test_while_down(void **state)
{
    (void)state;
    struct tested t = {0};
    script_defaults(SINK_BROKEN, SINK_DONE);
    script.pause_ns = 1000 * NS_PER_S;
    start();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RETRYING);
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(t.calls == 1);
    assert_false(t.delivered);
    assert_says(t.error, "not connected: by the script");
    static const enum sink_result failures[] = {SINK_AGAIN, SINK_REFUSED, SINK_BROKEN};
    for (unsigned i = 0; i < COUNT(failures); i++) {
        script_defaults(SINK_DONE, failures[i]);
        output_test(fix.o, on_tested, &t);
        WAIT_UNTIL(t.calls == 2 + i);
        assert_false(t.delivered);
        assert_says(t.error, "not sent: by the script");
    }
    assert_int_equal(SCRIPT(tests), 0);
    finish(0);
}

/* A pause is no reason not to test. */
static void test_test_while_paused(void **state)
{
    (void)state;
    struct tested t = {0};
    start();
    output_pause(fix.o, true);
    poll_of(10);
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(t.calls == 1);
    assert_true(t.delivered);
    assert_int_equal(now.s.rows_queued, 10);
    assert_int_equal(now.s.state, OUTPUT_STATE_PAUSED);
    finish(NS_PER_S);
}

static void test_two_tests(void **state)
{
    (void)state;
    struct tested t[3] = {0};
    script.hangs = true;
    start();
    output_test(fix.o, on_tested, &t[0]);
    WAIT_UNTIL(SCRIPT(in_wait));
    output_test(fix.o, on_tested, &t[1]);
    assert_int_equal(t[1].calls, 1);
    assert_false(t[1].delivered);
    assert_says(t[1].error, "another test");
    assert_int_equal(t[0].calls, 0);
    script_hang(false);
    WAIT_UNTIL(t[0].calls == 1);
    assert_true(t[0].delivered);
    output_test(fix.o, on_tested, &t[2]);
    WAIT_UNTIL(t[2].calls == 1);
    assert_true(t[2].delivered);
    finish(NS_PER_S);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(t[i].calls, 1);
}

/* What is asked while the sink waits for a test is done behind it. */
static void test_requests_during_a_test(void **state)
{
    (void)state;
    struct tested t = {0};
    start();
    output_pause(fix.o, true);
    poll_of(10);
    script_hang(true);
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(SCRIPT(in_wait));
    output_pause(fix.o, false);
    nap(MOMENT_NS); /* the thread has seen that something is asked */
    script_hang(false);
    wait_until_sent();
    assert_int_equal(t.calls, 1);

    script_hang(true);
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(SCRIPT(in_wait));
    output_stop(fix.o, clock_mono_ns() + 60 * NS_PER_S);
    nap(MOMENT_NS);
    script_hang(false);
    finish(60 * NS_PER_S);
    assert_int_equal(t.calls, 2);
}

/* One that waits when the output ends is told so, once; one that comes later is as well. */
static void test_test_at_the_end(void **state)
{
    (void)state;
    struct tested t[3] = {0};
    script.hangs = true;
    start();
    poll_of(10);
    WAIT_UNTIL(SCRIPT(in_wait));
    output_test(fix.o, on_tested, &t[0]);
    int64_t deadline_ns = clock_mono_ns() + 100 * NS_PER_MS;
    output_stop(fix.o, deadline_ns);
    output_test(fix.o, on_tested, &t[1]);
    assert_int_equal(t[1].calls, 1);
    assert_says(t[1].error, "has ended");
    assert_true(output_join(fix.o, deadline_ns + 20 * NS_PER_S));
    assert_int_equal(t[0].calls, 1);
    assert_false(t[0].delivered);
    output_test(fix.o, on_tested, &t[2]);
    assert_int_equal(t[2].calls, 1);
    assert_says(t[2].error, "has ended");
    finish(0);
}

/* The test is what finds that the connection is gone: what was on it is sent again. */
static void test_test_breaks(void **state)
{
    (void)state;
    for (int at_connect = 0; at_connect < 2; at_connect++) {
        struct tested t = {0};
        output_teardown(NULL);
        output_setup(NULL);
        with_resend(1 << 20);
        start();
        poll_of(10);
        wait_until_sent();
        if (at_connect)
            script_connect(SINK_BROKEN);
        else
            script_send(SINK_BROKEN);
        output_test(fix.o, on_tested, &t);
        WAIT_UNTIL(t.calls == 1);
        assert_false(t.delivered);
        WAIT_UNTIL(now.s.rows_resent == 10);
        assert_int_equal(now.s.rows_sent, 10);
        finish(NS_PER_S);
    }
}

/* A header that a test was sent with is there. */
static void test_test_and_header(void **state)
{
    (void)state;
    struct tested t = {0};
    csv();
    start();
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(t.calls == 1);
    uint64_t first = t.bytes;
    output_test(fix.o, on_tested, &t);
    WAIT_UNTIL(t.calls == 2);
    assert_int_equal(first - t.bytes, strlen("record_counter,netns\n"));
    finish(NS_PER_S);
}

/* ---- The end ---- */

/* What is queued is sent, in the middle of a poll as well. */
static void test_stop_sends(void **state)
{
    (void)state;
    fix.config.batch_rows = 30;
    start();
    poll_of(100);
    put(100);
    int64_t begin_ns = clock_mono_ns();
    finish(20 * NS_PER_S);
    assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S); /* it does not wait for the deadline */
    assert_int_equal(now.s.rows_sent, 200);
    expect_all_once(1, fix.id);
}

/* A sink that hangs in wait is cancelled at the deadline; the rest is dropped, and what comes later is, too. */
static void test_stop_while_the_sink_hangs(void **state)
{
    (void)state;
    script.hangs = true;
    start();
    poll_of(100);
    put(50);
    WAIT_UNTIL(SCRIPT(in_wait));
    put(20);
    int64_t begin_ns = clock_mono_ns();
    output_stop(fix.o, begin_ns + 100 * NS_PER_MS);
    assert_false(output_join(fix.o, begin_ns + 20 * NS_PER_MS)); /* not yet */
    poll_of(7);
    assert_true(output_join(fix.o, begin_ns + 20 * NS_PER_S));
    assert_true(clock_mono_ns() - begin_ns >= 100 * NS_PER_MS);
    assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S);
    look();
    assert_int_equal(now.s.rows_queued, 0);
    assert_int_equal(now.dropped[OUTPUT_DROP_STOP], 177);
    poll_of(3); /* nobody is there any more */
    look();
    assert_int_equal(now.dropped[OUTPUT_DROP_STOP], 180);
    finish(0);
    assert_int_equal(deliveries(1, fix.id).rows, 0);
}

static void test_stop_while_connecting(void **state)
{
    (void)state;
    script.hangs_connect = true;
    start();
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
    finish(50 * NS_PER_MS);
    assert_int_equal(now.dropped[OUTPUT_DROP_STOP], 100);
}

/* A destination that is down is tried until the deadline, more often than otherwise. */
static void test_stop_while_down(void **state)
{
    (void)state;
    script.pause_ns = 1000 * NS_PER_S;
    script_defaults(SINK_BROKEN, SINK_DONE);
    start();
    poll_of(100);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RETRYING);
    output_stop(fix.o, clock_mono_ns() + 60 * NS_PER_S);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_STOPPING);
    WAIT_UNTIL(now.s.retries >= 4);
    assert_int_equal(now.s.state, OUTPUT_STATE_STOPPING); /* whatever becomes of attempts */
    script_defaults(SINK_DONE, SINK_DONE);
    finish(60 * NS_PER_S);
    assert_int_equal(now.s.rows_sent, 100);
}

/* An earlier deadline holds, a later one does not. */
static void test_stop_twice(void **state)
{
    (void)state;
    script_defaults(SINK_BROKEN, SINK_DONE);
    start();
    poll_of(10);
    output_stop(fix.o, clock_mono_ns() + 1000 * NS_PER_S);
    output_stop(fix.o, clock_mono_ns() + 50 * NS_PER_MS);
    output_stop(fix.o, clock_mono_ns() + 1000 * NS_PER_S);
    assert_true(output_join(fix.o, clock_mono_ns() + 20 * NS_PER_S));
    finish(0);
    assert_int_equal(now.dropped[OUTPUT_DROP_STOP], 10);
}

/* What would be sent again has been counted, and is forgotten. */
static void test_stop_with_resends(void **state)
{
    (void)state;
    with_resend(1 << 20);
    start();
    poll_of(10);
    wait_until_sent();
    script_connect(SINK_BROKEN);
    script_defaults(SINK_BROKEN, SINK_DONE);
    poll_of(10);
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RETRYING);
    finish(20 * NS_PER_MS);
    assert_int_equal(now.s.rows_sent, 10);
    assert_int_equal(now.dropped[OUTPUT_DROP_STOP], 10);
}

/* ---- Changes of bounds ---- */

static void test_can_change(void **state)
{
    (void)state;
    struct output_config c;
    start();
    assert_true(output_can_change(fix.o, &fix.config));
    assert_int_equal(output_config_copy(&c, &fix.config), 0);
    c.batch_rows = 1;
    c.batch_bytes = 4096;
    c.batch_interval = NS_PER_S;
    c.queue = 1 << 20;
    c.spool_bytes = 1 << 20;
    c.spool_age = NS_PER_S;
    c.start = OUTPUT_REQUIRED;
    c.on_full = OUTPUT_DROP_NEWEST;
    assert_true(output_can_change(fix.o, &c));
    c.on_full = OUTPUT_SPOOL;
    assert_false(output_can_change(fix.o, &c));
    c.on_full = OUTPUT_DROP_OLDEST;
    char *text = c.filter;
    c.filter = (char *)(uintptr_t) "state == LISTEN";
    assert_false(output_can_change(fix.o, &c));
    c.filter = text;
    text = c.to;
    c.to = (char *)(uintptr_t) "tcp:127.0.0.1:10";
    assert_false(output_can_change(fix.o, &c));
    c.to = text;
    assert_true(output_can_change(fix.o, &c));
    output_stop(fix.o, clock_mono_ns());
    assert_false(output_can_change(fix.o, &c)); /* it ends */
    output_config_free(&c);
    finish(0);
}

static void test_change(void **state)
{
    (void)state;
    fix.config.queue = 4 * queue_bytes(100);
    start();
    script_hang(true);
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
    fix.config.queue = 40 * queue_bytes(100);
    fix.config.batch_rows = 25;
    fix.config.on_full = OUTPUT_DROP_NEWEST;
    output_change(fix.o, &fix.config);
    for (int i = 0; i < 10; i++)
        poll_of(100);
    look();
    assert_int_equal(now.dropped_all, 0); /* the queue is larger at once */
    script_hang(false);
    wait_until_sent();
    WAIT_UNTIL(now.s.queue_bytes == fix.config.queue);
    assert_int_equal(now.s.messages_sent, 41);
    expect_all_once(1, fix.id);

    fix.config.batch_rows = 1000;
    fix.config.batch_interval = 10 * NS_PER_MS;
    fix.config.queue = 1;
    output_change(fix.o, &fix.config);
    WAIT_UNTIL(now.s.queue_bytes == 1);
    put(10);
    look();
    assert_int_equal(now.dropped[OUTPUT_DROP_QUEUE], 10);
    fix.config.queue = 40 * queue_bytes(100);
    output_change(fix.o, &fix.config);
    put(10);
    wait_until_sent(); /* by the interval */
    assert_int_equal(now.s.rows_sent, 1110);
    finish(NS_PER_S);
}

/* A smaller batch than what has been gathered already. */
static void test_change_to_a_smaller_batch(void **state)
{
    (void)state;
    start();
    output_flush(fix.o);
    put(100);
    fix.config.batch_rows = 10;
    output_change(fix.o, &fix.config);
    poll_of(100);
    wait_until_sent();
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTPUT_TEST(test_delivers),
        OUTPUT_TEST(test_empty_polls),
        OUTPUT_TEST(test_empty_poll_after_failure),
        OUTPUT_TEST(test_never_started),
        OUTPUT_TEST(test_made_of_nonsense),
        OUTPUT_TEST(test_batch_rows),
        OUTPUT_TEST(test_batch_bytes),
        OUTPUT_TEST(test_batch_of_one_row),
        OUTPUT_TEST(test_batch_interval),
        OUTPUT_TEST(test_poll_end),
        OUTPUT_TEST(test_polls_apart),
        OUTPUT_TEST(test_keys_and_largest),
        OUTPUT_TEST(test_connect_fails),
        OUTPUT_TEST(test_wait_connected),
        OUTPUT_TEST(test_wait_connected_fails),
        OUTPUT_TEST(test_send_fails),
        OUTPUT_TEST(test_refused),
        OUTPUT_TEST(test_mixed_results),
        OUTPUT_TEST(test_pauses),
        OUTPUT_TEST(test_slow),
        OUTPUT_TEST(test_header),
        OUTPUT_TEST(test_headers),
        OUTPUT_TEST(test_resend),
        OUTPUT_TEST(test_resend_all),
        OUTPUT_TEST(test_resend_breaks),
        OUTPUT_TEST(test_resend_noticed_late),
        OUTPUT_TEST(test_no_resend),
        OUTPUT_TEST(test_resend_much),
        OUTPUT_TEST(test_drop_oldest),
        OUTPUT_TEST(test_drop_newest),
        OUTPUT_TEST(test_queue_too_small),
        OUTPUT_TEST(test_lost),
        OUTPUT_TEST(test_large_poll),
        OUTPUT_TEST(test_pause),
        OUTPUT_TEST(test_resume_flushes),
        OUTPUT_TEST(test_pause_during_attempt),
        OUTPUT_TEST(test_stop_while_paused),
        OUTPUT_TEST(test_flush),
        OUTPUT_TEST(test_flush_behind_an_end),
        OUTPUT_TEST(test_flush_ends_a_pause_between_attempts),
        OUTPUT_TEST(test_reopen),
        OUTPUT_TEST(test_test),
        OUTPUT_TEST(test_test_while_down),
        OUTPUT_TEST(test_test_while_paused),
        OUTPUT_TEST(test_two_tests),
        OUTPUT_TEST(test_requests_during_a_test),
        OUTPUT_TEST(test_test_at_the_end),
        OUTPUT_TEST(test_test_breaks),
        OUTPUT_TEST(test_test_and_header),
        OUTPUT_TEST(test_stop_sends),
        OUTPUT_TEST(test_stop_while_the_sink_hangs),
        OUTPUT_TEST(test_stop_while_connecting),
        OUTPUT_TEST(test_stop_while_down),
        OUTPUT_TEST(test_stop_twice),
        OUTPUT_TEST(test_stop_with_resends),
        OUTPUT_TEST(test_can_change),
        OUTPUT_TEST(test_change),
        OUTPUT_TEST(test_change_to_a_smaller_batch),
    };
    return cmocka_run_group_tests(tests, output_group_setup, output_group_teardown);
}
