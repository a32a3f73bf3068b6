/* The forms of records, pinned by golden files, and their output for hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/err.h"
#include "lib/wire.h"
#include "outputs/format/format.h"
#include "record/envelope.h"
#include "record/record.h"

#define GOLDEN      XTCP_SOURCE_DIR "/tests/data/golden/"
#define GOLDEN_ROWS 7

static void read_file(struct buf *b, const char *path)
{
    char block[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s cannot be read", path);
    buf_init(b);
    for (size_t n; (n = fread(block, 1, sizeof(block), f)) > 0;)
        buf_bytes(b, block, n);
    fclose(f);
    assert_false(b->failed);
}

static struct format_writer *writer(const char *name)
{
    struct format_writer *w;
    assert_int_equal(format_writer_new(format_by_name(name), NULL, 0, &w), 0);
    return w;
}

static void expect_golden(const char *name)
{
    char path[256];
    struct buf in, out, golden;
    struct format_writer *w = writer(name);
    snprintf(path, sizeof(path), GOLDEN "records.%s", name);
    read_file(&in, GOLDEN "records.pb");
    buf_init(&out);
    format_begin(w, &out, true);
    assert_int_equal(format_envelope(w, &out, (const uint8_t *)in.data, in.len), GOLDEN_ROWS);
    format_end(w, &out);
    if (getenv("XTCP_UPDATE")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
        assert_int_equal(fclose(f), 0);
    }
    read_file(&golden, path);
    assert_string_equal(buf_cstr(&out), buf_cstr(&golden));
    assert_int_equal(out.len, golden.len);

    /* record by record it is the same */
    struct wire rows = wire_over(in.data, in.len);
    const uint8_t *record;
    size_t n;
    buf_reset(&out);
    format_writer_free(w);
    w = writer(name);
    format_begin(w, &out, true);
    while (envelope_next(&rows, &record, &n) > 0)
        assert_int_equal(format_record(w, &out, record, n), 0);
    format_end(w, &out);
    assert_string_equal(buf_cstr(&out), buf_cstr(&golden));
    buf_free(&in);
    buf_free(&out);
    buf_free(&golden);
    format_writer_free(w);
}

static void jsonl_is_pinned(void **state)
{
    (void)state;
    expect_golden("jsonl");
}

static void protojson_is_pinned(void **state)
{
    (void)state;
    expect_golden("protojson");
}

static void protojson_envelope_is_pinned(void **state)
{
    (void)state;
    expect_golden("protojson-envelope");
}

static void humanize_is_pinned(void **state)
{
    (void)state;
    expect_golden("humanize");
}

/* The output of the Go daemon for these values. */
static void humanize_is_that_of_the_go_daemon(void **state)
{
    (void)state;
    struct format_writer *w = writer("humanize");
    static uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}, any[16];
    record_message r = XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
    struct buf out;
    buf_init(&out);
    r.hostname = "h\"1,<&>\xe2\x80\xa8\xc3\xa9";
    r.netns_inode = 4026532180;
    r.inet_diag_msg_family = 10;
    r.inet_diag_msg_state = 10;
    r.inet_diag_msg_socket_source = (ProtobufCBinaryData){16, mapped};
    r.inet_diag_msg_socket_destination = (ProtobufCBinaryData){16, any};
    r.tcp_info_state = 99;
    r.congestion_algorithm_enum = 1;
    r.timestamp_ns = 1700000000120000000;
    format_message(w, &out, &r);
    r = (record_message)XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
    r.timestamp_ns = 1700000000000000000;
    format_message(w, &out, &r);
    assert_string_equal(
        buf_cstr(&out),
        "{\"congestionAlgorithmEnum\":\"CUBIC\",\"hostname\":\"h\\\"1,\\u003c\\u0026\\u003e\\u2028\xc3\xa9\","
        "\"inetDiagMsgFamily\":10,\"inetDiagMsgSocketDestination\":\"::\","
        "\"inetDiagMsgSocketSource\":\"1.2.3.4\",\"inetDiagMsgState\":\"LISTEN\","
        "\"netnsInode\":\"4026532180\",\"tcpInfoState\":99,\"timestampNs\":\"2023-11-14T22:13:20.12Z\"}\n"
        "{\"timestampNs\":\"2023-11-14T22:13:20Z\"}\n");
    buf_free(&out);
    format_writer_free(w);
}

static void prototext_is_pinned(void **state)
{
    (void)state;
    expect_golden("prototext");
}

static void csv_is_pinned(void **state)
{
    (void)state;
    expect_golden("csv");
}

static void tsv_is_pinned(void **state)
{
    (void)state;
    expect_golden("tsv");
}

/* No byte that a terminal acts on leaves a text form, whatever comes in. */
static void no_control_characters_pass(void **state)
{
    (void)state;
    char every[256];
    for (int i = 1; i < 256; i++)
        every[i - 1] = (char)i;
    every[255] = '\0';
    struct record_context c = {
        .netns = every, .hostname = "\xc2\x80\xc2\x9b\xc2\x9f", .label = "\x7f\x1b]0;x\x07"};
    struct record_frame frame;
    struct record_source s = {.data[PART_CONG] = (const uint8_t *)"\x1b[2J", .len[PART_CONG] = 4};
    static uint8_t row[RECORD_ROW_MAX];
    c.groups = GROUPS_DEFAULT;
    assert_int_equal(record_frame_init(&frame, &c), 0);
    size_t n = record_encode(&frame, &s, 0, row);
    for (size_t i = 0; i < format_count; i++) {
        struct buf out;
        struct format_writer *w = writer(formats[i]->name);
        buf_init(&out);
        assert_int_equal(format_envelope(w, &out, row, n), 1);
        for (size_t k = 0; k < out.len && !(formats[i]->flags & FORMAT_BINARY); k++) {
            uint8_t byte = (uint8_t)out.data[k];
            bool c1 = byte == 0xc2 && k + 1 < out.len && (uint8_t)out.data[k + 1] < 0xa0;
            bool separator = byte == '\t' && formats[i] == format_by_name("tsv");
            assert_false((byte < 0x20 && byte != '\n' && !separator) || byte == 0x7f || c1);
            assert_true(byte != '\n' || k == out.len - 1 || formats[i] == format_by_name("prototext"));
        }
        buf_free(&out);
        format_writer_free(w);
    }
}

static void proto_is_envelopes_with_their_length(void **state)
{
    (void)state;
    struct buf in, out;
    struct format_writer *w = writer("protobuf-list");
    read_file(&in, GOLDEN "records.pb");
    buf_init(&out);
    format_begin(w, &out, true);
    assert_int_equal(format_envelope(w, &out, (const uint8_t *)in.data, in.len), GOLDEN_ROWS);
    uint64_t len = 0;
    size_t n = varint_get((const uint8_t *)out.data, out.len, &len);
    assert_int_equal(len, in.len);
    assert_int_equal(out.len, n + in.len);
    assert_memory_equal(out.data + n, in.data, in.len);

    /* a single record is an envelope of its own */
    struct wire rows = wire_over(in.data, in.len);
    const uint8_t *record;
    size_t record_len;
    assert_int_equal(envelope_next(&rows, &record, &record_len), 1);
    size_t row_len = (size_t)(rows.at - (const uint8_t *)in.data);
    buf_reset(&out);
    assert_int_equal(format_record(w, &out, record, record_len), 0);
    n = varint_get((const uint8_t *)out.data, out.len, &len);
    assert_int_equal(len, row_len);
    assert_memory_equal(out.data + n, in.data, row_len);
    buf_free(&in);
    buf_free(&out);
    format_writer_free(w);
}

/* Bytes that are not UTF-8, which protobuf allows in no text, and characters that nobody sees. */
static void hostile_texts(void **state)
{
    (void)state;
    static const struct {
        const char *format, *want;
    } cases[] = {
        {"tsv", "a\\\\\\xFF\\xC3\\x1B\\x7F\\xC2\\x9B\\xE2\\x80\\xAEb\xc3\xa9\\t\\n\\r\n"},
        {"csv", "a\\\xef\xbf\xbd\xef\xbf\xbd\\u001b\\u007f\\u009b\\u202eb\xc3\xa9\\u0009\\u000a\\u000d\n"},
        {"prototext",
         "row: {\n  netns: \"a\\\\\xef\xbf\xbd\xef\xbf\xbd\\033\\177\\302\\233\\342\\200\\256b\xc3\xa9\\t\\n\\r\"\n}\n"},
        {"humanize",
         "{\"netns\":\"a\\\\\xef\xbf\xbd\xef\xbf\xbd\\u001b\\u007f\\u009b\\u202eb\xc3\xa9\\t\\n\\r\"}\n"},
    };
    const struct record_field *column = &record_fields[FIELD_netns];
    record_message r = XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
    r.netns = "a\\\xff\xc3\x1b\x7f\xc2\x9b\xe2\x80\xae"
              "b\xc3\xa9\t\n\r";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct format_writer *w;
        struct buf out;
        buf_init(&out);
        assert_int_equal(format_writer_new(format_by_name(cases[i].format), &column, 1, &w), 0);
        format_message(w, &out, &r);
        assert_string_equal(buf_cstr(&out), cases[i].want);
        buf_free(&out);
        format_writer_free(w);
    }
}

/* A field that the contract does not have yet stays in the record, unless columns are chosen. */
static void unknown_fields_are_kept(void **state)
{
    (void)state;
    static const uint8_t netns[] = {0xf2, 0x01, 4, 'b', 'l', 'u', 'e'};
    static const uint8_t record[] = {0xf2, 0x01, 4, 'b', 'l', 'u', 'e', 0xf8, 0xff, 0x03, 5};
    const struct record_field *column = &record_fields[FIELD_netns];
    static const struct {
        const char *format;
        size_t prefix;
    } cases[] = {{"protobuf-delimited", 1}, {"protobuf-list", 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int chosen = 0; chosen < 2; chosen++) {
            struct format_writer *w;
            struct buf out;
            size_t n = chosen ? sizeof(netns) : sizeof(record);
            buf_init(&out);
            assert_int_equal(format_writer_new(format_by_name(cases[i].format), chosen ? &column : NULL,
                                               (size_t)chosen, &w),
                             0);
            assert_int_equal(format_record(w, &out, record, sizeof(record)), 0);
            assert_int_equal(out.len, cases[i].prefix + n);
            assert_int_equal(out.data[cases[i].prefix - 1], n);
            assert_memory_equal(out.data + cases[i].prefix, record, n);
            buf_free(&out);
            format_writer_free(w);
        }
    }
}

static void columns_are_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
    } cases[] = {
        {"csv", "inet_diag_msg_state,netns,timestamp_ns\nESTABLISHED,blue,1767225600000000042\n"},
        {"tsv", "inet_diag_msg_state\tnetns\ttimestamp_ns\nESTABLISHED\tblue\t1767225600000000042\n"},
        {"json",
         "[\n{\"timestamp\":\"2026-01-01T00:00:00.000000042Z\",\"inet_diag_msg_state\":\"ESTABLISHED\","
         "\"netns\":\"blue\",\"timestamp_ns\":1767225600000000042},\n{"},
        {"jsonl", "{\"timestamp\":\"2026-01-01T00:00:00.000000042Z\",\"inet_diag_msg_state\":\"ESTABLISHED\","
                  "\"netns\":\"blue\",\"timestamp_ns\":1767225600000000042}\n"},
        {"protojson",
         "{\"inetDiagMsgState\":1,\"netns\":\"blue\",\"timestampNs\":\"1767225600000000042\"}\n"},
        {"humanize", "{\"inetDiagMsgState\":\"ESTABLISHED\",\"netns\":\"blue\","
                     "\"timestampNs\":\"2026-01-01T00:00:00.000000042Z\"}\n"},
        {"msgpack", "\x83\xb3inet_diag_msg_state\x01\xa5netns\xa4"
                    "blue"
                    "\xac"
                    "timestamp_ns\xcf\x18\x86\x72\x51\xed\xfa\x00\x2a"},
        {"prototext", "row: {\n  inet_diag_msg_state: 1\n  netns: \"blue\"\n"
                      "  timestamp_ns: 1767225600000000042\n}\nrow: {"},
        {"protojson-envelope",
         "{\"row\":[{\"inetDiagMsgState\":1,\"netns\":\"blue\",\"timestampNs\":\"1767225600000000042\"},{"},
    };
    const struct record_field *columns[] = {
        &record_fields[FIELD_inet_diag_msg_state],
        &record_fields[FIELD_netns],
        &record_fields[FIELD_timestamp_ns],
    };
    struct buf in;
    read_file(&in, GOLDEN "records.pb");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct format_writer *w;
        struct buf out;
        buf_init(&out);
        assert_int_equal(format_writer_new(format_by_name(cases[i].format), columns, 3, &w), 0);
        format_begin(w, &out, true);
        assert_int_equal(format_envelope(w, &out, (const uint8_t *)in.data, in.len), GOLDEN_ROWS);
        assert_memory_equal(buf_cstr(&out), cases[i].text, strlen(cases[i].text));
        buf_free(&out);
        format_writer_free(w);
    }
    struct format_writer *w;
    assert_int_equal(format_writer_new(format_by_name("null"), columns, 3, &w), ERR_UNSUPPORTED);
    assert_null(w);
    buf_free(&in);
}

/* If a record tells which zeros the kernel sent, they are printed; a value that it did not send is empty. */
static void zeros_are_told_from_what_is_absent(void **state)
{
    (void)state;
    static const struct {
        const char *format, *tells, *time_wait, *silent;
    } cases[] = {
        {"csv", "0,40,,0,0,,,0", ",,,,,,,0", ",,,,,,,4096"},
        {"tsv", "0\t40\t\t0\t0\t\t\t0", "\t\t\t\t\t\t\t0", "\t\t\t\t\t\t\t4096"},
        {"jsonl",
         "{\"tcp_info_total_retrans\":0,\"tcp_info_rtt\":40,\"sk_mem_info_drops\":0,\"mark\":0,"
         "\"inet_diag_msg_wqueue\":0}",
         "{\"inet_diag_msg_wqueue\":0}", "{\"inet_diag_msg_wqueue\":4096}"},
        {"protojson", "{\"tcpInfoRtt\":40}", "{}", "{\"inetDiagMsgWqueue\":4096}"},
    };
    static const uint16_t ids[] = {FIELD_tcp_info_total_retrans,
                                   FIELD_tcp_info_rtt,
                                   FIELD_tcp_info_rcv_wnd,
                                   FIELD_sk_mem_info_drops,
                                   FIELD_mark,
                                   FIELD_traffic_class,
                                   FIELD_congestion_algorithm_enum,
                                   FIELD_inet_diag_msg_wqueue};
    const struct record_field *columns[sizeof(ids) / sizeof(ids[0])];
    struct buf in;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        columns[i] = &record_fields[ids[i]];
    read_file(&in, GOLDEN "records.pb");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct format_writer *w;
        struct buf out;
        char *lines[GOLDEN_ROWS], *next;
        buf_init(&out);
        assert_int_equal(
            format_writer_new(format_by_name(cases[i].format), columns, sizeof(ids) / sizeof(ids[0]), &w), 0);
        assert_int_equal(format_envelope(w, &out, (const uint8_t *)in.data, in.len), GOLDEN_ROWS);
        buf_cstr(&out);
        next = out.data;
        for (size_t k = 0; k < GOLDEN_ROWS; k++)
            lines[k] = strsep(&next, "\n");
        assert_non_null(next);
        assert_string_equal(lines[1], cases[i].silent);
        assert_string_equal(lines[5], cases[i].tells);
        assert_string_equal(lines[6], cases[i].time_wait);
        buf_free(&out);
        format_writer_free(w);
    }
    buf_free(&in);
}

/* Only the chosen columns of the first golden record stay; without columns it is left as it came. */
static void proto_is_cut(void **state)
{
    (void)state;
    const struct record_field *columns[] = {&record_fields[FIELD_netns],
                                            &record_fields[FIELD_inet_diag_msg_state]};
    struct record_reader reader = {0};
    const record_message *r;
    struct buf in, out;
    const uint8_t *record;
    size_t n;
    read_file(&in, GOLDEN "records.pb");
    struct wire rows = wire_over(in.data, in.len);
    assert_int_equal(envelope_next(&rows, &record, &n), 1);
    assert_int_equal(record_unpack(&reader, record, n, &r), 0);
    for (int chosen = 0; chosen < 2; chosen++) {
        struct format_writer *w;
        const uint8_t *row;
        size_t row_len;
        uint64_t len = 0;
        buf_init(&out);
        assert_int_equal(
            format_writer_new(format_by_name("protobuf-list"), chosen ? columns : NULL, chosen ? 2 : 0, &w),
            0);
        format_both(w, &out, r, record, n);
        size_t prefix = varint_get((const uint8_t *)out.data, out.len, &len);
        assert_int_equal(prefix + len, out.len);
        struct wire one = wire_over(out.data + prefix, len);
        assert_int_equal(envelope_next(&one, &row, &row_len), 1);
        if (chosen) {
            static const uint8_t want[] = {0xf2, 0x01, 4, 'b', 'l', 'u', 'e', 0xd0, 0x3e, 1};
            assert_int_equal(row_len, sizeof(want));
            assert_memory_equal(row, want, sizeof(want));
        } else {
            assert_int_equal(row_len, n);
            assert_memory_equal(row, record, n);
        }
        assert_int_equal(envelope_next(&one, &row, &row_len), 0);
        format_writer_free(w);
        buf_free(&out);
    }
    record_reader_free(&reader);
    buf_free(&in);
}

/* The text of two golden records in |name| with two labels, the first of which the second record has not. */
static void labelled(const char *name, bool header, const char *want)
{
    const struct record_field *columns[] = {&record_fields[FIELD_netns]};
    struct record_reader reader = {0};
    const record_message *r;
    struct format_writer *w;
    struct buf in, out;
    const uint8_t *record;
    size_t n;
    read_file(&in, GOLDEN "records.pb");
    struct wire rows = wire_over(in.data, in.len);
    assert_int_equal(envelope_next(&rows, &record, &n), 1);
    assert_int_equal(record_unpack(&reader, record, n, &r), 0);
    assert_int_equal(format_writer_new(format_by_name(name), columns, 1, &w), 0);
    buf_init(&out);
    format_add_label(w, "node");
    format_add_label(w, "time");
    format_begin(w, &out, header);
    format_set_label(w, 0, "a,\"\t\x1b\xe2\x80\x8f", 8);
    format_set_label(w, 1, "now", 3);
    format_message(w, &out, r);
    format_set_label(w, 0, NULL, 0);
    format_message(w, &out, r);
    format_end(w, &out);
    assert_string_equal(buf_cstr(&out), want);
    record_reader_free(&reader);
    buf_free(&in);
    buf_free(&out);
    format_writer_free(w);
}

/* Each number in the shortest form that MessagePack has for it. */
static void numbers_of_msgpack_are_short(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *bytes;
        size_t n;
    } cases[] = {
        {1, "\x01", 1},
        {127, "\x7f", 1},
        {128, "\xcc\x80", 2},
        {255, "\xcc\xff", 2},
        {256, "\xcd\x01\x00", 3},
        {65535, "\xcd\xff\xff", 3},
        {65536, "\xce\x00\x01\x00\x00", 5},
        {4294967295, "\xce\xff\xff\xff\xff", 5},
        {4294967296, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9},
        {-1, "\xff", 1},
        {-32, "\xe0", 1},
        {-33, "\xd0\xdf", 2},
        {-128, "\xd0\x80", 2},
        {-129, "\xd1\xff\x7f", 3},
        {-32769, "\xd2\xff\xff\x7f\xff", 5},
        {INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
    };
    static const char key[] = "\x81\xactimestamp_ns";
    struct format_writer *w = writer("msgpack");
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record_message r = XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
        r.timestamp_ns = cases[i].number;
        buf_reset(&out);
        format_message(w, &out, &r);
        assert_int_equal(out.len, sizeof(key) - 1 + cases[i].n);
        assert_memory_equal(out.data, key, sizeof(key) - 1);
        assert_memory_equal(out.data + sizeof(key) - 1, cases[i].bytes, cases[i].n);
    }
    buf_free(&out);
    format_writer_free(w);
}

static void labels_stand_in_front(void **state)
{
    (void)state;
    labelled("csv", true, "node,time,netns\n\"a,\"\"\\u0009\\u001b\\u200f\",now,blue\n,now,blue\n");
    labelled("csv", false, "\"a,\"\"\\u0009\\u001b\\u200f\",now,blue\n,now,blue\n");
    labelled("tsv", true, "node\ttime\tnetns\na,\"\\t\\x1B\\xE2\\x80\\x8F\tnow\tblue\n\tnow\tblue\n");
    labelled("jsonl", true,
             "{\"node\":\"a,\\\"\\t\\u001b\\u200f\",\"time\":\"now\",\"netns\":\"blue\"}\n"
             "{\"time\":\"now\",\"netns\":\"blue\"}\n");
    labelled("json", false,
             "[\n{\"node\":\"a,\\\"\\t\\u001b\\u200f\",\"time\":\"now\",\"netns\":\"blue\"},\n"
             "{\"time\":\"now\",\"netns\":\"blue\"}\n]\n");
    labelled("msgpack", true,
             "\x83\xa4node\xa8"
             "a,\"\t\x1b\xe2\x80\x8f\xa4time\xa3now\xa5netns\xa4"
             "blue"
             "\x82\xa4time\xa3now\xa5netns\xa4"
             "blue");
    labelled("protojson", true, "{\"netns\":\"blue\"}\n{\"netns\":\"blue\"}\n");
    labelled("prototext", true, "row: {\n  netns: \"blue\"\n}\nrow: {\n  netns: \"blue\"\n}\n");
    labelled("protojson-envelope", true, "{\"row\":[{\"netns\":\"blue\"},{\"netns\":\"blue\"}]}\n");
}

/* A list without records is one as well. */
static void an_empty_list(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"json", "[\n]\n"}, {"protojson-envelope", "{\"row\":[]}\n"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct format_writer *w = writer(cases[i][0]);
        struct buf out;
        buf_init(&out);
        format_begin(w, &out, true);
        format_end(w, &out);
        assert_string_equal(buf_cstr(&out), cases[i][1]);
        buf_free(&out);
        format_writer_free(w);
    }
}

static void broken_bytes_are_errors(void **state)
{
    (void)state;
    static const uint8_t bad_row[] = {0x52, 0x02, 0x08, 0x01, 0x52, 0x02, 0x08, 0xff};
    static const uint8_t cut[] = {0x52, 0x02, 0x08, 0x01, 0x52, 0x7f, 0x08};
    for (size_t i = 0; i < format_count; i++) {
        struct buf out;
        struct format_writer *w = writer(formats[i]->name);
        buf_init(&out);
        assert_int_equal(format_envelope(w, &out, cut, sizeof(cut)), ERR_TRUNCATED);
        if (!formats[i]->envelope) {
            buf_reset(&out);
            assert_int_equal(format_envelope(w, &out, bad_row, sizeof(bad_row)), ERR_MALFORMED);
            assert_true(out.len > 0); /* what came before it is there */
        } else {
            assert_int_equal(out.len, 0);
        }
        assert_int_equal(format_record(w, &out, bad_row + 6, 2), ERR_MALFORMED);
        assert_int_equal(format_envelope(w, &out, NULL, 0), 0);
        buf_free(&out);
        format_writer_free(w);
    }
}

static void registry(void **state)
{
    (void)state;
    for (size_t i = 0; i < format_count; i++)
        assert_ptr_equal(format_by_name(formats[i]->name), formats[i]);
    assert_ptr_equal(format_by_name("proto"), format_by_name("protobuf-list"));
    assert_null(format_by_name("JSONL"));
    assert_null(format_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonl_is_pinned),
        cmocka_unit_test(protojson_is_pinned),
        cmocka_unit_test(protojson_envelope_is_pinned),
        cmocka_unit_test(humanize_is_pinned),
        cmocka_unit_test(humanize_is_that_of_the_go_daemon),
        cmocka_unit_test(prototext_is_pinned),
        cmocka_unit_test(csv_is_pinned),
        cmocka_unit_test(tsv_is_pinned),
        cmocka_unit_test(no_control_characters_pass),
        cmocka_unit_test(proto_is_envelopes_with_their_length),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(unknown_fields_are_kept),
        cmocka_unit_test(columns_are_chosen),
        cmocka_unit_test(zeros_are_told_from_what_is_absent),
        cmocka_unit_test(proto_is_cut),
        cmocka_unit_test(numbers_of_msgpack_are_short),
        cmocka_unit_test(labels_stand_in_front),
        cmocka_unit_test(an_empty_list),
        cmocka_unit_test(broken_bytes_are_errors),
        cmocka_unit_test(registry),
    };
    return cmocka_run_group_tests_name("outputs", tests, NULL, NULL);
}
