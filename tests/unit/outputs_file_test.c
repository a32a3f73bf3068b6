/* The destination file: what is opened, and what happens to messages when the disk is full or somebody else is at work. */
#include "sink_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "needs_namespace.h"

static int teardown(void **state)
{
    (void)umount2(in_folder("disk"), MNT_DETACH); /* of one test */
    return fixture_teardown(state);
}

/* ---- Opening ---- */

static void test_options(void **state)
{
    (void)state;
    char name[NAME_MAX + 1];
    static const struct {
        const char *path, *mode, *words;
    } bad[] = {
        {"/tmp/", "0640", "is a folder"},
        {"/tmp/.", "0640", "is a folder"},
        {"/tmp/..", "0640", "is a folder"},
        {"/tmp/x", "0440", "owner may write"},
        {"/tmp/x", "1640", "mode: value"},
        {"/tmp/x", "648", "mode: value"},
        {"/tmp/x", "07777777777777777777640", "mode: value"},
        {"/tmp/x", "", "mode: value"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        set_path(bad[i].path);
        fix.options.mode = (char[32]){0};
        snprintf(fix.options.mode, 32, "%s", bad[i].mode);
        assert_true(xtcp_sink_file.open(&fix.env, &fix.sink, &fix.error) < 0);
        if (!strstr(fix.error.text, bad[i].words))
            fail_msg("%s", fix.error.text);
        assert_null(fix.sink);
    }
    fix.options.mode = "0640";
    memset(name, 'x', NAME_MAX);
    name[NAME_MAX] = '\0';
    set_path(in_folder(name)); /* as long as the file system takes */
    sink_begin(&xtcp_sink_file);
    assert_writes(true, "one\n");
    sink_end();
    fix.options.rotate_size = 1;
    assert_int_equal(xtcp_sink_file.open(&fix.env, &fix.sink, &fix.error), ERR_RANGE);
    assert_non_null(strstr(fix.error.text, "rotated files"));
    remove(in_folder(name));
    name[NAME_MAX - ROTATE_ADDS_MAX] = '\0';
    set_path(in_folder(name));
    sink_begin(&xtcp_sink_file);
}

static void test_appends(void **state)
{
    (void)state;
    mode_t umask_before = umask(077);
    fix.options.mode = "0664";
    file_begin();
    assert_writes(true, "one\n");
    umask(umask_before);
    assert_int_equal(mode_of("log"), 0664);
    assert_writes(false, "two\n");
    sink_end();
    assert_contents(in_folder("log"), "one\ntwo\n");
    assert_int_equal(chmod(in_folder("log"), 0600), 0); /* somebody's decision */
    file_begin();
    assert_writes(false, "three\n");
    assert_contents(in_folder("log"), "one\ntwo\nthree\n");
    assert_int_equal(mode_of("log"), 0600);
}

static void test_several_messages(void **state)
{
    (void)state;
    struct sink_message list[] = {
        {.data = (const uint8_t *)"one\n", .len = 4},
        {.data = (const uint8_t *)"", .len = 0},
        {.data = (const uint8_t *)"three\n", .len = 6},
        {.data = (const uint8_t *)"four\n", .len = 5},
    };
    file_begin();
    assert_connects(true);
    fake_full_disk(2, ENOSPC);
    fake.write_some = 5; /* all of the first, a part of the third */
    xtcp_sink_file.send(fix.sink, list, COUNT(list), &fix.error);
    assert_int_equal(list[0].result, SINK_DONE);
    assert_int_equal(list[1].result, SINK_DONE);
    assert_int_equal(list[2].result, SINK_AGAIN);
    assert_int_equal(list[3].result, SINK_AGAIN);
    assert_contents(in_folder("log"), "one\n");
    xtcp_sink_file.send(fix.sink, list + 2, 2, &fix.error);
    assert_int_equal(list[3].result, SINK_DONE);
    assert_contents(in_folder("log"), "one\nthree\nfour\n");
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    file_begin();
    make_file("other", "");
    assert_int_equal(symlink("other", in_folder("log")), 0);
    assert_does_not_connect(ERR_TYPE, "log: is a symbolic link; allowed is a regular file");
    remove(in_folder("log"));
    assert_int_equal(symlink("nothing", in_folder("log")), 0);
    assert_does_not_connect(ERR_TYPE, "is a symbolic link");
    assert_false(exists("nothing"));
    remove(in_folder("log"));
    assert_int_equal(mkfifo(in_folder("log"), 0600), 0);
    assert_does_not_connect(ERR_TYPE, "is a FIFO");
    int reader =
        __real_open(in_folder("log"), O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* nor with somebody there */
    assert_does_not_connect(ERR_TYPE, "is a FIFO");
    close(reader);
    remove(in_folder("log"));
    assert_int_equal(mkdir(in_folder("log"), 0700), 0);
    assert_does_not_connect(ERR_TYPE, "is a directory");
    remove(in_folder("log"));
    assert_writes(true, "one\n"); /* it may become one */
    sink_end();
    set_path("/dev/full");
    sink_begin(&xtcp_sink_file);
    assert_does_not_connect(ERR_TYPE, "file:/dev/full: is a character device");
    sink_end();
    set_path(in_folder("nothing/log"));
    sink_begin(&xtcp_sink_file);
    assert_does_not_connect(-ENOENT, "nothing/log: cannot open its folder: No such file");
    make_file("nothing", "");
    assert_does_not_connect(-ENOTDIR, "Not a directory");
}

static void test_dev_null(void **state)
{
    (void)state;
    fix.options.rotate_size = 1;
    fix.options.fsync = OUTPUT_FSYNC_BATCH;
    fix.options.compress = OUTPUT_COMPRESS_GZIP;
    set_path("/dev/null");
    sink_begin(&xtcp_sink_file);
    assert_writes(true, "one\n");
    assert_writes(false, "two\n");
    xtcp_sink_file.reopen(fix.sink);
    assert_writes(true, "three\n");
    assert_int_equal(fake.syncs, 0);
}

/* A lease of another process would hold up who opens the file, for 45 seconds by default. */
static void test_a_lease(void **state)
{
    (void)state;
    make_file("log", "one\n");
    int fd = __real_open(in_folder("log"), O_RDWR | O_CLOEXEC);
    signal(SIGIO, SIG_IGN);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    file_begin();
    assert_does_not_connect(-EAGAIN, "log: cannot open: ");
    close(fd);
    assert_writes(false, "two\n");
}

/* ---- Somebody else ---- */

static void test_reopen(void **state)
{
    (void)state;
    file_begin();
    assert_writes(true, "one\n");
    xtcp_sink_file.reopen(fix.sink); /* nothing has happened to it */
    assert_writes(false, "two\n");
    assert_int_equal(rename(in_folder("log"), in_folder("log.1")), 0);
    xtcp_sink_file.reopen(fix.sink); /* logrotate, and a signal */
    assert_writes(true, "three\n");
    assert_contents(in_folder("log.1"), "one\ntwo\n");
    assert_int_equal(rename(in_folder("log"), in_folder("log.2")), 0); /* without a signal */
    assert_writes(true, "four\n");
    assert_contents(in_folder("log.2"), "three\n");
    assert_int_equal(rename(in_folder("log"), in_folder("log.3")), 0);
    make_file("log", ""); /* logrotate's create */
    assert_writes(true, "five\n");
    assert_int_equal(remove(in_folder("log")), 0);
    make_file("log", "somebody's\n");
    assert_writes(false, "six\n");
    assert_contents(in_folder("log"), "somebody's\nsix\n");
    assert_int_equal(truncate(in_folder("log"), 0), 0); /* logrotate's copytruncate */
    assert_writes(true, "seven\n");
    assert_contents(in_folder("log"), "seven\n");
    xtcp_sink_file.reopen(fix.sink);
    xtcp_sink_file.reopen(fix.sink);
}

/* A header line in front of the first message is sent again with it. */
static void test_fresh_until_something_is_there(void **state)
{
    (void)state;
    file_begin();
    assert_connects(true);
    fake_full_disk(3, ENOSPC);
    assert_does_not_send("header\n", SINK_AGAIN, "No space left");
    assert_connects(true);
    assert_sends("header\n");
    assert_connects(false);
}

/* ---- Full disks ---- */

static void test_no_half_message(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EDQUOT, EIO, EFBIG};
    file_begin();
    assert_writes(true, "one\n");
    for (size_t i = 0; i < COUNT(errors); i++) {
        for (int some = 0; some < 3; some++) {
            char words[PATH_MAX + 100];
            snprintf(words, sizeof(words), "file:%s: %s", fix.path, strerror(errors[i]));
            fake_full_disk(some, errors[i]);
            assert_does_not_send("two\n", SINK_AGAIN, words);
            assert_contents(fix.path, "one\n");
        }
    }
    assert_writes(false, "two\n");
    assert_contents(fix.path, "one\ntwo\n");
}

static void test_a_file_that_cannot_be_cut(void **state)
{
    (void)state;
    file_begin();
    assert_writes(true, "one\n");
    fake.truncate_errno = ENOSPC; /* of btrfs */
    fake_full_disk(2, ENOSPC);
    assert_does_not_send("two\n", SINK_AGAIN, "No space left");
    assert_contents(fix.path, "one\ntw");
    assert_does_not_send("two\n", SINK_AGAIN, "No space left"); /* not behind the half */
    assert_does_not_connect(-ENOSPC, "No space left");
    assert_contents(fix.path, "one\ntw");
    fake.truncate_errno = 0;
    assert_writes(false, "two\n");
    assert_contents(fix.path, "one\ntwo\n");
    fake.truncate_errno = EPERM; /* chattr +a: for ever */
    fake_full_disk(2, ENOSPC);
    assert_does_not_send("three\n", SINK_AGAIN, "No space left");
    assert_writes(false, "four\n");
    assert_contents(fix.path, "one\ntwo\nthfour\n");
}

static void test_somebody_else_writes_too(void **state)
{
    (void)state;
    file_begin();
    assert_writes(true, "one\n");
    fake_full_disk(2, ENOSPC);
    fake.intruder = fix.path;
    assert_does_not_send("two\n", SINK_AGAIN, "No space left");
    assert_contents(fix.path, "one\ntwINTRUDER\n"); /* what is somebody else's stays */
    assert_writes(false, "two\n");
    assert_contents(fix.path, "one\ntwINTRUDER\ntwo\n");
}

/* A limit of the process is a full disk that nobody has to be root for. */
static void test_the_limit_of_the_process(void **state)
{
    (void)state;
    struct rlimit before, limit;
    struct stat st;
    file_begin();
    assert_writes(true, "one\n");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 7, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum sink_result result = sink_send_one(fix.ops, fix.sink, "three\n", 6, &fix.error);
    int rc = stat(fix.path, &st);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, SINK_AGAIN);
    assert_non_null(strstr(fix.error.text, "File too large"));
    assert_int_equal(rc, 0);
    assert_int_equal(st.st_size, 4);
    assert_writes(false, "three\n");
    assert_contents(fix.path, "one\nthree\n");
}

/* Fills the tmpfs at |path| but for |rest| bytes, with a file of its own. */
static void fill_disk(const char *path, size_t rest)
{
    static char block[4096];
    int fd = __real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (__real_write(fd, block, sizeof(block)) > 0)
        continue;
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(__real_ftruncate(fd, st.st_size - (off_t)rest), 0);
    close(fd);
}

/* A small file system at the folder "disk", which nobody else sees: of a mount namespace of this process. */
static int mount_disk(void)
{
    assert_int_equal(mkdir(in_folder("disk"), 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", in_folder("disk"), "tmpfs", 0, "size=128k") != 0)
        return -errno;
    return 0;
}

static void assert_all_x(const char *path, size_t n)
{
    static char data[64 * 1024];
    int fd = __real_open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, data, sizeof(data));
    close(fd);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(data[i], 'x');
}

static void test_a_full_disk(void **state)
{
    (void)state;
    static char message[3 * 4096];
    int rc = mount_disk();
    NEEDS_NAMESPACE(rc);
    memset(message, 'x', sizeof(message));
    set_path(in_folder("disk/log"));
    sink_begin(&xtcp_sink_file);
    assert_connects(true);
    fill_disk(in_folder("disk/filler"), 4 * 4096);
    assert_int_equal(sink_send_one(fix.ops, fix.sink, message, sizeof(message), &fix.error), SINK_DONE);
    for (int i = 0; i < 3; i++) {
        struct stat st;
        assert_connects(false);
        assert_int_equal(sink_send_one(fix.ops, fix.sink, message, sizeof(message), &fix.error), SINK_AGAIN);
        assert_non_null(strstr(fix.error.text, "disk/log: No space left on device"));
        assert_int_equal(stat(fix.path, &st), 0);
        assert_int_equal(st.st_size, sizeof(message));
    }
    assert_int_equal(remove(in_folder("disk/filler")), 0);
    assert_connects(false);
    assert_int_equal(sink_send_one(fix.ops, fix.sink, message, sizeof(message), &fix.error), SINK_DONE);
    assert_all_x(fix.path, 2 * sizeof(message));
}

static void test_large_files(void **state)
{
    (void)state;
    const off_t large = 5LL << 30;
    struct stat st;
    make_file("log", "");
    if (truncate(in_folder("log"), large) != 0) { /* a hole */
        print_message("skipped: no large files in /tmp: %s\n", strerror(errno));
        skip();
    }
    fix.options.rotate_size = (uint64_t)large + 8;
    file_begin();
    assert_writes(false, "one\n");
    fake_full_disk(2, ENOSPC);
    assert_does_not_send("two\n", SINK_AGAIN, "No space left");
    assert_int_equal(stat(in_folder("log"), &st), 0);
    assert_int_equal(st.st_size, large + 4);
    assert_writes(false, "two\n");
    assert_writes(true, "three\n");
    assert_contents(in_folder("log"), "three\n");
}

/* ---- Waiting for the disk ---- */

static void test_fsync(void **state)
{
    (void)state;
    static const struct {
        enum output_fsync fsync;
        unsigned sent, done; /* how often the disk is waited for */
    } modes[] = {{OUTPUT_FSYNC_NONE, 0, 0}, {OUTPUT_FSYNC_ROTATE, 0, 1}, {OUTPUT_FSYNC_BATCH, 2, 3}};
    for (size_t i = 0; i < COUNT(modes); i++) {
        fix.options.fsync = modes[i].fsync;
        file_begin();
        fake.syncs = 0;
        assert_writes(i == 0, "one\n");
        assert_writes(false, "two\n");
        assert_int_equal(fake.syncs, modes[i].sent);
        xtcp_sink_file.reopen(fix.sink);
        assert_int_equal(fake.syncs, modes[i].done);
        sink_end();
    }
}

/* What the disk did not take is taken back, though it was written. */
static void test_fsync_fails(void **state)
{
    (void)state;
    struct sink_message list[] = {
        {.data = (const uint8_t *)"two\n", .len = 4},
        {.data = (const uint8_t *)"three\n", .len = 6},
    };
    fix.options.fsync = OUTPUT_FSYNC_BATCH;
    file_begin();
    assert_writes(true, "one\n");
    fake.sync_errno = EIO;
    xtcp_sink_file.send(fix.sink, list, 2, &fix.error);
    assert_int_equal(list[0].result, SINK_AGAIN);
    assert_int_equal(list[1].result, SINK_AGAIN);
    assert_non_null(strstr(fix.error.text, "Input/output error"));
    assert_contents(fix.path, "one\n");
    fake.truncate_errno = EIO; /* and a half one with them */
    fake_full_disk(5, ENOSPC);
    xtcp_sink_file.send(fix.sink, list, 2, &fix.error);
    assert_contents(fix.path, "one\ntwo\nthree"); /* 5 bytes of the second message */
    fake_nothing();
    assert_writes(false, "two\n");
    assert_contents(fix.path, "one\ntwo\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options),
        TEST(test_appends),
        TEST(test_several_messages),
        TEST(test_what_is_no_file),
        TEST(test_dev_null),
        TEST(test_a_lease),
        TEST(test_reopen),
        TEST(test_fresh_until_something_is_there),
        TEST(test_no_half_message),
        TEST(test_a_file_that_cannot_be_cut),
        TEST(test_somebody_else_writes_too),
        TEST(test_the_limit_of_the_process),
        TEST(test_a_full_disk),
        TEST(test_large_files),
        TEST(test_fsync),
        TEST(test_fsync_fails),
    };
    return cmocka_run_group_tests(tests, fixture_setup_all, fixture_teardown_all);
}
