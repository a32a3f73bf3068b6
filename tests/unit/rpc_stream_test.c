/* Requests and responses of the streams. */
#include "rpc_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upbdefs.h>

#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_stream.h"

/* ---- Requests ---- */

static void test_empty_request(void **state)
{
    (void)state;
    struct subscription r;
    assert_int_equal(stream_request_decode(NULL, 0, &r, NULL), 0);
    assert_int_equal(r.batch_rows, 0);
    assert_false(r.markers || r.events);
    assert_null(r.filter);
    assert_null(r.columns);
    assert_null(r.netns);
    subscription_free(&r);
}

static void test_request_round_trip(void **state)
{
    (void)state;
    char *columns[] = {(char *)"tcp_info_rtt", (char *)"netns"};
    char *netns[] = {(char *)"blue*", (char *)"4026531840", (char *)"gr\xc3\xbcn"};
    struct subscription in = {.batch_rows = UINT32_MAX,
                              .markers = true,
                              .events = true,
                              .filter = (char *)"dport = 443",
                              .columns = columns,
                              .n_columns = 2,
                              .netns = netns,
                              .n_netns = 3};
    struct buf b;
    buf_init(&b);
    assert_int_equal(stream_request_encode(&in, &b), 0);
    struct subscription out;
    assert_int_equal(stream_request_decode(b.data, b.len, &out, NULL), 0);
    assert_int_equal(out.batch_rows, UINT32_MAX);
    assert_true(out.markers && out.events);
    assert_string_equal(out.filter, "dport = 443");
    assert_int_equal(out.n_columns, 2);
    assert_string_equal(out.columns[1], "netns");
    assert_int_equal(out.n_netns, 3);
    assert_string_equal(out.netns[2], "gr\xc3\xbcn");
    subscription_free(&out);
    buf_free(&b);
}

static void test_nothing_asked_for_is_no_bytes(void **state)
{
    (void)state;
    struct subscription in = {0};
    struct buf b;
    buf_init(&b);
    assert_int_equal(stream_request_encode(&in, &b), 0);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

/* Decodes what |b| holds, which must fail with |code| and a text with |part|; empties |b|. */
static void refuse(struct buf *b, int code, const char *part)
{
    struct subscription r;
    struct err e;
    assert_int_equal(stream_request_decode(b->data, b->len, &r, &e), code);
    assert_says(e, part);
    assert_null(r.filter);
    assert_null(r.columns);
    assert_null(r.netns);
    buf_free(b);
}

static void test_bad_requests(void **state)
{
    (void)state;
    struct buf b;
    char *large = malloc(SUBSCRIPTION_FILTER_MAX + 2);
    assert_non_null(large);
    memset(large, 'x', SUBSCRIPTION_FILTER_MAX + 1);
    large[SUBSCRIPTION_FILTER_MAX + 1] = '\0';
    buf_init(&b);
    put_text(&b, 102, large);
    refuse(&b, ERR_RANGE, "filter: 16385 bytes long, allowed are 16384");
    put_text(&b, 104, "fine");
    put_bytes(&b, 104, large, SUBSCRIPTION_NAME_MAX + 1);
    refuse(&b, ERR_RANGE, "netns: 256 bytes long, allowed are 255");
    put_bytes(&b, 103, "a\0b", 3);
    refuse(&b, ERR_MALFORMED, "columns: the text holds a NUL byte");
    put_text(&b, 103, "");
    refuse(&b, ERR_RANGE, "columns: entry 1 is empty");
    for (int i = 0; i <= SUBSCRIPTION_NAMES_MAX; i++)
        put_text(&b, 103, "a");
    refuse(&b, ERR_RANGE, "columns: 257 entries, allowed are 256");
    put_text(&b, 102, "\xff");
    refuse(&b, ERR_MALFORMED, "UTF-8");
    put_tag(&b, 102, WIRE_LEN);
    refuse(&b, ERR_MALFORMED, "FlatRecordsRequest: not a protobuf message");
    free(large);
}

static void test_limits_are_reached(void **state)
{
    (void)state;
    struct buf b;
    struct subscription r;
    char text[SUBSCRIPTION_NAME_MAX + 1];
    memset(text, 'x', SUBSCRIPTION_NAME_MAX);
    buf_init(&b);
    for (int i = 0; i < SUBSCRIPTION_NAMES_MAX; i++)
        put_bytes(&b, 104, text, SUBSCRIPTION_NAME_MAX);
    assert_int_equal(stream_request_decode(b.data, b.len, &r, NULL), 0);
    assert_int_equal(r.n_netns, SUBSCRIPTION_NAMES_MAX);
    assert_int_equal(strlen(r.netns[255]), SUBSCRIPTION_NAME_MAX);
    subscription_free(&r);
    buf_free(&b);
}

static void test_fields_of_newer_clients_are_passed_over(void **state)
{
    (void)state;
    struct buf b;
    struct subscription r;
    buf_init(&b);
    put_number(&b, 199, 7);
    put_number(&b, 101, 1);
    assert_int_equal(stream_request_decode(b.data, b.len, &r, NULL), 0);
    assert_true(r.markers);
    subscription_free(&r);
    buf_free(&b);
}

/* One codec serves both methods: their messages must stay the same. */
static void assert_same_message(upb_DefPool *pool, const char *a_name, const char *b_name)
{
    const upb_MessageDef *a = upb_DefPool_FindMessageByName(pool, a_name);
    const upb_MessageDef *b = upb_DefPool_FindMessageByName(pool, b_name);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(upb_MessageDef_FieldCount(a), upb_MessageDef_FieldCount(b));
    for (int i = 0; i < upb_MessageDef_FieldCount(a); i++) {
        const upb_FieldDef *f = upb_MessageDef_Field(a, i), *g = upb_MessageDef_Field(b, i);
        assert_string_equal(upb_FieldDef_Name(f), upb_FieldDef_Name(g));
        assert_int_equal(upb_FieldDef_Number(f), upb_FieldDef_Number(g));
        assert_int_equal(upb_FieldDef_Type(f), upb_FieldDef_Type(g));
        assert_int_equal(upb_FieldDef_Label(f), upb_FieldDef_Label(g));
        assert_ptr_equal(upb_FieldDef_MessageSubDef(f), upb_FieldDef_MessageSubDef(g));
    }
}

static void test_both_methods_speak_the_same(void **state)
{
    (void)state;
    upb_DefPool *pool = upb_DefPool_New();
    assert_non_null(xtcp_flat_record_v1_FlatRecordsRequest_getmsgdef(pool));
    assert_same_message(pool, "xtcp_flat_record.v1.FlatRecordsRequest",
                        "xtcp_flat_record.v1.PollFlatRecordsRequest");
    assert_same_message(pool, "xtcp_flat_record.v1.FlatRecordsResponse",
                        "xtcp_flat_record.v1.PollFlatRecordsResponse");
    upb_DefPool_Free(pool);
}

/* ---- Rows ---- */

/* A response as a protobuf library makes it must be our prefix and the bytes behind it. */
static void test_prefixes(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 100, 127, 128, 300, 16383, 16384, 70000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        upb_Arena *arena = upb_Arena_New();
        char *text = upb_Arena_Malloc(arena, lengths[i] + 1);
        memset(text, 'h', lengths[i]);
        xtcp_flat_record_v1_FlatRecordsResponse *r = xtcp_flat_record_v1_FlatRecordsResponse_new(arena);
        xtcp_flat_record_v1_Envelope *envelope =
            xtcp_flat_record_v1_FlatRecordsResponse_mutable_envelope(r, arena);
        xtcp_flat_record_v1_XtcpFlatRecord *row = xtcp_flat_record_v1_Envelope_add_row(envelope, arena);
        xtcp_flat_record_v1_XtcpFlatRecord_set_hostname(row,
                                                        upb_StringView_FromDataAndSize(text, lengths[i]));
        size_t len, wanted_len;
        char *bytes = xtcp_flat_record_v1_Envelope_serialize(envelope, arena, &len);
        char *wanted = xtcp_flat_record_v1_FlatRecordsResponse_serialize(r, arena, &wanted_len);
        uint8_t prefix[STREAM_PREFIX_MAX];
        size_t n = stream_put_envelope(prefix, len);
        assert_int_equal(n + len, wanted_len);
        assert_memory_equal(prefix, wanted, n);
        assert_memory_equal(bytes, wanted + n, len);

        struct stream_event event;
        assert_int_equal(stream_event_decode(wanted, wanted_len, &event, NULL), 0);
        assert_int_equal(event.kind, STREAM_EVENT_ENVELOPE);
        assert_ptr_equal(event.bytes, wanted + n);
        assert_int_equal(event.len, len);
        stream_event_free(&event);
        upb_Arena_Free(arena);
    }
}

static void test_record_event(void **state)
{
    (void)state;
    static const uint8_t message[] = {WIRE_TAG(STREAM_FIELD_RECORD, WIRE_LEN), 3, 'a', 'b', 'c'};
    struct stream_event event;
    assert_int_equal(stream_event_decode(message, sizeof(message), &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_RECORD);
    assert_ptr_equal(event.bytes, message + 2);
    assert_int_equal(event.len, 3);
    stream_event_free(&event);
    uint8_t longest[STREAM_PREFIX_MAX];
    assert_int_equal(stream_put_envelope(longest, SIZE_MAX), STREAM_PREFIX_MAX);
}

/* ---- Markers ---- */

static void test_begin(void **state)
{
    (void)state;
    struct poll_begin in = {.poll_id = UINT64_MAX,
                            .timestamp_ns = -1,
                            .trigger = POLL_TRIGGER_BURST,
                            .namespaces = 7,
                            .interval_ns = 8,
                            .deferred_ns = 9};
    struct buf b;
    struct stream_event event;
    buf_init(&b);
    assert_int_equal(stream_encode_begin(&b, &in), 0);
    assert_int_equal(stream_event_decode(b.data, b.len, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_BEGIN);
    assert_true(event.begin.poll_id == UINT64_MAX && event.begin.timestamp_ns == -1);
    assert_int_equal(event.begin.trigger, POLL_TRIGGER_BURST);
    assert_int_equal(event.begin.namespaces, 7);
    assert_true(event.begin.interval_ns == 8 && event.begin.deferred_ns == 9);
    assert_string_equal(poll_trigger_name(event.begin.trigger), "burst");
    assert_string_equal(poll_trigger_name(99), "unknown");
    stream_event_free(&event);
    buf_free(&b);
}

static void test_end(void **state)
{
    (void)state;
    struct poll_error errors[POLL_ERRORS_MAX + 5];
    for (size_t i = 0; i < POLL_ERRORS_MAX + 5; i++)
        errors[i] =
            (struct poll_error){.name = "blue", .inode = i, .cookie = i + 1, .code = -3, .text = NULL};
    errors[0].name = "bl\xff\xc3\xbcue";
    errors[0].text = "timed out";
    struct poll_end in = {.poll_id = 1,
                          .timestamp_ns = 2,
                          .duration_ns = 3,
                          .namespaces = 4,
                          .namespaces_empty = 5,
                          .namespaces_failed = 6,
                          .namespaces_unseen = 11,
                          .dumps_interrupted = 7,
                          .sockets = 8,
                          .rows_sent = 9,
                          .rows_lost = 10,
                          .errors = errors,
                          .n_errors = POLL_ERRORS_MAX + 5};
    struct buf b;
    struct stream_event event;
    buf_init(&b);
    assert_int_equal(stream_encode_end(&b, &in), 0);
    assert_int_equal(stream_event_decode(b.data, b.len, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_END);
    const struct poll_end *out = &event.end;
    assert_true(out->poll_id == 1 && out->timestamp_ns == 2 && out->duration_ns == 3);
    assert_true(out->namespaces == 4 && out->namespaces_empty == 5 && out->namespaces_failed == 6 &&
                out->namespaces_unseen == 11);
    assert_true(out->dumps_interrupted == 7 && out->sockets == 8 && out->rows_sent == 9 &&
                out->rows_lost == 10);
    assert_int_equal(out->n_errors, POLL_ERRORS_MAX);
    assert_string_equal(out->errors[0].name, "bl\xef\xbf\xbd\xc3\xbcue");
    assert_string_equal(out->errors[0].text, "timed out");
    assert_string_equal(out->errors[1].text, "");
    assert_int_equal(out->errors[99].inode, 99);
    assert_int_equal(out->errors[99].cookie, 100);
    assert_int_equal(out->errors[99].code, -3);
    stream_event_free(&event);
    assert_null(event.memory);
    buf_free(&b);
}

static void test_info(void **state)
{
    (void)state;
    const struct filter_part parts[] = {{"dport = 443", FILTER_PLACE_KERNEL},
                                        {"rtt > 5ms", FILTER_PLACE_STREAM}};
    const char *const columns[] = {"netns", "tcp_info_rtt"};
    struct subscription_info in = {.filter = "dport = 443 and rtt > 5ms",
                                   .parts = parts,
                                   .n_parts = 2,
                                   .columns = columns,
                                   .n_columns = 2};
    struct buf b;
    struct stream_event event;
    buf_init(&b);
    assert_int_equal(stream_encode_info(&b, &in), 0);
    assert_int_equal(stream_event_decode(b.data, b.len, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_INFO);
    assert_string_equal(event.info.filter, in.filter);
    assert_int_equal(event.info.n_parts, 2);
    assert_string_equal(event.info.parts[1].expression, "rtt > 5ms");
    assert_int_equal(event.info.parts[1].place, FILTER_PLACE_STREAM);
    assert_int_equal(event.info.n_columns, 2);
    assert_string_equal(event.info.columns[1], "tcp_info_rtt");
    stream_event_free(&event);
    buf_free(&b);
}

static void refuse_event(struct buf *b, const char *part)
{
    struct stream_event event;
    struct err e;
    assert_int_equal(stream_event_decode(b->data, b->len, &event, &e), ERR_MALFORMED);
    assert_says(e, part);
    assert_int_equal(event.kind, STREAM_EVENT_NONE);
    assert_null(event.memory);
    buf_free(b);
}

static void test_bad_events(void **state)
{
    (void)state;
    struct buf b;
    struct stream_event event;
    assert_int_equal(stream_event_decode(NULL, 0, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_NONE);
    buf_init(&b);
    put_text(&b, 500, "of a newer daemon");
    assert_int_equal(stream_event_decode(b.data, b.len, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_NONE);
    buf_free(&b);
    put_text(&b, 1, "");
    put_text(&b, 100, "");
    refuse_event(&b, "more than one field");
    put_number(&b, 1, 0);
    refuse_event(&b, "field 1 is no message");
    put_text(&b, 102, "\xff");
    refuse_event(&b, "PollEnd");
    put_text(&b, 101, "\x08");
    refuse_event(&b, "PollBegin");
    put_text(&b, 103, "\x0a\x01\xff");
    refuse_event(&b, "UTF-8");
    put_tag(&b, 1, WIRE_LEN);
    buf_char(&b, 100);
    refuse_event(&b, "not a protobuf message");
    put_tag(&b, 1, (enum wire_type)3);
    refuse_event(&b, "not a protobuf message");
}

/* ---- The wire ---- */

static void test_empty_check(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    assert_int_equal(msg_empty_check(NULL, 0, "GetRequest", &e), 0);
    buf_init(&b);
    put_number(&b, 1, 5);
    put_text(&b, 2, "text");
    assert_int_equal(msg_empty_check(b.data, b.len, "GetRequest", &e), 0);
    assert_int_equal(msg_empty_check(b.data, b.len - 1, "GetRequest", &e), ERR_MALFORMED);
    assert_says(e, "GetRequest");
    buf_free(&b);
    assert_int_equal(msg_empty_check("\x00\x01", 2, "GetRequest", &e), ERR_MALFORMED); /* field 0 */
    assert_int_equal(msg_empty_check("\x0b\x0c", 2, "GetRequest", &e), ERR_MALFORMED); /* a group */
    assert_int_equal(msg_empty_check("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, "GetRequest", &e),
                     ERR_MALFORMED);
    assert_int_equal(msg_empty_check("\x09\x01\x02\x03", 4, "GetRequest", &e), ERR_MALFORMED);
    assert_int_equal(msg_empty_check("\x0d\x01\x02", 3, "GetRequest", &e), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_request),
        cmocka_unit_test(test_request_round_trip),
        cmocka_unit_test(test_nothing_asked_for_is_no_bytes),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_limits_are_reached),
        cmocka_unit_test(test_fields_of_newer_clients_are_passed_over),
        cmocka_unit_test(test_both_methods_speak_the_same),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_record_event),
        cmocka_unit_test(test_begin),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_bad_events),
        cmocka_unit_test(test_empty_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
