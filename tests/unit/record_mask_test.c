/* Cutting records down to some of their fields: which bytes stay, and what a batch of such rows is. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/wire.h"
#include "record/envelope.h"
#include "record/mask.h"

#define ROWS 200

/* A batch of sockets with ports counting from 1, each with a tcp_info. */
static struct batch *make_batch(struct batch_pool *pool)
{
    static struct record_frame frame;
    struct record_context c = {
        .netns = "blue", .netns_inode = 4026532001, .poll_id = 7, .groups = GROUPS_DEFAULT};
    assert_int_equal(record_frame_init(&frame, &c), 0);
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    for (uint16_t i = 0; i < ROWS; i++) {
        struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
        struct tcp_info info = {.tcpi_rtt = 1000u + i, .tcpi_snd_cwnd = 10};
        msg.id.idiag_sport = htons(i + 1);
        struct record_source s = {
            .data = {[PART_MSG] = (const uint8_t *)&msg, [PART_INFO] = (const uint8_t *)&info},
            .len = {[PART_MSG] = sizeof(msg), [PART_INFO] = sizeof(info)},
            .attributes = 1 << INET_DIAG_INFO};
        assert_true(batch_append(b, &frame, &s, i));
    }
    b->poll_id = 7;
    b->netns_cookie = 11;
    b->netns_id = 12;
    return batch_seal(b);
}

static struct record_mask mask_of(const char *const *names, size_t n)
{
    struct record_mask m = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(record_mask_add(&m, names[i], NULL), 0);
    return m;
}

/* The numbers of the fields of |record| in |out|, |max| at most; returns how many. */
static size_t numbers_of(const uint8_t *record, size_t n, uint32_t *out, size_t max)
{
    struct wire w = wire_over(record, n);
    struct wire_field f;
    size_t found = 0;
    while (wire_next(&w, &f) > 0) {
        assert_true(found < max);
        out[found++] = f.number;
    }
    assert_ptr_equal(w.at, w.end);
    return found;
}

static void names(void **state)
{
    (void)state;
    struct record_mask m = {0};
    struct err e;
    assert_int_equal(record_mask_add(&m, "tcp_info_rtt", &e), 0);
    assert_int_equal(record_mask_add(&m, "netns", &e), 0);
    assert_int_equal(record_mask_add(&m, "netns", &e), 0);
    assert_true(record_mask_has(&m, record_fields[FIELD_netns].number));
    assert_true(record_mask_has(&m, record_fields[FIELD_tcp_info_rtt].number));
    assert_false(record_mask_has(&m, record_fields[FIELD_netns_inode].number));
    assert_false(record_mask_has(&m, 0));
    assert_false(record_mask_has(&m, UINT32_MAX));
    struct record_mask other = mask_of((const char *const[]){"netns", "tcp_info_rtt"}, 2);
    assert_true(record_mask_equal(&m, &other));
    other = mask_of((const char *const[]){"netns"}, 1);
    assert_false(record_mask_equal(&m, &other));
    for (size_t i = 0; i < FIELD_COUNT; i++)
        assert_int_equal(record_mask_add(&m, record_fields[i].name, &e), 0);
    assert_int_equal(record_mask_add(&m, "tcp-info-rtt", &e), ERR_UNKNOWN);
    assert_string_equal(e.text, "'tcp-info-rtt' is no field of a record; did you mean tcp_info_rtt?");
    assert_int_equal(record_mask_add(&m, "", &e), ERR_UNKNOWN);
    assert_int_equal(record_mask_add(&m, "colour of the socket", &e), ERR_UNKNOWN);
    assert_null(strstr(e.text, "mean"));
}

/* The fields that tell zero from absent go with the fields that need them, and with no others. */
static void fields_take_along_what_they_need(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool attributes, info_len;
    } cases[] = {
        {"netns", false, false},
        {"record_counter", false, false},
        {"inet_diag_msg_socket_dest_asn", false, false},
        {"poll_id", false, false},
        {"inet_diag_msg_rqueue", true, false},
        {"sk_mem_info_drops", true, false},
        {"congestion_algorithm_string", true, false},
        {"mark", true, false},
        {"tcp_info_total_retrans", true, true},
        {"tcp_info_received_ce", true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct record_field *f = record_field_by_name(cases[i].name, strlen(cases[i].name));
        struct record_mask m = mask_of(&cases[i].name, 1);
        assert_true(record_mask_has(&m, f->number));
        assert_false(record_mask_has(&m, 3003) || record_mask_has(&m, 3004));
        m = (struct record_mask){0};
        record_mask_add_whole(&m, f);
        assert_true(record_mask_has(&m, f->number));
        assert_int_equal(record_mask_has(&m, 3003), cases[i].attributes);
        assert_int_equal(record_mask_has(&m, 3004), cases[i].info_len);
    }
}

static void rows_keep_what_was_asked_for(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(2);
    struct batch *b = make_batch(pool);
    struct record_mask m = mask_of(
        (const char *const[]){"tcp_info_rtt", "netns", "hostname", "inet_diag_msg_socket_source_port"}, 4);
    struct batch *cut = batch_cut(b, NULL, &m);
    assert_non_null(cut);
    assert_int_equal(cut->rows, ROWS);
    assert_int_equal(cut->poll_id, 7);
    assert_int_equal(cut->netns_cookie, 11);
    assert_int_equal(cut->netns_id, 12);
    struct wire w = wire_over(cut->bytes, cut->len);
    for (uint16_t i = 0; i < ROWS; i++) {
        const uint8_t *record;
        size_t n;
        uint32_t numbers[4] = {0};
        assert_ptr_equal(w.at, cut->bytes + cut->index[i].offset);
        assert_int_equal(cut->index[i].sport, i + 1);
        assert_int_equal(envelope_next(&w, &record, &n), 1);
        assert_int_equal(numbers_of(record, n, numbers, 4), 3); /* the host name is empty */
        assert_int_equal(numbers[0], record_fields[FIELD_netns].number);
        assert_int_equal(numbers[1], record_fields[FIELD_inet_diag_msg_socket_source_port].number);
        assert_int_equal(numbers[2], record_fields[FIELD_tcp_info_rtt].number);
        struct wire fields = wire_over(record, n);
        struct wire_field f;
        assert_int_equal(wire_next(&fields, &f), 1);
        assert_int_equal(f.len, 4);
        assert_memory_equal(f.data, "blue", 4);
        assert_int_equal(wire_next(&fields, &f), 1);
        assert_int_equal(f.value, i + 1);
        assert_int_equal(wire_next(&fields, &f), 1);
        assert_int_equal(f.value, 1000 + i);
    }
    assert_ptr_equal(w.at, w.end);
    batch_unref(cut);
    batch_unref(b);
    batch_pool_free(pool);
}

static void all_fields_and_none(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(2);
    struct batch *b = make_batch(pool);
    struct record_mask m = {0};
    struct batch *cut = batch_cut(b, NULL, &m);
    assert_int_equal(cut->rows, ROWS);
    assert_int_equal(cut->len, 2 * ROWS); /* empty records */
    batch_unref(cut);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        record_mask_add(&m, record_fields[i].name, NULL);
    cut = batch_cut(b, NULL, &m);
    assert_int_equal(cut->len, b->len);
    assert_memory_equal(cut->bytes, b->bytes, b->len);
    batch_unref(cut);
    batch_unref(b);
    batch_pool_free(pool);
}

static void some_rows_as_they_are(void **state)
{
    (void)state;
    struct batch_pool *pool = batch_pool_new(2);
    struct batch *b = make_batch(pool);
    uint64_t rows[(ROWS + 63) / 64] = {0};
    for (unsigned i = 0; i < ROWS; i += 3)
        rows[i / 64] |= UINT64_C(1) << i % 64;
    struct batch *cut = batch_cut(b, rows, NULL);
    assert_int_equal(cut->rows, (ROWS + 2) / 3);
    for (uint32_t i = 0; i < cut->rows; i++) {
        const struct batch_row *from = &b->index[3 * i];
        size_t n = (i + 1 < cut->rows ? cut->index[i + 1].offset : cut->len) - cut->index[i].offset;
        assert_int_equal(cut->index[i].sport, 3 * i + 1);
        assert_memory_equal(cut->bytes + cut->index[i].offset, b->bytes + from->offset, n);
    }
    assert_int_equal(envelope_count(cut->bytes, cut->len), cut->rows);
    assert_int_equal(cut->bytes_cap, cut->len); /* sealed */
    batch_unref(cut);
    memset(rows, 0, sizeof(rows));
    cut = batch_cut(b, rows, NULL);
    assert_int_equal(cut->rows, 0);
    batch_unref(cut);
    batch_unref(b);
    batch_pool_free(pool);
}

static void rows_that_are_none(void **state)
{
    (void)state;
    struct record_mask m = mask_of((const char *const[]){"netns"}, 1);
    static const struct {
        uint8_t bytes[16];
        size_t n;
        int rc;
    } rows[] = {
        {{0}, 0, ERR_TRUNCATED},
        {{0x52}, 1, ERR_TRUNCATED},
        {{0x52, 0x80}, 2, ERR_TRUNCATED},
        {{0x52, 5, 0, 0}, 4, ERR_TRUNCATED},
        {{0x52, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 12, ERR_MALFORMED},
        {{0x52, 2, 0x08, 0x80}, 4, ERR_TRUNCATED}, /* a value that does not end */
        {{0x52, 2, 0x03, 0x00}, 4, ERR_MALFORMED}, /* a group */
        {{0x52, 1, 0x00}, 3, ERR_MALFORMED},       /* field 0 */
        {{0x52, 3, 0x0a, 0x7f, 0}, 5, ERR_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[16];
        size_t n = rows[i].n;
        assert_int_equal(record_mask_row(&m, rows[i].bytes, &n, out), rows[i].rc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(fields_take_along_what_they_need),
        cmocka_unit_test(rows_keep_what_was_asked_for),
        cmocka_unit_test(all_fields_and_none),
        cmocka_unit_test(some_rows_as_they_are),
        cmocka_unit_test(rows_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
