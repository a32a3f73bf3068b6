/* The destination file: files that are put aside by size and time, how many stay, and their compression. */
#include "sink_fixture.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "outputs/sink/compress.h"

#define HOUR (3600 * NS_PER_S)

/* ---- Names ---- */

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned number;
        enum output_compress compress;
        bool part;
    } good[] = {
        {"log.20260131T235959", 0, OUTPUT_COMPRESS_NONE, false},
        {"log.20240229T000000.1", 1, OUTPUT_COMPRESS_NONE, false},
        {"log.20260131T235959.9999.zst.part", 9999, OUTPUT_COMPRESS_ZSTD, true},
        {"log.20260131T235959.gz", 0, OUTPUT_COMPRESS_GZIP, false},
        {"log.20260131T235959.12.gz.part", 12, OUTPUT_COMPRESS_GZIP, true},
    };
    static const char *const bad[] = {
        "log",
        "log.",
        "log.1",
        "log.gz",
        "log.20260131T235959.",
        "log.20260131T235959.0",
        "log.20260131T235959.01",
        "log.20260131T235959.10000",
        "log.20260131T235959.gz.1",
        "log.20260131T235959.part",
        "log.20260131T235959.bz2",
        "log.20260131T235959.gz.part.gz",
        "log.20260131T235959 ",
        "log.20260131T235960",
        "log.20260132T235959",
        "log.20260229T000000",
        "log.20261331T235959",
        "log.2026013T2359599",
        "log.20260131t235959",
        "log.20260131T23595",
        "Log.20260131T235959",
        "xlog.20260131T235959",
        "log20260131T235959",
        "log.x.20260131T235959",
        "log.+0260131T235959",
        "log.20260131T-35959",
        "log.20260131T235959.gzx",
        "log.20260131T235959.1.zst.gz",
        "",
    };
    char name[NAME_MAX + 1];
    struct rotated r;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(rotate_parse("log", good[i].name, &r));
        assert_int_equal(r.number, good[i].number);
        assert_int_equal(r.compress, good[i].compress);
        assert_int_equal(r.part, good[i].part);
        rotate_name("log", &r, name);
        assert_string_equal(name, good[i].name);
        assert_true(strlen(name) <= strlen("log") + ROTATE_ADDS_MAX);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (rotate_parse("log", bad[i], &r))
            fail_msg("\"%s\" is taken for a rotated file", bad[i]);
    }
    assert_int_equal(rotate_interval(10 * HOUR, HOUR), 10);
    assert_int_equal(rotate_interval(10 * HOUR - 1, HOUR), 9);
    assert_int_equal(rotate_interval(0, HOUR), 0);
    assert_int_equal(rotate_interval(-1, HOUR), -1);
    assert_int_equal(rotate_interval(-HOUR, HOUR), -1);
}

/* ---- Rotation ---- */

/* The name that log has at the time of the fake clock when it is put aside. */
static void name_now(char out[NAME_MAX + 1])
{
    struct tm tm;
    time_t now = (time_t)(__wrap_clock_wall_ns() / NS_PER_S);
    strftime(out, NAME_MAX, "log.%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
}

/* The clock shows |ns| behind a full hour that is near. */
static void clock_at(int64_t ns)
{
    static int64_t hour_ns;
    if (hour_ns == 0)
        hour_ns = __real_clock_wall_ns() / HOUR * HOUR;
    fake.wall_ahead_ns = hour_ns + ns - __real_clock_wall_ns();
}

static void test_rotation_by_size(void **state)
{
    (void)state;
    char name[NAME_MAX + 1], names[10][NAME_MAX + 1];
    fix.options.rotate_size = 8;
    fix.options.mode = "0604";
    file_begin();
    clock_at(0);
    name_now(name);
    assert_writes(true, "one\n");
    assert_writes(false, "two\n");
    assert_int_equal(rotated_names(names, 10), 0);
    clock_at(100 * NS_PER_MS);
    assert_writes(true, "three\n");
    assert_int_equal(rotated_names(names, 10), 1);
    assert_string_equal(names[0], name);
    assert_contents(in_folder(name), "one\ntwo\n");
    assert_contents(in_folder("log"), "three\n");
    assert_int_equal(mode_of("log"), 0604);
    assert_writes(false, "four\n");
    clock_at(200 * NS_PER_MS);
    assert_writes(true, "five\n"); /* in the same second */
    assert_int_equal(rotated_names(names, 10), 2);
    assert_string_equal(names[0], name);
    snprintf(name + strlen(name), 3, ".1");
    assert_string_equal(names[1], name);
    assert_contents(in_folder(name), "three\nfour\n");
    sink_end(); /* what is there counts, also at the next start */
    make_file("log", "longer than that\n");
    file_begin();
    assert_writes(true, "six\n");
    assert_int_equal(rotated_names(names, 10), 3);
}

static void test_rotation_by_time(void **state)
{
    (void)state;
    char name[NAME_MAX + 1], names[10][NAME_MAX + 1];
    struct timespec before[2];
    fix.options.rotate_interval = HOUR;
    file_begin();
    clock_at(-10 * NS_PER_S);
    assert_writes(true, "one\n");
    clock_at(-1 * NS_PER_S);
    assert_writes(false, "two\n");
    clock_at(0);
    name_now(name);
    assert_writes(true, "three\n");
    assert_int_equal(rotated_names(names, 10), 1);
    assert_string_equal(names[0], name);
    assert_contents(in_folder(name), "one\ntwo\n");
    clock_at(HOUR - NS_PER_S);
    assert_writes(false, "four\n");
    clock_at(HOUR - NS_PER_S - 2 * HOUR); /* set back */
    assert_writes(true, "five\n");
    assert_int_equal(rotated_names(names, 10), 2);
    sink_end();
    /* a file of an earlier run is of the hour in which it was written to last */
    clock_at(5 * HOUR);
    for (int i = 0; i < 2; i++) {
        before[i] = (struct timespec){.tv_sec = (time_t)(__wrap_clock_wall_ns() / NS_PER_S - 1)};
    }
    assert_int_equal(utimensat(AT_FDCWD, in_folder("log"), before, 0), 0);
    file_begin();
    assert_connects(true);
    assert_int_equal(rotated_names(names, 10), 3);
    clock_at(7 * HOUR);
    assert_writes(true, "six\n"); /* nothing came for two hours: no empty file is put aside */
    assert_int_equal(rotated_names(names, 10), 3);
    clock_at(8 * HOUR - NS_PER_S);
    assert_writes(false, "seven\n");
}

/* Numbers go on where older files of the same second have been removed. */
static void test_keep(void **state)
{
    (void)state;
    static const char *const others[] = {"log.1", "log.20200101T000000.bak", "log.2020",
                                         "log2.20200101T000000", "log.20200101T000000.part"};
    char names[10][NAME_MAX + 1], text[20];
    make_file("log.20200101T000000", "old\n");
    make_file("log.20200101T000000.gz", "old, too\n"); /* the same file */
    make_file("log.20200102T000000.5.zst", "old\n");
    assert_int_equal(mkdir(in_folder("log.20200103T000000"), 0700), 0);
    for (size_t i = 0; i < COUNT(others); i++)
        make_file(others[i], "somebody's\n");
    fix.options.rotate_size = 1;
    fix.options.rotate_keep = 4;
    file_begin();
    clock_at(0);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%d\n", i);
        clock_at(i * NS_PER_MS);
        assert_writes(true, text);
    }
    assert_true(exists("log.20200101T000000"));
    assert_true(exists("log.20200101T000000.gz"));
    for (int i = 3; i < 9; i++) {
        snprintf(text, sizeof(text), "%d\n", i);
        clock_at(i * NS_PER_MS);
        assert_writes(true, text);
        assert_int_equal(rotated_names(names, 10), 4 + 1); /* and the directory */
        assert_false(exists("log.20200101T000000"));
        assert_false(exists("log.20200101T000000.gz"));
    }
    assert_string_equal(names[0], "log.20200103T000000");
    static const char *const contents[] = {"4\n", "5\n", "6\n", "7\n"};
    for (size_t i = 0; i < 4; i++)
        assert_contents(in_folder(names[1 + i]), contents[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        assert_contents(in_folder(others[i]), "somebody's\n");
}

/* The file that has just been put aside is never the one that is one too many. */
static void test_keep_with_a_clock_set_back(void **state)
{
    (void)state;
    char names[10][NAME_MAX + 1];
    make_file("log.29990101T000000", "of the future\n");
    fix.options.rotate_size = 1;
    fix.options.rotate_keep = 1;
    file_begin();
    assert_writes(true, "one\n");
    assert_writes(true, "two\n");
    assert_int_equal(rotated_names(names, 10), 1);
    assert_contents(in_folder(names[0]), "one\n");
    sink_end();
    fix.options.rotate_keep = 0; /* all */
    file_begin();
    for (int i = 0; i < 5; i++)
        assert_writes(true, "more\n");
    assert_int_equal(rotated_names(names, 10), 6);
}

static void test_what_cannot_be_put_aside(void **state)
{
    (void)state;
    char name[NAME_MAX + 1], names[10][NAME_MAX + 1];
    fix.options.rotate_size = 1;
    file_begin();
    clock_at(0);
    assert_writes(true, "one\n");
    name_now(name);
    snprintf(name + strlen(name), 6, ".9999");
    make_file(name, "the last one\n");
    clock_at(NS_PER_MS);
    assert_writes(false, "two\n");
    assert_contents(in_folder("log"), "one\ntwo\n");
    assert_contents(in_folder(name), "the last one\n");
    clock_at(NS_PER_S);
    fake.rename_errno = EACCES;
    assert_writes(false, "three\n");
    fake.rename_errno = 0;
    assert_writes(true, "four\n");
    assert_int_equal(rotated_names(names, 10), 2);
}

/* Nothing is replaced; not even where the file system does not know how to rename like that. */
static void test_nothing_is_replaced(void **state)
{
    (void)state;
    char name[NAME_MAX + 1], names[10][NAME_MAX + 1];
    fix.options.rotate_size = 1;
    file_begin();
    for (int i = 0; i < 2; i++) {
        clock_at(i * NS_PER_S);
        fake.rename_errno = i ? EINVAL : 0;
        name_now(name);
        assert_int_equal(symlink("nothing", in_folder(name)), 0); /* it is no rotated file */
        for (int j = 0; j < 3; j++)
            assert_writes(true, "one\n");
        assert_int_equal(rotated_names(names, 10), 3 + 4 * i);
        snprintf(name + strlen(name), 3, ".2");
        assert_string_equal(names[2 + 3 * i], name);
        assert_contents(in_folder(name), "one\n");
    }
}

/* ---- Compression ---- */

/* What |tool| reads out of the file |name|. */
static void assert_unpacks(const char *tool, const char *name, const char *text)
{
    char command[PATH_MAX + 64], out[8192];
    snprintf(command, sizeof(command), "%s -dc '%s'", tool, in_folder(name));
    FILE *f = popen(command, "re");
    assert_non_null(f);
    size_t n = fread(out, 1, sizeof(out) - 1, f);
    out[n] = '\0';
    assert_int_equal(pclose(f), 0);
    assert_string_equal(out, text);
}

static bool has_tool(const char *tool)
{
    char command[64];
    snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", tool);
    return system(command) == 0;
}

/* Waits until |n| rotated files are there, all of them compressed, and gives their names. */
static void wait_compressed(size_t n, char names[][NAME_MAX + 1], size_t max)
{
    int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
    for (;;) {
        struct rotated r = {.number = 0};
        size_t there = rotated_names(names, max);
        bool all = there == n;
        for (size_t i = 0; i < there; i++)
            all = rotate_parse("log", names[i], &r) && r.compress != OUTPUT_COMPRESS_NONE && !r.part && all;
        if (all)
            return;
        if (clock_mono_ns() > end_ns)
            fail_msg("%zu rotated files, of which one is not compressed", there);
        usleep(1000);
    }
}

static const struct {
    enum output_compress how;
    const char *tool, *suffix;
} packers[] = {{OUTPUT_COMPRESS_GZIP, "gzip", ".gz"}, {OUTPUT_COMPRESS_ZSTD, "zstd", ".zst"}};

static void compress_with(size_t p)
{
    char names[10][NAME_MAX + 1];
    struct stat st;
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    fix.options.rotate_size = 1;
    fix.options.rotate_keep = 3;
    fix.options.mode = "0604";
    fix.options.compress = packers[p].how;
    make_file("log.20200101T000000", "left by a run before\n");
    assert_int_equal(chmod(in_folder("log.20200101T000000"), 0640), 0);
    assert_int_equal(utimensat(AT_FDCWD, in_folder("log.20200101T000000"), times, 0), 0);
    make_file("log.20200101T000000.gz.part", "half");
    make_file("log.20200102T000000.zst.part", "half of what is not there");
    clock_at(0);
    file_begin();
    assert_writes(true, "one\n");
    wait_compressed(1, names, 10);
    assert_unpacks(packers[p].tool, names[0], "left by a run before\n");
    assert_int_equal(mode_of(names[0]), 0640);
    assert_int_equal(stat(in_folder(names[0]), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1700000000);
    assert_writes(true, "two\n");
    wait_compressed(2, names, 10);
    assert_unpacks(packers[p].tool, names[1], "one\n");
    assert_int_equal(mode_of(names[1]), 0604);
    assert_string_equal(names[1] + strlen(names[1]) - strlen(packers[p].suffix), packers[p].suffix);
    clock_at(10 * NS_PER_MS); /* the name is taken, by the compressed one */
    assert_writes(true, "three\n");
    wait_compressed(3, names, 10);
    assert_unpacks(packers[p].tool, names[1], "two\n"); /* ".1" sorts before ".gz" and ".zst" */
    assert_writes(true, "four\n");
    wait_compressed(3, names, 10); /* the oldest is gone */
    assert_false(exists("log.20200101T000000.gz"));
    assert_false(exists("log.20200101T000000.zst"));
}

static void test_gzip(void **state)
{
    (void)state;
    compress_with(0);
}

static void test_zstd(void **state)
{
    (void)state;
    if (!has_tool("zstd")) {
        print_message("skipped: zstd is not installed\n");
        skip();
    }
    compress_with(1);
}

/* More than a block, of which there is no end in sight at any block's end. */
static void test_compresses_much(void **state)
{
    (void)state;
    char names[10][NAME_MAX + 1], command[2 * PATH_MAX + 200];
    const size_t sizes[] = {128 * 1024, 1000 * 1000 + 7, 0};
    for (size_t p = 0; p < COUNT(packers); p++) {
        if (!has_tool(packers[p].tool))
            continue;
        for (size_t i = 0; i < COUNT(sizes); i++) {
            struct compressor *c;
            snprintf(command, sizeof(command), "head -c %zu /dev/urandom >%s && cp %s %s", sizes[i],
                     in_folder("copy"), in_folder("copy"), in_folder("log.20200101T000000"));
            assert_int_equal(system(command), 0);
            c = compressor_new(in_folder("log"), packers[p].how);
            assert_non_null(c);
            compressor_wake(c);
            compressor_wake(c);
            wait_compressed(1, names, 10);
            compressor_free(c);
            snprintf(command, sizeof(command), "%s -dc %s | cmp - %s", packers[p].tool, in_folder(names[0]),
                     in_folder("copy"));
            assert_int_equal(system(command), 0);
            remove(in_folder(names[0]));
        }
    }
}

/* A hole of 64 GiB takes minutes to compress; closing does not. */
static void test_close_while_it_compresses(void **state)
{
    (void)state;
    int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
    make_file("log.20200101T000000", "");
    if (truncate(in_folder("log.20200101T000000"), 64LL << 30) != 0) {
        print_message("skipped: no large files in /tmp: %s\n", strerror(errno));
        skip();
    }
    fix.options.rotate_size = 1;
    fix.options.compress = OUTPUT_COMPRESS_GZIP;
    file_begin();
    assert_writes(true, "one\n");
    while (!exists("log.20200101T000000.gz.part") && clock_mono_ns() < end_ns)
        usleep(1000);
    assert_true(exists("log.20200101T000000.gz.part"));
    assert_writes(true, "two\n"); /* sending does not wait */
    int64_t begin_ns = clock_mono_ns();
    sink_end();
    assert_in_range(clock_mono_ns() - begin_ns, 0, 2 * NS_PER_S);
    assert_true(exists("log.20200101T000000"));
    assert_false(exists("log.20200101T000000.gz.part"));
    assert_false(exists("log.20200101T000000.gz"));
}

/* Begins to compress the file log.20200101T000000; the thread hangs with the whole of it written to the new file. */
static struct compressor *begin_and_hang(void)
{
    int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
    make_file("log.20200101T000000", "one\n");
    fake.sync_hangs = true;
    struct compressor *c = compressor_new(in_folder("log"), OUTPUT_COMPRESS_ZSTD);
    compressor_wake(c);
    while (fake.syncs == 0 && clock_mono_ns() < end_ns)
        usleep(1000);
    assert_true(fake.syncs > 0);
    return c;
}

static void disk_goes_on(void)
{
    fake.sync_hangs = false;
    sem_post(&disk_answers);
}

/* A disk that does not answer is left to itself. */
static void test_close_while_it_hangs(void **state)
{
    (void)state;
    struct compressor *c = begin_and_hang();
    int64_t begin_ns = clock_mono_ns(), end_ns = begin_ns + 60 * NS_PER_S;
    compressor_free(c);
    assert_in_range(clock_mono_ns() - begin_ns, 2 * NS_PER_S, 60 * NS_PER_S);
    assert_true(exists("log.20200101T000000"));
    disk_goes_on(); /* the thread cleans up */
    while (exists("log.20200101T000000") && clock_mono_ns() < end_ns)
        usleep(1000);
    assert_true(exists("log.20200101T000000.zst"));
}

static void test_one_too_many_while_it_compresses(void **state)
{
    (void)state;
    char names[10][NAME_MAX + 1];
    struct compressor *c = begin_and_hang();
    assert_int_equal(remove(in_folder("log.20200101T000000")), 0);
    disk_goes_on();
    compressor_free(c);
    assert_int_equal(rotated_names(names, 10), 0);
}

static void test_written_to_while_it_compresses(void **state)
{
    (void)state;
    char names[10][NAME_MAX + 1];
    struct compressor *c = begin_and_hang();
    assert_int_equal(truncate(in_folder("log.20200101T000000"), 5), 0);
    disk_goes_on();
    compressor_free(c);
    assert_int_equal(rotated_names(names, 10), 1);
    assert_string_equal(names[0], "log.20200101T000000");
}

/* A file that another process compresses is left to it, its half as well. */
static void test_claimed_by_another(void **state)
{
    (void)state;
    make_file("log.20200101T000000", "one\n");
    make_file("log.20200101T000000.gz.part", "half");
    make_file("log.20200102T000000", "two\n");
    int fd = __real_open(in_folder("log.20200101T000000"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    fix.options.rotate_size = 1;
    fix.options.compress = OUTPUT_COMPRESS_GZIP;
    file_begin();
    assert_writes(true, "one\n");
    int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
    while (!exists("log.20200102T000000.gz") && clock_mono_ns() < end_ns)
        usleep(1000);
    sink_end();
    close(fd);
    assert_contents(in_folder("log.20200101T000000"), "one\n");
    assert_contents(in_folder("log.20200101T000000.gz.part"), "half");
    assert_unpacks("gzip", "log.20200102T000000.gz", "two\n");
}

/* A full disk: the source stays, and no half of it. */
static void test_no_room_to_compress(void **state)
{
    (void)state;
    make_file("log.20200101T000000", "one\n");
    for (int i = 0; i < 2; i++) {
        struct compressor *c =
            compressor_new(in_folder("log"), i ? OUTPUT_COMPRESS_ZSTD : OUTPUT_COMPRESS_GZIP);
        fake_full_disk(1, ENOSPC);
        compressor_wake(c);
        int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
        while (fake.write_errno && clock_mono_ns() < end_ns)
            usleep(1000);
        compressor_free(c);
        assert_contents(in_folder("log.20200101T000000"), "one\n");
        assert_false(exists("log.20200101T000000.gz"));
        assert_false(exists("log.20200101T000000.gz.part"));
        assert_false(exists("log.20200101T000000.zst"));
        assert_false(exists("log.20200101T000000.zst.part"));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_rotation_by_size),
        TEST(test_rotation_by_time),
        TEST(test_keep),
        TEST(test_keep_with_a_clock_set_back),
        TEST(test_what_cannot_be_put_aside),
        TEST(test_nothing_is_replaced),
        TEST(test_gzip),
        TEST(test_zstd),
        TEST(test_compresses_much),
        TEST(test_close_while_it_compresses),
        TEST(test_close_while_it_hangs),
        TEST(test_one_too_many_while_it_compresses),
        TEST(test_written_to_while_it_compresses),
        TEST(test_claimed_by_another),
        TEST(test_no_room_to_compress),
    };
    return cmocka_run_group_tests(tests, fixture_setup_all, fixture_teardown_all);
}
