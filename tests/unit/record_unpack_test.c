/* Reading records back, also those that nobody should have sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire.h"
#include "record/envelope.h"
#include "record/text.h"
#include "record/unpack.h"

static void rows_of_an_envelope(void **state)
{
    (void)state;
    static const uint8_t envelope[] = {
        0x52, 0x02, 0x08, 0x01,                /* row: schema_version 1 */
        0x08, 0x05,                            /* field 1, unknown */
        0x11, 1,    2,    3,    4, 5, 6, 7, 8, /* field 2, 64 bits */
        0x1a, 0x01, 'x',                       /* field 3, bytes */
        0x25, 1,    2,    3,    4,             /* field 4, 32 bits */
        0x52, 0x00,                            /* row: empty */
    };
    struct wire w = wire_over(envelope, sizeof(envelope));
    const uint8_t *record;
    size_t n;
    assert_int_equal(envelope_next(&w, &record, &n), 1);
    assert_int_equal(n, 2);
    assert_ptr_equal(record, envelope + 2);
    assert_int_equal(envelope_next(&w, &record, &n), 1);
    assert_int_equal(n, 0);
    assert_int_equal(envelope_next(&w, &record, &n), 0);
    assert_int_equal(envelope_next(&w, &record, &n), 0);
    assert_int_equal(envelope_count(envelope, sizeof(envelope)), 2);
    assert_int_equal(envelope_count(envelope, 0), 0);
    /* cut anywhere but between fields */
    for (size_t len = 1; len < sizeof(envelope); len++) {
        int whole = len == 4 || len == 6 || len == 15 || len == 18 || len == 23;
        assert_int_equal(envelope_count(envelope, len), whole ? 1 : ERR_TRUNCATED);
    }
}

static void broken_envelopes(void **state)
{
    (void)state;
#define EXPECT(code, ...)                                                                                    \
    do {                                                                                                     \
        static const uint8_t bytes[] = {__VA_ARGS__};                                                        \
        assert_int_equal(envelope_count(bytes, sizeof(bytes)), code);                                        \
    } while (0)
    EXPECT(ERR_MALFORMED, 0x00, 0x01);             /* field 0 */
    EXPECT(ERR_MALFORMED, 0x53, 0x54);             /* a group */
    EXPECT(ERR_MALFORMED, 0x56);                   /* wire type 6 */
    EXPECT(ERR_MALFORMED, 0x50, 0x01);             /* row as a number */
    EXPECT(ERR_TRUNCATED, 0x52, 0x05, 0x08, 0x01); /* longer than what is there */
    EXPECT(ERR_TRUNCATED, 0x52, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01); /* 2^64 - 1 */
    EXPECT(ERR_MALFORMED, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02); /* 65 bits */
    EXPECT(ERR_MALFORMED, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00); /* a tag of more than 32 bits */
}

static void unknown_and_repeated_fields(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x08, 0x01,                  /* schema_version 1 */
        0x80, 0xfa, 0x01, 0x07,      /* field 4000, unknown */
        0xf2, 0x01, 0x01, 'a',       /* netns "a" */
        0xf2, 0x01, 0x02, 'b',  'c', /* again: the last one counts */
        0x08, 0x02,                  /* schema_version 2 */
    };
    struct record_reader reader = {0};
    const record_message *r;
    assert_int_equal(record_unpack(&reader, bytes, sizeof(bytes), &r), 0);
    assert_int_equal(r->schema_version, 2);
    assert_string_equal(r->netns, "bc");
    assert_int_equal(record_unpack(&reader, bytes, sizeof(bytes) - 1, &r), ERR_MALFORMED);
    assert_int_equal(record_unpack(&reader, NULL, 0, &r), 0);
    assert_int_equal(r->schema_version, 0);
    assert_string_equal(r->netns, "");
    record_reader_free(&reader);
    record_reader_free(&reader);
}

/* Memory grows to what a hostile record needs and no further. */
static void hostile_records(void **state)
{
    (void)state;
    struct record_reader reader = {0};
    const record_message *r;
    uint8_t *bytes = malloc(RECORD_UNPACK_MAX + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i <= RECORD_UNPACK_MAX; i++)
        bytes[i] = i % 2 ? 0x01 : 0x18; /* field 3, unknown, again and again */
    assert_int_equal(record_unpack(&reader, bytes, RECORD_UNPACK_MAX + 1, &r), ERR_LIMIT);
    assert_int_equal(record_unpack(&reader, bytes, RECORD_UNPACK_MAX, &r), 0);
    assert_int_equal(r->base.n_unknown_fields, RECORD_UNPACK_MAX / 2);
    size_t size = reader.size;
    assert_true(size <= (size_t)128 * RECORD_UNPACK_MAX);
    for (int i = 0; i < 100; i++)
        assert_int_equal(record_unpack(&reader, bytes, 1000, &r), 0);
    assert_int_equal(reader.size, size);
    for (size_t i = 0; i < RECORD_UNPACK_MAX; i++)
        bytes[i] = (uint8_t)(i % 4 == 0 ? 0xf2 : i % 4 == 3 ? 'n' : 0x01); /* netns, again and again */
    assert_int_equal(record_unpack(&reader, bytes, RECORD_UNPACK_MAX, &r), 0);
    assert_string_equal(r->netns, "n");
    free(bytes);
    record_reader_free(&reader);
}

static const struct record_field *field(const char *name)
{
    const struct record_field *f = record_field_by_name(name, strlen(name));
    assert_non_null(f);
    return f;
}

static void expect_text(const record_message *r, const char *name, const char *text)
{
    struct buf b;
    buf_init(&b);
    struct record_value v = record_get(r, field(name));
    record_print_value(&b, r->inet_diag_msg_family, field(name), &v);
    assert_string_equal(buf_cstr(&b), text);
    buf_free(&b);
}

static void values_as_text(void **state)
{
    (void)state;
    record_message r = XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
    uint8_t address[16] = {10, 0, 0, 1};
    r.inet_diag_msg_family = 2;
    r.inet_diag_msg_state = 1;
    r.inet_diag_msg_timer = 2;
    r.inet_diag_msg_socket_source = (ProtobufCBinaryData){4, address};
    r.inet_diag_msg_socket_destination =
        (ProtobufCBinaryData){16, address}; /* as other daemons send AF_INET */
    r.tcp_info_ca_state = 4;
    r.tcp_info_rtt = 12345;
    r.tcp_info_last_data_sent = 90000;
    r.tcp_info_bytes_acked = 1536 * 1024;
    r.tcp_info_pacing_rate = 1250000;
    r.tcp_info_max_pacing_rate = UINT64_MAX;
    r.class_id = 0x10001;
    r.timestamp_ns = 1700000000123456789;
    r.congestion_algorithm_enum = 5;
    r.event = 1;
    r.netns = (char *)(uintptr_t) "a\x1b[31m\xc2\x9b\xff\n";
    expect_text(&r, "inet_diag_msg_family", "2");
    expect_text(&r, "inet_diag_msg_state", "ESTABLISHED");
    expect_text(&r, "inet_diag_msg_timer", "2");
    expect_text(&r, "inet_diag_msg_socket_source", "10.0.0.1");
    expect_text(&r, "inet_diag_msg_socket_destination", "10.0.0.1");
    expect_text(&r, "tcp_info_ca_state", "Loss");
    expect_text(&r, "tcp_info_rtt", "12345");
    expect_text(&r, "tcp_info_max_pacing_rate", "18446744073709551615");
    expect_text(&r, "class_id", "65537");
    expect_text(&r, "timestamp_ns", "1700000000123456789");
    expect_text(&r, "congestion_algorithm_enum", "bbr");
    expect_text(&r, "event", "close");
    expect_text(&r, "netns", "a\\u001b[31m\\u009b\xef\xbf\xbd\\u000a");
    expect_text(&r, "tcp_info_min_rtt", ""); /* absent */

    r.inet_diag_msg_family = 10;
    expect_text(&r, "inet_diag_msg_socket_destination", "a00:1::");
    r.inet_diag_msg_socket_source.len = 3; /* no address of anything */
    expect_text(&r, "inet_diag_msg_socket_source", "0a0000");
    r.inet_diag_msg_state = 99;
    r.congestion_algorithm_enum = (XtcpFlatRecord__V1__XtcpFlatRecord__CongestionAlgorithm)-3;
    expect_text(&r, "inet_diag_msg_state", "99");
    expect_text(&r, "congestion_algorithm_enum", "-3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_an_envelope),
        cmocka_unit_test(broken_envelopes),
        cmocka_unit_test(unknown_and_repeated_fields),
        cmocka_unit_test(hostile_records),
        cmocka_unit_test(values_as_text),
    };
    return cmocka_run_group_tests_name("record_unpack", tests, NULL, NULL);
}
