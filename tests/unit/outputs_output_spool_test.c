/* outputs/output*.c: an output with a spool. Which rows are where is looked at whenever the status is (look_at). */
#include "outputs_output_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "outputs/spool.h"
#include "outputs_rows.h"

#define MIB (1024 * KIB)

static atomic_bool disk_full;
static atomic_bool disk_broken;

int __real_spool_put(struct spool *s, const struct spool_entry *entry, struct err *e);
int __wrap_spool_put(struct spool *s, const struct spool_entry *entry, struct err *e);
int __real_spool_first(struct spool *s, struct buf *data, struct spool_entry *out, struct err *e);
int __wrap_spool_first(struct spool *s, struct buf *data, struct spool_entry *out, struct err *e);

int __wrap_spool_put(struct spool *s, const struct spool_entry *entry, struct err *e)
{
    return disk_full ? err_set(e, -ENOSPC, "spool: %s", err_name(-ENOSPC)) : __real_spool_put(s, entry, e);
}

int __wrap_spool_first(struct spool *s, struct buf *data, struct spool_entry *out, struct err *e)
{
    if (!disk_broken)
        return __real_spool_first(s, data, out, e);
    buf_reset(data);
    return err_set(e, -EIO, "spool: %s", err_name(-EIO));
}

static void assert_says(const char *whole, const char *text)
{
    if (!strstr(whole, text))
        fail_msg("\"%s\" does not say \"%s\"", whole, text);
}

static int setup(void **state)
{
    disk_full = disk_broken = false;
    int rc = output_setup(state);
    fix.config.on_full = OUTPUT_SPOOL;
    fix.config.queue = 20 * queue_bytes(100);
    fix.config.spool_bytes = 64 * MIB;
    return rc;
}

/* The destination takes nothing, and the first poll is under way. */
static void start_stuck(void)
{
    script.hangs = true;
    start();
    poll_of(100);
    WAIT_UNTIL(SCRIPT(in_wait));
}

/* One after the other, as fast as the spool takes them. */
static void polls(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        poll_of(100);
        WAIT_UNTIL(now.s.bytes_queued < fix.config.queue * 3 / 4);
    }
}

/* All at once, and the spool does not take them. */
static void burst(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        poll_of(100);
}

/* Starts it, with polls of 100 rows each that cannot be sent, and ends it. All of them are in the spool. */
static void fill_spool(unsigned n)
{
    script_defaults(SINK_BROKEN, SINK_DONE);
    start();
    polls(n);
    WAIT_UNTIL(now.s.retries > 0);
    finish(0);
    assert_int_equal(now.dropped_all, 0);
    script_defaults(SINK_DONE, SINK_DONE);
}

/* ---- While it runs ---- */

static void test_overflow(void **state)
{
    (void)state;
    start_stuck();
    for (int i = 0; i < 50; i++) {
        polls(2);
        end_poll(); /* one without rows */
    }
    WAIT_UNTIL(now.s.rows_spooled > 8000);
    assert_int_equal(now.dropped_all, 0);
    assert_int_equal(now.s.rows_found, 0);
    assert_true(now.s.bytes_spooled > 0 && now.s.oldest_spooled_ns >= now.s.since_ns);
    assert_int_equal(now.s.spool_bytes, 64 * MIB);
    script_hang(false);
    wait_until_sent();
    polls(5);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    WAIT_UNTIL(SCRIPT(poll_ends) == 156); /* they go through the spool, too */
    assert_int_equal(now.s.rows_sent, 10600);
    assert_int_equal(now.s.oldest_spooled_ns, 0);
    finish(NS_PER_S);
}

/* A pause that lasts: nothing is lost. */
static void test_pause(void **state)
{
    (void)state;
    start();
    output_pause(fix.o, true);
    polls(100);
    WAIT_UNTIL(now.s.rows_spooled > 8000);
    assert_int_equal(now.dropped_all, 0);
    output_pause(fix.o, false);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    finish(NS_PER_S);
}

/* A part of an entry is delivered at a time; it leaves the spool as a whole. */
static void test_entry_in_parts(void **state)
{
    (void)state;
    script.largest = 1000;
    start_stuck();
    polls(50);
    WAIT_UNTIL(now.s.rows_spooled > 3000);
    for (int i = 0; i < 20; i++) {
        script_send(SINK_DONE);
        script_send(i % 2 ? SINK_AGAIN : SINK_BROKEN);
    }
    script_hang(false);
    wait_until_sent();
    expect_all_once(1, fix.id);
    expect_in_order();
    assert_int_equal(now.s.rows_sent, 5100);
    finish(NS_PER_S);
}

static void test_refused(void **state)
{
    (void)state;
    start_stuck();
    polls(50);
    WAIT_UNTIL(now.s.rows_spooled > 3000);
    script_defaults(SINK_DONE, SINK_REFUSED);
    script_hang(false);
    wait_until_sent();
    assert_int_equal(now.dropped[OUTPUT_DROP_REFUSED], 5100);
    finish(NS_PER_S);
}

/* ---- Over a restart ---- */

static void test_restart(void **state)
{
    (void)state;
    fill_spool(50);
    assert_int_equal(now.s.rows_spooled, 5000);
    assert_int_equal(now.s.rows_sent, 0);
    uint64_t before = fix.id;
    start();
    polls(5);
    WAIT_UNTIL(now.s.rows_found == 5000);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 5500);
    assert_int_equal(now.s.rows_taken, 500);
    expect_all_once(1, fix.id);
    assert_true(before < fix.id);
    finish(NS_PER_S);
    start();
    WAIT_UNTIL(now.s.state == OUTPUT_STATE_RUNNING);
    assert_int_equal(now.s.rows_found, 0);
    finish(NS_PER_S);
}

/* What was delivered of an entry comes once more; nothing is missing. */
static void test_restart_within_an_entry(void **state)
{
    (void)state;
    script.largest = 1000;
    fill_spool(10);
    script_send(SINK_DONE);
    script_defaults(SINK_DONE, SINK_AGAIN);
    start();
    WAIT_UNTIL(now.s.rows_sent > 0 && now.s.retries > 1);
    finish(0);
    uint64_t sent = now.s.rows_sent;
    assert_in_range(sent, 1, 50);
    assert_int_equal(now.s.rows_spooled, 1000 - sent);
    script_defaults(SINK_DONE, SINK_DONE);
    start();
    WAIT_UNTIL(now.s.rows_found == 1000);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 1000);
    assert_int_equal(deliveries(1, fix.id).rows, 1000);
    assert_int_equal(deliveries(1, fix.id).twice, sent);
    finish(NS_PER_S);
}

/* The sink hangs until the deadline: the rest is in the spool. */
static void test_stop_while_the_sink_hangs(void **state)
{
    (void)state;
    start_stuck();
    polls(5);
    put(50);
    int64_t begin_ns = clock_mono_ns();
    finish(100 * NS_PER_MS);
    assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S);
    assert_int_equal(now.s.rows_spooled, 650);
    assert_int_equal(now.dropped_all, 0);
    script_hang(false);
    start();
    wait_until_sent();
    WAIT_UNTIL(now.s.rows_sent == 650);
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* The new output waits for the spool of the old one, which still has something to do. */
static void test_handover(void **state)
{
    (void)state;
    start_stuck();
    struct output *old = fix.o;
    output_stop(old, clock_mono_ns() + 300 * NS_PER_MS);
    fix.o = NULL;
    start();
    polls(5);
    WAIT_UNTIL(*now.error);
    assert_says(now.error, "is in use");
    assert_true(output_join(old, clock_mono_ns() + 20 * NS_PER_S));
    assert_int_equal(look_at(old).s.rows_spooled, 100);
    output_free(old);
    WAIT_UNTIL(now.s.rows_found == 100);
    script_hang(false);
    wait_until_sent();
    WAIT_UNTIL(now.s.rows_sent == 600);
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* Also while the sink hangs: the spool is opened as soon as it can be. */
static void test_handover_to_a_stuck_one(void **state)
{
    (void)state;
    start_stuck();
    struct output *old = fix.o;
    output_stop(old, clock_mono_ns() + 300 * NS_PER_MS);
    fix.o = NULL;
    start();
    poll_of(100);
    assert_true(output_join(old, clock_mono_ns() + 20 * NS_PER_S));
    output_free(old);
    while (look(), now.s.rows_found == 0) {
        poll_of(1);
        nap(10 * NS_PER_MS);
    }
    polls(40);
    WAIT_UNTIL(now.s.rows_spooled > 1000);
    assert_int_equal(now.dropped_all, 0);
    script_hang(false);
    wait_until_sent();
    finish(NS_PER_S);
}

/* ---- Bounds ---- */

static void test_full_spool(void **state)
{
    (void)state;
    fix.config.spool_bytes = 300 * KIB;
    start_stuck();
    polls(200);
    WAIT_UNTIL(now.dropped[OUTPUT_DROP_SPOOL] > 0);
    WAIT_UNTIL(now.s.rows_queued < 2000);
    assert_int_equal(now.dropped_all, now.dropped[OUTPUT_DROP_SPOOL]);
    assert_true(now.s.bytes_spooled <= 300 * KIB);
    script_hang(false);
    wait_until_sent();
    assert_int_equal(deliveries(1, fix.id).rows, now.s.rows_sent);
    assert_int_equal(deliveries(1, fix.id).twice, 0);
    expect_all_once(fix.id - 500, fix.id); /* the newest ones */
    finish(NS_PER_S);
}

/* The entry that is under way has to make room, and is delivered all the same. */
static void test_entry_makes_room(void **state)
{
    (void)state;
    fix.config.spool_bytes = 300 * KIB;
    fill_spool(5);
    script_hang(true);
    start();
    WAIT_UNTIL(SCRIPT(in_wait));
    polls(300);
    WAIT_UNTIL(now.dropped[OUTPUT_DROP_SPOOL] > 5000);
    script_hang(false);
    wait_until_sent();
    expect_all_once(1, 101);
    assert_int_equal(deliveries(101, 501).rows, 0);
    assert_int_equal(deliveries(1, fix.id).rows, now.s.rows_sent);
    finish(NS_PER_S);
}

/* The same, in part or not at all delivered when the output ends: what is left of it is lost, and counted. */
static void test_entry_makes_room_at_the_end(void **state)
{
    (void)state;
    for (int part = 0; part < 2; part++) {
        output_teardown(NULL);
        setup(NULL);
        fix.config.spool_bytes = 300 * KIB;
        script.largest = 1000;
        fill_spool(5);
        if (part)
            script_send(SINK_DONE);
        script_defaults(SINK_DONE, SINK_AGAIN);
        start();
        WAIT_UNTIL(now.s.retries > 0);
        polls(300);
        WAIT_UNTIL(now.dropped[OUTPUT_DROP_SPOOL] > 5000);
        finish(0);
        uint64_t spooled = now.s.rows_spooled, sent = now.s.rows_sent;
        assert_int_equal(sent > 0, part);
        assert_int_equal(now.s.rows_found + now.s.rows_taken, sent + spooled + now.dropped_all);
        script_defaults(SINK_DONE, SINK_DONE);
        start();
        WAIT_UNTIL(now.s.rows_found == spooled); /* as many as it said */
        wait_until_sent();
        assert_int_equal(deliveries(1, fix.id).rows, sent + spooled);
        finish(NS_PER_S);
    }
}

static void test_too_old(void **state)
{
    (void)state;
    fix.config.spool_age = 50 * NS_PER_MS;
    start_stuck();
    polls(50);
    WAIT_UNTIL(now.s.rows_spooled > 3000);
    nap(100 * NS_PER_MS);
    uint64_t spooled = now.s.rows_spooled;
    script_hang(false);
    wait_until_sent();
    assert_true(now.dropped[OUTPUT_DROP_AGE] >= spooled);
    assert_int_equal(now.dropped[OUTPUT_DROP_AGE], now.dropped_all);
    assert_true(now.s.rows_sent >= 100);
    finish(NS_PER_S);
}

static void test_change(void **state)
{
    (void)state;
    start_stuck();
    polls(200);
    WAIT_UNTIL(now.s.rows_spooled > 15000);
    fix.config.spool_bytes = 300 * KIB;
    output_change(fix.o, &fix.config);
    script_hang(false);
    WAIT_UNTIL(now.s.spool_bytes == 300 * KIB);
    wait_until_sent();
    assert_true(now.s.rows_sent < 20100);
    assert_int_equal(now.dropped[OUTPUT_DROP_SPOOL], 20100 - now.s.rows_sent);
    finish(NS_PER_S);
}

/* A spool that has become smaller over a restart: what it drops then was found. */
static void test_smaller_at_the_start(void **state)
{
    (void)state;
    fill_spool(100);
    fix.config.spool_bytes = 300 * KIB;
    start();
    WAIT_UNTIL(now.s.rows_found == 10000);
    wait_until_sent();
    assert_true(now.dropped[OUTPUT_DROP_SPOOL] > 0);
    assert_int_equal(now.s.rows_sent + now.dropped_all, 10000);
    finish(NS_PER_S);
}

/* ---- The disk ---- */

/* Rows wait, and the status tells why; with the disk they go on. */
static void test_full_disk(void **state)
{
    (void)state;
    disk_full = true;
    start_stuck();
    burst(15);
    WAIT_UNTIL(*now.error);
    assert_says(now.error, err_name(-ENOSPC));
    assert_int_equal(now.s.rows_spooled, 0);
    assert_int_equal(now.s.rows_queued, now.s.rows_taken - now.dropped_all);
    disk_full = false;
    burst(1);
    WAIT_UNTIL(now.s.rows_spooled > 0);
    polls(19);
    uint64_t dropped = now.dropped[OUTPUT_DROP_QUEUE];
    assert_int_equal(now.dropped_all, dropped);
    script_hang(false);
    wait_until_sent();
    assert_int_equal(deliveries(1, fix.id).rows, 3600 - dropped);
    expect_in_order();
    finish(NS_PER_S);
}

static void test_full_disk_at_the_end(void **state)
{
    (void)state;
    start_stuck();
    polls(50);
    WAIT_UNTIL(now.s.rows_spooled > 3000);
    disk_full = true;
    burst(5);
    finish(0);
    assert_true(now.dropped[OUTPUT_DROP_DISK] >= 500);
    assert_int_equal(now.s.rows_spooled + now.dropped_all, 5600);
}

/* What cannot be read now waits until it can be; what is newer goes on. */
static void test_broken_disk(void **state)
{
    (void)state;
    fill_spool(5);
    disk_broken = true;
    start();
    WAIT_UNTIL(now.s.rows_found == 500);
    poll_of(100);
    WAIT_UNTIL(now.s.rows_sent == 100);
    assert_says(now.error, err_name(-EIO));
    disk_broken = false;
    poll_of(100);
    wait_until_sent();
    expect_all_once(1, fix.id);
    finish(NS_PER_S);
}

/* Changes a byte at the end of the segment. */
static void damage_spool(void)
{
    char path[sizeof(fix.spool_dir) + 300];
    snprintf(path, sizeof(path), "%s/test", fix.spool_dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *d;
    do
        d = readdir(dir);
    while (d && !strstr(d->d_name, ".seg") && !strstr(d->d_name, "0000"));
    assert_non_null(d);
    snprintf(path, sizeof(path), "%s/test/%s", fix.spool_dir, d->d_name);
    closedir(dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t end = lseek(fd, 0, SEEK_END);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, end - 1), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, end - 1), 1);
    close(fd);
}

static void test_damaged(void **state)
{
    (void)state;
    fill_spool(5);
    damage_spool();
    start();
    WAIT_UNTIL(now.s.rows_found == 500);
    wait_until_sent();
    assert_int_equal(now.dropped[OUTPUT_DROP_DAMAGED], 100);
    expect_all_once(1, 401);
    finish(NS_PER_S);
}

/* Entries that are whole, and have other rows than they say, or none that can be read. */
static void test_lying_entries(void **state)
{
    (void)state;
    static const uint8_t cut[] = {0x52, 0x05, 0x08};
    char dir[sizeof(fix.spool_dir) + 8];
    struct spool *s;
    struct buf rows;
    struct err e;
    snprintf(dir, sizeof(dir), "%s/test", fix.spool_dir);
    assert_int_equal(spool_open(&(struct spool_options){.dir = dir, .bytes_max = 1 << 20}, &s, &e), 0);
    buf_init(&rows);
    for (uint64_t id = 1; id <= 3; id++)
        rows_add(&rows, &(struct test_row){.id = id});
    struct spool_entry entry = {
        .time_ns = clock_wall_ns(), .data = (const uint8_t *)rows.data, .len = rows.len};
    for (entry.rows = 0; entry.rows < 6; entry.rows++)
        assert_int_equal(spool_put(s, &entry, &e), 0);
    entry.data = cut;
    entry.len = sizeof(cut);
    assert_int_equal(spool_put(s, &entry, &e), 0);
    buf_free(&rows);
    spool_close(s);
    start();
    WAIT_UNTIL(now.s.rows_found == 0 + 1 + 2 + 3 + 4 + 5 + 6);
    wait_until_sent();
    assert_int_equal(now.s.rows_sent, 3);
    assert_int_equal(now.dropped[OUTPUT_DROP_DAMAGED], 18);
    assert_says(now.error, "cannot be read");
    poll_of(10);
    wait_until_sent();
    finish(NS_PER_S);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, output_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_overflow),
        TEST(test_pause),
        TEST(test_entry_in_parts),
        TEST(test_refused),
        TEST(test_restart),
        TEST(test_restart_within_an_entry),
        TEST(test_stop_while_the_sink_hangs),
        TEST(test_handover),
        TEST(test_handover_to_a_stuck_one),
        TEST(test_full_spool),
        TEST(test_entry_makes_room),
        TEST(test_entry_makes_room_at_the_end),
        TEST(test_too_old),
        TEST(test_change),
        TEST(test_smaller_at_the_start),
        TEST(test_full_disk),
        TEST(test_full_disk_at_the_end),
        TEST(test_broken_disk),
        TEST(test_damaged),
        TEST(test_lying_entries),
    };
    return cmocka_run_group_tests(tests, output_group_setup, output_group_teardown);
}
