/* The requests of ConfigService that change no configuration. */
#include "rpc_config_test.h"

static const int64_t s = 1000000000;

static int burst(const struct config_msg_burst *in, int64_t timeout, struct config_msg_burst *out,
                 struct err *e)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(config_burst_request(in, &b), 0);
    int rc = config_msg_decode_burst(b.data, b.len, timeout, out, e);
    buf_free(&b);
    return rc;
}

static void test_burst(void **state)
{
    (void)state;
    struct config_msg_burst in = {.count = 1000, .interval_ns = 3600 * s, .replace = true}, out;
    struct err e;
    assert_int_equal(burst(&in, 2 * s, &out, &e), 0);
    assert_int_equal(out.count, 1000);
    assert_true(out.interval_ns == 3600 * s && out.replace);
    in = (struct config_msg_burst){.count = 1, .interval_ns = s};
    assert_int_equal(burst(&in, s - 1, &out, &e), 0);
    assert_false(out.replace);
    assert_int_equal(burst(&in, s, &out, &e), ERR_RANGE);
    assert_says(e, "interval: value \"1s\" must be more than poll_timeout, which is \"1s\"");
    in.interval_ns = s - 1;
    assert_int_equal(burst(&in, 0, &out, &e), ERR_RANGE);
    assert_says(e, "interval: value \"0.999999999s\" is out of range; allowed at least 1s, at most 3600s");
    in.interval_ns = 3600 * s + 1;
    assert_int_equal(burst(&in, 0, &out, &e), ERR_RANGE);
    in.interval_ns = s;
    in.count = 0;
    assert_int_equal(burst(&in, 0, &out, &e), ERR_RANGE);
    assert_says(e, "count: value \"0\" is out of range; allowed 1 to 1000");
    in.count = 1001;
    assert_int_equal(burst(&in, 0, &out, &e), ERR_RANGE);
    assert_int_equal(config_msg_decode_burst("\x50\x01", 2, 0, &out, &e), ERR_RANGE);
    assert_says(e, "interval: is required");
    assert_int_equal(config_msg_decode_burst("\x50", 1, 0, &out, &e), ERR_MALFORMED);
}

static void test_burst_replies(void **state)
{
    (void)state;
    struct config_msg_burst in = {.count = 7, .interval_ns = s + 5}, out;
    struct err e;
    struct buf b;
    uint32_t cancelled;
    buf_init(&b);
    assert_int_equal(config_msg_encode_burst_reply(&in, &b), 0);
    assert_int_equal(config_burst_reply_decode(b.data, b.len, &out, &e), 0);
    assert_int_equal(out.count, 7);
    assert_true(out.interval_ns == s + 5);
    assert_int_equal(config_burst_reply_decode(b.data, b.len - 1, &out, &e), ERR_MALFORMED);
    buf_reset(&b);
    assert_int_equal(config_msg_encode_cancel_reply(12, &b), 0);
    put_number(&b, 77, 1); /* of a newer daemon */
    assert_int_equal(config_cancel_reply_decode(b.data, b.len, &cancelled, &e), 0);
    assert_int_equal(cancelled, 12);
    assert_int_equal(config_cancel_reply_decode(NULL, 0, &cancelled, &e), 0);
    assert_int_equal(cancelled, 0);
    buf_free(&b);
}

static int s3(int64_t interval, uint32_t bytes, struct config_msg_s3 *out, struct err *e)
{
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    XtcpConfig__V1__SetS3UploadRequest m = XTCP_CONFIG__V1__SET_S3_UPLOAD_REQUEST__INIT;
    uint8_t wire[64];
    d.seconds = interval / s;
    d.nanos = (int32_t)(interval % s);
    m.s3_flush_interval = interval ? &d : NULL;
    m.s3_parquet_flush_threshold_bytes = bytes;
    return config_msg_decode_s3(wire, protobuf_c_message_pack(&m.base, wire), out, e);
}

static void test_s3_upload(void **state)
{
    (void)state;
    struct config_msg_s3 out;
    struct err e;
    assert_int_equal(s3(60 * s, 0, &out, &e), 0);
    assert_true(out.flush_interval_ns == 60 * s && out.flush_threshold_bytes == 0);
    assert_int_equal(s3(0, 1, &out, &e), 0);
    assert_true(out.flush_interval_ns == 0 && out.flush_threshold_bytes == 1);
    assert_int_equal(s3(0, 0, &out, &e), ERR_RANGE);
    assert_says(e, "at least one must be above 0");
    assert_int_equal(s3(-s, 1, &out, &e), ERR_RANGE);
    assert_says(e, "s3_flush_interval: value \"-1s\" is out of range; allowed at least 0s");
}

/* ---- Replies with a configuration ---- */

static void test_reply_from_a_newer_daemon(void **state)
{
    (void)state;
    struct buf config, reply;
    struct config_reply *r;
    buf_init(&config);
    buf_init(&reply);
    put_number(&config, 1000, 9);
    put_text(&config, 1002, "new");
    put_bytes(&reply, 1, config.data, config.len);
    put_text(&reply, 101, "new");
    assert_int_equal(config_reply_decode(reply.data, reply.len, &r, NULL), 0);
    assert_int_equal(config_reply_generation(r), 9);
    assert_true(config_reply_poll_frequency(r) == 0);
    size_t n;
    config_reply_changed(r, &n);
    assert_int_equal(n, 0);
    struct buf json;
    buf_init(&json);
    assert_int_equal(config_reply_json(r, &json), 0);
    assert_string_equal(buf_cstr(&json), "{\n  \"generation\": \"9\"\n}\n");
    buf_free(&json);
    config_reply_free(r);
    buf_free(&reply);
    buf_free(&config);
}

static void test_bad_replies(void **state)
{
    (void)state;
    struct config_reply *r;
    struct err e;
    assert_int_equal(config_reply_decode(NULL, 0, &r, &e), ERR_MALFORMED);
    assert_says(e, "holds no configuration");
    assert_null(r);
    assert_int_equal(config_reply_decode("\x0a\x05", 2, &r, &e), ERR_MALFORMED);
    assert_int_equal(config_reply_decode("\x0a\x00\x0a\x00", 4, &r, &e), ERR_DUPLICATE);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),       cmocka_unit_test(test_burst_replies),
        cmocka_unit_test(test_s3_upload),   cmocka_unit_test(test_reply_from_a_newer_daemon),
        cmocka_unit_test(test_bad_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
