/* The field table against the .proto (through protobuf-c's descriptor) and against the kernel's headers. */
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "record/fields.h"
#include "record/names.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"

static const ProtobufCMessageDescriptor *const message = &xtcp_flat_record__v1__xtcp_flat_record__descriptor;

static void table_is_the_message(void **state)
{
    (void)state;
    static const ProtobufCType types[] = {
        [TYPE_U32] = PROTOBUF_C_TYPE_UINT32,  [TYPE_U64] = PROTOBUF_C_TYPE_UINT64,
        [TYPE_I64] = PROTOBUF_C_TYPE_INT64,   [TYPE_STRING] = PROTOBUF_C_TYPE_STRING,
        [TYPE_BYTES] = PROTOBUF_C_TYPE_BYTES, [TYPE_ENUM] = PROTOBUF_C_TYPE_ENUM,
    };
    assert_int_equal(message->n_fields, FIELD_COUNT);
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        const ProtobufCFieldDescriptor *d = &message->fields[i];
        assert_string_equal(f->name, d->name);
        assert_int_equal(f->name_len, strlen(d->name));
        assert_int_equal(f->number, d->id);
        assert_int_equal(types[f->type], d->type);
        assert_int_equal(d->label, PROTOBUF_C_LABEL_NONE);
        assert_true(strlen(f->doc) > 0);
        if (i > 0)
            assert_true(record_fields[i - 1].number < f->number);
    }
}

static void lookups_find_every_field(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        assert_ptr_equal(record_field_by_name(f->name, strlen(f->name)), f);
        assert_int_equal(record_field_index(f), i);
    }
    assert_int_equal(record_fields[FIELD_tcp_info_rtt].number, 1230);
    assert_null(record_field_by_name("tcp_info_rt", 11));
    assert_null(record_field_by_name("tcp_info_rttx", 13));
    assert_null(record_field_by_name("", 0));
    assert_ptr_equal(record_field_by_name("tcp_info_rtt_var", 12), &record_fields[FIELD_tcp_info_rtt]);
}

/* Length of each part: what the kernel's structures have, and for tcp_info what Linux 6.18 sends. */
static const size_t part_sizes[PART_COUNT] = {
    [PART_MSG] = sizeof(struct inet_diag_msg),
    [PART_MEMINFO] = sizeof(struct inet_diag_meminfo),
    [PART_INFO] = 280,
    [PART_VEGAS] = sizeof(struct tcpvegas_info),
    [PART_CONG] = 0,
    [PART_TOS] = 1,
    [PART_TCLASS] = 1,
    [PART_SKMEMINFO] = SK_MEMINFO_VARS * sizeof(uint32_t),
    [PART_SHUTDOWN] = 1,
    [PART_DCTCP] = sizeof(struct tcp_dctcp_info),
    [PART_BBR] = sizeof(struct tcp_bbr_info),
    [PART_CLASS_ID] = 4,
    [PART_CGROUP_ID] = 8,
    [PART_SOCKOPT] = sizeof(struct inet_diag_sockopt),
    [PART_V6ONLY] = 1,
    [PART_MARK] = 4,
    [PART_DEVICE] = 0,
};

/* Every byte of every part belongs to a field, those of no meaning aside, and no two fields share one but for
 * bits. */
static void fields_tile_the_kernels_structures(void **state)
{
    (void)state;
    static uint8_t owners[PART_COUNT][280];
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        if (f->from < 0)
            continue;
        assert_true((size_t)f->offset + f->width <= part_sizes[f->from]);
        for (unsigned b = 0; b < f->width; b++)
            owners[f->from][f->offset + b]++;
    }
    for (unsigned part = 0; part < PART_COUNT; part++) {
        for (size_t b = 0; b < part_sizes[part]; b++) {
            int bits = part == PART_INFO && (b == 6 || b == 7);
            if (owners[part][b] != (bits ? 2 : 1))
                fail_msg("part %u, byte %zu: in %d fields", part, b, owners[part][b]);
        }
    }
}

/* The field of a part that lies at |offset| has |width| bytes and this name. */
static void expect_field(enum record_part part, size_t offset, size_t width, const char *name)
{
    const struct record_field *f = record_field_by_name(name, strlen(name));
    assert_non_null(f);
    assert_int_equal(f->from, part);
    assert_int_equal(f->offset, offset);
    assert_int_equal(f->width, width);
}

static void offsets_are_those_of_the_headers(void **state)
{
    (void)state;
#define SAME(part, type, member, name)                                                                       \
    expect_field(part, offsetof(struct type, member), sizeof(((struct type *)0)->member), name)
    SAME(PART_MSG, inet_diag_msg, id.idiag_sport, "inet_diag_msg_socket_source_port");
    SAME(PART_MSG, inet_diag_msg, id.idiag_cookie, "inet_diag_msg_socket_cookie");
    SAME(PART_MSG, inet_diag_msg, idiag_inode, "inet_diag_msg_inode");
    SAME(PART_INFO, tcp_info, tcpi_rtt, "tcp_info_rtt");
    SAME(PART_INFO, tcp_info, tcpi_bytes_retrans, "tcp_info_bytes_retrans");
    SAME(PART_INFO, tcp_info, tcpi_snd_wnd, "tcp_info_snd_wnd");
    SAME(PART_BBR, tcp_bbr_info, bbr_cwnd_gain, "bbr_info_cwnd_gain");
    expect_field(PART_SKMEMINFO, SK_MEMINFO_DROPS * 4, 4, "sk_mem_info_drops");
    /* <linux/tcp.h> of 6.18 */
    expect_field(PART_INFO, 232, 4, "tcp_info_rcv_wnd");
    expect_field(PART_INFO, 236, 4, "tcp_info_rehash");
    expect_field(PART_INFO, 240, 2, "tcp_info_total_rto");
    expect_field(PART_INFO, 242, 2, "tcp_info_total_rto_recoveries");
    expect_field(PART_INFO, 244, 4, "tcp_info_total_rto_time");
    expect_field(PART_INFO, 248, 4, "tcp_info_received_ce");
    expect_field(PART_INFO, 278, 2, "tcp_info_accecn_opt_seen");
}

static void sections_have_their_groups(void **state)
{
    (void)state;
    groups_t seen = 0;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        assert_int_equal(f->from, record_sections[f->section].from);
        assert_int_equal(f->group, record_sections[f->section].group);
        if (i > 0)
            assert_true(record_fields[i - 1].section <= f->section);
        if (f->group != GROUP_NONE)
            seen |= GROUP_BIT(f->group);
        else
            assert_true(f->from < 0 || f->from == PART_MSG || f->from == PART_V6ONLY ||
                        f->from == PART_DEVICE || f->from == PART_MARK);
    }
    assert_int_equal(seen, GROUPS_ALL);
}

static void names_follow_the_kernel(void **state)
{
    (void)state;
    assert_string_equal(record_state_name(1), "ESTABLISHED");
    assert_string_equal(record_state_name(6), "TIME_WAIT");
    assert_string_equal(record_state_name(10), "LISTEN");
    assert_string_equal(record_state_name(12), "NEW_SYN_RECV");
    assert_null(record_state_name(0));
    assert_null(record_state_name(14));
    assert_null(record_state_name(UINT64_MAX));
    assert_string_equal(record_ca_state_name(TCP_CA_Loss), "Loss");
    assert_null(record_ca_state_name(5));
    assert_string_equal(record_event_name(1), "close");
    assert_null(record_event_name(2));
}

/* XtcpFlatRecord.CongestionAlgorithm has a name of the kernel for each of its values. */
static void algorithms_are_those_of_the_enum(void **state)
{
    (void)state;
    const ProtobufCFieldDescriptor *d =
        protobuf_c_message_descriptor_get_field_by_name(message, "congestion_algorithm_enum");
    assert_non_null(d);
    const ProtobufCEnumDescriptor *e = d->descriptor;
    assert_int_equal(e->n_values, RECORD_ALGORITHMS);
    assert_null(record_algorithm_name(0));
    assert_null(record_algorithm_name(RECORD_ALGORITHMS));
    for (unsigned i = 1; i < RECORD_ALGORITHMS; i++) {
        char name[64];
        const char *prefix = "CONGESTION_ALGORITHM_";
        snprintf(name, sizeof(name), "%s", e->values[i].name + strlen(prefix));
        for (char *p = name; *p; p++)
            *p |= 0x20; /* lower case */
        assert_int_equal(e->values[i].value, i);
        assert_string_equal(strcmp(name, "bbr1") == 0 ? "bbr" : name, record_algorithm_name(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_message),
        cmocka_unit_test(lookups_find_every_field),
        cmocka_unit_test(fields_tile_the_kernels_structures),
        cmocka_unit_test(offsets_are_those_of_the_headers),
        cmocka_unit_test(sections_have_their_groups),
        cmocka_unit_test(names_follow_the_kernel),
        cmocka_unit_test(algorithms_are_those_of_the_enum),
    };
    return cmocka_run_group_tests_name("record_fields", tests, NULL, NULL);
}
