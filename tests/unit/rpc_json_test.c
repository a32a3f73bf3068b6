/* protojson of XtcpConfig, both ways. */
#include "rpc_config_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "rpc/codec/json/msg_json.h"

#define TYPE (&xtcp_config__v1__xtcp_config__descriptor)

static XtcpConfig__V1__XtcpConfig *read_json(const char *text)
{
    ProtobufCMessage *m;
    struct err e;
    if (msg_json_read(TYPE, text, strlen(text), "file", &m, &e) != 0)
        fail_msg("%s", e.text);
    return (XtcpConfig__V1__XtcpConfig *)m;
}

static void refuse(const char *text, int code, const char *part)
{
    ProtobufCMessage *m;
    struct err e = {0};
    int rc = msg_json_read(TYPE, text, strlen(text), "file", &m, &e);
    if (rc != code)
        fail_msg("%s: %d instead of %d: %s", text, rc, code, e.text);
    assert_says(e, part);
    assert_null(m);
}

static void test_names(void **state)
{
    (void)state;
    char name[MSG_JSON_NAME_MAX];
    assert_string_equal(msg_json_name("poll_frequency", name), "pollFrequency");
    assert_string_equal(msg_json_name("s3_parquet_flush_threshold_bytes", name),
                        "s3ParquetFlushThresholdBytes");
    assert_string_equal(msg_json_name("ipv4_ttl", name), "ipv4Ttl");
    assert_string_equal(msg_json_name("dest", name), "dest");
}

static void test_values(void **state)
{
    (void)state;
    XtcpConfig__V1__XtcpConfig *m = read_json(
        "{\"nlTimeoutMilliseconds\": \"18446744073709551615\", \"max_loops\": 12, \"packetSize\": 1e3,"
        " \"netlinkers\": \"4294967295\", \"modulus\": 5.0, \"ioUring\": true, \"populateNsid\": false,"
        " \"label\": \"gr\\u00fcn\", \"tag\": null, \"pollFrequency\": \"1.5s\", \"pollTimeout\": "
        "\"-0.000000001s\","
        " \"kafka_produce_timeout\": null, \"uplinkInterfaces\": [\"eth0\", \"eth1\"], "
        "\"s3_flush_interval\": \"3s\","
        " \"enabledDeserializers\": {\"enabled\": {\"info\": true, \"cong\": false}},"
        " \"options\": {\"log\": {\"level\": \"debug\"}, \"limits\": {}, \"namespaces\": {\"directories\": "
        "{\"path\": []}}}}");
    assert_true(m->nl_timeout_milliseconds == UINT64_MAX && m->max_loops == 12 && m->packet_size == 1000);
    assert_true(m->netlinkers == UINT32_MAX && m->modulus == 5 && m->io_uring && !m->populate_nsid);
    assert_string_equal(m->label, "gr\xc3\xbcn");
    assert_string_equal(m->tag, "");
    assert_true(m->poll_frequency->seconds == 1 && m->poll_frequency->nanos == 500000000);
    assert_true(m->poll_timeout->seconds == 0 && m->poll_timeout->nanos == -1);
    assert_null(m->kafka_produce_timeout);
    assert_int_equal(m->s3_flush_interval->seconds, 3);
    assert_int_equal(m->n_uplink_interfaces, 2);
    assert_string_equal(m->uplink_interfaces[1], "eth1");
    assert_int_equal(m->enabled_deserializers->n_enabled, 2);
    assert_string_equal(m->enabled_deserializers->enabled[0]->key, "info");
    assert_true(m->enabled_deserializers->enabled[0]->value);
    assert_false(m->enabled_deserializers->enabled[1]->value);
    assert_string_equal(m->options->log->level, "debug");
    assert_non_null(m->options->limits);
    assert_null(m->options->listeners);
    assert_int_equal(m->options->namespaces->directories->n_path, 0);
    free_message(m);
    free_message(read_json(" { } \n"));
}

static void test_errors(void **state)
{
    (void)state;
    refuse("", ERR_MALFORMED, "file:1:0: ");
    refuse("{\n \"label\": \n}", ERR_MALFORMED, "file:3:1: ");
    refuse("{} {}", ERR_MALFORMED, "file:1:");
    refuse("[]", ERR_TYPE, "file:1:1: must be an object, not a list");
    refuse("{\"label\": \"a\", \"label\": \"b\"}", ERR_DUPLICATE, "file:1:");
    refuse("{\"pollTimeout\": \"1s\", \"poll_timeout\": \"1s\"}", ERR_DUPLICATE, "both forms of its name");
    refuse("{\"lable\": 1}", ERR_UNKNOWN, "file:1:2: unknown field \"lable\"; did you mean \"label\"?");
    refuse("{\"poll_frequenzy\": 1}", ERR_UNKNOWN, "did you mean \"pollFrequency\"?");
    refuse("{\"options\": {\"log\": {\"lvl\": \"x\"}}}", ERR_UNKNOWN,
           "file:1:22: options.log: unknown field \"lvl\"; did you mean \"level\"?");
    refuse("{\"options\": {\"limits\": {\"callsRteMax\": 1}}}", ERR_UNKNOWN,
           "did you mean \"callsRateMax\"?");
    refuse("{\"completely_different\": 1}", ERR_UNKNOWN, "unknown field \"completely_different\"");
    refuse("{\"label\": 7}", ERR_TYPE, "file:1:2: label: must be a string, not a number");
    refuse("{\"ioUring\": \"true\"}", ERR_TYPE, "ioUring: must be true or false, not a string");
    refuse("{\"ioUring\": 1}", ERR_TYPE, "ioUring");
    refuse("{\"modulus\": true}", ERR_TYPE, "modulus: must be a whole number, not a bool");
    refuse("{\"modulus\": 1.5}", ERR_TYPE, "modulus: must be a whole number");
    refuse("{\"modulus\": \"0x10\"}", ERR_TYPE, "modulus");
    refuse("{\"modulus\": \"\"}", ERR_TYPE, "modulus");
    refuse("{\"modulus\": \"18446744073709551616\"}", ERR_TYPE, "modulus");
    refuse("{\"modulus\": 1e300}", ERR_TYPE, "modulus");
    refuse("{\"modulus\": -1}", ERR_RANGE, "modulus: out of range; allowed 0 to 18446744073709551615");
    refuse("{\"netlinkers\": 4294967296}", ERR_RANGE, "netlinkers: out of range; allowed 0 to 4294967295");
    refuse("{\"pollFrequency\": 5}", ERR_TYPE,
           "pollFrequency: must be a duration such as \"1.5s\", not a number");
    refuse("{\"pollFrequency\": \"5\"}", ERR_TYPE, "pollFrequency");
    refuse("{\"pollFrequency\": \"5m\"}", ERR_TYPE, "pollFrequency");
    refuse("{\"pollFrequency\": \"1.s\"}", ERR_TYPE, "pollFrequency");
    refuse("{\"pollFrequency\": \"1.0000000001s\"}", ERR_TYPE, "pollFrequency");
    refuse("{\"pollFrequency\": \"315576000001s\"}", ERR_TYPE, "pollFrequency");
    refuse("{\"uplinkInterfaces\": \"eth0\"}", ERR_TYPE, "uplinkInterfaces: must be a list, not a string");
    refuse("{\"uplinkInterfaces\": [\"eth0\", null]}", ERR_TYPE,
           "uplinkInterfaces.1: must be a string, not null");
    refuse("{\"enabledDeserializers\": {\"enabled\": {\"info\": 1}}}", ERR_TYPE,
           "enabledDeserializers.enabled.info: must be true or false, not a number");
    refuse("{\"enabledDeserializers\": {\"enabled\": [true]}}", ERR_TYPE, "must be an object, not a list");
    refuse("{\"options\": 1}", ERR_TYPE, "options: must be an object, not a number");
    refuse("{\"label\": \"\xff\"}", ERR_MALFORMED, "file:1:");
    refuse("{\"label\": \"a\\u0000b\"}", ERR_MALFORMED, "file:1:");
}

/* Errors point at the place, whatever stands before it. */
static void test_places(void **state)
{
    (void)state;
    refuse("\n {\"tag\": \"{[\\\"}\",\n\t\"options\" : {\"log\": {}},\n  \"label\": 7}", ERR_TYPE,
           "file:4:3: label: ");
    refuse("{\"tag\": \"\xc3\xa4\xe2\x82\xac\", \"l\\u0061bel\": 7}", ERR_TYPE, "file:1:15: label: ");
    refuse("{\"uplinkInterfaces\":\n [\"a\",\n  null]}", ERR_TYPE, "file:3:3: uplinkInterfaces.1: ");
    refuse("{\"a.b\": 1}", ERR_UNKNOWN, "file:1:2: unknown field \"a.b\"");
    refuse("{\"options\": {\"namespaces\": {},\n \"limits\": {\"queueRows\": -1}}}", ERR_RANGE,
           "file:2:13: options.limits.queueRows: out of range");
    refuse("{\"pollTimeout\": \"1s\",\n\"poll_timeout\": \"1s\"}", ERR_DUPLICATE, "file:");
}

static void test_long_names_and_deep_documents(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"", 2);
    memcpy(text + sizeof(text) - 6, "\": 1}", 6);
    refuse(text, ERR_UNKNOWN, "unknown field \"xxx");
    text[1] = '{';
    memset(text, '[', sizeof(text) - 1);
    refuse(text, ERR_MALFORMED, "file:1:");
    char *large = calloc(1, CONFIG_JSON_MAX + 2);
    struct buf request = {0};
    struct err e = {0};
    assert_non_null(large);
    memset(large, ' ', CONFIG_JSON_MAX + 1);
    assert_int_equal(config_set_request_from_json(large, CONFIG_JSON_MAX + 1, "file", false, &request, &e),
                     ERR_LIMIT);
    assert_string_equal(e.text, "file: 1048577 bytes long, allowed are 1048576");
    buf_free(&request);
    free(large);
}

static void test_text_is_stable(void **state)
{
    (void)state;
    static const char text[] = "{\n"
                               "  \"maxLoops\": \"12\",\n"
                               "  \"pollTimeout\": \"1.500s\",\n"
                               "  \"modulus\": \"3\",\n"
                               "  \"label\": \"a \\\"b\\\"\\n\",\n"
                               "  \"grpcPort\": 8889,\n"
                               "  \"enabledDeserializers\": {\n"
                               "    \"enabled\": {\n"
                               "      \"info\": true,\n"
                               "      \"cong\": false\n"
                               "    }\n"
                               "  },\n"
                               "  \"ioUring\": true,\n"
                               "  \"s3FlushInterval\": \"0s\",\n"
                               "  \"uplinkInterfaces\": [\n"
                               "    \"eth0\",\n"
                               "    \"eth1\"\n"
                               "  ],\n"
                               "  \"options\": {\n"
                               "    \"namespaces\": {\n"
                               "      \"directories\": {}\n"
                               "    }\n"
                               "  }\n"
                               "}\n";
    char shuffled[sizeof(text) + 64];
    snprintf(shuffled, sizeof(shuffled), "%s", text);
    XtcpConfig__V1__XtcpConfig *m = read_json(text);
    struct buf b;
    buf_init(&b);
    assert_int_equal(msg_json_write(&m->base, &b), 0);
    /* Fields come by number: pollTimeout (30) before maxLoops (40). */
    const char *out = buf_cstr(&b);
    assert_true(strstr(out, "pollTimeout") < strstr(out, "maxLoops"));
    XtcpConfig__V1__XtcpConfig *again = read_json(out);
    struct buf c;
    buf_init(&c);
    assert_int_equal(msg_json_write(&again->base, &c), 0);
    assert_string_equal(buf_cstr(&c), out);
    assert_int_equal(strlen(out), strlen(text));
    buf_free(&b);
    buf_free(&c);
    free_message(m);
    free_message(again);
}

static void assert_duration(int64_t seconds, int32_t nanos, const char *text)
{
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    struct buf b;
    d.seconds = seconds;
    d.nanos = nanos;
    m.poll_frequency = &d;
    buf_init(&b);
    assert_int_equal(msg_json_write(&m.base, &b), 0);
    char wanted[80];
    snprintf(wanted, sizeof(wanted), "{\n  \"pollFrequency\": \"%s\"\n}\n", text);
    assert_string_equal(buf_cstr(&b), wanted);
    XtcpConfig__V1__XtcpConfig *back = read_json(b.data);
    assert_true(back->poll_frequency->seconds == seconds && back->poll_frequency->nanos == nanos);
    free_message(back);
    buf_free(&b);
}

static void test_durations(void **state)
{
    (void)state;
    assert_duration(0, 0, "0s");
    assert_duration(5, 0, "5s");
    assert_duration(1, 500000000, "1.500s");
    assert_duration(0, 1000, "0.000001s");
    assert_duration(0, 1, "0.000000001s");
    assert_duration(0, -500000000, "-0.500s");
    assert_duration(-1, -1, "-1.000000001s");
    assert_duration(315576000000, 0, "315576000000s");
    assert_duration(-315576000000, 0, "-315576000000s");
}

/* ---- The configuration's own way: daemon, `get`, `apply`, daemon ---- */

static void test_get_and_apply_change_nothing(void **state)
{
    (void)state;
    struct config *c = new_config();
    assert_int_equal(config_set_string(c, &c->label, "with \"quotes\" and gr\xc3\xbcn"), 0);
    struct buf wire, json, request;
    struct config_reply *reply;
    struct config_msg_set out;
    struct err e;
    buf_init(&wire);
    buf_init(&json);
    buf_init(&request);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &wire), 0);
    assert_int_equal(config_reply_decode(wire.data, wire.len, &reply, &e), 0);
    assert_int_equal(config_reply_json(reply, &json), 0);
    if (config_set_request_from_json(json.data, json.len, "-", true, &request, &e) != 0)
        fail_msg("%s", e.text);
    if (config_msg_apply_set(request.data, request.len, c, &extra, &out, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(out.dry_run);
    assert_int_equal(out.n_changed, 0);
    config_unref(out.candidate);
    config_reply_free(reply);
    buf_free(&wire);
    buf_free(&json);
    buf_free(&request);
    config_unref(c);
}

/* msg_json does integers, bools, strings, messages, lists and maps of these: all that can occur must be among
 * them. */
static void assert_supported(const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        assert_int_not_equal(f->type, PROTOBUF_C_TYPE_ENUM);
        assert_int_not_equal(f->type, PROTOBUF_C_TYPE_BYTES);
        assert_int_not_equal(f->type, PROTOBUF_C_TYPE_FLOAT);
        assert_int_not_equal(f->type, PROTOBUF_C_TYPE_DOUBLE);
        assert_false(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
        assert_true(!repeated || f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE);
        assert_true(strlen(f->name) < MSG_JSON_NAME_MAX);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE)
            assert_supported(f->descriptor);
    }
}

static void test_every_field_is_supported(void **state)
{
    (void)state;
    assert_supported(TYPE);
    const ProtobufCFieldDescriptor *map = protobuf_c_message_descriptor_get_field_by_name(
        &xtcp_config__v1__enabled_deserializers__descriptor, "enabled");
    assert_true(msg_json_is_map(&xtcp_config__v1__enabled_deserializers__descriptor, map));
    assert_false(
        msg_json_is_map(TYPE, protobuf_c_message_descriptor_get_field_by_name(TYPE, "uplink_interfaces")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_long_names_and_deep_documents),
        cmocka_unit_test(test_text_is_stable),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_get_and_apply_change_nothing),
        cmocka_unit_test(test_every_field_is_supported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
