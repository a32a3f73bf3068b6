/* The encoder at its edges: single bytes that can be read off, hostile lengths, the longest row. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
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
#include "record/fields.h"
#include "record/record.h"

static struct record_frame frame;
static uint8_t row[RECORD_ROW_MAX];

static void make_frame(groups_t groups)
{
    struct record_context c = {.netns = "n", .groups = groups};
    assert_int_equal(record_frame_init(&frame, &c), 0);
}

static void set_part(struct record_source *s, enum record_part part, const void *data, size_t n)
{
    s->data[part] = data;
    s->len[part] = (uint16_t)n;
    if (record_part_attributes[part] && n)
        s->attributes |= UINT32_C(1) << record_part_attributes[part];
}

/* The field |number| of the one row in row[] (|n| bytes); 0 when it is not there. */
static int find(size_t n, uint32_t number, struct wire_field *f)
{
    struct wire rows = wire_over(row, n);
    const uint8_t *record;
    size_t len;
    assert_int_equal(envelope_next(&rows, &record, &len), 1);
    assert_true(rows.at == rows.end);
    struct wire w = wire_over(record, len);
    uint32_t last = 0;
    int rc;
    while ((rc = wire_next(&w, f)) > 0) {
        assert_true(f->number > last);
        last = f->number;
        if (f->number == number)
            return 1;
    }
    assert_int_equal(rc, 0);
    return 0;
}

static void expect_number(size_t n, uint32_t number, uint64_t value)
{
    struct wire_field f;
    assert_int_equal(find(n, number, &f), value != 0);
    if (value) {
        assert_int_equal(f.type, WIRE_VARINT);
        assert_true(f.value == value);
    }
}

static void expect_bytes(size_t n, uint32_t number, const void *value, size_t len)
{
    struct wire_field f;
    assert_int_equal(find(n, number, &f), 1);
    assert_int_equal(f.type, WIRE_LEN);
    assert_int_equal(f.len, len);
    assert_memory_equal(f.data, value, len);
}

static void smallest_row(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0x52, 0x0a,             /* Envelope.row: 10 bytes */
        0x08, 0x01,             /* schema_version: 1 */
        0xf2, 0x01, 0x01, 'n',  /* netns */
        0xd8, 0xbb, 0x01, 0x01, /* diag_attributes: none */
    };
    struct record_source s = {0};
    make_frame(GROUPS_DEFAULT);
    assert_int_equal(record_encode(&frame, &s, 0, row), sizeof(expected));
    assert_memory_equal(row, expected, sizeof(expected));
}

static void length_takes_two_bytes_from_128_on(void **state)
{
    (void)state;
    char netns[256];
    struct record_source s = {0};
    for (size_t n = 100; n < 200; n++) {
        memset(netns, 'x', n);
        netns[n] = '\0';
        struct record_context c = {.netns = netns};
        assert_int_equal(record_frame_init(&frame, &c), 0);
        size_t len = record_encode(&frame, &s, 0, row);
        expect_bytes(len, 30, netns, n);
        size_t body = 2 + 2 + (n < 128 ? 1 : 2) + n + 4;
        assert_int_equal(len, body + (body < 128 ? 2 : 3));
    }
}

static void addresses_and_ports(void **state)
{
    (void)state;
    struct inet_diag_msg msg = {.idiag_family = AF_INET,
                                .idiag_state = 10,
                                .id = {.idiag_sport = htons(8889), .idiag_cookie = {0x11223344, 0x55}}};
    struct record_source s = {0};
    uint8_t zeros[16] = {0};
    set_part(&s, PART_MSG, &msg, sizeof(msg));
    make_frame(0);
    size_t n = record_encode(&frame, &s, 7, row);
    expect_number(n, 60, 7);
    expect_number(n, 1001, AF_INET);
    expect_number(n, 1002, 10);
    expect_number(n, 1005, 8889);
    expect_number(n, 1006, 0);
    expect_bytes(n, 1007, zeros, 4); /* sent although all zero */
    expect_bytes(n, 1008, zeros, 4);
    expect_number(n, 1010, 0x5511223344);

    msg.idiag_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", msg.id.idiag_dst), 1);
    n = record_encode(&frame, &s, 7, row);
    expect_bytes(n, 1007, zeros, 16);
    expect_bytes(n, 1008, msg.id.idiag_dst, 16);
}

static void bits_of_tcp_info(void **state)
{
    (void)state;
    uint8_t info[8] = {[6] = 0xa7, [7] = 0xf5};
    struct record_source s = {0};
    set_part(&s, PART_INFO, info, sizeof(info));
    make_frame(GROUPS_DEFAULT);
    size_t n = record_encode(&frame, &s, 0, row);
    expect_number(n, 1207, 7);
    expect_number(n, 1208, 10);
    expect_number(n, 1209, 1);
    expect_number(n, 1210, 2); /* bits 1 and 2 alone */
    expect_number(n, 1215, 0);
}

/* A value that a length cuts in two is not sent, at any length of any part. */
static void cut_parts(void **state)
{
    (void)state;
    make_frame(GROUPS_ALL);
    for (unsigned part = 0; part < PART_COUNT; part++) {
        for (size_t len = 0; len <= 300; len++) {
            uint8_t *data = malloc(len ? len : 1);
            assert_non_null(data);
            memset(data, 0x77, len); /* no value of it is zero */
            struct record_source s = {0};
            set_part(&s, part, len ? data : NULL, len);
            size_t n = record_encode(&frame, &s, 0, row);
            for (unsigned i = 0; i < FIELD_COUNT; i++) {
                const struct record_field *f = &record_fields[i];
                struct wire_field found;
                if (f->from == (int)part && part != PART_CONG && part != PART_DEVICE)
                    assert_int_equal(find(n, f->number, &found), (size_t)f->offset + f->width <= len);
            }
            free(data);
        }
    }
}

static void groups_switch_parts_off(void **state)
{
    (void)state;
    static uint8_t ones[512];
    memset(ones, 0xff, sizeof(ones));
    struct record_source s = {0};
    struct wire_field found;
    for (unsigned part = 0; part < PART_COUNT; part++)
        set_part(&s, part, part == PART_CONG ? (const uint8_t *)"cubic" : ones, part == PART_CONG ? 5 : 300);
    for (int group = -1; group < GROUP_COUNT; group++) {
        groups_t groups = group < 0 ? GROUPS_ALL : GROUPS_ALL & ~GROUP_BIT(group);
        make_frame(groups);
        size_t n = record_encode(&frame, &s, 1, row);
        for (unsigned i = 0; i < FIELD_COUNT; i++) {
            const struct record_field *f = &record_fields[i];
            if (f->from >= 0)
                assert_int_equal(find(n, f->number, &found), group < 0 || f->group != group);
        }
    }
}

static void expect_algorithm(const char *name, size_t len, const char *text, uint32_t value)
{
    char *exact = malloc(len);
    assert_non_null(exact);
    memcpy(exact, name, len);
    struct record_source s = {0};
    set_part(&s, PART_CONG, exact, len);
    size_t n = record_encode(&frame, &s, 0, row);
    struct wire_field f;
    if (text)
        expect_bytes(n, 1300, text, strlen(text));
    else
        assert_int_equal(find(n, 1300, &f), 0);
    expect_number(n, 1301, value);
    free(exact);
}

static void names_of_algorithms(void **state)
{
    (void)state;
    make_frame(GROUPS_DEFAULT);
    expect_algorithm("cubic", 6, "cubic", 1);
    expect_algorithm("cubic", 5, "cubic", 1);
    expect_algorithm("dctcp\0junk", 10, "dctcp", 2);
    expect_algorithm("vegas", 6, "vegas", 3);
    expect_algorithm("prague", 7, "prague", 4);
    expect_algorithm("bbr", 4, "bbr", 5);
    expect_algorithm("bbr", 3, "bbr", 5);
    expect_algorithm("bbr2", 5, "bbr2", 6);
    expect_algorithm("bbr3", 4, "bbr3", 7);
    expect_algorithm("bb", 2, "bb", 0);
    expect_algorithm("bbr1", 5, "bbr1", 0);
    expect_algorithm("reno", 5, "reno", 0);
    expect_algorithm("cubicle", 8, "cubicle", 0);
    expect_algorithm("westwood", 9, "westwood", 0);
    expect_algorithm("", 1, NULL, 0);
    expect_algorithm("\0cubic", 7, NULL, 0);
    expect_algorithm("abcdefghijklmnopqrst", 20, "abcdefghijklmnop", 0);
    expect_algorithm("\xff\xff", 2, "\xef\xbf\xbd\xef\xbf\xbd", 0);
    expect_algorithm("caf\xc3\xa9", 5, "caf\xc3\xa9", 0);
    expect_algorithm("caf\xc3", 4, "caf\xef\xbf\xbd", 0);
}

static void told(groups_t groups, const struct record_source *s, uint32_t attributes, uint32_t info_len)
{
    make_frame(groups);
    size_t n = record_encode(&frame, s, 0, row);
    expect_number(n, 3003, attributes);
    expect_number(n, 3004, info_len);
}

/* The sent attributes are told, at every length of the two numbers; those switched off are not. */
static void what_the_kernel_sent(void **state)
{
    (void)state;
    static uint8_t zeros[65535];
    struct record_source s = {0};
    set_part(&s, PART_MSG, zeros, sizeof(struct inet_diag_msg));
    told(GROUPS_ALL, &s, 1, 0);             /* no attribute, as of TIME_WAIT */
    s.attributes = 1 << INET_DIAG_PROTOCOL; /* without fields */
    told(0, &s, 1 << INET_DIAG_PROTOCOL, 0);
    static const uint16_t lengths[] = {1, 104, 127, 128, 232, 280, 16383, 16384, 65535};
    static const uint32_t attributes[] = {
        0,       1 << INET_DIAG_TOS, 1 << INET_DIAG_CGROUP_ID, 1 << INET_DIAG_SOCKOPT, 1u << 27, 1u << 28,
        1u << 31};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t k = 0; k < sizeof(attributes) / sizeof(attributes[0]); k++) {
            s.attributes = attributes[k];
            set_part(&s, PART_INFO, zeros, lengths[i]);
            told(GROUPS_ALL, &s, attributes[k] | 1 << INET_DIAG_INFO, lengths[i]);
            told(GROUPS_ALL & ~GROUP_BIT(GROUP_INFO), &s, attributes[k] ? attributes[k] : 1, 0);
        }
    }
    s = (struct record_source){0};
    for (unsigned part = PART_MSG + 1; part < PART_COUNT; part++)
        set_part(&s, part, zeros, 36);
    told(0, &s, 1 << INET_DIAG_MARK | 1 << INET_DIAG_SKV6ONLY, 0); /* they cannot be switched off */
    told(GROUPS_ALL, &s, s.attributes, 36);
}

/* Every value as long as it can be: the row stays within the size that callers provide for. */
static void longest_row(void **state)
{
    (void)state;
    static uint8_t ones[65535];
    memset(ones, 0xff, sizeof(ones));
    struct record_source s = {0};
    for (unsigned part = 0; part < PART_COUNT; part++)
        set_part(&s, part, ones, sizeof(ones));
    static char tag[RECORD_FRAME_HEAD_MAX + 1];
    struct record_context c = {.timestamp_ns = -1,
                               .netns_inode = UINT64_MAX,
                               .netns_cookie = UINT64_MAX,
                               .poll_id = UINT64_MAX,
                               .nsid = UINT32_MAX,
                               .event = 1,
                               .tag = tag,
                               .groups = GROUPS_ALL};
    size_t n = sizeof(tag) - 1;
    do {
        assert_true(n > 0);
        memset(tag, 'x', n);
        tag[n--] = '\0';
    } while (record_frame_init(&frame, &c) == ERR_LIMIT);
    assert_int_equal(frame.head_len, RECORD_FRAME_HEAD_MAX);
    uint8_t *exact = malloc(RECORD_ROW_MAX);
    assert_non_null(exact);
    n = record_encode(&frame, &s, UINT64_MAX, exact);
    assert_true(n > RECORD_FRAME_HEAD_MAX && n <= RECORD_ROW_MAX);
    memcpy(row, exact, n);
    expect_number(n, 1239, UINT64_MAX);
    expect_number(n, 3109, 0xffff);
    free(exact);
}

static void frame_refuses_what_does_not_fit(void **state)
{
    (void)state;
    static char longer[4 * RECORD_FRAME_HEAD_MAX];
    memset(longer, 0xff, sizeof(longer) - 1); /* three bytes for each one */
    struct record_context c = {.hostname = longer};
    assert_int_equal(record_frame_init(&frame, &c), ERR_LIMIT);
    longer[RECORD_FRAME_HEAD_MAX / 3 + 1] = '\0';
    assert_int_equal(record_frame_init(&frame, &c), ERR_LIMIT);
    longer[1000] = '\0';
    assert_int_equal(record_frame_init(&frame, &c), 0);
    c.label = longer;
    assert_int_equal(record_frame_init(&frame, &c), ERR_LIMIT);
}

static void frame_makes_strings_utf8(void **state)
{
    (void)state;
    struct record_context c = {
        .netns = "gr\xc3\xbcn", .hostname = "a\xffz", .label = "", .event = 1, .poll_id = 3};
    struct record_source s = {0};
    struct wire_field f;
    assert_int_equal(record_frame_init(&frame, &c), 0);
    size_t n = record_encode(&frame, &s, 0, row);
    expect_bytes(n, 30, "gr\xc3\xbcn", 5);
    expect_bytes(n, 20, "a\xef\xbf\xbdz", 5);
    assert_int_equal(find(n, 50, &f), 0);
    expect_number(n, 3001, 3);
    expect_number(n, 3002, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_row),
        cmocka_unit_test(length_takes_two_bytes_from_128_on),
        cmocka_unit_test(addresses_and_ports),
        cmocka_unit_test(bits_of_tcp_info),
        cmocka_unit_test(cut_parts),
        cmocka_unit_test(groups_switch_parts_off),
        cmocka_unit_test(names_of_algorithms),
        cmocka_unit_test(what_the_kernel_sent),
        cmocka_unit_test(longest_row),
        cmocka_unit_test(frame_refuses_what_does_not_fit),
        cmocka_unit_test(frame_makes_strings_utf8),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
