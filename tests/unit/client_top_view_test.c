/* The effect of keys on top's view, the columns that fit, the look of bars. */
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/top/top_columns.h"
#include "client/top/top_spark.h"
#include "client/top/top_view.h"
#include "lib/clock.h"

typedef XtcpFlatRecord__V1__XtcpFlatRecord record;

struct world {
    struct top_model model;
    struct top_view view;
    struct top_poll *poll;
    int64_t seconds;
};

static int check(const char *filter, struct err *e)
{
    return strchr(filter, '!') ? err_set(e, ERR_MALFORMED, "no %s", filter) : 0;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    top_model_init(&w->model);
    top_view_init(&w->view, TOP_SORT_RTT, "dport = 1");
    w->view.check = check;
    w->view.page = 10;
    w->poll = top_poll_new();
    assert_non_null(w->poll);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    top_model_free(&w->model);
    top_poll_free(w->poll);
    free(w);
    return 0;
}

/* A poll of |n| sockets with the cookies 1 to n: the RTT of each is |rtt| of its cookie. */
static void poll_sockets(struct world *w, uint64_t n, uint32_t (*rtt)(uint64_t cookie))
{
    top_poll_reset(w->poll);
    w->seconds++;
    for (uint64_t c = 1; c <= n; c++) {
        record r;
        xtcp_flat_record__v1__xtcp_flat_record__init(&r);
        r.timestamp_ns = w->seconds * NS_PER_S;
        r.netns_cookie = 1;
        r.netns = "default";
        r.inet_diag_msg_socket_cookie = c;
        r.inet_diag_msg_state = r.tcp_info_state = TCP_ESTABLISHED;
        r.tcp_info_rtt = rtt(c);
        assert_int_equal(top_poll_add(w->poll, &r), 0);
    }
    assert_int_equal(top_model_apply(&w->model, w->poll), 0);
    top_model_sort(&w->model, w->view.sort);
    top_view_settle(&w->view, &w->model);
}

static uint32_t rising(uint64_t cookie)
{
    return (uint32_t)cookie * 10;
}

static uint32_t falling(uint64_t cookie)
{
    return 100000 - (uint32_t)cookie * 10;
}

static enum top_action key(struct world *w, uint32_t k)
{
    return top_view_key(&w->view, &w->model, k);
}

static void type(struct world *w, const char *text)
{
    for (; *text; text++)
        assert_int_equal(key(w, (unsigned char)*text), TOP_ACTION_NONE);
}

static uint64_t under_cursor(const struct world *w)
{
    return top_model_row(&w->model, w->view.cursor)->now.key.cookie;
}

static void test_cursor_stays_with_its_socket(void **state)
{
    struct world *w = *state;
    poll_sockets(w, 100, rising); /* 100 first */
    assert_int_equal(under_cursor(w), 100);
    poll_sockets(w, 100, falling); /* the first row is followed as a row */
    assert_int_equal(under_cursor(w), 1);
    for (int i = 0; i < 15; i++)
        key(w, i % 2 ? 'j' : TOP_KEY_DOWN);
    assert_int_equal(under_cursor(w), 16);
    assert_int_equal(w->view.offset, 6); /* in sight */
    poll_sockets(w, 100, rising);
    assert_int_equal(under_cursor(w), 16);
    assert_int_equal(w->view.cursor, 84);
    assert_true(w->view.offset <= 84 && w->view.offset + 10 > 84);
    poll_sockets(w, 10, rising); /* it is gone */
    assert_int_equal(w->view.cursor, 9);
    assert_int_equal(w->view.offset, 0);
    key(w, TOP_KEY_HOME);
    assert_int_equal(w->view.cursor, 0);
    key(w, TOP_KEY_PAGE_DOWN);
    assert_int_equal(w->view.cursor, 9);
    key(w, TOP_KEY_PAGE_UP);
    assert_int_equal(w->view.cursor, 0);
    key(w, 'G');
    assert_int_equal(under_cursor(w), 1);
    poll_sockets(w, 0, rising);
    key(w, TOP_KEY_DOWN);
    key(w, TOP_KEY_ENTER); /* nothing there to be followed */
    assert_int_equal(w->view.mode, TOP_MODE_SOCKETS);
    assert_int_equal(w->view.cursor, 0);
}

static void test_sort_keys(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t key;
        enum top_sort sort;
    } rows[] = {{'t', TOP_SORT_THROUGHPUT}, {'r', TOP_SORT_RETRANS},    {'l', TOP_SORT_RTT},
                {'w', TOP_SORT_QUEUE},      {'>', TOP_SORT_THROUGHPUT}, {'<', TOP_SORT_QUEUE},
                {'<', TOP_SORT_RTT},        {'>', TOP_SORT_QUEUE}};
    poll_sockets(w, 20, rising);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        key(w, TOP_KEY_DOWN);
        assert_int_equal(key(w, rows[i].key), TOP_ACTION_NONE);
        assert_int_equal(w->view.sort, rows[i].sort);
        assert_int_equal(w->view.cursor, 0);
    }
}

static void test_prompt(void **state)
{
    struct world *w = *state;
    key(w, '/');
    assert_true(w->view.prompting);
    assert_string_equal(w->view.input, "dport = 1");
    type(w, "q ");
    assert_int_equal(key(w, TOP_KEY_ESCAPE), TOP_ACTION_NONE);
    assert_string_equal(w->view.filter, "dport = 1");
    key(w, '/');
    key(w, TOP_KEY_CTRL('u'));
    assert_string_equal(w->view.input, "");
    type(w, "a!");
    assert_int_equal(key(w, TOP_KEY_ENTER), TOP_ACTION_NONE);
    assert_true(w->view.prompting);
    assert_string_equal(w->view.input_error, "no a!");
    key(w, TOP_KEY_BACKSPACE);
    assert_string_equal(w->view.input_error, "");
    key(w, 0xe9); /* é, € and a letter beyond 16 bits: whole characters go and are passed over */
    key(w, 0x20ac);
    key(w, 0x1d11e);
    assert_string_equal(w->view.input, "a\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e");
    key(w, TOP_KEY_LEFT);
    key(w, TOP_KEY_BACKSPACE);
    assert_string_equal(w->view.input, "a\xc3\xa9\xf0\x9d\x84\x9e");
    key(w, TOP_KEY_LEFT);
    key(w, TOP_KEY_DELETE);
    key(w, TOP_KEY_RIGHT);
    key(w, TOP_KEY_RIGHT); /* there is nothing further */
    type(w, "b");
    key(w, TOP_KEY_HOME);
    key(w, TOP_KEY_LEFT);
    key(w, TOP_KEY_BACKSPACE);
    type(w, " ");
    assert_string_equal(w->view.input, " a\xf0\x9d\x84\x9e"
                                       "b");
    assert_int_equal(key(w, TOP_KEY_ENTER), TOP_ACTION_FILTER);
    assert_string_equal(w->view.filter, "a\xf0\x9d\x84\x9e"
                                        "b");
    key(w, '/');
    assert_int_equal(key(w, TOP_KEY_ENTER), TOP_ACTION_NONE); /* the same as before */
    assert_false(w->view.prompting);
}

/* However much is typed, it stays inside and ends with a NUL. */
static void test_prompt_is_bounded(void **state)
{
    struct world *w = *state;
    key(w, '/');
    for (int i = 0; i < 3 * TOP_FILTER_MAX; i++)
        key(w, i % 3 ? 0x20ac : 'x');
    assert_true(strlen(w->view.input) < TOP_FILTER_MAX);
    assert_true(strlen(w->view.input) > TOP_FILTER_MAX - 5);
    for (int i = 0; i < 3 * TOP_FILTER_MAX; i++)
        key(w, TOP_KEY_BACKSPACE);
    assert_string_equal(w->view.input, "");
}

static void test_modes(void **state)
{
    struct world *w = *state;
    poll_sockets(w, 5, rising);
    static const struct {
        uint32_t key;
        enum top_mode mode;
    } rows[] = {{'n', TOP_MODE_NAMESPACES},
                {'n', TOP_MODE_SOCKETS},
                {'h', TOP_MODE_HELP},
                {TOP_KEY_ESCAPE, TOP_MODE_SOCKETS},
                {'?', TOP_MODE_HELP},
                {'?', TOP_MODE_SOCKETS},
                {'c', TOP_MODE_COLUMNS},
                {'q', TOP_MODE_SOCKETS},
                {'c', TOP_MODE_COLUMNS},
                {TOP_KEY_ENTER, TOP_MODE_SOCKETS},
                {TOP_KEY_ENTER, TOP_MODE_HISTORY},
                {TOP_KEY_ESCAPE, TOP_MODE_SOCKETS}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(key(w, rows[i].key), TOP_ACTION_NONE);
        assert_int_equal(w->view.mode, rows[i].mode);
    }
    assert_int_equal(key(w, ' '), TOP_ACTION_PAUSE);
    assert_true(w->view.paused);
    assert_int_equal(key(w, 'R'), TOP_ACTION_RETRY);
    assert_int_equal(key(w, TOP_KEY_OTHER), TOP_ACTION_NONE);
    assert_int_equal(key(w, 'q'), TOP_ACTION_QUIT);
}

static void test_history_outlives_its_socket(void **state)
{
    struct world *w = *state;
    poll_sockets(w, 3, rising);
    key(w, TOP_KEY_ENTER); /* that of cookie 3 */
    for (int i = 0; i < 5; i++)
        poll_sockets(w, 2, rising);
    const struct top_entry *e = top_model_entry(&w->model, &w->view.followed);
    assert_non_null(e);
    assert_non_null(top_model_history(&w->model, e));
    key(w, TOP_KEY_ESCAPE);
    poll_sockets(w, 2, rising);
    assert_null(top_model_entry(&w->model, &w->view.followed));
}

static void test_columns_key(void **state)
{
    struct world *w = *state;
    uint32_t usual = top_columns_usual();
    key(w, 'c');
    for (int i = 0; i < 100; i++)
        key(w, TOP_KEY_DOWN);
    assert_int_equal(w->view.column, TOP_COLUMNS - 1);
    assert_int_equal(key(w, ' '), TOP_ACTION_NONE);
    assert_int_equal(w->view.shown, usual ^ 1u << (TOP_COLUMNS - 1));
    for (int i = 0; i < 100; i++)
        key(w, TOP_KEY_UP);
    key(w, ' ');
    assert_int_equal(w->view.shown & 1u, 0);
    assert_false(w->view.paused);
}

/* ---- Columns ---- */

static size_t total(const uint8_t widths[TOP_COLUMNS])
{
    size_t sum = 0;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        if (widths[i])
            sum += widths[i] + (sum > 0);
    return sum;
}

static void test_columns_fit(void **state)
{
    (void)state;
    uint8_t natural[TOP_COLUMNS], widths[TOP_COLUMNS];
    size_t before = 0;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        natural[i] = 30;
    for (size_t width = 0; width <= 400; width++) {
        for (enum top_sort by = 0; by < TOP_SORTS; by++) {
            top_columns_fit((1u << TOP_COLUMNS) - 1, by, natural, width, widths);
            assert_true(total(widths) <= width);
            assert_true(width == 0 || widths[top_columns_sorted(by)] > 0);
            for (unsigned i = 0; i < TOP_COLUMNS; i++)
                assert_true(width < 20 || !widths[i] || widths[i] >= top_columns[i].least);
        }
        top_columns_fit(top_columns_usual(), TOP_SORT_THROUGHPUT, natural, width, widths);
        if (width >= 40)
            assert_true(widths[TOP_COLUMN_PEER] && widths[TOP_COLUMN_SEND] && widths[TOP_COLUMN_LIMIT]);
        if (width >= 140)
            assert_true(widths[TOP_COLUMN_LOCAL] >= 21 && widths[TOP_COLUMN_PEER] >= 21);
        size_t n = 0;
        for (unsigned i = 0; i < TOP_COLUMNS; i++)
            n += widths[i] != 0;
        assert_true(n >= before); /* never fewer on a wider terminal */
        before = n;
    }
    /* Nobody is given more than the longest text. */
    memset(natural, 0, sizeof(natural));
    top_columns_fit(top_columns_usual(), TOP_SORT_RTT, natural, 400, widths);
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        assert_true(!widths[i] || widths[i] == top_columns[i].least);
    /* A column that is switched off is not shown, unless it is sorted by. */
    top_columns_fit(0, TOP_SORT_RTT, natural, 400, widths);
    assert_int_equal(total(widths), top_columns[TOP_COLUMN_RTT].least);
}

static void test_cells(void **state)
{
    struct world *w = *state;
    char text[TOP_CELL_MAX];
    poll_sockets(w, 1, rising);
    const struct top_entry *e = top_model_row(&w->model, 0);
    static const struct {
        enum top_column_id id;
        const char *text;
    } rows[] = {{TOP_COLUMN_NETNS, "default"}, {TOP_COLUMN_STATE, "ESTABLISHED"}, {TOP_COLUMN_SEND, "-"},
                {TOP_COLUMN_RETRANS, "-"},     {TOP_COLUMN_RTT, "10us"},          {TOP_COLUMN_LIMIT, "-"},
                {TOP_COLUMN_LOCAL, "?:*"},     {TOP_COLUMN_ALGORITHM, "-"},       {TOP_COLUMN_MIN_RTT, "-"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        top_column_text(&w->model, e, rows[i].id, text);
        assert_string_equal(text, rows[i].text);
    }
    poll_sockets(w, 1, rising);
    top_column_text(&w->model, top_model_row(&w->model, 0), TOP_COLUMN_SEND, text);
    assert_string_equal(text, "0bit/s");
    top_text_bits(1e300, text);
    assert_true(strlen(text) < 16);
    top_text_per_s(0.04, text);
    assert_string_equal(text, "0.0");
    top_text_per_s(99.96, text);
    assert_string_equal(text, "100");
    top_text_share(0.0123, text);
    assert_string_equal(text, "1.2%");
    top_text_share(1, text);
    assert_string_equal(text, "100%");
}

/* ---- Bars ---- */

static void test_spark(void **state)
{
    (void)state;
    const float values[] = {0, 0.001F, 4, 8, 100};
    static const struct {
        size_t line, lines;
        bool utf8;
        const char *text;
    } rows[] = {{0, 1, true, " ▁▄██"},  {0, 2, true, " ▁███"},  {1, 2, true, "   ██"},
                {0, 1, false, " .:##"}, {1, 2, false, "   ##"}, {0, 2, false, " .###"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b;
        buf_init(&b);
        top_spark(&b, values, 5, 8, rows[i].line, rows[i].lines, rows[i].utf8);
        assert_string_equal(buf_cstr(&b), rows[i].text);
        buf_free(&b);
    }
    struct buf b;
    buf_init(&b);
    top_spark(&b, values, 1, 0, 0, 1, true); /* nothing is above nothing */
    assert_string_equal(buf_cstr(&b), " ");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cursor_stays_with_its_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sort_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompt_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history_outlives_its_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cells, setup, teardown),
        cmocka_unit_test(test_columns_fit),
        cmocka_unit_test(test_spark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
