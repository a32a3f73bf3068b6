/* The evaluation: of what the kernel sent, and of the records that are made of it. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "filter/filter.h"
#include "filter/message.h"
#include "lib/wire.h"
#include "record/envelope.h"
#include "record/record.h"
#include "record/unpack.h"
#include "tests/unit/filter_model.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct record_context context = {
    .hostname = "node-7",
    .netns = "webshop",
    .label = "b\xc3\xbc"
             "cher",
    .tag = "tag:[4026531840]",
    .timestamp_ns = 1700000000000000000,
    .poll_id = 42,
    .netns_cookie = 4096,
    .groups = GROUPS_ALL,
};
static struct record_reader reader;

static struct filter *parsed(const char *text)
{
    struct filter *f;
    struct filter_error e;
    if (filter_parse(text, &f, &e))
        fail_msg("%s: %s", text, e.err.text);
    return f;
}

/* The record that the daemon makes of |s|, as a client reads it. */
static const record_message *as_record(const struct model_socket *s)
{
    static struct record_frame frame;
    static uint8_t row[RECORD_ROW_MAX];
    const record_message *r;
    const uint8_t *record;
    size_t n;
    assert_int_equal(record_frame_init(&frame, &context), 0);
    struct wire w = wire_over(row, record_encode(&frame, &s->source, 7, row));
    assert_int_equal(envelope_next(&w, &record, &n), 1);
    assert_int_equal(record_unpack(&reader, record, n, &r), 0);
    return r;
}

/* A socket with everything. */
static void established(struct model_socket *s)
{
    struct model_random r = {.state = 99};
    do {
        model_socket(&r, s);
    } while (s->msg.idiag_state != 1 || s->msg.idiag_family != AF_INET || !*s->cong);
    strcpy(s->cong, "bbr");
    s->source.len[PART_CONG] = 4;
    s->msg.id.idiag_sport = htons(40000);
    s->msg.id.idiag_dport = htons(443);
    s->msg.id.idiag_src[0] = htonl(0x0a000001);
    s->msg.id.idiag_dst[0] = htonl(0x0a000102);
    s->msg.id.idiag_if = 0;
    s->msg.idiag_uid = 0;
    s->mark = 0x15;
    s->info.tcpi_rtt = 50000;
    s->info.tcpi_snd_cwnd = 10;
    s->info.tcpi_total_retrans = 0;
    s->info.tcpi_snd_wscale = 7;
    s->info.tcpi_rcv_wscale = 9;
    s->info.tcpi_pacing_rate = 1250000;
    s->cgroup = 77;
    s->tos = 0;
}

/* Filters that the socket below passes. */
static const struct {
    const char *text;
    bool passes;
} of_established[] = {
    {"", true},
    {"state established", true},
    {"state listening", false},
    {"state big", true},
    {"sport = 40000 dport = 443", true},
    {"dport 440-450", true},
    {"dport != 440-450", false},
    {"dport < 443", false},
    {"dport <= 443", true},
    {"dport > 65535", false},
    {"dport < 0", false},
    {"dst 10.0.1.2", true},
    {"dst 10.0.0.0/23", true},
    {"dst 10.0.0.0/24", false},
    {"dst inet:10/8:443", true},
    {"dst inet6:*", false},
    {"dst [::ffff:10.0.1.2]", false}, /* mapped addresses are those of IPv6 sockets */
    {"src != 10.0.0.1", false},
    {"uid = 0", true},
    {"uid != 0", false},
    {"rtt = 50ms", true},
    {"rtt > 50ms", false},
    {"rtt >= 50ms and rtt < 50001us", true},
    {"send_scale = 7 and rcv_scale = 9", true},
    {"cwnd < 11", true},
    {"total_retrans = 0", true},
    {"pacing_rate = 10Mbit", true},
    {"cong = bbr", true},
    {"cong = b?r", true},
    {"cong = [a-c]*", true},
    {"cong != cubic", true},
    {"cong = bb", false},
    {"cong = bbrr*", false},
    {"algorithm = bbr", true},
    {"ca_state = open", true},
    {"netns = webshop", true},
    {"netns = web*", true},
    {"netns = *shop", true},
    {"netns = *b*s*p", true},
    {"netns != web*", false},
    {"netns = web", false},
    {"label = b?cher", true}, /* a character of two bytes */
    {"host = node-[0-9]", true},
    {"host = \"node-[!7]\"", false},
    {"tag = tag:[4026531840]", true}, /* as it is, although it looks like a pattern */
    {"tag = tag:[!0]", false},
    {"tag = tag:[[]*", true},
    {"tag != tag:[4026531840]", false},
    {"location = *", false}, /* there is none */
    {"location != x", false},
    {"not location = x", true},
    {"fwmark = 0x15", true},
    {"fwmark = 0x5/0xf", true},
    {"fwmark != 0x5/0xf", false},
    {"c_group = 77", true},
    {"cgroup != 77", false},
    {"cgroup = /nowhere", false},
    {"cgroup != /nowhere", true},
    {"dev = nowhere0", false},
    {"dev != nowhere0", true},
    {"interface = 0", true},
    {"autobound", true},
    {"schema_version = 1", true},
    {"timestamp_ns > 1699999999s", true},
    {"poll_id = 42 and netns_cookie = 4096", true},
    {"socket_fd = 0", false},  /* nobody sets it */
    {"vegas_rtt >= 0", false}, /* no such algorithm in control */
    {"not vegas_rtt >= 0", true},
    {"rcv_buf >= 128KiB", true},
    {"rmem_alloc = 0", true},
    {"rmem >= 0", false}, /* not sent */
    {"family = inet", true},
    {"tos = 0", true},
    {"tclass = 0", false}, /* not sent */
    {"mem_rmem = 0", false},
    {"bytes_retrans = 0", true},
    {"rcv_wnd = 0", false}, /* behind the end of this tcp_info */
    {"received_ce >= 0", false},
    {"idle >= 0", true},
    {"idle != 0 or idle = 0", true},
    {"info_len = 232 and tcp_info_len > 0", true},
    {"diag_attributes = 2130100", true},
    {"rtt > 1s or (dport 443 and not (cwnd = 11 or state closed))", true},
};

static void test_values(void **state)
{
    (void)state;
    struct model_socket s;
    established(&s);
    for (size_t i = 0; i < COUNT(of_established); i++) {
        struct filter *f = parsed(of_established[i].text);
        if (filter_match(f, &s.source, &context, NULL) != of_established[i].passes)
            fail_msg("%s", of_established[i].text);
        if (filter_match_record(f, as_record(&s)) != of_established[i].passes)
            fail_msg("%s, of the record", of_established[i].text);
        filter_unref(f);
    }
}

static void test_absent(void **state)
{
    (void)state;
    static const char *const none[] = {"rtt >= 0",          "rtt < 1s",         "rtt != 5", "cong != bbr",
                                       "cong = *",          "c_group != 1",     "tos = 0",  "rcv_buf = 0",
                                       "total_retrans = 0", "not info_len = 0", "cong = *", "idle >= 0",
                                       "idle < 1h",         "idle != 5s"};
    struct model_socket s;
    struct model_random r = {.state = 5};
    do {
        model_socket(&r, &s);
    } while (s.msg.idiag_state != 6);
    for (size_t i = 0; i < COUNT(none); i++) {
        struct filter *f = parsed(none[i]);
        assert_false(filter_match(f, &s.source, &context, NULL));
        assert_false(filter_match_record(f, as_record(&s)));
        filter_unref(f);
    }
    struct filter *f = parsed("netns = webshop");
    assert_false(filter_match(f, &s.source, NULL, NULL));
    filter_unref(f);
}

/* The kernel has times for listeners as well, which the column IDLE does not show. */
static void test_idle_listener(void **state)
{
    (void)state;
    static const char *const none[] = {"idle >= 0", "idle < 1h", "idle != 5s", "idle = 0"};
    struct model_socket s;
    established(&s);
    s.msg.idiag_state = s.info.tcpi_state = 10;
    s.info.tcpi_last_data_sent = s.info.tcpi_last_data_recv = 0;
    for (size_t i = 0; i < COUNT(none); i++) {
        struct filter *f = parsed(none[i]);
        assert_false(filter_match(f, &s.source, &context, NULL));
        assert_false(filter_match_record(f, as_record(&s)));
        filter_unref(f);
    }
}

/* The kernel's data and the client's record pass the same filters. */
static void test_records_alike(void **state)
{
    (void)state;
    struct model_random r = {.state = 11};
    unsigned passed = 0;
    for (unsigned i = 0; i < 4000; i++) {
        char text[4096];
        struct model_socket s;
        model_expression(&r, true, text, sizeof(text));
        model_socket(&r, &s);
        struct filter *f = parsed(text);
        bool here = filter_match(f, &s.source, &context, NULL);
        if (here != filter_match_record(f, as_record(&s)))
            fail_msg("%s, state %u: here %d", text, s.msg.idiag_state, here);
        passed += here;
        filter_unref(f);
    }
    assert_true(passed > 500 && passed < 3500);
}

/* Parts that are cut short: nothing behind them is read. */
static void test_short_parts(void **state)
{
    (void)state;
    static const char *const texts[] = {"rtt >= 0 or cong = * or uid >= 0 or dst *", "sport = 40000",
                                        "delivery_rate >= 0", "algorithm >= 0", "fwmark = 1"};
    struct model_socket s;
    established(&s);
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct filter *f = parsed(texts[i]);
        for (unsigned part = 0; part < PART_COUNT; part++) {
            for (uint16_t n = 0; n < s.source.len[part]; n++) {
                struct record_source cut = s.source;
                uint8_t *copy = malloc(n ? n : 1); /* a sanitizer sees a read past the end */
                memcpy(copy, s.source.data[part], n);
                cut.data[part] = copy;
                cut.len[part] = n;
                filter_match(f, &cut, &context, NULL);
                free(copy);
            }
        }
        filter_unref(f);
    }
}

static void test_environment(void **state)
{
    (void)state;
    struct model_socket s;
    struct filter_env env;
    struct filter *f = parsed("autobound and dev = lo and cgroup = /");
    assert_true(filter_needs_env(f));
    filter_env_read(f, &env);
    assert_true(env.auto_min > 0 && env.auto_min <= env.auto_max);
    assert_int_equal(env.devices[0], 1);
    established(&s);
    env = (struct filter_env){.auto_min = 39000, .auto_max = 41000, .devices = {3}, .cgroups = {77}};
    s.msg.id.idiag_if = 3;
    assert_true(filter_match(f, &s.source, &context, &env));
    s.msg.id.idiag_sport = htons(41001);
    assert_false(filter_match(f, &s.source, &context, &env));
    s.msg.id.idiag_sport = htons(41000);
    s.msg.id.idiag_if = 2;
    assert_false(filter_match(f, &s.source, &context, &env));
    filter_unref(f);
    f = parsed("dev = nosuchdevice0 or cgroup = /no/such/cgroup");
    filter_env_read(f, &env);
    s.msg.id.idiag_if = 0; /* not found is not "index 0" */
    s.cgroup = 0;
    assert_false(filter_match(f, &s.source, &context, &env));
    filter_unref(f);
    f = parsed("dport = 443");
    assert_false(filter_needs_env(f));
    filter_unref(f);
}

/* A glob with many stars takes no time to speak of, however it fails. */
static void test_stars(void **state)
{
    (void)state;
    char label[2048];
    struct record_context c = context;
    struct model_socket s;
    memset(label, 'a', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    c.label = label;
    established(&s);
    struct filter *f = parsed("label = *a*a*a*a*a*a*a*a*a*a*a*a*b");
    clock_t start = clock();
    for (unsigned i = 0; i < 100; i++)
        assert_false(filter_match(f, &s.source, &c, NULL));
    assert_true(clock() - start < CLOCKS_PER_SEC * 5);
    filter_unref(f);
}

static int free_reader(void **state)
{
    (void)state;
    record_reader_free(&reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_idle_listener), cmocka_unit_test(test_records_alike),
        cmocka_unit_test(test_short_parts),   cmocka_unit_test(test_environment),
        cmocka_unit_test(test_stars),
    };
    return cmocka_run_group_tests(tests, NULL, free_reader);
}
