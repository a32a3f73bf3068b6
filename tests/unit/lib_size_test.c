/* Numbers of bytes: read and written. */
#include "lib_test.h"

#include "lib/err.h"
#include "lib/size.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static void test_sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"512", 512},
        {"64KiB", 64 * KIB},
        {"1MiB", MIB},
        {"2GiB", 2 * GIB},
        {"1TiB", TIB},
        {"0TiB", 0},
        {"007KiB", 7 * KIB},
        {"18446744073709551615", UINT64_MAX},
        {"18014398509481983KiB", UINT64_MAX - KIB + 1},
        {"16777215TiB", UINT64_MAX - TIB + 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = 1;
        if (size_parse(cases[i].text, &bytes) || bytes != cases[i].bytes)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)bytes);
    }
}

static void test_what_is_no_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"KiB", ERR_MALFORMED},
        {"x", ERR_MALFORMED},
        {"-1", ERR_MALFORMED},
        {"+1", ERR_MALFORMED},
        {" 1", ERR_MALFORMED},
        {"1 ", ERR_MALFORMED},
        {"1 KiB", ERR_MALFORMED},
        {"1KiB ", ERR_MALFORMED},
        {"1KiB1", ERR_MALFORMED},
        {"1KiBKiB", ERR_MALFORMED},
        {"1.5MiB", ERR_MALFORMED},
        {"0x10", ERR_MALFORMED},
        {"1e3", ERR_MALFORMED},
        {"1B", ERR_MALFORMED},
        {"1K", ERR_MALFORMED},
        {"1k", ERR_MALFORMED},
        {"1kB", ERR_MALFORMED},
        {"1KB", ERR_MALFORMED},
        {"1MB", ERR_MALFORMED},
        {"1GB", ERR_MALFORMED},
        {"1kiB", ERR_MALFORMED},
        {"1kib", ERR_MALFORMED},
        {"1PiB", ERR_MALFORMED},
        {"99999999999999999999kB", ERR_MALFORMED},
        {"18446744073709551616", ERR_RANGE},
        {"18014398509481984KiB", ERR_RANGE},
        {"16777216TiB", ERR_RANGE},
        {"99999999999999999999TiB", ERR_RANGE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = 1;
        int rc = size_parse(cases[i].text, &bytes);
        if (rc != cases[i].code || bytes != 1)
            fail_msg("%s: %d", cases[i].text, rc);
    }
}

static void test_sizes_are_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {1023, "1023"},
        {KIB, "1KiB"},
        {1536, "1536"},
        {64 * KIB, "64KiB"},
        {MIB, "1MiB"},
        {MIB + KIB, "1025KiB"},
        {2 * GIB, "2GiB"},
        {TIB, "1TiB"},
        {1024 * TIB, "1024TiB"},
        {UINT64_MAX - TIB + 1, "16777215TiB"},
        {UINT64_MAX, "18446744073709551615"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[SIZE_TEXT_MAX];
        size_format(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
    for (unsigned shift = 0; shift < 64; shift++) { /* all magnitudes read back */
        for (uint64_t i = 1; i < 8; i++) {
            uint64_t again = 0;
            char text[SIZE_TEXT_MAX];
            size_format(i << shift, text);
            assert_int_equal(size_parse(text, &again), 0);
            assert_true(again == i << shift);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_read),
        cmocka_unit_test(test_what_is_no_size),
        cmocka_unit_test(test_sizes_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
