/* outputs/spool.c: what is put in comes out in its order, whatever ends the process, within the bounds. */
#include "outputs_spool_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "outputs/spool_position.h"
#include "outputs/spool_segment.h"

/* ---- In and out ---- */

static void test_order_and_counts(void **state)
{
    (void)state;
    enum { ENTRIES = 200, TAKEN = 70 };
    struct spool *s = open_spool();
    uint64_t rows = 0;
    expect_empty(s);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        put_entry(s, i, i * 37 % 5000);
        rows += i % 7 + 1;
    }
    struct spool_stats before = stats_of(s);
    assert_int_equal(before.rows, rows);
    spool_close(s);
    s = open_spool();
    struct spool_stats after = stats_of(s);
    assert_memory_equal(&after, &before, sizeof(after));
    for (uint64_t i = 0; i < TAKEN; i++) {
        take_entry(s, i, i * 37 % 5000);
        rows -= i % 7 + 1;
    }
    assert_int_equal(stats_of(s).rows, rows);
    spool_close(s);
    s = open_spool();
    assert_int_equal(stats_of(s).rows, rows);
    put_entry(s, ENTRIES, 1);
    for (uint64_t i = TAKEN; i < ENTRIES; i++)
        take_entry(s, i, i * 37 % 5000);
    take_entry(s, ENTRIES, 1);
    expect_empty(s);
    struct spool_stats empty = stats_of(s);
    assert_memory_equal(&empty, &(struct spool_stats){0}, sizeof(empty));
    assert_no_segments();
    spool_close(s);
    spool_close(NULL);
}

static void test_an_entry_stays_until_it_is_taken(void **state)
{
    (void)state;
    struct spool *s = open_spool();
    put_entry(s, 1, 10);
    put_entry(s, 2, 20);
    expect_entry(s, 1, 10);
    expect_entry(s, 1, 10);
    spool_take(s);
    spool_take(s); /* nothing was given since */
    expect_entry(s, 2, 20);
    spool_close(s);
    s = open_spool();
    spool_take(s);
    take_entry(s, 2, 20);
    expect_empty(s);
    spool_close(s);
}

static void test_ends_of_polls(void **state)
{
    (void)state;
    struct spool *s = open_spool();
    struct spool_entry end = {.poll_id = 9, .time_ns = 5, .poll_end = true};
    assert_int_equal(spool_put(s, &end, NULL), 0);
    put_entry(s, 1, 100);
    end.poll_id = 10;
    assert_int_equal(spool_put(s, &end, NULL), 0);
    for (int i = 0; i < 2; i++) { /* as they were put in, and as they are found again */
        struct spool_entry got;
        assert_int_equal(stats_of(s).rows, 2);
        assert_int_equal(stats_of(s).oldest_ns, 5);
        assert_int_equal(spool_first(s, &spool_data, &got, NULL), 1);
        assert_true(got.poll_id == 9 && got.poll_end && got.rows == 0 && got.len == 0 && got.time_ns == 5);
        if (i == 0) {
            spool_close(s);
            s = open_spool();
        }
    }
    spool_take(s);
    take_entry(s, 1, 100);
    struct spool_entry got;
    assert_int_equal(spool_first(s, &spool_data, &got, NULL), 1);
    assert_true(got.poll_id == 10 && got.poll_end && got.len == 0);
    spool_take(s);
    expect_empty(s);
    spool_close(s);
}

static void test_long_entries(void **state)
{
    (void)state;
    struct err e = {0};
    struct spool *s = open_with(40 * MIB, 0);
    put_entry(s, 1, SPOOL_ENTRY_MAX);
    put_entry(s, 2, SPOOL_ENTRY_MAX - 1);
    assert_int_equal(try_put(s, 3, SPOOL_ENTRY_MAX + 1, &e), ERR_LIMIT);
    assert_non_null(strstr(
        e.text, "an entry of 16777217 bytes is too long: one may have 16777216, and all together 41943040"));
    spool_close(s);
    s = open_with(40 * MIB, 0);
    take_entry(s, 1, SPOOL_ENTRY_MAX);
    take_entry(s, 2, SPOOL_ENTRY_MAX - 1);
    expect_empty(s);
    spool_set_bounds(s, 1000, 0);
    assert_int_equal(try_put(s, 4, 945, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "all together 1000"));
    put_entry(s, 5, 944);
    assert_int_equal(stats_of(s).bytes, 1000);
    spool_set_bounds(s, 10, 0);
    assert_int_equal(try_put(s, 6, 0, &e), ERR_LIMIT);
    assert_int_equal(stats_of(s).rows, 0);
    spool_close(s);
}

/* ---- A model ---- */

enum { MODEL_MAX = 1 << 16 };

/* What must be in the spool, from |first| to |last|. */
static struct {
    size_t lens[MODEL_MAX];
    uint64_t first;
    uint64_t last;
    uint64_t rows;
    uint64_t dropped;
    bool out;      /* |first| was given, and not taken */
    uint64_t held; /* rows of such an entry that has lost its place in the spool */
} model;

static void model_pass(uint64_t *rows)
{
    *rows += model.first % 7 + 1;
    model.first++;
}

/* The entry that was given is not out any more. */
static void model_end_given(void)
{
    model.dropped += model.held;
    model.rows -= model.held;
    model.held = 0;
    model.out = false;
}

static void check_model(const struct spool *s)
{
    struct spool_stats stats = stats_of(s);
    if (model.dropped < stats.rows_full && model.out && model.held == 0)
        model_pass(&model.held);
    uint64_t dropped = 0;
    while (model.dropped + dropped < stats.rows_full) /* each has rows: so many tell which ones they were */
        model_pass(&dropped);
    model.dropped += dropped;
    model.rows -= dropped;
    assert_int_equal(model.dropped, stats.rows_full);
    assert_int_equal(stats.rows, model.rows);
    assert_int_equal(stats.damaged + stats.rows_damaged + stats.rows_old, 0);
}

static size_t random_len(void)
{
    static const uint64_t most[] = {1, 50, 500, 5000, 60000};
    return random_below(most[random_below(COUNT(most))]);
}

static uint64_t model_put(struct spool *s)
{
    size_t len = random_len();
    put_entry(s, model.last, len);
    model.rows += model.last % 7 + 1;
    model.lens[model.last++] = len;
    return len;
}

static void model_first(struct spool *s, bool takes)
{
    struct spool_entry got;
    int rc = spool_first(s, &spool_data, &got, NULL);
    model_end_given();
    check_model(
        s); /* only now it tells that the entry which was out has been dropped, if it was alone in its segment */
    assert_int_equal(rc, model.first < model.last);
    if (rc == 0)
        return;
    assert_true(is_entry(&got, model.first, model.lens[model.first]));
    model.out = !takes;
    if (takes) {
        uint64_t taken = 0;
        spool_take(s);
        model_pass(&taken);
        model.rows -= taken;
    }
}

/* Random calls until |bytes| have been put in. */
static void run_model(uint64_t bytes_max, uint64_t bytes)
{
    struct spool *s = open_with(bytes_max, 0);
    memset(&model, 0, sizeof(model));
    for (uint64_t done = 0; done < bytes && model.last < MODEL_MAX;) {
        uint64_t chance = random_below(100);
        if (chance < 52) {
            done += model_put(s);
        } else if (chance < 99) {
            model_first(s, chance < 90);
        } else {
            model_end_given();
            model.dropped = 0;
            spool_close(s);
            s = open_with(bytes_max, 0);
        }
        check_model(s);
        assert_true(stats_of(s).bytes <= bytes_max);
    }
    while (model.first < model.last)
        model_first(s, true);
    expect_empty(s);
    check_model(s);
    assert_no_segments();
    spool_close(s);
}

static void test_model(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {256 * MIB, MIB, 200 * KIB, 70 * KIB};
    for (size_t i = 0; i < COUNT(bounds); i++)
        run_model(bounds[i], 4 * MIB);
}

/* ---- The end of the process ---- */

struct progress {
    _Atomic uint64_t put;    /* so many puts have returned */
    _Atomic uint64_t taking; /* so many takes have begun */
};

static size_t killed_len(uint64_t number)
{
    return number * 7919 % 150000;
}

/* Puts, and takes as well with |takes|, until it is killed. */
static void work_until_killed(struct progress *p, bool takes)
{
    struct spool *s;
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = UINT64_C(1) << 40}, &s, NULL) ==
          0);
    for (;;) {
        struct spool_entry got;
        CHECK(try_put(s, p->put, killed_len(p->put), NULL) == 0);
        p->put++;
        if (takes && p->put % 3 == 0) {
            CHECK(spool_first(s, &spool_data, &got, NULL) == 1);
            CHECK(got.poll_id == p->taking);
            p->taking = got.poll_id + 1;
            spool_take(s);
        }
    }
}

static void kill_once(struct progress *p, bool takes)
{
    struct spool_entry got;
    p->taking = 0;
    p->put = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        work_until_killed(p, takes);
    while (p->put < 3) {
        usleep(100);
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    }
    usleep((useconds_t)random_below(20000));
    end_by_kill(child);

    struct spool *s = open_spool();
    assert_true(stats_of(s).damaged <= 1);
    assert_int_equal(spool_first(s, &spool_data, &got, NULL), 1);
    uint64_t first = got.poll_id;
    assert_true(first <= p->taking); /* what nobody has asked to take is there */
    uint64_t number = first;
    for (; spool_first(s, &spool_data, &got, NULL) == 1; number++) {
        assert_true(is_entry(&got, number, killed_len(number)));
        spool_take(s);
    }
    assert_true(number == p->put || number == p->put + 1); /* the last put may have been done but not told */
    assert_int_equal(stats_of(s).rows, 0);
    assert_int_equal(stats_of(s).rows_damaged, 0);
    spool_close(s);
}

static void test_kill(void **state)
{
    (void)state;
    struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    for (int i = 0; i < 20; i++)
        kill_once(p, i % 2 == 1);
    munmap(p, sizeof(*p));
}

/* Entries that were taken come out once more, at most as many as in a second, after an end without spool_close. */
static void test_position_is_written_by_time(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct spool *s;
        struct spool_entry got;
        CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = MIB}, &s, NULL) == 0);
        for (uint64_t i = 0; i < 10; i++)
            CHECK(try_put(s, i, 100, NULL) == 0);
        for (int i = 0; i < 6; i++) {
            CHECK(spool_first(s, &spool_data, &got, NULL) == 1);
            if (i == 3)
                usleep(1100000); /* the next one that is taken is told, with those before it */
            spool_take(s);
        }
        _exit(0);
    }
    join(child);
    struct spool *s = open_spool();
    struct spool_entry got;
    assert_int_equal(spool_first(s, &spool_data, &got, NULL), 1);
    assert_in_range(got.poll_id, 4, 6); /* more than 4 when the last ones took another second */
    for (uint64_t i = got.poll_id; i < 10; i++)
        take_entry(s, i, 100);
    expect_empty(s);
    spool_close(s);
}

static void test_two_processes(void **state)
{
    (void)state;
    int ready[2];
    struct spool *s = open_spool();
    put_entry(s, 1, 10);
    assert_refused(ERR_PRECONDITION, "is in use");
    spool_close(s);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = MIB}, &s, NULL) == 0);
        CHECK(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    char byte;
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_refused(ERR_PRECONDITION, "is in use");
    end_by_kill(child);
    s = open_spool();
    take_entry(s, 1, 10);
    spool_close(s);
    assert_true(exists(in_dir("lock")));
}

/* ---- Reads and writes in pieces ---- */

static size_t piece; /* the most bytes that are read or written at once; 0: as many as wanted */
static unsigned interrupted;

ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at);

static bool interrupt(void)
{
    errno = EINTR;
    return piece && ++interrupted % 3 == 0;
}

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at)
{
    if (interrupt())
        return -1;
    return __real_pread(fd, to, piece && n > piece ? piece : n, at);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (interrupt())
        return -1;
    while (piece && count > 1 && parts->iov_len == 0) {
        parts++;
        count--;
    }
    struct iovec part = *parts;
    if (piece && part.iov_len > piece)
        part.iov_len = piece;
    return piece ? __real_pwritev(fd, &part, 1, at) : __real_pwritev(fd, parts, count, at);
}

static void test_pieces(void **state)
{
    (void)state;
    for (piece = 1; piece < 100; piece += piece < 10 ? 1 : 15) {
        struct spool *s = open_spool();
        for (uint64_t i = 0; i < 5; i++)
            put_entry(s, i, i * 40);
        spool_close(s);
        s = open_spool();
        assert_int_equal(stats_of(s).damaged, 0);
        for (uint64_t i = 0; i < 5; i++)
            take_entry(s, i, i * 40);
        expect_empty(s);
        spool_close(s);
    }
    piece = 0;
}

/* ---- The disk is told ---- */

static int syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    syncs++;
    return __real_fdatasync(fd);
}

/* At once after a pause, once in a second at most, and when a segment or the spool ends. */
static void test_syncs(void **state)
{
    (void)state;
    struct spool *s = open_with(MIB, 0);
    syncs = 0;
    int64_t begin_ns = clock_mono_ns();
    for (uint64_t i = 0; i < 100; i++)
        put_entry(s, i, 10);
    assert_in_range(syncs, 1, 1 + (clock_mono_ns() - begin_ns) / NS_PER_S);
    usleep(1100000);
    syncs = 0;
    expect_entry(s, 0, 10); /* whatever call it is */
    assert_int_equal(syncs, 1);
    usleep(1100000);
    expect_entry(s, 0, 10); /* there is nothing new */
    assert_int_equal(syncs, 1);
    syncs = 0;
    for (uint64_t i = 0; i < 6; i++)
        put_entry(s, i, 60 * KIB); /* two to a segment */
    assert_in_range(syncs, 3, 10);
    syncs = 0;
    put_entry(s, 6, 10);
    spool_close(s);
    assert_in_range(syncs, 1, 2);
}

/* ---- Bounds ---- */

static void test_bound_in_bytes(void **state)
{
    (void)state;
    enum { ENTRIES = 1000, LEN = 5000, MOST = MIB };
    uint64_t bytes;
    struct spool *s = open_with(MOST, 0);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        put_entry(s, i, LEN);
        struct spool_stats stats = stats_of(s);
        assert_true(segments(&bytes) <= 9);
        assert_int_equal(stats.bytes, bytes);
        assert_true(bytes <= MOST);
        assert_int_equal(stats.rows + stats.rows_full, rows_of(0, i + 1));
    }
    assert_true(stats_of(s).bytes >= MOST - MOST / 8 - 2 * LEN); /* no more than a segment was given away */
    spool_close(s);

    s = open_with(MOST / 2, 0); /* a smaller bound drops at once, and does so again */
    struct spool_stats stats = stats_of(s);
    assert_true(stats.bytes <= MOST / 2 && stats.rows_full > 0);
    spool_set_bounds(s, MOST / 4, 0);
    stats = stats_of(s);
    assert_true(stats.bytes <= MOST / 4 && stats.bytes > 0);
    assert_int_equal(segments(&bytes), (stats.bytes + MOST / 8 - 1) / (MOST / 8));
    uint64_t first = ENTRIES;
    for (uint64_t rows = 0; rows < stats.rows; first--)
        rows += (first - 1) % 7 + 1;
    for (uint64_t i = first; i < ENTRIES; i++)
        take_entry(s, i, LEN);
    expect_empty(s);
    spool_close(s);
}

static void put_at(struct spool *s, uint64_t number, int64_t time_ns)
{
    struct spool_entry entry = entry_of(number, 10);
    entry.time_ns = time_ns;
    assert_int_equal(spool_put(s, &entry, NULL), 0);
}

static void test_bound_in_age(void **state)
{
    (void)state;
    int64_t now_ns = clock_wall_ns();
    struct spool *s = open_with(MIB, 3600 * NS_PER_S);
    for (uint64_t i = 0; i < 20; i++)
        put_at(s, i, now_ns - (int64_t)(19 - i) * 600 * NS_PER_S - 300 * NS_PER_S);
    assert_int_equal(stats_of(s).oldest_ns, now_ns - 11700 * NS_PER_S);
    expect_entry(s, 14, 10);
    assert_int_equal(stats_of(s).oldest_ns, now_ns - 3300 * NS_PER_S);
    assert_int_equal(stats_of(s).rows_old, rows_of(0, 14));
    assert_int_equal(stats_of(s).rows, rows_of(14, 20));
    spool_set_bounds(s, MIB, 1000 * NS_PER_S);
    take_entry(s, 18, 10); /* 14, which was given, is dropped like the others */
    assert_int_equal(stats_of(s).rows_old, rows_of(0, 18));
    spool_set_bounds(s, MIB, 0);
    put_at(s, 20, 0);
    take_entry(s, 19, 10);
    take_entry(s, 20, 10);
    put_at(s, 21, INT64_MAX); /* of a clock that went wrong */
    put_at(s, 22, INT64_MIN);
    spool_set_bounds(s, MIB, INT64_MAX);
    take_entry(s, 21, 10);
    expect_empty(s);
    assert_int_equal(stats_of(s).rows_old, rows_of(0, 18) + rows_of(22, 23));
    spool_close(s);
}

/* The head of a segment counts, too. */
static void test_bound_to_the_byte(void **state)
{
    (void)state;
    enum { LEN = 100, ONE = SPOOL_FILE_HEAD + SPOOL_ENTRY_HEAD + LEN };
    for (unsigned more = 0; more < 2; more++) {
        struct spool *s = open_with(2 * ONE - 1 + more, 0);
        put_entry(s, 1, LEN);
        spool_close(s); /* the next entry begins another segment */
        s = open_with(2 * ONE - 1 + more, 0);
        put_entry(s, 2, LEN);
        assert_int_equal(stats_of(s).bytes, more ? 2 * ONE : ONE);
        if (more)
            take_entry(s, 1, LEN);
        take_entry(s, 2, LEN);
        spool_close(s);
    }
}

/* An entry that is being delivered while its segment has to make room is either taken or dropped, and neither is the one
 * behind it. */
static void test_room_made_while_an_entry_is_out(void **state)
{
    (void)state;
    enum { LEN = 60 * KIB };
    for (int delivered = 0; delivered < 2; delivered++) {
        struct spool *s = open_with(130 * KIB, 0);
        put_entry(s, 1, LEN);
        expect_entry(s, 1, LEN);
        put_entry(s, 2, LEN);
        put_entry(s, 3, LEN);
        assert_int_equal(stats_of(s).rows, rows_of(1, 4));
        assert_int_equal(stats_of(s).rows_full, 0);
        if (delivered)
            spool_take(s);
        expect_entry(s, 2, LEN);
        assert_int_equal(stats_of(s).rows, rows_of(2, 4));
        assert_int_equal(stats_of(s).rows_full, delivered ? 0 : rows_of(1, 2));
        put_entry(s, 4, LEN); /* 2 is out, and goes; then the spool ends */
        assert_int_equal(stats_of(s).rows, rows_of(2, 5));
        spool_close(s);
        s = open_spool();
        take_entry(s, 3, LEN);
        take_entry(s, 4, LEN);
        expect_empty(s);
        spool_close(s);
        remove_dir();
    }
}

/* Opening reads heads: a small part of what is there. */
static void test_opening_reads_little(void **state)
{
    (void)state;
    enum { ENTRIES = 64 };
    struct spool *s = open_spool();
    for (uint64_t i = 0; i < ENTRIES; i++)
        put_entry(s, i, MIB);
    for (uint64_t i = 0; i < 10000; i++)
        put_entry(s, i, 10);
    spool_close(s);
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        char text[KIB] = "";
        read_file("/proc/self/io", (uint8_t *)text, sizeof(text) - 1);
        assert_memory_equal(text, "rchar: ", 7);
        bytes[i] = strtoull(text + 7, NULL, 10);
        if (i == 0)
            s = open_spool();
    }
    assert_int_equal(stats_of(s).rows, rows_of(0, ENTRIES) + rows_of(0, 10000));
    assert_true(bytes[1] - bytes[0] > ENTRIES * SPOOL_ENTRY_HEAD);
    assert_true(bytes[1] - bytes[0] < ENTRIES * 8 * KIB + 10000 * 64 + MIB / 4);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_order_and_counts),
        SPOOL_TEST(test_an_entry_stays_until_it_is_taken),
        SPOOL_TEST(test_ends_of_polls),
        SPOOL_TEST(test_long_entries),
        SPOOL_TEST(test_model),
        SPOOL_TEST(test_kill),
        SPOOL_TEST(test_position_is_written_by_time),
        SPOOL_TEST(test_two_processes),
        SPOOL_TEST(test_pieces),
        SPOOL_TEST(test_syncs),
        SPOOL_TEST(test_bound_in_bytes),
        SPOOL_TEST(test_bound_in_age),
        SPOOL_TEST(test_bound_to_the_byte),
        SPOOL_TEST(test_room_made_while_an_entry_is_out),
        SPOOL_TEST(test_opening_reads_little),
    };
    return cmocka_run_group_tests(tests, spool_group_setup, spool_group_teardown);
}
