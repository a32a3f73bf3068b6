/* Durations and the text of a moment. */
#include "lib_test.h"

#include <time.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/err.h"

static void test_durations_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"2us", 2 * NS_PER_US},
        {"250ms", 250 * NS_PER_MS},
        {"2s", 2 * NS_PER_S},
        {"3m", 180 * NS_PER_S},
        {"1h", 3600 * NS_PER_S},
        {"7d", 7 * 86400 * NS_PER_S},
        {"1m30s", 90 * NS_PER_S},
        {"1.5h", 5400 * NS_PER_S},
        {".5s", 500 * NS_PER_MS},
        {"1.s", NS_PER_S},
        {"0.0000000019s", 1},
        {"1.9ns", 1},
        {"0.00000000009m", 5}, /* 5.4 ns */
        {"0.000000000000999d", 86},
        {"0.333333333333333333333333333333s", 333333333},
        {"1s1s", 2 * NS_PER_S},
        {"9223372036854775807ns", INT64_MAX},
        {"106751d23h47m16s854ms775us807ns", INT64_MAX},
        {"9223372036.854775807s", INT64_MAX},
        {"000000000000000000000000005s", 5 * NS_PER_S},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = -1;
        if (duration_parse(cases[i].text, &ns) || ns != cases[i].ns)
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
}

static void test_what_is_no_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"5", ERR_MALFORMED},
        {"00", ERR_MALFORMED},
        {"s", ERR_MALFORMED},
        {".s", ERR_MALFORMED},
        {"-1s", ERR_MALFORMED},
        {"+1s", ERR_MALFORMED},
        {" 1s", ERR_MALFORMED},
        {"1s ", ERR_MALFORMED},
        {"1 s", ERR_MALFORMED},
        {"1S", ERR_MALFORMED},
        {"1m30", ERR_MALFORMED},
        {"1.5.5s", ERR_MALFORMED},
        {"1e3s", ERR_MALFORMED},
        {"1w", ERR_MALFORMED},
        {"infs", ERR_MALFORMED},
        {"1s\n", ERR_MALFORMED},
        {"9223372036854775808ns", ERR_RANGE},
        {"106752d", ERR_RANGE},
        {"9223372036854775807ns1ns", ERR_RANGE},
        {"1000000h", 0},
        {"9223372036.854775808s", ERR_RANGE},
        {"99999999999999999999999999d", ERR_RANGE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = -1;
        int rc = duration_parse(cases[i].text, &ns);
        if (rc != cases[i].code || (rc && ns != -1))
            fail_msg("%s: %d", cases[i].text, rc);
    }
}

static void test_durations_are_written(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500 * NS_PER_MS, "1s500ms"},
        {90 * NS_PER_S, "1m30s"},
        {7 * 86400 * NS_PER_S, "7d"},
        {-2 * NS_PER_S, "-2s"},
        {INT64_MAX, "106751d23h47m16s854ms775us807ns"},
        {INT64_MIN, "-106751d23h47m16s854ms775us808ns"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[DURATION_TEXT_MAX];
        duration_format(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
    }
    uint64_t seed = 1;
    for (int i = 0; i < 10000; i++) { /* all magnitudes read back */
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        int64_t ns = (int64_t)((seed >> 1) >> (i % 63));
        int64_t again;
        char text[DURATION_TEXT_MAX];
        duration_format(ns, text);
        assert_int_equal(duration_parse(text, &again), 0);
        assert_int_equal(again, ns);
    }
}

static void test_moments(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        unsigned digits;
        const char *text;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00Z"},
        {0, 9, "1970-01-01T00:00:00.000000000Z"},
        {1234567890123456789, 9, "2009-02-13T23:31:30.123456789Z"},
        {1234567890123456789, 3, "2009-02-13T23:31:30.123Z"},
        {1234567890123456789, 6, "2009-02-13T23:31:30.123456Z"},
        {1234567890999999999, 0, "2009-02-13T23:31:30Z"}, /* cut, not rounded into the next second */
        {1234567890999999999, 1, "2009-02-13T23:31:30.9Z"},
        {1709164800000000000, 12, "2024-02-29T00:00:00.000000000Z"},
        {-1, 9, "1969-12-31T23:59:59.999999999Z"},
        {-NS_PER_S, 0, "1969-12-31T23:59:59Z"},
        {INT64_MAX, 9, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, 9, "1677-09-21T00:12:43.145224192Z"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[CLOCK_TEXT_MAX];
        clock_format(cases[i].ns, cases[i].digits, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Against the C library, over all the years that there are. */
static void test_any_moment(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        char want[64], text[CLOCK_TEXT_MAX];
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        int64_t second = (int64_t)(seed >> 1) / NS_PER_S * (i % 2 ? 1 : -1);
        if (i % 4 == 0)
            second -= second % 86400; /* midnight */
        time_t t = second;
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_not_equal(strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm), 0);
        clock_format(second * NS_PER_S, 0, text);
        assert_string_equal(text, want);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ns();
    int64_t cpu = clock_thread_cpu_ns();
    assert_true(clock_wall_ns() > 1700000000 * NS_PER_S); /* nanoseconds, not seconds or microseconds */
    while (clock_thread_cpu_ns() < cpu + NS_PER_MS)
        continue;
    assert_true(clock_mono_ns() >= mono + NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_are_read),
        cmocka_unit_test(test_what_is_no_duration),
        cmocka_unit_test(test_durations_are_written),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_any_moment),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
