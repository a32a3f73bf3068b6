/* Records in order, whatever their values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/show/sorter.h"

struct given {
    uint8_t rows[16];
    size_t n;
    size_t stop; /* after so many; 0: never */
};

static int take(void *context, const uint8_t *row, size_t len, const char *node)
{
    struct given *g = context;
    (void)node;
    assert_int_equal(len, 1);
    g->rows[g->n++] = row[0];
    return g->stop && g->n == g->stop ? 1 : 0;
}

/* The rows 0, 1, 2, … of |records| come out as |want|, when sorted by |keys|. */
static void check(const char *keys, const record_message *records, size_t n, const char *want)
{
    const struct options o = {.output = OUTPUT_JSONL, .sort_by = keys};
    struct view *v;
    struct err e = {0};
    assert_int_equal(view_new(&o, &v, &e), 0);
    struct sorter *sorter = sorter_new(v);
    for (int round = 0; round < 2; round++) { /* the second finds it empty */
        struct given g = {0};
        for (size_t i = 0; i < n; i++) {
            uint8_t row = (uint8_t)('0' + i);
            assert_int_equal(sorter_add(sorter, &row, 1, &records[i], NULL), 0);
        }
        assert_int_equal(sorter_give(sorter, take, &g), 0);
        assert_int_equal(g.n, strlen(want));
        assert_memory_equal(g.rows, want, g.n);
    }
    struct given g = {.stop = 1};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sorter_add(sorter, (const uint8_t *)"x", 1, &records[i], NULL), 0);
    assert_int_equal(sorter_give(sorter, take, &g), 1);
    assert_int_equal(g.n, 1);
    sorter_free(sorter);
    view_free(v);
}

static void test_order(void **state)
{
    (void)state;
    record_message r[5];
    static char *const names[] = {"b", "a", "", "ab", "a"};
    static const uint64_t numbers[] = {5, UINT64_MAX, 0, 5, 7};
    for (size_t i = 0; i < 5; i++) {
        xtcp_flat_record__v1__xtcp_flat_record__init(&r[i]);
        r[i].netns = names[i];
        r[i].netns_cookie = numbers[i];
        r[i].timestamp_ns = (int64_t)numbers[i]; /* -1 among them */
        r[i].inet_diag_msg_socket_source = (ProtobufCBinaryData){strlen(names[i]), (uint8_t *)names[i]};
    }
    check("netns", r, 5, "21430");
    check("-netns", r, 5, "03142");
    check("netns_cookie", r, 5, "20341");
    check("timestamp_ns:desc", r, 5, "40321");
    check("netns,-netns_cookie", r, 5, "21430");
    check("netns_cookie:desc,netns", r, 5, "14302");
    check("inet_diag_msg_socket_source", r, 5, "21430");
    check("tcp_info_rtt", r, 5, "01234"); /* all equal: as they came */
}

static int take_empty(void *context, const uint8_t *row, size_t len, const char *node)
{
    size_t *n = context;
    (void)node;
    assert_non_null(row);
    assert_int_equal(len, 0);
    (*n)++;
    return 0;
}

/* A record of which every field has its default takes no bytes at all. */
static void test_empty_rows(void **state)
{
    (void)state;
    const struct options o = {.output = OUTPUT_JSONL, .sort_by = "netns"};
    record_message r;
    struct view *v;
    struct err e = {0};
    size_t found = 0;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    assert_int_equal(view_new(&o, &v, &e), 0);
    struct sorter *sorter = sorter_new(v);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sorter_add(sorter, (const uint8_t *)"", 0, &r, NULL), 0);
    assert_int_equal(sorter_give(sorter, take_empty, &found), 0);
    assert_int_equal(found, 3);
    sorter_free(sorter);
    view_free(v);
}

/* A column with several fields sorts by the value shown; a missing value is before zero. */
static void test_shown(void **state)
{
    (void)state;
    static const uint32_t sent[] = {900, 10, 700, 5, 0}, received[] = {20, 800, 30, 5, 0};
    static const uint32_t peer[] = {10, 50, 0, 90, 0}, buffer[] = {0, 0, 99, 0, 0},
                          busy[] = {10, 100, 100, 1000, 0};
    record_message r[5];
    for (size_t i = 0; i < 5; i++) {
        xtcp_flat_record__v1__xtcp_flat_record__init(&r[i]);
        r[i].tcp_info_state = r[i].inet_diag_msg_state = 1;
        r[i].tcp_info_last_data_sent = sent[i];
        r[i].tcp_info_last_data_recv = received[i];
        r[i].tcp_info_rwnd_limited = peer[i];
        r[i].tcp_info_sndbuf_limited = buffer[i];
        r[i].tcp_info_busy_time = busy[i];
    }
    check("idle", r, 5, "43102");
    check("-IDLE", r, 5, "20134");
    check("LIMIT", r, 5, "43120");
    check("-limit", r, 5, "02134");
    r[2].diag_attributes = 1 << 2; /* INET_DIAG_INFO, with a zero */
    r[2].tcp_info_len = 280;
    check("RETRANS", r, 5, "01342");
    r[1].tcp_info_total_retrans = r[3].tcp_info_retrans = 1;
    check("RETRANS", r, 5, "04321");
    check("-retrans", r, 5, "12304");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_empty_rows),
        cmocka_unit_test(test_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
