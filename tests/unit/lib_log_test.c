/* The log: formats, levels, what strangers' text cannot do, and the rate limit. */
#include "lib_test.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

static int log_fds[2];

static int setup(void **state)
{
    (void)state;
    if (pipe(log_fds))
        return -1;
    log_set_fd(log_fds[1]);
    log_set(LOG_INFO, LOG_TEXT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    log_set(LOG_INFO, LOG_TEXT);
    close(log_fds[0]);
    close(log_fds[1]);
    return 0;
}

/* The lines logged since the last call. The time is checked for its shape and replaced by "TIME". */
static const char *logged(void)
{
    static char text[PIPE_BUF + 8];
    static const char shape[] = "0000-00-00T00:00:00.000Z";
    static const char placeholder[] = "TIME";
    static const char end[] = "";
    assert_int_equal(write(log_fds[1], end, 1), 1); /* so that read never blocks */
    ssize_t n = read(log_fds[0], text, sizeof(text));
    assert_true(n >= 1 && text[n - 1] == '\0');
    char *when = text[0] == '{' ? text + strlen("{\"time\":\"") : text;
    if (n == 1)
        return text;
    for (size_t i = 0; shape[i]; i++)
        assert_true(shape[i] == '0' ? when[i] >= '0' && when[i] <= '9' : when[i] == shape[i]);
    memmove(when + 4, when + strlen(shape), strlen(when + strlen(shape)) + 1);
    memcpy(when, placeholder, 4);
    return text;
}

static void test_text(void **state)
{
    (void)state;
    log_info("collector", "ns=%s: %d sockets", "blue", 7);
    assert_string_equal(logged(), "TIME info  collector: ns=blue: 7 sockets\n");
    log_error("app", "bad");
    assert_string_equal(logged(), "TIME error app: bad\n");
}

static void test_json(void **state)
{
    (void)state;
    log_set(LOG_INFO, LOG_JSON);
    log_warn("rpc", "peer said \"%s\" \\ %s", "hi", "é");
    assert_string_equal(logged(), "{\"time\":\"TIME\",\"level\":\"warn\",\"module\":\"rpc\",\"msg\":\"peer "
                                  "said \\\"hi\\\" \\\\ é\"}\n");
}

static void test_levels(void **state)
{
    (void)state;
    for (int level = LOG_ERROR; level < LOG_LEVELS; level++) {
        log_set((enum log_level)level, LOG_TEXT);
        assert_int_equal(log_level(), level);
        for (int event = LOG_ERROR; event < LOG_LEVELS; event++) {
            char expected[64] = "";
            log_at((enum log_level)event, "m", "x");
            if (event <= level)
                snprintf(expected, sizeof(expected), "TIME %-5s m: x\n", log_level_names[event]);
            assert_string_equal(logged(), expected);
        }
    }
}

static void test_arguments_of_a_disabled_level_are_not_evaluated(void **state)
{
    (void)state;
    int evaluated = 0;
    log_debug("m", "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    log_info("m", "%d", ++evaluated);
    assert_int_equal(evaluated, 1);
    assert_string_equal(logged(), "TIME info  m: 1\n");
}

static void test_control_characters_and_broken_text(void **state)
{
    (void)state;
    log_info("m", "a%sb", "\n2026 error m: forged\r\x1b[31m\x7f\t");
    assert_string_equal(logged(), "TIME info  m: a 2026 error m: forged  [31m  b\n");
    log_info("m", "%s",
             "\xc2\x9b"
             "31m \xff\xe2\x82 ok €"); /* CSI of C1, invalid, cut, fine */
    assert_string_equal(logged(), "TIME info  m:   31m ??? ok €\n");
    log_set(LOG_INFO, LOG_JSON);
    log_info("m", "%s", "\x01\x9b");
    assert_string_equal(logged(), "{\"time\":\"TIME\",\"level\":\"info\",\"module\":\"m\",\"msg\":\" ?\"}\n");
}

static void test_hidden_characters(void **state)
{
    (void)state;
    const char *text = "prod\xe2\x80\x8f \xe2\x80\xa8\xe2\x80\xae\xf3\xa0\x80\x81 €";
    log_info("m", "%s", text);
    assert_string_equal(logged(), "TIME info  m: prod\\u200f \\u2028\\u202e\\udb40\\udc01 €\n");
    log_set(LOG_INFO, LOG_JSON);
    log_info("m", "%s", text);
    assert_string_equal(logged(),
                        "{\"time\":\"TIME\",\"level\":\"info\",\"module\":\"m\",\"msg\":\"prod\\u200f "
                        "\\u2028\\u202e\\udb40\\udc01 €\"}\n");
}

/* For any text, a line fits in PIPE_BUF, ends properly and with a whole character. */
static void test_long_lines(void **state)
{
    (void)state;
    static const char *const fillings[] = {"x",        "\"", "\\",       "\xff",         "\x01",
                                           "\xc2\x85", "€",  "\xc2\xad", "\xe2\x80\xae", "\xf3\xa0\x80\x81"};
    for (size_t i = 0; i < COUNT(fillings); i++) {
        char text[3 * LOG_TEXT_MAX + 1];
        size_t unit = strlen(fillings[i]);
        for (size_t at = 0; at + unit < sizeof(text); at += unit)
            memcpy(text + at, fillings[i], unit + 1);
        for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
            log_set(LOG_INFO, (enum log_format)format);
            log_info("a-module-with-a-long-name", "%s", text);
            const char *line = logged();
            size_t n = strlen(line);
            assert_true(n > LOG_TEXT_MAX && n <= PIPE_BUF);
            const char *end = format == LOG_JSON ? "\"}\n" : "\n";
            assert_string_equal(line + n - strlen(end), end);
            assert_null(strstr(line, "\xef\xbf\xbd")); /* no replacement character: nothing was cut in two */
            if (fillings[i][0] == '\"' && format == LOG_JSON) /* every quote kept its backslash */
                assert_string_equal(line + n - 7, "\\\"\\\"\"}\n");
        }
    }
}

static void test_errno_survives(void **state)
{
    (void)state;
    errno = EXDEV;
    log_info("m", "x");
    log_set_fd(-1);
    log_info("m", "lost");
    assert_int_equal(errno, EXDEV);
    log_set_fd(log_fds[1]);
    assert_string_equal(logged(), "TIME info  m: x\n");
}

/* Reads all there is; returns the lines, and in |lost| the number that a line about lost ones tells. */
static unsigned read_lines(unsigned long long *lost)
{
    static char text[1 << 20];
    unsigned lines = 0;
    ssize_t n = read(log_fds[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    *lost = 0;
    for (char *at = text, *end; *at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        const char *about = strstr(at, " warn  log: ");
        if (about)
            assert_int_equal(sscanf(about, " warn  log: %llu lines that nobody read are lost", lost), 1);
        lines += !about;
    }
    return lines;
}

static void test_nobody_reads(void **state)
{
    (void)state;
    enum { LINES = 5000 };
    unsigned long long lost;
    for (unsigned i = 0; i < LINES; i++)
        log_info("m", "line %u, and some more text so that the pipe is full before long", i);
    unsigned written = read_lines(&lost);
    assert_in_range(written, 1, LINES - 1);
    assert_int_equal(lost, 0);
    log_info("m", "there is room again");
    assert_int_equal(read_lines(&lost), 1);
    assert_int_equal(written + lost, LINES);
    log_info("m", "told once");
    assert_int_equal(read_lines(&lost), 1);
    assert_int_equal(lost, 0);
}

static void test_rate(void **state)
{
    (void)state;
    struct log_rate rate = {0};
    uint64_t suppressed = 99;
    assert_int_equal(log_rate_allow(&rate, 3600 * NS_PER_S, &suppressed), 1);
    assert_int_equal(suppressed, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log_rate_allow(&rate, 3600 * NS_PER_S, &suppressed), 0);
    atomic_store(&rate.next_ns, 0); /* an hour later */
    assert_int_equal(log_rate_allow(&rate, 3600 * NS_PER_S, &suppressed), 1);
    assert_int_equal(suppressed, 5);
    assert_true(atomic_load(&rate.next_ns) > clock_mono_ns() + 3500 * NS_PER_S);
    assert_int_equal(log_rate_allow(&rate, 3600 * NS_PER_S, &suppressed), 0);
}

static void *count_allowed(void *arg)
{
    uint64_t suppressed;
    uintptr_t allowed = 0;
    for (int i = 0; i < 10000; i++)
        allowed += (uintptr_t)log_rate_allow(arg, 3600 * NS_PER_S, &suppressed);
    return (void *)allowed;
}

static void test_rate_of_several_threads(void **state)
{
    (void)state;
    struct log_rate rate = {0};
    pthread_t threads[4];
    uintptr_t allowed = 0;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_allowed, &rate), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        allowed += (uintptr_t)result;
    }
    assert_int_equal(allowed, 1);
    assert_int_equal(atomic_load(&rate.suppressed), 4 * 10000 - 1);
}

static void test_limited(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        log_limited(LOG_WARN, "m", "peer %d is odd", i);
    assert_string_equal(logged(), "TIME warn  m: peer 0 is odd\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments_of_a_disabled_level_are_not_evaluated, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_control_characters_and_broken_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hidden_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errno_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_reads, setup, teardown),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_of_several_threads),
        cmocka_unit_test_setup_teardown(test_limited, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
