/* Human units: texts, rounding at the borders of units, bounded widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/show/units.h"

struct sample {
    uint64_t value;
    const char *text;
};

static void check(void (*format)(uint64_t, char *), const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[UNITS_TEXT_MAX];
        format(samples[i].value, text);
        assert_string_equal(text, samples[i].text);
    }
}
#define CHECK(format_, ...)                                                                                  \
    do {                                                                                                     \
        static const struct sample samples_[] = {__VA_ARGS__};                                               \
        check(format_, samples_, sizeof(samples_) / sizeof(samples_[0]));                                    \
    } while (0)

static void test_time(void **state)
{
    (void)state;
    CHECK(units_time, {0, "0ns"}, {512, "512ns"}, {999, "999ns"}, {1000, "1us"}, {1234, "1.2us"},
          {34000, "34us"}, {999499, "999us"}, {999500, "1ms"}, {1200000, "1.2ms"}, {9949999, "9.9ms"},
          {9960000, "10ms"}, {12345678, "12ms"}, {999600000, "1s"}, {1500000000, "1.5s"},
          {59400000000, "59s"}, {59600000000, "1m"}, {90000000000, "1.5m"}, {3600000000000, "1h"},
          {86400000000000, "1d"}, {864000000000000, "10d"}, {UINT64_MAX, "213504d"});
    CHECK(units_time_us, {0, "0ns"}, {34, "34us"}, {1200, "1.2ms"}, {UINT64_MAX, "213504d"});
}

static void test_bytes(void **state)
{
    (void)state;
    CHECK(units_bytes, {0, "0B"}, {999, "999B"}, {1000, "1kB"}, {1500, "1.5kB"}, {12345, "12.3kB"},
          {99960, "100kB"}, {123456, "123kB"}, {999499, "999kB"}, {999500, "1MB"}, {1500000, "1.5MB"},
          {UINT64_MAX, "18.4EB"});
}

static void test_rate(void **state)
{
    (void)state;
    CHECK(units_rate, {0, "0bit/s"}, {1, "8bit/s"}, {125, "1kbit/s"}, {1537500, "12.3Mbit/s"},
          {UINT64_MAX, "148Ebit/s"});
}

static void test_count(void **state)
{
    (void)state;
    CHECK(units_count, {0, "0"}, {10, "10"}, {9999, "9999"}, {10000, "10k"}, {12345, "12.3k"},
          {4100000, "4.1M"}, {UINT64_MAX, "18.4E"});
}

/* No value gets wider than the header promises: every power of two and of ten, and their neighbours. */
static void test_widths(void **state)
{
    (void)state;
    static const struct {
        void (*format)(uint64_t, char *);
        size_t max;
    } kinds[] = {{units_time, 7}, {units_time_us, 7}, {units_bytes, 6}, {units_rate, 10}, {units_count, 5}};
    uint64_t ten = 1;
    for (int i = 0; i < 64; i++) {
        const uint64_t values[] = {(UINT64_C(1) << i) - 1,
                                   UINT64_C(1) << i,
                                   ten - 1,
                                   ten,
                                   ten + 1,
                                   ten * 9 + ten / 10 * 9 + ten / 100 * 9};
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
                char text[UNITS_TEXT_MAX];
                kinds[k].format(values[v], text);
                assert_in_range(strlen(text), 1, kinds[k].max);
            }
        }
        ten = i < 19 ? ten * 10 : UINT64_MAX;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),  cmocka_unit_test(test_bytes),  cmocka_unit_test(test_rate),
        cmocka_unit_test(test_count), cmocka_unit_test(test_widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
