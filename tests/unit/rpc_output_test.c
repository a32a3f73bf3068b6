/* Messages of OutputService. */
#include "rpc_test.h"

#include <stdbool.h>
#include <upb/upb.h>
#include <xtcp_output/v1/xtcp_output.upb.h>

#include "rpc/codec/msg_output.h"

static const struct output_dropped dropped[] = {{"queue_full", 1}, {"refused", 2}};
static const struct output_status archive = {.name = "archive",
                                             .to = "file:/var/log/x\xff",
                                             .format = "jsonl",
                                             .state = OUTPUT_STATE_RETRYING,
                                             .since_ns = 3,
                                             .rows_taken = 4,
                                             .rows_sent = 5,
                                             .bytes_sent = UINT64_MAX,
                                             .messages_sent = 7,
                                             .retries = 8,
                                             .rows_resent = 9,
                                             .dropped = dropped,
                                             .n_dropped = 2,
                                             .rows_queued = 10,
                                             .bytes_queued = 11,
                                             .queue_bytes = 12,
                                             .oldest_ns = 13,
                                             .rows_spooled = 14,
                                             .bytes_spooled = 15,
                                             .spool_bytes = 16,
                                             .oldest_spooled_ns = 17,
                                             .rows_found = 18,
                                             .last_success_ns = 19,
                                             .last_failure_ns = 20,
                                             .last_error = "the disk is full",
                                             .next_attempt_ns = -21};

static void assert_archive(const struct output_status *s)
{
    assert_string_equal(s->name, "archive");
    assert_string_equal(s->to, "file:/var/log/x\xef\xbf\xbd");
    assert_string_equal(s->format, "jsonl");
    assert_int_equal(s->state, OUTPUT_STATE_RETRYING);
    assert_true(s->since_ns == 3 && s->rows_taken == 4 && s->rows_sent == 5 && s->bytes_sent == UINT64_MAX);
    assert_true(s->messages_sent == 7 && s->retries == 8 && s->rows_resent == 9);
    assert_int_equal(s->n_dropped, 2);
    assert_string_equal(s->dropped[0].reason, "queue_full");
    assert_string_equal(s->dropped[1].reason, "refused");
    assert_true(s->dropped[0].rows == 1 && s->dropped[1].rows == 2);
    assert_true(s->rows_queued == 10 && s->bytes_queued == 11 && s->queue_bytes == 12 && s->oldest_ns == 13);
    assert_true(s->rows_spooled == 14 && s->bytes_spooled == 15 && s->spool_bytes == 16);
    assert_true(s->oldest_spooled_ns == 17 && s->rows_found == 18);
    assert_true(s->last_success_ns == 19 && s->last_failure_ns == 20 && s->next_attempt_ns == -21);
    assert_string_equal(s->last_error, "the disk is full");
}

/* ---- Requests ---- */

static void test_request(void **state)
{
    (void)state;
    char name[OUTPUT_MSG_NAME_MAX];
    struct buf b;
    struct err e;
    buf_init(&b);
    assert_int_equal(output_msg_request_encode("archive", &b), 0);
    assert_int_equal(output_msg_request_decode(b.data, b.len, "PauseRequest", name, &e), 0);
    assert_string_equal(name, "archive");
    buf_reset(&b);
    char large[1000];
    memset(large, 'x', sizeof(large));
    put_bytes(&b, 1, large, sizeof(large));
    assert_int_equal(output_msg_request_decode(b.data, b.len, "PauseRequest", name, &e), 0);
    assert_int_equal(strlen(name), OUTPUT_MSG_NAME_MAX - 1);
    buf_free(&b);
}

static void test_request_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int code;
        const char *says;
    } cases[] = {
        {"", 0, ERR_RANGE, "FlushRequest: name is required"},
        {"\x10\x01", 2, ERR_RANGE, "name is required"},
        {"\x0a\x03"
         "a\0b",
         5, ERR_MALFORMED, "NUL"},
        {"\x0a\x01\xff", 3, ERR_MALFORMED, "UTF-8"},
        {"\x0a\x05x", 3, ERR_MALFORMED, "FlushRequest: not a protobuf message"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[OUTPUT_MSG_NAME_MAX];
        struct err e;
        assert_int_equal(output_msg_request_decode(cases[i].bytes, cases[i].len, "FlushRequest", name, &e),
                         cases[i].code);
        assert_says(e, cases[i].says);
        assert_string_equal(name, "");
    }
}

/* ---- Answers ---- */

static void test_list(void **state)
{
    (void)state;
    const struct output_status list[] = {{.state = OUTPUT_STATE_STARTING}, archive};
    struct output_msg_list out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(output_msg_list_encode(list, 2, &b), 0);
    assert_int_equal(output_msg_list_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.items[0].state, OUTPUT_STATE_STARTING);
    assert_string_equal(out.items[0].name, "");
    assert_string_equal(out.items[0].last_error, "");
    assert_int_equal(out.items[0].n_dropped, 0);
    assert_archive(&out.items[1]);
    output_msg_free(memory);
    assert_int_equal(output_msg_list_decode(b.data, b.len - 1, &out, &memory, &e), ERR_MALFORMED);
    assert_says(e, "ListResponse");
    assert_null(memory);
    assert_int_equal(out.n, 0);
    buf_free(&b);
    assert_int_equal(output_msg_list_decode(NULL, 0, &out, &memory, NULL), 0);
    assert_int_equal(out.n, 0);
    output_msg_free(memory);
}

/* More reasons than there are would be a mistake of the caller: the rest is not sent. */
static void test_list_of_reasons_is_bounded(void **state)
{
    (void)state;
    struct output_dropped many[OUTPUT_DROPS + 3];
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        many[i] = (struct output_dropped){"x", i};
    const struct output_status in = {.dropped = many, .n_dropped = sizeof(many) / sizeof(many[0])};
    struct output_msg_list out;
    struct buf b;
    void *memory;
    buf_init(&b);
    assert_int_equal(output_msg_list_encode(&in, 1, &b), 0);
    assert_int_equal(output_msg_list_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_int_equal(out.items[0].n_dropped, OUTPUT_DROPS);
    output_msg_free(memory);
    buf_free(&b);
}

static void test_events(void **state)
{
    (void)state;
    const struct output_status gone = {.name = "gone"};
    const struct output_event in[] = {{.output = &archive, .initial = true},
                                      {.output = &gone, .removed = true}};
    struct output_event out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(output_msg_event_encode(&in[0], &b), 0);
    assert_int_equal(output_msg_event_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_true(out.initial && !out.removed);
    assert_archive(out.output);
    output_msg_free(memory);
    buf_reset(&b);
    assert_int_equal(output_msg_event_encode(&in[1], &b), 0);
    assert_int_equal(output_msg_event_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_true(!out.initial && out.removed);
    assert_string_equal(out.output->name, "gone");
    output_msg_free(memory);
    buf_free(&b);
    assert_int_equal(output_msg_event_decode("\x10\x01", 2, &out, &memory, &e), ERR_MALFORMED);
    assert_says(e, "OutputEvent: it has no output");
    assert_null(memory);
    assert_null(out.output);
}

static void test_state(void **state)
{
    (void)state;
    const struct output_status *out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(output_msg_state_encode(&archive, &b), 0);
    assert_int_equal(output_msg_state_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_archive(out);
    output_msg_free(memory);
    assert_int_equal(output_msg_state_decode(b.data, b.len - 1, &out, &memory, &e), ERR_MALFORMED);
    assert_null(out);
    assert_null(memory);
    buf_reset(&b);
    assert_int_equal(output_msg_state_encode(NULL, &b), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(output_msg_state_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_null(out);
    output_msg_free(memory);
    buf_free(&b);
}

static void test_test(void **state)
{
    (void)state;
    const struct output_test in = {
        .delivered = true, .error = "perhaps", .bytes = 2, .duration_ns = UINT64_MAX};
    const struct output_test failed = {0};
    struct output_test out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(output_msg_test_encode(&in, &b), 0);
    assert_int_equal(output_msg_test_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_true(out.delivered && out.bytes == 2 && out.duration_ns == UINT64_MAX);
    assert_string_equal(out.error, "perhaps");
    output_msg_free(memory);
    buf_reset(&b);
    assert_int_equal(output_msg_test_encode(&failed, &b), 0);
    assert_int_equal(output_msg_test_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_false(out.delivered);
    assert_string_equal(out.error, "");
    output_msg_free(memory);
    buf_free(&b);
    assert_int_equal(output_msg_test_decode(NULL, 0, &out, &memory, &e), ERR_MALFORMED);
    assert_says(e, "TestResponse: it has no test");
    assert_null(memory);
}

/* ---- One codec for the messages that have the same form ---- */

#define assert_name_of(type, bytes)                                                                          \
    do {                                                                                                     \
        upb_Arena *arena = upb_Arena_New();                                                                  \
        xtcp_output_v1_##type *m = xtcp_output_v1_##type##_parse((bytes).data, (bytes).len, arena);          \
        assert_non_null(m);                                                                                  \
        upb_StringView text = xtcp_output_v1_##type##_name(m);                                               \
        assert_int_equal(text.size, 7);                                                                      \
        assert_memory_equal(text.data, "archive", 7);                                                        \
        upb_Arena_Free(arena);                                                                               \
    } while (0)

#define assert_rows_of(type, bytes)                                                                          \
    do {                                                                                                     \
        upb_Arena *arena = upb_Arena_New();                                                                  \
        xtcp_output_v1_##type *m = xtcp_output_v1_##type##_parse((bytes).data, (bytes).len, arena);          \
        assert_non_null(m);                                                                                  \
        assert_true(xtcp_output_v1_##type##_has_output(m));                                                  \
        assert_int_equal(xtcp_output_v1_OutputStatus_rows_taken(xtcp_output_v1_##type##_output(m)), 4);      \
        upb_Arena_Free(arena);                                                                               \
    } while (0)

static void test_messages_of_the_same_form(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_int_equal(output_msg_request_encode("archive", &b), 0);
    assert_name_of(PauseRequest, b);
    assert_name_of(ResumeRequest, b);
    assert_name_of(FlushRequest, b);
    assert_name_of(TestRequest, b);
    buf_reset(&b);
    assert_int_equal(output_msg_state_encode(&archive, &b), 0);
    assert_rows_of(PauseResponse, b);
    assert_rows_of(ResumeResponse, b);
    assert_rows_of(FlushResponse, b);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request), cmocka_unit_test(test_request_that_is_wrong),
        cmocka_unit_test(test_list),    cmocka_unit_test(test_list_of_reasons_is_bounded),
        cmocka_unit_test(test_events),  cmocka_unit_test(test_state),
        cmocka_unit_test(test_test),    cmocka_unit_test(test_messages_of_the_same_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
