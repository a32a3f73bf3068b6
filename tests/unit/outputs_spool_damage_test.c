/* outputs/spool.c: damage is found and counted, disks that fail cost no more than they must, and nothing in the folder is
 * taken for the spool's that is not. */
#include "outputs_spool_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/spool_bytes.h"
#include "outputs/spool_position.h"
#include "outputs/spool_segment.h"
#include "refuse.h"

/* ---- Damage ---- */

enum { SMALL = 3, SMALL_LEN = 50, SMALL_SIZE = SPOOL_ENTRY_HEAD + SMALL_LEN };

/* Three entries in a segment of their own. Returns its bytes. */
static size_t small_segment(uint8_t bytes[KIB])
{
    remove_dir();
    struct spool *s = open_spool();
    for (uint64_t i = 0; i < SMALL; i++)
        put_entry(s, i, SMALL_LEN);
    spool_close(s);
    size_t n = read_file(segment_path(1), bytes, KIB);
    assert_int_equal(n, SPOOL_FILE_HEAD + SMALL * SMALL_SIZE);
    remove_dir();
    return n;
}

/* A spool of the segment |bytes| and an undamaged one behind it, with the entry 100. */
static struct spool *open_damaged(const uint8_t *bytes, size_t n)
{
    remove_dir();
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    assert_int_equal(mkdir(segment_path(1), 0700), 0); /* keeps the name free */
    struct spool *s = open_spool();
    put_entry(s, 100, 5);
    spool_close(s);
    assert_int_equal(rmdir(segment_path(1)), 0);
    write_file(segment_path(1), bytes, n);
    return open_spool();
}

static void test_cut(void **state)
{
    (void)state;
    uint8_t bytes[KIB];
    size_t n = small_segment(bytes);
    for (size_t cut = 0; cut <= n; cut++) {
        bool in_head = cut < SPOOL_FILE_HEAD;
        uint64_t whole = in_head ? 0 : (cut - SPOOL_FILE_HEAD) / SMALL_SIZE;
        bool damaged = in_head || (cut - SPOOL_FILE_HEAD) % SMALL_SIZE != 0;
        remove_dir();
        assert_int_equal(mkdir(spool_dir, 0700), 0);
        write_file(segment_path(1), bytes, cut);
        struct spool *s = open_spool();
        assert_int_equal(stats_of(s).rows, rows_of(0, whole));
        assert_int_equal(stats_of(s).damaged, damaged);
        assert_int_equal(stats_of(s).bytes, whole ? cut : 0);
        put_entry(s, 100, 5);
        for (uint64_t i = 0; i < whole; i++)
            take_entry(s, i, SMALL_LEN);
        take_entry(s, 100, 5);
        expect_empty(s);
        assert_int_equal(stats_of(s).damaged, damaged);
        assert_int_equal(stats_of(s).rows_damaged, 0);
        assert_no_segments();
        spool_close(s);
    }
}

/* A bit of each byte of the head of the file and of the first two of three entries. */
static void test_flipped_byte(void **state)
{
    (void)state;
    uint8_t bytes[KIB];
    size_t n = small_segment(bytes);
    for (size_t at = 0; at < SPOOL_FILE_HEAD + 2 * SMALL_SIZE; at++) {
        uint8_t damaged[KIB];
        bool file_head = at < SPOOL_FILE_HEAD;
        size_t in_entry = file_head ? 0 : (at - SPOOL_FILE_HEAD) % SMALL_SIZE;
        uint64_t entry = file_head ? 0 : (at - SPOOL_FILE_HEAD) / SMALL_SIZE;
        bool head = file_head || in_entry < SPOOL_ENTRY_HEAD;
        memcpy(damaged, bytes, n);
        damaged[at] ^= (uint8_t)(1u << random_below(8));
        struct spool *s = open_damaged(damaged, n);
        assert_int_equal(stats_of(s).damaged, head);
        assert_int_equal(stats_of(s).rows, rows_of(100, 101) + rows_of(0, head ? entry : SMALL));
        for (uint64_t i = 0; i < (head ? entry : SMALL); i++) {
            if (i != entry)
                take_entry(s, i, SMALL_LEN);
        }
        take_entry(s, 100, 5);
        expect_empty(s);
        assert_int_equal(stats_of(s).damaged, 1);
        assert_int_equal(stats_of(s).rows_damaged, head ? 0 : rows_of(entry, entry + 1));
        spool_close(s);
    }
}

/* What is damaged while the spool is open is counted in full. */
static void test_damaged_while_open(void **state)
{
    (void)state;
    static const uint8_t zeros[SPOOL_ENTRY_HEAD];
    struct spool *s = open_spool();
    for (uint64_t i = 0; i < 10; i++)
        put_entry(s, i, 100);
    take_entry(s, 0, 100);
    int fd = open(segment_path(1), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), SPOOL_FILE_HEAD + 4 * (SPOOL_ENTRY_HEAD + 100)),
                     sizeof(zeros));
    close(fd);
    for (uint64_t i = 1; i < 4; i++)
        take_entry(s, i, 100);
    expect_empty(s);
    assert_int_equal(stats_of(s).rows_damaged, rows_of(4, 10));
    assert_int_equal(stats_of(s).damaged, 1);
    assert_int_equal(stats_of(s).rows, 0);

    put_entry(s, 20, 100);
    put_entry(s, 21, 100);
    assert_int_equal(unlink(segment_path(2)), 0); /* one that has not been opened yet */
    expect_empty(s);
    assert_int_equal(stats_of(s).rows_damaged, rows_of(4, 10) + rows_of(20, 22));
    put_entry(s, 30, 100);
    take_entry(s, 30, 100);
    spool_close(s);
}

/* Sets |value| in |bytes| at the offset |at|, and the checksum of the |n| bytes from |begin| on, which follows them. */
static void set_u32(uint8_t *bytes, size_t at, uint32_t value, size_t begin, size_t n)
{
    spool_put_u32(bytes + at, value);
    spool_put_u32(bytes + begin + n, (uint32_t)crc32(0, bytes + begin, (uInt)n));
}

static void test_unknown_version(void **state)
{
    (void)state;
    uint8_t bytes[KIB];
    size_t n = small_segment(bytes);
    set_u32(bytes, 8, 2, 0, 12);
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    write_file(segment_path(1), bytes, n);
    assert_refused(ERR_UNSUPPORTED, "is of another version");
    assert_true(exists(segment_path(1)));
}

/* A head whose checksum is right is not one for that. */
static void test_wrong_heads(void **state)
{
    (void)state;
    enum { SECOND = SPOOL_FILE_HEAD + SMALL_SIZE };
    static const struct {
        size_t at;
        uint32_t value;
    } cases[] = {
        {0, 0x45505359},          /* what an entry begins with */
        {4, SPOOL_ENTRY_MAX + 1}, /* too long, though the file has so many bytes */
        {12, 2},                  /* a flag that does not exist */
        {12, 0x80000001},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t bytes[KIB];
        size_t n = small_segment(bytes);
        set_u32(bytes, SECOND + cases[i].at, cases[i].value, SECOND, 36);
        assert_int_equal(mkdir(spool_dir, 0700), 0);
        write_file(segment_path(1), bytes, n);
        assert_int_equal(truncate(segment_path(1), 2 * SPOOL_ENTRY_MAX), 0);
        struct spool *s = open_spool();
        assert_int_equal(stats_of(s).damaged, 1);
        assert_int_equal(stats_of(s).rows, rows_of(0, 1));
        take_entry(s, 0, SMALL_LEN);
        expect_empty(s);
        spool_close(s);
    }
    uint8_t bytes[KIB];
    size_t n = small_segment(bytes);
    set_u32(bytes, 0, 0, 0, 12); /* no file of ours */
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    write_file(segment_path(1), bytes, n);
    struct spool *s = open_spool();
    assert_int_equal(stats_of(s).damaged, 1);
    expect_empty(s);
    spool_close(s);
}

/* A head that is another one than when the spool was opened. */
static void test_heads_that_change(void **state)
{
    (void)state;
    static const struct spool_entry others[] = {
        {.rows = 10000, .data = (const uint8_t *)"", .len = 0}, /* more rows than there were */
        {.rows = 1,
         .data = (const uint8_t *)"longer than what there was, in all entries of that segment",
         .len = 58},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        struct spool *s = open_spool();
        put_entry(s, 1, 1);
        put_entry(s, 2, 1);
        int fd = open(segment_path(1), O_WRONLY | O_CLOEXEC);
        assert_int_equal(spool_segment_append(fd, SPOOL_FILE_HEAD, &others[i]), 0);
        close(fd);
        expect_empty(s);
        struct spool_stats stats = stats_of(s);
        assert_int_equal(stats.rows_damaged, rows_of(1, 3));
        assert_int_equal(stats.damaged, 1);
        assert_int_equal(stats.rows + stats.bytes, 0);
        spool_close(s);
        remove_dir();
    }
}

/* ---- The position ---- */

enum { POSITION_ENTRIES = 10, POSITION_TAKEN = 5, POSITION_LEN = 100 };

/* A spool of which a half has been taken, and |p| as its position; none with NULL. */
static void spool_at(const struct spool_position *p)
{
    remove_dir();
    struct spool *s = open_spool();
    for (uint64_t i = 0; i < POSITION_ENTRIES; i++)
        put_entry(s, i, POSITION_LEN);
    for (uint64_t i = 0; i < POSITION_TAKEN; i++)
        take_entry(s, i, POSITION_LEN);
    spool_close(s);
    if (p) {
        int fd = open(spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(spool_position_write(fd, p), 0);
        close(fd);
    }
}

static void expect_entries(uint64_t first)
{
    struct spool *s = open_spool();
    assert_int_equal(stats_of(s).damaged, 0);
    assert_int_equal(stats_of(s).rows, rows_of(first, POSITION_ENTRIES));
    for (uint64_t i = first; i < POSITION_ENTRIES; i++)
        take_entry(s, i, POSITION_LEN);
    expect_empty(s);
    spool_close(s);
}

/* A position that cannot be that of this spool costs duplicates, and no entry. */
static void test_wrong_positions(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 27, 29};
    const uint64_t size = SPOOL_ENTRY_HEAD + POSITION_LEN;
    const uint64_t end = SPOOL_FILE_HEAD + POSITION_ENTRIES * size;
    const struct {
        struct spool_position position;
        uint64_t first;
    } cases[] = {
        {{1, SPOOL_FILE_HEAD + size}, 1},
        {{1, end - size}, POSITION_ENTRIES - 1},
        {{1, end}, POSITION_ENTRIES},
        {{1, end + 1}, 0},
        {{1, UINT64_MAX}, 0},
        {{1, SPOOL_FILE_HEAD + 1}, 0},
        {{1, 3}, 0},
        {{0, 0}, 0},
        {{2, 0}, POSITION_ENTRIES},
        {{UINT64_MAX, 0}, 0},
    };
    spool_at(NULL);
    expect_entries(POSITION_TAKEN);
    for (size_t i = 0; i < COUNT(cases); i++) {
        spool_at(&cases[i].position);
        expect_entries(cases[i].first);
    }
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint8_t bytes[29] = {0};
        spool_at(NULL);
        assert_int_equal(read_file(in_dir("position"), bytes, sizeof(bytes)), 28);
        write_file(in_dir("position"), bytes, lengths[i]);
        expect_entries(0);
    }
    for (size_t i = 0; i < 28; i++) {
        uint8_t bytes[28];
        spool_at(NULL);
        read_file(in_dir("position"), bytes, sizeof(bytes));
        bytes[i] ^= 0x10;
        write_file(in_dir("position"), bytes, sizeof(bytes));
        expect_entries(0);
    }
}

/* The offset is that of one segment, and of no other that has an entry there as well. */
static void test_position_and_other_segments(void **state)
{
    (void)state;
    enum { ENTRIES = 8, LEN = 50 * KIB };
    uint64_t bytes;
    struct spool *s = open_with(MIB, 0); /* two entries to a segment */
    for (uint64_t i = 0; i < ENTRIES; i++)
        put_entry(s, i, LEN);
    assert_int_equal(segments(&bytes), ENTRIES / 2);
    take_entry(s, 0, LEN);
    spool_close(s);
    s = open_with(MIB, 0);
    assert_int_equal(stats_of(s).rows, rows_of(1, ENTRIES));
    for (uint64_t i = 1; i < ENTRIES; i++)
        take_entry(s, i, LEN);
    expect_empty(s);
    spool_close(s);
}

/* The number of a segment is not used again: the position of one that has gone is not that of another. */
static void test_numbers_go_up(void **state)
{
    (void)state;
    struct spool_position p;
    uint64_t bytes;
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t *list;
        size_t n;
        struct spool *s = open_spool();
        put_entry(s, 1, 10);
        put_entry(s, 2, 10);
        take_entry(s, 1, 10);
        int fd = open(spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(spool_folder_segments(fd, &list, &n), 0);
        assert_int_equal(n, 1);
        assert_true(list[0] > last);
        last = list[0];
        free(list);
        take_entry(s, 2, 10);
        assert_int_equal(segments(&bytes), 0);
        spool_close(s);
        assert_int_equal(spool_position_read(fd, &p), 0);
        assert_true(p.segment > last);
        close(fd);
    }
}

/* ---- Disks that fail ---- */

static void set_size_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The last write of an entry comes back short, the next one fails. */
static void test_short_write(void **state)
{
    (void)state;
    struct err e = {0};
    uint64_t bytes;
    struct spool *s = open_spool();
    put_entry(s, 1, 30000);
    put_entry(s, 2, 30000);
    uint64_t before = stats_of(s).bytes;
    set_size_limit(70000);
    int rc = try_put(s, 3, 30000, &e);
    set_size_limit(RLIM_INFINITY);
    assert_int_equal(rc, -EFBIG);
    if (!strstr(e.text, segment_path(1)) || !strstr(e.text, "cannot be written: File too large"))
        fail_msg("%s", e.text);
    assert_int_equal(segments(&bytes), 1);
    assert_int_equal(bytes, before);
    assert_int_equal(stats_of(s).bytes, before);
    assert_int_equal(stats_of(s).rows, rows_of(1, 3));
    put_entry(s, 4, 30000);
    spool_close(s);
    s = open_spool();
    assert_int_equal(stats_of(s).damaged, 0);
    take_entry(s, 1, 30000);
    take_entry(s, 2, 30000);
    take_entry(s, 4, 30000);
    expect_empty(s);

    for (rlim_t limit = 0; limit < 100;
         limit += 5) { /* the first entry of a segment, and the segment's head */
        set_size_limit(limit);
        rc = try_put(s, 5, 100, &e);
        set_size_limit(RLIM_INFINITY);
        assert_int_equal(rc, -EFBIG);
        assert_no_segments();
        struct spool_stats stats = stats_of(s);
        assert_int_equal(stats.bytes + stats.rows, 0);
    }
    put_entry(s, 6, 100);
    take_entry(s, 6, 100);
    spool_close(s);
}

/* Runs |fn| in a child that cannot make the system call |number|. */
static void in_child_without(int number, int error, void (*fn)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
        CHECK(refuse_call(number, error) == 0);
        fn();
        _exit(0);
    }
    join(child);
}

/* A half entry that cannot be removed ends its segment. */
static void put_without_ftruncate(void)
{
    struct spool *s;
    struct rlimit limit = {.rlim_cur = 70000, .rlim_max = RLIM_INFINITY};
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = 64 * MIB}, &s, NULL) == 0);
    CHECK(try_put(s, 1, 30000, NULL) == 0);
    CHECK(try_put(s, 2, 30000, NULL) == 0);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 70000;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(try_put(s, 3, 30000, NULL) == -EFBIG);
    CHECK(try_put(s, 4, 30000, NULL) == 0);
    CHECK(stats_of(s).rows == rows_of(1, 3) + rows_of(4, 5));
    spool_close(s);
}

static void test_no_ftruncate(void **state)
{
    (void)state;
    in_child_without(SYS_ftruncate, EIO, put_without_ftruncate);
    struct spool *s = open_spool();
    assert_int_equal(stats_of(s).damaged, 1);
    take_entry(s, 1, 30000);
    take_entry(s, 2, 30000);
    take_entry(s, 4, 30000);
    expect_empty(s);
    spool_close(s);
}

/* A disk that cannot be read loses nothing. */
static void read_without_pread(void)
{
    struct err e = {0};
    struct spool_entry got;
    struct spool *s;
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = 64 * MIB}, &s, &e) == -EIO);
    CHECK(strstr(e.text, "0000000000000001.spool: cannot be read: Input/output error"));
    remove(in_dir("0000000000000001.spool"));
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = 64 * MIB}, &s, &e) == 0);
    CHECK(try_put(s, 7, 10, NULL) == 0);
    CHECK(spool_first(s, &spool_data, &got, &e) == -EIO);
    CHECK(strstr(e.text, "0000000000000001.spool: cannot be read: Input/output error"));
    spool_take(s);
    CHECK(stats_of(s).rows == rows_of(7, 8));
    spool_close(s);
}

static void test_no_pread(void **state)
{
    (void)state;
    struct spool *s = open_spool();
    put_entry(s, 1, 10);
    spool_close(s);
    in_child_without(SYS_pread64, EIO, read_without_pread);
    s = open_spool();
    take_entry(s, 7, 10);
    expect_empty(s);
    spool_close(s);
}

/* An entry is in the spool, though the disk does not promise to keep it. */
static void put_without_sync(void)
{
    struct spool *s;
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = 64 * MIB}, &s, NULL) == 0);
    CHECK(try_put(s, 1, 10, NULL) == 0);
    CHECK(stats_of(s).rows == rows_of(1, 2));
    spool_close(s);
}

/* Nor does a position that cannot be written cost an entry. */
static void take_without_rename(void)
{
    struct spool_entry got;
    struct spool *s;
    CHECK(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = 64 * MIB}, &s, NULL) == 0);
    CHECK(try_put(s, 2, 10, NULL) == 0);
    CHECK(try_put(s, 3, 10, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(spool_first(s, &spool_data, &got, NULL) == 1);
        spool_take(s);
    }
    spool_close(s);
}

static void test_no_sync_no_position(void **state)
{
    (void)state;
    in_child_without(SYS_fdatasync, EIO, put_without_sync);
    in_child_without(SYS_renameat, EROFS, take_without_rename);
    struct spool *s = open_spool();
    take_entry(s, 2, 10); /* once more; the segment of 1 has gone */
    take_entry(s, 3, 10);
    expect_empty(s);
    spool_close(s);
}

/* Mounts a file system of |bytes| on the folder of the spool. Skips the test where that cannot be. */
static void mount_small(unsigned bytes)
{
    char options[64];
    snprintf(options, sizeof(options), "size=%u,mode=0700", bytes);
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", spool_dir, "tmpfs", 0, options) != 0) {
        print_message("skipped: no file system of our own: %s\n", strerror(errno));
        skip();
    }
}

static int teardown_disk(void **state)
{
    umount2(spool_dir, MNT_DETACH);
    return spool_teardown(state);
}

static void test_full_disk(void **state)
{
    (void)state;
    enum { LEN = 10000 };
    struct err e = {0};
    uint64_t bytes;
    uint64_t n = 0;
    mount_small(MIB);
    struct spool *s = open_with(4 * MIB, 0); /* larger than the disk */
    while (try_put(s, n, LEN, &e) == 0)
        n++;
    assert_int_equal(e.code, -ENOSPC);
    if (!strstr(e.text, spool_dir) || !strstr(e.text, "No space left on device"))
        fail_msg("%s", e.text);
    assert_in_range(n, 90, 105);
    for (int i = 0; i < 5; i++) /* it stays so, and what is there stays */
        assert_int_equal(try_put(s, n, LEN, &e), -ENOSPC);
    assert_int_equal(stats_of(s).rows, rows_of(0, n));
    assert_int_equal(stats_of(s).rows_full, 0);
    segments(&bytes);
    assert_int_equal(bytes, stats_of(s).bytes);
    spool_close(s);

    s = open_with(4 * MIB, 0);
    assert_int_equal(stats_of(s).damaged, 0);
    assert_int_equal(stats_of(s).rows, rows_of(0, n));
    for (uint64_t i = 0; i < n / 2 + 10; i++) /* the first of the two segments goes */
        take_entry(s, i, LEN);
    put_entry(s, n, LEN);
    for (uint64_t i = n / 2 + 10; i <= n; i++)
        take_entry(s, i, LEN);
    expect_empty(s);
    assert_no_segments();
    spool_close(s);
}

/* ---- The folder ---- */

static void test_refused_folders(void **state)
{
    (void)state;
    struct err e;
    struct spool *s;
    write_file(spool_dir, "", 0);
    assert_refused(ERR_TYPE, "is a file or a link");
    assert_int_equal(unlink(spool_dir), 0);
    assert_int_equal(symlink(spool_parent, spool_dir), 0);
    assert_refused(ERR_TYPE, "is a file or a link");
    char with_slash[sizeof(spool_dir) + 2];
    snprintf(with_slash, sizeof(with_slash), "%s//", spool_dir);
    assert_int_equal(spool_open(&(struct spool_options){.dir = with_slash, .bytes_max = MIB}, &s, &e),
                     ERR_TYPE);
    assert_int_equal(unlink(spool_dir), 0);
    static const mode_t modes[] = {0777, 0720, 0702, 01777};
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    for (size_t i = 0; i < COUNT(modes); i++) {
        char words[32];
        snprintf(words, sizeof(words), "has mode %04o", (unsigned)modes[i]);
        assert_int_equal(chmod(spool_dir, modes[i]), 0);
        assert_refused(ERR_PERMISSION, words);
    }
    assert_int_equal(chmod(spool_dir, 0755), 0);
    assert_false(exists(in_dir("lock"))); /* nothing was touched */
    if (geteuid() == 0) {
        assert_int_equal(chown(spool_dir, 1, 1), 0);
        assert_refused(ERR_PERMISSION, "belongs to user 1; a spool has to belong to user 0");
        assert_int_equal(chown(spool_dir, 0, 0), 0);
    }
    assert_int_equal(symlink("/etc/passwd", in_dir("lock")), 0);
    assert_refused(-ELOOP, "lock: cannot be opened");
    assert_int_equal(unlink(in_dir("lock")), 0);
    assert_int_equal(mkdir(in_dir("position"), 0700), 0);
    assert_refused(-EISDIR, "position: cannot be read");
    assert_int_equal(rmdir(in_dir("position")), 0);
    assert_int_equal(symlink("/etc/passwd", in_dir("position")), 0);
    assert_refused(-ELOOP, "position: cannot be read");
    assert_int_equal(unlink(in_dir("position")), 0);
    spool_close(open_spool());
    snprintf(spool_dir, sizeof(spool_dir), "%s/no/spool", spool_parent);
    assert_refused(-ENOENT, "cannot be made");
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", spool_parent);
}

static void test_new_folder(void **state)
{
    (void)state;
    struct stat st;
    struct spool *s = open_spool();
    put_entry(s, 1, 10);
    assert_int_equal(stat(spool_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(segment_path(1), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    spool_close(s);
}

/* Whatever is not the spool's stays as it is, also under a name of the spool's. */
static void test_files_of_others(void **state)
{
    (void)state;
    static const char *const names[] = {"notes.txt",
                                        "0000000000000001.spool.bak",
                                        "1.spool",
                                        "x000000000000001.spool",
                                        "0000000000000000.spool",
                                        "00000000000000001.spool"};
    char target[SPOOL_DIR_SIZE];
    snprintf(target, sizeof(target), "%s/target", spool_parent);
    write_file(target, "precious", 8);
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    for (size_t i = 0; i < COUNT(names); i++)
        write_file(in_dir(names[i]), names[i], strlen(names[i]));
    assert_int_equal(mkdir(segment_path(7), 0700), 0);
    assert_int_equal(symlink(target, segment_path(8)), 0);
    assert_int_equal(mkfifo(segment_path(9), 0600), 0);
    struct spool *s = open_spool();
    assert_int_equal(stats_of(s).damaged, 0);
    put_entry(s, 1, 10);
    assert_true(exists(segment_path(10)));
    write_file(segment_path(11), "late", 4);
    spool_set_bounds(s, 2 * MIB, 0);
    for (uint64_t i = 2; i < 8; i++)
        put_entry(s, i, 60 * KIB);
    for (uint64_t i = 1; i < 8; i++)
        take_entry(s, i, i == 1 ? 10 : 60 * KIB);
    spool_close(s);
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[64] = "";
        read_file(in_dir(names[i]), (uint8_t *)text, sizeof(text) - 1);
        assert_string_equal(text, names[i]);
    }
    for (uint64_t i = 7; i < 10; i++)
        assert_true(exists(segment_path(i)));
    char text[16] = "";
    read_file(target, (uint8_t *)text, sizeof(text) - 1);
    assert_string_equal(text, "precious");
    assert_int_equal(unlink(target), 0);
}

static void test_last_number(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(mkdir(spool_dir, 0700), 0);
    assert_int_equal(mkdir(segment_path(SPOOL_NUMBER_MAX - 1), 0700), 0);
    struct spool *s = open_spool();
    put_entry(s, 1, 10);
    assert_true(exists(segment_path(SPOOL_NUMBER_MAX)));
    take_entry(s, 1, 10);
    assert_int_equal(try_put(s, 2, 10, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "no number is left"));
    spool_close(s);
    s = open_spool();
    expect_empty(s);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_cut),
        SPOOL_TEST(test_flipped_byte),
        SPOOL_TEST(test_damaged_while_open),
        SPOOL_TEST(test_unknown_version),
        SPOOL_TEST(test_wrong_heads),
        SPOOL_TEST(test_heads_that_change),
        SPOOL_TEST(test_wrong_positions),
        SPOOL_TEST(test_position_and_other_segments),
        SPOOL_TEST(test_numbers_go_up),
        SPOOL_TEST(test_short_write),
        SPOOL_TEST(test_no_ftruncate),
        SPOOL_TEST(test_no_pread),
        SPOOL_TEST(test_no_sync_no_position),
        cmocka_unit_test_setup_teardown(test_full_disk, spool_setup, teardown_disk),
        SPOOL_TEST(test_refused_folders),
        SPOOL_TEST(test_new_folder),
        SPOOL_TEST(test_files_of_others),
        SPOOL_TEST(test_last_number),
    };
    return cmocka_run_group_tests(tests, spool_group_setup, spool_group_teardown);
}
