/* The table writer: alignment, fitting to a width, cutting, sorting, a layout that stays. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/show/table.h"

static const struct table_column columns[] = {
    {.title = "NAME", .drop = 1, .cut = 6},
    {.title = "N", .align = TABLE_RIGHT, .least = 4},
    {.title = "WHERE", .drop = 2},
};

static struct table *new_table(size_t width, size_t page)
{
    struct table *t = table_new(columns, 3);
    assert_non_null(t);
    table_set_size(t, width, page);
    return t;
}

static void row(struct table *t, const char *key, const char *a, const char *b, const char *c)
{
    table_row(t, key, strlen(key));
    table_cell_str(t, a);
    table_cell_str(t, b);
    table_cell_str(t, c);
}

static void flushed(struct table *t, const char *want)
{
    struct buf out;
    buf_init(&out);
    assert_int_equal(table_flush(t, &out), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_free(&out);
}

static void test_alignment(void **state)
{
    (void)state;
    struct table *t = new_table(0, 0);
    row(t, "", "blue", "7", "here");
    row(t, "", "gr\xc3\xbcn", "12345", "");
    flushed(t, "NAME      N  WHERE\n"
               "blue      7  here\n"
               "gr\xc3\xbcn  12345  -\n");
    table_free(t);
}

static void test_nothing(void **state)
{
    (void)state;
    struct table *t = new_table(80, 0);
    flushed(t, "");
    table_row(t, NULL, 0); /* a row without cells */
    flushed(t, "NAME     N  WHERE\n"
               "-        -  -\n");
    table_cell_str(t, "a cell without a row");
    flushed(t, "");
    table_free(t);
}

/* First names are cut, then the least important column goes, then the next; the last one stays whatever it
 * takes. */
static void test_fitting(void **state)
{
    (void)state;
    static const struct {
        size_t width;
        const char *text;
    } cases[] = {
        {26, "NAME           N  WHERE\nlong-name-1    1  anywhere\n"},
        {25, "NAME          N  WHERE\nlong-name\xe2\x80\xa6    1  anywhere\n"},
        {22, "NAME       N  WHERE\nlong-n\xe2\x80\xa6    1  anywhere\n"},
        {21, "NAME      N  WHERE\nlong-\xe2\x80\xa6    1  anywhere\n"},
        {20, "NAME            N\nlong-name-1     1\n"},
        {12, "NAME       N\nlong-\xe2\x80\xa6     1\n"},
        {11, "   N\n   1\n"},
        {1, "   N\n   1\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table *t = new_table(cases[i].width, 0);
        struct buf out;
        row(t, "", "long-name-1", "1", "anywhere");
        buf_init(&out);
        assert_int_equal(table_flush(t, &out), 0);
        /* Compared line by line, each within the width. */
        for (char *line = out.data, *end; (end = memchr(line, '\n', out.len - (size_t)(line - out.data)));
             line = end + 1) {
            size_t n = 0;
            for (char *p = line; p < end; p++)
                n += ((unsigned char)*p & 0xc0) != 0x80;
            assert_in_range(n, 1, cases[i].width < 4 ? 4 : cases[i].width);
        }
        buf_free(&out);
        table_free(t);
    }
}

static void test_sorting(void **state)
{
    (void)state;
    struct table *t = new_table(0, 0);
    row(t, "b", "b", "1", "");
    row(t, "a", "a", "2", "");
    row(t, "b", "b", "3", "");
    row(t, "", "", "4", "");
    flushed(t, "NAME     N  WHERE\n"
               "-        4  -\n"
               "a        2  -\n"
               "b        1  -\n"
               "b        3  -\n");
    table_free(t);
}

/* A layout that still fits is kept, without titles; a new one brings them again. */
static void test_layout_stays(void **state)
{
    (void)state;
    struct table *t = new_table(0, 0);
    row(t, "", "abcdef", "1", "x");
    flushed(t, "NAME       N  WHERE\n"
               "abcdef     1  x\n");
    row(t, "", "abc", "2", "x");
    flushed(t, "abc        2  x\n");
    row(t, "", "abcdefg", "3", "x");
    flushed(t, "NAME        N  WHERE\n"
               "abcdefg     3  x\n");
    table_set_size(t, 12, 0);
    row(t, "", "ab", "4", "x");
    flushed(t, "NAME     N\n"
               "ab       4\n");
    table_free(t);
}

static void test_pages(void **state)
{
    (void)state;
    struct table *t = new_table(0, 3);
    for (int i = 1; i <= 5; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", i);
        row(t, "", "x", text, "y");
    }
    flushed(t, "NAME     N  WHERE\n"
               "x        1  y\n"
               "x        2  y\n"
               "NAME     N  WHERE\n"
               "x        3  y\n"
               "x        4  y\n"
               "NAME     N  WHERE\n"
               "x        5  y\n");
    table_free(t);
}

/* Nothing that a terminal would obey gets through, and no cell is wider than TABLE_CELL_MAX. */
static void test_hostile_cells(void **state)
{
    (void)state;
    struct table *t = new_table(0, 0);
    char *huge = malloc(100000);
    memset(huge, 'x', 100000);
    table_row(t, NULL, 0);
    table_cell(t, "\x1b]0;owned\x07\n", 11);
    table_cell(t, huge, 100000);
    struct buf out;
    buf_init(&out);
    assert_int_equal(table_flush(t, &out), 0);
    assert_null(memchr(out.data, '\x1b', out.len));
    assert_null(memchr(out.data, '\x07', out.len));
    assert_in_range(out.len, 1, 600);
    buf_free(&out);
    free(huge);
    table_free(t);
}

static void test_many_rows(void **state)
{
    (void)state;
    struct table *t = new_table(0, 0);
    for (int i = 0; i < TABLE_ROWS_MAX; i++) {
        assert_false(table_full(t));
        row(t, "", "x", "1", "y");
    }
    assert_true(table_full(t));
    struct buf out;
    buf_init(&out);
    assert_int_equal(table_flush(t, &out), 0);
    assert_false(table_full(t));
    buf_free(&out);
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),     cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_fitting),       cmocka_unit_test(test_sorting),
        cmocka_unit_test(test_layout_stays),  cmocka_unit_test(test_pages),
        cmocka_unit_test(test_hostile_cells), cmocka_unit_test(test_many_rows),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
