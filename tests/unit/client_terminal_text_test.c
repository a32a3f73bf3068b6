/* Texts from elsewhere on their way to a terminal. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/show/terminal_text.h"

static void check(const char *in, size_t n, size_t max, const char *want, size_t want_width)
{
    struct buf b;
    buf_init(&b);
    size_t width = text_clean(&b, in, n, max);
    assert_string_equal(buf_cstr(&b), want);
    assert_int_equal(width, want_width);
    buf_free(&b);
}
#define CHECK(in_, max_, want_, width_) check(in_, sizeof(in_) - 1, max_, want_, width_)

static void test_plain(void **state)
{
    (void)state;
    CHECK("blue", 99, "blue", 4);
    CHECK("", 99, "", 0);
    CHECK("netns:[4026531840]", 99, "netns:[4026531840]", 18);
}

static void test_escapes(void **state)
{
    (void)state;
    CHECK("a\x1b[2Jb", 99, "a\\x1b[2Jb", 9);
    CHECK("a\nb\tc\x7f", 99,
          "a\\x0a"
          "b\\x09"
          "c\\x7f",
          15);
    CHECK("\0x", 99, "\\x00x", 5);
    CHECK("\xff\xfe", 99, "\\xff\\xfe", 8);           /* not UTF-8 */
    CHECK("\xc0\xaf", 99, "\\xc0\\xaf", 8);           /* overlong */
    CHECK("\xed\xa0\x80", 99, "\\xed\\xa0\\x80", 12); /* a surrogate */
    CHECK("\xc2\x9b"
          "31m",
          99,
          "\\xc2\\x9b"
          "31m",
          11); /* C1: CSI */
    CHECK("\xe2\x80\xae"
          "x",
          99, "\\xe2\\x80\\xaex", 13); /* turns the direction */
    CHECK("\xc2\xad\xe3\x85\xa4", 99, "\\xc2\\xad\\xe3\\x85\\xa4",
          20); /* a soft hyphen, a filler: both have a width */
    CHECK("x\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\x8b", 99, "x\\xe2\\x80\\x8f\\xe2\\x80\\xa8\\xe2\\x80\\x8b", 37);
    CHECK("x\xe2\x82", 99, "x\\xe2\\x82", 9); /* cut */
}

static void test_utf8(void **state)
{
    (void)state;
    CHECK("gr\xc3\xb6\xc3\x9f"
          "e",
          99,
          "gr\xc3\xb6\xc3\x9f"
          "e",
          5);
    CHECK("\xe6\x97\xa5\xe6\x9c\xac", 99, "\xe6\x97\xa5\xe6\x9c\xac", 4); /* two columns each */
}

static void test_cut(void **state)
{
    (void)state;
    CHECK("abcdef", 6, "abcdef", 6);
    CHECK("abcdefg", 6, "abcde\xe2\x80\xa6", 6);
    CHECK("\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5", 5, "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6", 5);
    CHECK("\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5", 4, "\xe6\x97\xa5\xe2\x80\xa6", 3);
    CHECK("\x1b\x1b", 5, "\\x1b\xe2\x80\xa6", 5);
    CHECK("abc", 1, "\xe2\x80\xa6", 1);
    CHECK("abc", 0, "", 0);
}

/* Without a UTF-8 locale nothing but ASCII goes out. */
static void test_ascii_locale(void **state)
{
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C"));
    CHECK("gr\xc3\xb6n", 99, "gr\\xc3\\xb6n", 11);
    CHECK("abcdefg", 6, "abcde~", 6);
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_escapes),      cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_ascii_locale),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
