/* outputs/output*.c under load: one thread puts rows in, others ask for the status, one asks for all that can be asked, and the
 * destination does what it likes. At every moment no row is missing. */
#include "outputs_output_fixture.h"

#include <stdatomic.h>

enum { POLLS = 300, WATCHERS = 2, LIVES = 5 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- Threads ---- */

static _Atomic bool all_put;
static _Atomic bool ends;
static _Atomic unsigned wrong; /* states in which a row was missing, or a count went back */
static _Atomic uint64_t lost;

static void *put_polls(void *arg)
{
    uint64_t *random = arg;
    for (int i = 0; i < POLLS; i++) {
        for (uint64_t parts = next_random(random) % 4; parts > 0; parts--)
            put(1 + next_random(random) % 150);
        if (next_random(random) % 50 == 0) {
            output_lost(fix.o, 3);
            lost += 3;
        }
        end_poll();
        if (next_random(random) % 3 == 0)
            nap((int64_t)(next_random(random) % NS_PER_MS));
    }
    all_put = true;
    return NULL;
}

/* Counts only grow. */
static bool goes_back(const struct view *before, const struct view *after)
{
    return after->s.rows_taken < before->s.rows_taken || after->s.rows_sent < before->s.rows_sent ||
           after->s.bytes_sent < before->s.bytes_sent || after->s.retries < before->s.retries ||
           after->s.rows_resent < before->s.rows_resent || after->dropped_all < before->dropped_all ||
           after->s.rows_found < before->s.rows_found;
}

static void *watch(void *arg)
{
    struct view before = {0};
    (void)arg;
    while (!ends) {
        struct view after;
        if (!view_of(fix.o, &after) || goes_back(&before, &after))
            wrong++;
        before = after;
        (void)output_can_change(fix.o, &fix.config);
    }
    return NULL;
}

static _Atomic unsigned tested;

static void on_tested(void *arg, const struct output_test *test)
{
    (void)arg;
    (void)test;
    tested++;
}

/* One request, whichever. |*tests| counts those for a test. */
static void ask(uint64_t random, unsigned *tests)
{
    static const uint32_t rows[] = {7, 100, 10000};
    struct output_config c = fix.config; /* shares its texts */
    switch (random % 12) {
    case 0:
        output_pause(fix.o, true);
        break;
    case 1:
    case 2:
        output_pause(fix.o, false);
        break;
    case 3:
        output_flush(fix.o);
        break;
    case 4:
        output_reopen(fix.o);
        break;
    case 5:
        ++*tests;
        output_test(fix.o, on_tested, NULL);
        break;
    case 6:
        c.batch_rows = rows[random / 12 % COUNT(rows)];
        c.batch_interval = random / 12 % 2 ? NS_PER_MS : 0;
        c.queue = fix.config.queue / (1 + random / 12 % 3);
        output_change(fix.o, &c);
        break;
    case 7:
        script_hang(true);
        break;
    default:
        script_hang(false);
    }
}

/* All of it for a while. Returns how many tests there were. */
static unsigned let_run(uint64_t seed)
{
    pthread_t hub, watchers[WATCHERS];
    uint64_t random = seed, hub_random = seed + 1;
    unsigned tests = 0;
    all_put = ends = false;
    tested = 0;
    assert_int_equal(pthread_create(&hub, NULL, put_polls, &hub_random), 0);
    for (int i = 0; i < WATCHERS; i++)
        assert_int_equal(pthread_create(&watchers[i], NULL, watch, NULL), 0);
    while (!all_put) {
        ask(next_random(&random), &tests);
        nap(NS_PER_MS / 2);
    }
    pthread_join(hub, NULL);
    ends = true;
    for (int i = 0; i < WATCHERS; i++)
        pthread_join(watchers[i], NULL);
    return tests;
}

/* The destination is well from now on. */
static void calm_down(void)
{
    pthread_mutex_lock(&script.lock);
    script.draws = script.hangs = false;
    pthread_mutex_unlock(&script.lock);
    output_pause(fix.o, false);
}

/* ---- Tests ---- */

static void set_up(uint64_t variant)
{
    output_teardown(NULL);
    output_setup(NULL);
    wrong = 0;
    lost = 0;
    fix.config.queue = 60 * queue_bytes(100);
    fix.config.on_full = (enum output_on_full)(variant % OUTPUT_ON_FULLS);
    fix.config.spool_bytes = 1000 * KIB;
    script.draws = true;
    script.pause_ns = NS_PER_MS / 4;
    script.largest = variant % 2 ? 700 : 0;
    script.resends = variant / 2 % 2;
    script.resend = 2000;
    script.key = variant % 5 == 4 ? OUTPUT_KEY_SOCKET : OUTPUT_KEY_NONE;
}

/* Each row is delivered, and counted as sent once; or dropped, and counted so. */
static void test_every_row(void **state)
{
    (void)state;
    for (uint64_t variant = 0; variant < 6; variant++) {
        set_up(variant);
        start();
        unsigned tests = let_run(variant + 1);
        calm_down();
        wait_until_sent();
        WAIT_UNTIL(tested == tests);
        uint64_t ids = fix.id - 1;
        assert_int_equal(wrong, 0);
        assert_int_equal(now.s.rows_taken, ids + lost);
        assert_int_equal(now.s.rows_sent, deliveries(1, fix.id).rows);
        assert_int_equal(now.s.rows_sent + now.dropped_all, ids + lost);
        WAIT_UNTIL(SCRIPT(rows) == now.s.rows_sent + now.s.rows_resent + SCRIPT(tests));
        if (!SCRIPT(resends))
            assert_int_equal(deliveries(1, fix.id).twice, 0);
        finish(20 * NS_PER_S);
    }
}

/* The same over several lives with one spool, each of which ends where it is. What was under way may come twice. */
static void test_lives(void **state)
{
    (void)state;
    set_up(OUTPUT_SPOOL);
    uint64_t dropped = 0, sent = 0;
    for (uint64_t life = 0; life < LIVES; life++) {
        uint64_t spooled = life ? now.s.rows_spooled : 0;
        start();
        unsigned tests = let_run(life + 100);
        if (life == LIVES - 1) {
            calm_down();
            wait_until_sent();
        }
        finish((int64_t)life * NS_PER_MS);
        assert_int_equal(tested, tests);
        assert_int_equal(wrong, 0);
        assert_true(now.s.rows_found >= spooled); /* with what was delivered of an entry */
        dropped += now.dropped_all;
        sent += now.s.rows_sent;
    }
    assert_int_equal(now.s.rows_spooled, 0);
    uint64_t delivered = deliveries(1, fix.id).rows;
    assert_true(delivered + dropped >= fix.id - 1 + lost);
    assert_true(sent >= delivered);
}

/* What is put in while the output ends is counted, too. */
static void test_end_under_load(void **state)
{
    (void)state;
    for (uint64_t variant = 0; variant < 6; variant++) {
        pthread_t hub, watcher;
        uint64_t random = variant + 7;
        set_up(variant);
        start();
        all_put = ends = false;
        assert_int_equal(pthread_create(&hub, NULL, put_polls, &random), 0);
        assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
        nap(20 * NS_PER_MS);
        int64_t deadline_ns = clock_mono_ns() + 10 * NS_PER_MS;
        output_stop(fix.o, deadline_ns);
        assert_true(output_join(fix.o, deadline_ns + 20 * NS_PER_S));
        pthread_join(hub, NULL);
        ends = true;
        pthread_join(watcher, NULL);
        assert_int_equal(wrong, 0);
        look();
        assert_int_equal(now.s.rows_taken, fix.id - 1 + lost);
        assert_int_equal(now.s.rows_sent, deliveries(1, fix.id).rows);
        finish(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTPUT_TEST(test_every_row),
        OUTPUT_TEST(test_lives),
        OUTPUT_TEST(test_end_under_load),
    };
    return cmocka_run_group_tests(tests, output_group_setup, output_group_teardown);
}
