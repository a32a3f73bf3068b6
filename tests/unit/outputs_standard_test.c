/* The destinations stdout, stderr and null. */
#include "sink_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/buf.h"

/* ---- Descriptor 1 ---- */

static int stdout_kept = -1; /* what descriptor 1 was; -1: it is that */
static int far_end = -1;     /* of what it is now */

static void stdout_back(void)
{
    if (stdout_kept >= 0) {
        dup2(stdout_kept, STDOUT_FILENO);
        close(stdout_kept);
    }
    if (far_end >= 0)
        close(far_end);
    stdout_kept = far_end = -1;
}

static int teardown(void **state)
{
    int rc = fixture_teardown(state);
    stdout_back();
    return rc;
}

enum channel { CHANNEL_PIPE, CHANNEL_ASKED_PIPE, CHANNEL_SOCKET, CHANNEL_TERMINAL, CHANNELS };

/* Descriptor 1 is one end from now on; the other one is |far_end|. */
static void stdout_to(enum channel channel)
{
    int ends[2] = {-1, -1};
    fflush(NULL);
    if (channel == CHANNEL_SOCKET) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    } else if (channel == CHANNEL_TERMINAL) {
        struct termios raw;
        ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(ends[0] >= 0);
        assert_int_equal(grantpt(ends[0]) | unlockpt(ends[0]), 0);
        char path[64];
        assert_int_equal(ptsname_r(ends[0], path, sizeof(path)), 0);
        ends[1] = __real_open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(ends[1] >= 0);
        assert_int_equal(tcgetattr(ends[1], &raw), 0);
        cfmakeraw(&raw);
        assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
    } else {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    }
    fake.no_own = channel == CHANNEL_ASKED_PIPE;
    stdout_kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(stdout_kept >= 0);
    far_end = ends[0];
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[1]);
    sink_begin(&xtcp_sink_stdout);
}

static void stdout_done(void)
{
    sink_end();
    stdout_back();
    fake_nothing();
}

#define LONG (1000 * 1000)

/* A message that no pipe takes as a whole. Each of its bytes tells where it is. */
static const char *long_message(unsigned which)
{
    static char text[2][LONG];
    for (size_t i = 0; i < LONG; i++)
        text[which][i] = (char)('0' + (i / 7 + i / 1009 + which) % 64);
    return text[which];
}

struct reading {
    pthread_t thread;
    struct buf got;
    size_t want;
    bool slow;
};

static void *read_far_end(void *arg)
{
    struct reading *r = arg;
    while (r->got.len < r->want) {
        size_t step = r->want - r->got.len < 8192 ? r->want - r->got.len : 8192;
        char *to = buf_reserve(&r->got, step);
        ssize_t n = to ? read(far_end, to, step) : -1;
        if (n <= 0)
            break;
        r->got.len += (size_t)n;
        if (r->slow && r->got.len / 65536 != (r->got.len - (size_t)n) / 65536)
            usleep(1000);
    }
    return NULL;
}

/* Reads |want| bytes on a thread of its own. */
static void reading_begin(struct reading *r, size_t want, bool slow)
{
    buf_init(&r->got);
    r->want = want;
    r->slow = slow;
    assert_int_equal(pthread_create(&r->thread, NULL, read_far_end, r), 0);
}

static void reading_end(struct reading *r, const char *text)
{
    pthread_join(r->thread, NULL);
    assert_int_equal(r->got.len, r->want);
    assert_memory_equal(r->got.data, text, r->want);
    buf_free(&r->got);
}

static void assert_nothing_more(void)
{
    struct pollfd p = {.fd = far_end, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
}

static void test_slow_reader(void **state)
{
    (void)state;
    for (int c = 0; c < CHANNELS; c++) {
        struct reading r;
        const char *text = long_message(0);
        stdout_to((enum channel)c);
        assert_connects(true);
        reading_begin(&r, LONG, true);
        int64_t begin_ns = clock_mono_ns();
        assert_int_equal(sink_send_one(fix.ops, fix.sink, text, LONG, &fix.error), SINK_DONE);
        reading_end(&r, text);
        /* the time that a reader has is counted from what it took last */
        assert_true(fix.host.deadline_ns > begin_ns + 10 * NS_PER_S + 3 * NS_PER_MS);
        fix.host.deadline_ns = 0;
        assert_nothing_more();
        assert_connects(false);
        assert_sends("one\n");
        reading_begin(&r, 4, false);
        reading_end(&r, "one\n");
        assert_false(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);
        stdout_done();
    }
}

/* Nobody reads: sending ends when the output wants that, and later the rest of the message comes first. */
static void test_no_reader(void **state)
{
    (void)state;
    char *both = malloc((size_t)2 * LONG);
    assert_non_null(both);
    memcpy(both, long_message(0), LONG);
    memcpy(both + LONG, long_message(1), LONG);
    for (int c = 0; c < CHANNELS; c++) {
        for (int other = 0; other < 2; other++) {
            struct reading r;
            stdout_to((enum channel)c);
            assert_connects(true);
            for (int i = 0; i < 3; i++) {
                fix.host.cancel_ns = clock_mono_ns() + 10 * NS_PER_MS;
                assert_int_equal(sink_send_one(fix.ops, fix.sink, long_message(0), LONG, &fix.error),
                                 SINK_AGAIN);
                assert_non_null(strstr(fix.error.text, "stdout: interrupted"));
                fix.host.cancel_ns = INT64_MAX;
                assert_connects(false);
            }
            reading_begin(&r, other ? 2 * LONG : LONG, false);
            /* the same message is not sent twice; another one comes behind the rest */
            enum sink_result result =
                sink_send_one(fix.ops, fix.sink, long_message((unsigned)other), LONG, &fix.error);
            assert_int_equal(result, SINK_DONE);
            reading_end(&r, both);
            assert_nothing_more();
            stdout_done();
        }
    }
    free(both);
}

static void test_stalled_reader(void **state)
{
    (void)state;
    struct sink_message list[] = {
        {.data = (const uint8_t *)"one\n", .len = 4},
        {.data = (const uint8_t *)long_message(0), .len = LONG},
        {.data = (const uint8_t *)"three\n", .len = 6},
    };
    stdout_to(CHANNEL_PIPE);
    assert_connects(true);
    fix.host.ahead_ns = 10 * NS_PER_S - 20 * NS_PER_MS;
    fix.ops->send(fix.sink, list, COUNT(list), &fix.error);
    assert_int_equal(list[0].result, SINK_DONE);
    assert_int_equal(list[1].result, SINK_AGAIN);
    assert_int_equal(list[2].result, SINK_AGAIN);
    assert_string_equal(fix.error.text, "stdout: its reader has taken nothing for 10 s");
    assert_connects(false);
}

static void test_closed_pipe(void **state)
{
    (void)state;
    for (int c = 0; c <= CHANNEL_SOCKET; c++) {
        stdout_to((enum channel)c);
        assert_connects(true);
        fix.host.cancel_ns = clock_mono_ns();
        assert_int_equal(sink_send_one(fix.ops, fix.sink, long_message(0), LONG, &fix.error), SINK_AGAIN);
        fix.host.cancel_ns = INT64_MAX;
        close(far_end);
        far_end = -1;
        assert_does_not_send("two\n", SINK_BROKEN, "stdout: Broken pipe");
        assert_does_not_connect(-EPIPE, "stdout: Broken pipe");
        stdout_done();
    }
    stdout_to(CHANNEL_PIPE);
    close(STDOUT_FILENO);
    assert_does_not_connect(-EBADF, "stdout: it is closed");
}

/* A named pipe may have another reader: that one begins with a whole message. */
static void test_another_reader(void **state)
{
    (void)state;
    struct reading r;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    stdout_to(CHANNEL_PIPE);
    close(far_end);
    far_end = __real_open(in_folder("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = __real_open(in_folder("fifo"), O_WRONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(dup2(writer, STDOUT_FILENO), STDOUT_FILENO);
    close(writer);
    assert_connects(true);
    fix.host.cancel_ns = clock_mono_ns();
    assert_int_equal(sink_send_one(fix.ops, fix.sink, long_message(0), LONG, &fix.error), SINK_AGAIN);
    fix.host.cancel_ns = INT64_MAX;
    close(far_end);
    far_end = -1;
    assert_does_not_connect(-EPIPE, "Broken pipe");
    far_end = __real_open(in_folder("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char drain[65536];
    while (read(far_end, drain, sizeof(drain)) > 0)
        continue;
    fcntl(far_end, F_SETFL, 0);
    assert_connects(true);
    reading_begin(&r, LONG, false);
    assert_int_equal(sink_send_one(fix.ops, fix.sink, long_message(0), LONG, &fix.error), SINK_DONE);
    reading_end(&r, long_message(0));
}

/* Standard output may be a file, which others may be writing to. */
static void test_stdout_to_a_file(void **state)
{
    (void)state;
    static const int flags[] = {O_TRUNC, O_APPEND, 0};
    for (size_t i = 0; i < COUNT(flags); i++) {
        make_file("log", "0\n");
        stdout_to(CHANNEL_PIPE);
        int fd = __real_open(in_folder("log"), O_WRONLY | O_CLOEXEC | flags[i]);
        assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
        close(fd);
        assert_connects(flags[i] != O_APPEND);
        fake_full_disk(2, ENOSPC);
        assert_does_not_send("two\n", SINK_AGAIN, "stdout: No space left");
        assert_writes(flags[i] != O_APPEND, "two\n");
        assert_writes(false, "three\n");
        stdout_done();
        assert_contents(in_folder("log"), flags[i] == O_APPEND ? "0\ntwo\nthree\n" : "two\nthree\n");
    }
}

static void test_stderr(void **state)
{
    (void)state;
    int ends[2];
    char text[10];
    fflush(NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    sink_begin(&xtcp_sink_stderr);
    bool fresh;
    enum sink_result connected = connect_sink(&fresh);
    enum sink_result sent = sink_send_one(fix.ops, fix.sink, "one\n", 4, &fix.error);
    ssize_t n = read(ends[0], text, sizeof(text));
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[0]);
    assert_int_equal(connected, SINK_DONE);
    assert_true(fresh);
    assert_int_equal(sent, SINK_DONE);
    assert_int_equal(n, 4);
    assert_memory_equal(text, "one\n", 4);
}

static void test_null(void **state)
{
    (void)state;
    sink_begin(&xtcp_sink_null);
    assert_writes(true, "one\n");
    assert_writes(false, "two\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slow_reader), TEST(test_no_reader),      TEST(test_stalled_reader),
        TEST(test_closed_pipe), TEST(test_another_reader), TEST(test_stdout_to_a_file),
        TEST(test_stderr),      TEST(test_null),
    };
    return cmocka_run_group_tests(tests, fixture_setup_all, fixture_teardown_all);
}
