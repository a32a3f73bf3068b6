/* The table of sockets against golden files (tests/data/golden/client_sockets_WIDTH.txt). XTCP_UPDATE=1
 * writes them anew. */
#include <arpa/inet.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/inet_diag.h>

#include "client/show/address.h"
#include "client/show/socket_table.h"
#include "client/show/view.h"

typedef XtcpFlatRecord__V1__XtcpFlatRecord record;

enum { ESTABLISHED = 1 }; /* see client/show/cell.h */

static uint8_t addresses[64][16];
static size_t n_addresses;

static ProtobufCBinaryData address(int family, const char *text)
{
    uint8_t *at = addresses[n_addresses++];
    assert_int_equal(inet_pton(family, text, at), 1);
    return (ProtobufCBinaryData){.len = family == AF_INET ? 4 : 16, .data = at};
}

static record socket_record(char *netns, int family, uint32_t state, const char *local, uint32_t sport,
                            const char *peer, uint32_t dport)
{
    record r;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    r.netns = netns;
    r.inet_diag_msg_family = (uint32_t)family;
    r.inet_diag_msg_state = state;
    r.inet_diag_msg_socket_source = address(family, local);
    r.inet_diag_msg_socket_source_port = sport;
    r.inet_diag_msg_socket_destination = address(family, peer);
    r.inet_diag_msg_socket_destination_port = dport;
    return r;
}

static void with_flow(record *r)
{
    r->tcp_info_state = r->inet_diag_msg_state;
    r->inet_diag_msg_wqueue = 1448;
    r->inet_diag_msg_uid = 1000;
    r->inet_diag_msg_inode = 81234;
    r->tcp_info_rtt = 1234;
    r->tcp_info_min_rtt = 340;
    r->tcp_info_snd_cwnd = 10;
    r->tcp_info_retrans = 1;
    r->tcp_info_total_retrans = 12;
    r->tcp_info_bytes_sent = 1500000;
    r->tcp_info_bytes_received = 987;
    r->tcp_info_delivery_rate = 1537500;
    r->tcp_info_snd_mss = 1448;
    r->tcp_info_last_data_sent = 40;
    r->tcp_info_last_data_recv = 2500;
    r->tcp_info_busy_time = 2000;
    r->tcp_info_rwnd_limited = 900;
    r->congestion_algorithm_string = "cubic";
}

/* The sockets of usual hosts: listeners, flows of each family, TIME_WAIT without tcp_info; and names made to
 * do harm. */
static void fill(struct socket_table *t)
{
    n_addresses = 0;
    record r = socket_record("default", AF_INET, ESTABLISHED, "192.0.2.1", 40000, "198.51.100.7", 443);
    with_flow(&r);
    socket_table_add(t, &r, NULL);
    r = socket_record("default", AF_INET, CELL_LISTEN, "0.0.0.0", 22, "0.0.0.0", 0);
    r.tcp_info_state = CELL_LISTEN;
    r.tcp_info_rtt = 7; /* means nothing there */
    r.inet_diag_msg_wqueue = 128;
    socket_table_add(t, &r, NULL);
    r = socket_record("default", AF_INET6, CELL_LISTEN, "::", 8080, "::", 0);
    r.tcp_info_state = CELL_LISTEN;
    r.inet_diag_msg_rqueue = 3;
    r.inet_diag_msg_wqueue = 4096;
    socket_table_add(t, &r, NULL);
    r = socket_record("blue", AF_INET6, ESTABLISHED, "::ffff:192.0.2.1", 8080, "::ffff:198.51.100.9", 51000);
    with_flow(&r);
    r.tcp_info_total_retrans = r.tcp_info_retrans = 0;
    r.tcp_info_min_rtt = UINT32_MAX;
    r.tcp_info_rwnd_limited = 0;
    r.congestion_algorithm_string = "";
    r.congestion_algorithm_enum = 5;
    socket_table_add(t, &r, NULL);
    r = socket_record("blue", AF_INET, CELL_TIME_WAIT, "192.0.2.1", 8080, "198.51.100.10", 51001);
    socket_table_add(t, &r, NULL);
    r = socket_record("a\x1b[31m-name-that-is-long", AF_INET6, 200, "2001:db8::1", 1, "2001:db8::2", 65535);
    socket_table_add(t, &r, NULL);
}

static char *read_golden(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing", path);
    char *text = calloc(1, 65536);
    size_t n = fread(text, 1, 65535, f);
    text[n] = 0;
    fclose(f);
    return text;
}

/* The table that |o| asks for, of what fill adds, in |width| columns. */
static void draw(const struct options *o, size_t width, bool nodes, struct buf *out)
{
    struct view *v;
    struct err e = {0};
    assert_int_equal(view_new(o, &v, &e), 0);
    struct socket_table *s = socket_table_new(v, nodes);
    assert_non_null(s);
    if (o->output == OUTPUT_WIDE)
        table_keep_whole(socket_table_table(s));
    table_set_size(socket_table_table(s), width, 0);
    fill(s);
    assert_int_equal(table_flush(socket_table_table(s), out), 0);
    socket_table_free(s);
    view_free(v);
}

static void golden(const char *name, const struct options *o, size_t width)
{
    char path[512];
    struct buf out;
    buf_init(&out);
    draw(o, width, false, &out);
    snprintf(path, sizeof(path), "%s/tests/data/golden/client_sockets_%s.txt", XTCP_SOURCE_DIR, name);
    if (getenv("XTCP_UPDATE")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(buf_cstr(&out), f);
        fclose(f);
    }
    char *want = read_golden(path);
    assert_string_equal(buf_cstr(&out), want);
    free(want);
    buf_free(&out);
}

static void test_golden(void **state)
{
    (void)state;
    struct options o = {.output = OUTPUT_TABLE};
    golden("40", &o, 40);
    golden("60", &o, 60);
    golden("80", &o, 80);
    golden("132", &o, 132);
    golden("250", &o, 250);
    o = (struct options){.output = OUTPUT_WIDE, .numeric = true};
    golden("wide", &o, 0);
    o = (struct options){.output = OUTPUT_TABLE, .columns = "peer, RETRANS,tcp_info_rtt,state"};
    golden("chosen", &o, 200);
}

/* No line is wider than the terminal, however narrow. */
static void test_widths(void **state)
{
    (void)state;
    const struct options o = {.output = OUTPUT_TABLE};
    for (size_t width = 42; width < 300; width++) {
        struct buf out;
        buf_init(&out);
        draw(&o, width, width % 2, &out);
        for (const char *at = buf_cstr(&out); *at;) {
            size_t columns = 0;
            for (; *at && *at != '\n'; at++)
                columns += ((unsigned char)*at & 0xc0) != 0x80;
            assert_in_range(columns, 0, width);
            at += *at == '\n';
        }
        buf_free(&out);
    }
}

/* Both ends of an address that has no room stay. */
static void test_squeezed(void **state)
{
    (void)state;
    const struct options o = {.output = OUTPUT_TABLE, .no_header = true};
    struct buf out;
    buf_init(&out);
    draw(&o, 40, false, &out);
    assert_non_null(strstr(buf_cstr(&out), ":443\n"));
    assert_null(strstr(buf_cstr(&out), "STATE"));
    buf_free(&out);
}

static void check_scope(uint32_t family, const char *bytes, size_t n, uint32_t port,
                        const struct address_scope *scope, const char *want)
{
    char text[ADDRESS_TEXT_MAX];
    address_text(family, (const uint8_t *)bytes, n, port, scope, text);
    assert_string_equal(text, want);
}

static void check_address(uint32_t family, const char *bytes, size_t n, uint32_t port, const char *want)
{
    check_scope(family, bytes, n, port, NULL, want);
}

static void test_addresses(void **state)
{
    (void)state;
    check_address(AF_INET, "\xc0\x00\x02\x01", 4, 443, "192.0.2.1:443");
    check_address(AF_INET, "\xc0\x00\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16, 443,
                  "192.0.2.1:443"); /* as the Go daemon sends it */
    check_address(AF_INET, "\0\0\0\0", 4, 0, "0.0.0.0:*");
    check_address(AF_INET6, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16, 65535, "[2001:db8::1]:65535");
    check_address(AF_INET6, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16, 1, "[::ffff:192.0.2.1]:1");
    /* Bytes that are no address. */
    check_address(AF_INET, "\xc0\x00\x02", 3, 443, "?:443");
    check_address(AF_INET, NULL, 0, 443, "?:443");
    check_address(AF_INET6, "\xc0\x00\x02\x01", 4, 0, "[?]:*");
    check_address(AF_INET6, "0123456789abcdefg", 17, 0, "[?]:*");
    check_address(77, "\xc0\x00\x02\x01", 4, 1, "?:1");
    /* The longest text there can be. */
    check_address(AF_INET6, "\xfe\xdc\xba\x98\xfe\xdc\xba\x98\xfe\xdc\xba\x98\xfe\xdc\xba\x98", 16, 65535,
                  "[fedc:ba98:fedc:ba98:fedc:ba98:fedc:ba98]:65535");
}

/* The parts that ss shows beside an address, in its form. */
static void test_scopes(void **state)
{
    (void)state;
    static const char any[16], link_local[] = "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    const struct address_scope dual = {.dual_stack = true}, bound = {.device = "eth0"};
    const struct address_scope both = {.device = "a-name-of-15-by", .dual_stack = true};
    check_scope(AF_INET, any, 4, 68, &bound, "0.0.0.0%eth0:68");
    check_scope(AF_INET6, any, 16, 22, &bound, "[::]%eth0:22");
    check_scope(AF_INET6, link_local, 16, 22, &bound, "[fe80::1]%eth0:22");
    check_scope(AF_INET6, any, 16, 22, &dual, "*:22");
    check_scope(AF_INET6, any, 16, 0, &dual, "*:*");
    check_scope(AF_INET6, any, 16, 22, &both, "*%a-name-of-15-by:22");
    check_scope(AF_INET6, link_local, 16, 22, &dual, "[fe80::1]:22");
    check_scope(AF_INET, any, 4, 22, &dual, "0.0.0.0:22");
    check_scope(AF_INET6, NULL, 0, 22, &dual, "[?]:22");
    check_scope(AF_INET6, "\xfe\xdc\xba\x98\xfe\xdc\xba\x98\xfe\xdc\xba\x98\xfe\xdc\xba\x98", 16, 65535,
                &both, "[fedc:ba98:fedc:ba98:fedc:ba98:fedc:ba98]%a-name-of-15-by:65535");
}

/* Dual stack is told only where the record says it. */
static void test_scope_of_a_record(void **state)
{
    (void)state;
    static const struct {
        uint32_t attributes, v6only;
        bool dual;
    } cases[] = {
        {1 << INET_DIAG_SKV6ONLY, 0, true},
        {1 << INET_DIAG_SKV6ONLY, 1, false},
        {1 << INET_DIAG_INFO, 0, false}, /* of a connection */
        {0, 0, false},                   /* of another daemon */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record r;
        xtcp_flat_record__v1__xtcp_flat_record__init(&r);
        r.inet_diag_msg_family = AF_INET6;
        r.inet_diag_msg_socket_interface = 3;
        r.v6only = cases[i].v6only;
        r.diag_attributes = cases[i].attributes;
        struct address_scope scope = address_scope(&r);
        assert_int_equal(scope.dual_stack, cases[i].dual);
        assert_string_equal(scope.device, "if3");
        r.socket_interface_name = "eth0";
        scope = address_scope(&r);
        assert_string_equal(scope.device, "eth0");
        r.socket_interface_name = "longer-than-15\xc3\xa9s"; /* as a device cannot be called */
        scope = address_scope(&r);
        assert_string_equal(scope.device, "longer-than-15");
    }
}

/* A record with the extremes of every number fits as well. */
static void test_extremes(void **state)
{
    (void)state;
    record r;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    const ProtobufCMessageDescriptor *d = &xtcp_flat_record__v1__xtcp_flat_record__descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)&r + f->offset;
        if (f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_ENUM)
            memset(at, 0xff, 4);
        else if (f->type == PROTOBUF_C_TYPE_UINT64 || f->type == PROTOBUF_C_TYPE_INT64)
            memset(at, 0xff, 8);
    }
    const struct options o = {.output = OUTPUT_WIDE};
    struct view *v;
    struct err e = {0};
    assert_int_equal(view_new(&o, &v, &e), 0);
    struct socket_table *t = socket_table_new(v, false);
    struct buf out;
    buf_init(&out);
    socket_table_add(t, &r, NULL);
    r.inet_diag_msg_state = ESTABLISHED;
    socket_table_add(t, &r, NULL);
    assert_int_equal(table_flush(socket_table_table(t), &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "ESTABLISHED"));
    buf_free(&out);
    socket_table_free(t);
    view_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),   cmocka_unit_test(test_widths),
        cmocka_unit_test(test_squeezed), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_scopes),   cmocka_unit_test(test_scope_of_a_record),
        cmocka_unit_test(test_extremes),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
