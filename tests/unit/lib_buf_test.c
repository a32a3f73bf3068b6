/* Buffers: growing, fixed, and the JSON, base64 and numbers that they write. */
#include "lib_test.h"

#include <limits.h>

#include "lib/buf.h"

static void test_growing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_str(&b, "0123456789");
    assert_int_equal(b.len, 10000);
    assert_int_equal(strlen(buf_cstr(&b)), 10000);
    assert_int_equal(b.len, 10000); /* the NUL does not count */
    assert_false(b.failed);
    size_t cap = b.cap;
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, cap);
    buf_bytes(&b, NULL, 0);
    buf_char(&b, 'x');
    assert_string_equal(buf_cstr(&b), "x");
    buf_free(&b);
    assert_null(b.data);
    buf_str(&b, "usable again");
    assert_string_equal(buf_cstr(&b), "usable again");
    buf_free(&b);
}

static void test_reserve(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_non_null(buf_reserve(&b, 0));
    char *room = buf_reserve(&b, 1000);
    assert_non_null(room);
    memset(room, 'y', 1000);
    b.len += 1000;
    assert_ptr_equal(buf_reserve(&b, 1), b.data + 1000);
    assert_null(buf_reserve(&b, SIZE_MAX)); /* refused, not wrapped around */
    assert_true(b.failed);
    assert_int_equal(b.len, 1000);
    buf_free(&b);
}

static void test_fixed(void **state)
{
    (void)state;
    char storage[8];
    struct buf b;
    buf_init_fixed(&b, storage, sizeof(storage));
    buf_str(&b, "12345");
    assert_string_equal(buf_cstr(&b), "12345");
    assert_false(b.failed);
    buf_str(&b, "6789");
    assert_true(b.failed);
    assert_int_equal(b.len, 8);
    assert_memory_equal(storage, "12345678", 8);
    assert_string_equal(buf_cstr(&b), "1234567"); /* gives its last byte to the NUL */
    buf_free(&b);
    assert_memory_equal(storage, "1234567", 8); /* the caller's */

    buf_init_fixed(&b, storage, sizeof(storage));
    buf_printf(&b, "%s", "exactly8");
    assert_false(b.failed);
    assert_int_equal(b.len, 8);

    buf_init_fixed(&b, storage, 0);
    buf_char(&b, 'x');
    assert_true(b.failed);
    assert_string_equal(buf_cstr(&b), "");
}

static void test_printf(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (int n = 250; n <= 260; n++) { /* around the size of the buffer on the stack */
        buf_reset(&b);
        buf_printf(&b, "%*d", n, 7);
        assert_int_equal(b.len, n);
        assert_int_equal(b.data[n - 1], '7');
        assert_int_equal(b.data[0], ' ');
    }
    buf_free(&b);
}

static void test_numbers(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, 9, 10, -1, -10, INT64_MAX, INT64_MIN, 1000000007};
    for (size_t i = 0; i < COUNT(values); i++) {
        char expected[32];
        struct buf b;
        buf_init(&b);
        buf_i64(&b, values[i]);
        snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);
        assert_string_equal(buf_cstr(&b), expected);
        buf_reset(&b);
        buf_u64(&b, (uint64_t)values[i]);
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)values[i]);
        assert_string_equal(buf_cstr(&b), expected);
        buf_free(&b);
    }
}

#define REPLACED "\xef\xbf\xbd"

static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""},
        {"\xc2\x80\xc2\x9f\xc2\xa0", 6, "\"\\u0080\\u009f\xc2\xa0\""},
        {"\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xa9", 9, "\"\\u200f\\u2028\\u2029\""},
        {"a\xe2\x80\x8b\xd8\x9c\xef\xbb\xbf", 9, "\"a\\u200b\\u061c\\ufeff\""},
        {"\xf3\xa0\x80\x81", 4, "\"\\udb40\\udc01\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 10, "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\""},
        {"\x80", 1, "\"" REPLACED "\""},                                        /* a lone continuation */
        {"\xc0\xaf", 2, "\"" REPLACED REPLACED "\""},                           /* overlong */
        {"\xe0\x80\xaf", 3, "\"" REPLACED REPLACED REPLACED "\""},              /* overlong */
        {"\xed\xa0\x80", 3, "\"" REPLACED REPLACED REPLACED "\""},              /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\"" REPLACED REPLACED REPLACED REPLACED "\""}, /* beyond U+10FFFF */
        {"\xf5\xff", 2, "\"" REPLACED REPLACED "\""},
        {"\xe2\x82", 2, "\"" REPLACED REPLACED "\""}, /* cut at the end */
        {"\xe2\x82x", 3, "\"" REPLACED REPLACED "x\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *exact = malloc(cases[i].n ? cases[i].n : 1); /* the sanitizer sees a read past the end */
        assert_non_null(exact);
        memcpy(exact, cases[i].text, cases[i].n);
        struct buf b;
        buf_init(&b);
        buf_json_string(&b, exact, cases[i].n);
        assert_string_equal(buf_cstr(&b), cases[i].json);
        buf_free(&b);
        free(exact);
    }
}

/* RFC 4648, section 10, and the two characters beyond letters and digits. */
static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        const char *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b;
        buf_init(&b);
        buf_base64(&b, (const uint8_t *)cases[i].data, strlen(cases[i].data));
        assert_string_equal(buf_cstr(&b), cases[i].text);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing), cmocka_unit_test(test_reserve), cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_printf),  cmocka_unit_test(test_numbers), cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
