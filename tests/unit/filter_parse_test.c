/* Expressions, good and bad: their canonical form, and the columns of their errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/filter.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct filter *parsed(const char *text)
{
    struct filter *f;
    struct filter_error e;
    if (filter_parse(text, &f, &e))
        fail_msg("%s: %s", text, e.err.text);
    return f;
}

static const struct {
    const char *text;
    const char *canonical;
} good[] = {
    {"", ""},
    {" \t\n", ""},
    /* states */
    {"state established", "state established"},
    {"state ESTAB", "state established"},
    {"state FIN_WAIT1", "state fin-wait-1"},
    {"state = listen", "state listening"},
    {"state != listen", "exclude listening"},
    {"excl closed", "exclude closed"},
    {"state connected", "state connected"},
    {"state listening state time-wait", "state time-wait state listening"},
    {"state all exclude bucket", "state big"},
    {"exclude big state established", "state established state syn-recv state time-wait"},
    {"state established and state listening", "state established and state listening"},
    {"not state closed", "exclude closed"},
    {"! ! exclude closed", "exclude closed"},
    {"inet_diag_msg_state = time-wait", "state time-wait"},
    {"inet_diag_msg_state < 3", "state established state syn-sent"},
    {"tcp_info_state = listening", "tcp_info_state = LISTEN"},
    {"tcp_info_state = 12", "tcp_info_state = NEW_SYN_RECV"},
    /* ports */
    {"dport = 443", "dport = 443"},
    {"dport 443", "dport = 443"},
    {"dport == :443", "dport = 443"},
    {"dport eq :ssh", "dport = 22"},
    {"sport neq ssh", "sport != 22"},
    {"sport geq 1024 sport leq 2048", "sport >= 1024 and sport <= 2048"},
    {"sport gt 1 lt", NULL},
    {"dport 1000-2000", "dport = 1000-2000"},
    {"dport != 1000-2000", "not dport = 1000-2000"},
    {"dport = 7-7", "dport = 7"},
    {"dport = inet6:80", "family = inet6 and dport = 80"},
    {"inet_diag_msg_socket_source_port > 5", "sport > 5"},
    /* addresses */
    {"dst 10.0.0.1", "dst = 10.0.0.1"},
    {"dst = 10.1", "dst = 10.1.0.0"},
    {"src 193.233.7/24", "src = 193.233.7.0/24"},
    {"src 10.1.2.3/8", "src = 10.0.0.0/8"},
    {"dst 10.0.0.1:https", "dst = 10.0.0.1 and dport = 443"},
    {"dst 10.0.0.1:1-5", "dst = 10.0.0.1 and dport = 1-5"},
    {"dst *:80", "dport = 80"},
    {"dst :80", "dport = 80"},
    {"dst 10.0.0.1:*", "dst = 10.0.0.1"},
    {"dst *", "dst = *"},
    {"dst [::1]", "dst = [::1]"},
    {"dst [2001:DB8::1/32]:80", "dst = [2001:db8::/32] and dport = 80"},
    {"dst [2001:db8::1]/32", "dst = [2001:db8::/32]"},
    {"dst [::ffff:1.2.3.4]", "dst = [::ffff:1.2.3.4]"},
    {"dst inet:*", "family = inet"},
    {"dst inet6:[::1]:22", "family = inet6 and dst = [::1] and dport = 22"},
    {"dst != 10.0.0.1:80", "not (dst = 10.0.0.1 and dport = 80)"},
    {"inet_diag_msg_socket_destination = 10.0.0.1", "dst = 10.0.0.1"},
    /* the rest of ss */
    {"dev eth0", "dev = eth0"},
    {"dev != 3", "not interface = 3"},
    {"dev \"3\"", "dev = \"3\""},
    {"fwmark 1", "fwmark = 0x1"},
    {"fwmark != 0x10/0xff", "not fwmark = 0x10/0xff"},
    {"cgroup /sys/fs/cgroup/a.slice", "cgroup = /sys/fs/cgroup/a.slice"},
    {"cgroup /a..b/...", "cgroup = /a..b/..."},
    {"cgroup 77", "cgroup_id = 77"},
    {"autobound", "autobound"},
    /* joints */
    {"sport 1 and sport 2", "sport = 1 and sport = 2"},
    {"sport 1 & sport 2 && sport 3 sport 4", "sport = 1 and sport = 2 and sport = 3 and sport = 4"},
    {"sport 1 or sport 2 and sport 3", "sport = 1 or (sport = 2 and sport = 3)"},
    {"sport 1 | sport 2 || sport 3", "sport = 1 or sport = 2 or sport = 3"},
    {"(sport 1 or sport 2) sport 3", "(sport = 1 or sport = 2) and sport = 3"},
    {"((((sport 1))))", "sport = 1"},
    {"sport 1 and (sport 2 and (sport 3))", "sport = 1 and sport = 2 and sport = 3"},
    {"not sport 1 or sport 2", "not sport = 1 or sport = 2"},
    {"not (sport 1 or sport 2)", "not (sport = 1 or sport = 2)"},
    {"not not not sport 1", "not sport = 1"},
    {"!sport=1||!(dport!=2)", "not sport = 1 or not dport != 2"},
    /* fields */
    {"rtt>50ms", "rtt > 50ms"},
    {"tcp_info_rtt > 50000", "rtt > 50ms"},
    {"rtt > 0.0505s", "rtt > 50500us"},
    {"rtt = 0", "rtt = 0"},
    {"total_retrans ge 1", "total_retrans >= 1"},
    {"snd_cwnd < 10", "cwnd < 10"},
    {"retrans > 0", "total_retrans > 0"},
    {"retrans_out > 0 retransmits > 1", "tcp_info_retrans > 0 and retransmits > 1"},
    {"info_len < 100", "tcp_info_len < 100"},
    {"NOT RTT GT 5ms OR Recv-Q != 0", "not rtt > 5ms or recv_q != 0"},
    {"STATE Established AND LOCAL = 10.0.0.1:80", "state established and src = 10.0.0.1 and sport = 80"},
    {"PEER 10.0.0.0/8", "dst = 10.0.0.0/8"},
    {"SENT > 1MB or RECEIVED > 2MB", "bytes_sent > 1MB or bytes_received > 2MB"},
    {"RATE > 1Mbit PACING > 1Mbit", "delivery_rate > 1Mbit and pacing_rate > 1Mbit"},
    {"CA = loss BUSY > 1s REORD > 0", "ca_state = Loss and busy_time > 1s and reord_seen > 0"},
    {"IDLE > 1m", "exclude listening and lastsnd > 60s and lastrcv > 60s"},
    {"idle < 5s", "exclude listening and (lastsnd < 5s or lastrcv < 5s)"},
    {"idle = 5ms",
     "exclude listening and lastsnd >= 5ms and lastrcv >= 5ms and (lastsnd <= 5ms or lastrcv <= 5ms)"},
    {"idle != 5ms",
     "exclude listening and (lastsnd < 5ms or lastrcv < 5ms or (lastsnd > 5ms and lastrcv > 5ms))"},
    {"inet_diag_msg_retrans > 0", "inet_diag_msg_retrans > 0"},
    {"bbr_min_rtt < 1ms", "bbr_info_min_rtt < 1ms"},
    {"bytes_acked > 1.5MiB", "bytes_acked > 1536KiB"},
    {"bytes_acked > 1K", "bytes_acked > 1kB"},
    {"bytes_acked > 1000", "bytes_acked > 1kB"},
    {"bytes_acked > 1001", "bytes_acked > 1001"},
    {"cwnd > 1k", "cwnd > 1000"},
    {"pacing_rate >= 10Mbit", "pacing_rate >= 10Mbit"},
    {"pacing_rate >= 1.25MB/s", "pacing_rate >= 10Mbit"},
    {"pacing_rate >= 10Mbit/s", "pacing_rate >= 10Mbit"},
    {"delivery_rate > 1000", "delivery_rate > 8kbit"},
    {"delivery_rate > 1001", "delivery_rate > 1001B/s"},
    {"lastrcv > 1m", "lastrcv > 60s"},
    {"max_pacing_rate = 0xffffffffffffffff", "max_pacing_rate = 18446744073709551615B/s"},
    {"cong = bbr", "cong = bbr"},
    {"congestion_algorithm_string != \"b*\"", "cong != b*"},
    {"algorithm = CUBIC", "algorithm = cubic"},
    {"ca_state = recovery", "ca_state = Recovery"},
    {"event = close", "event = close"},
    {"netns = web*", "netns = web*"},
    {"netns = \"a b\"", "netns = \"a b\""},
    {"netns = \"a\\\"b\\\\c\"", "netns = \"a\\\"b\\\\c\""},
    {"netns = b\xc3\xbc"
     "cher",
     "netns = b\xc3\xbc"
     "cher"},
    {"netns = and", "netns = and"},
    {"netns = [!a-c]*", "netns = \"[!a-c]*\""},
    {"netns=[!a]!sport=1", "netns = \"[!a]\" and not sport = 1"},
    {"label = \"\"", "label = \"\""},
    {"uid = 1000", "uid = 1000"},
    {"family = INET6", "family = inet6"},
    {"timer = keepalive", "timer = keepalive"},
    {"shutdown = 0x3", "shutdown = 0x3"},
    {"tos = 16", "tos = 0x10"},
    {"mark = 7", "mark = 0x7"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct filter *f;
        struct filter *again;
        struct filter_error e;
        int rc = filter_parse(good[i].text, &f, &e);
        if (!good[i].canonical) {
            assert_true(rc < 0 && !f);
            continue;
        }
        if (rc)
            fail_msg("%s: %s", good[i].text, e.err.text);
        if (strcmp(filter_text(f), good[i].canonical) != 0)
            fail_msg("%s: %s instead of %s", good[i].text, filter_text(f), good[i].canonical);
        again = parsed(filter_text(f));
        assert_string_equal(filter_text(again), good[i].canonical);
        assert_int_equal(filter_groups(again), filter_groups(f));
        filter_unref(again);
        filter_unref(f);
    }
}

static const struct {
    const char *text;
    int code;
    size_t column;
    const char *says;
} bad[] = {
    {"rttt > 5ms", ERR_UNKNOWN, 1, "did you mean rtt?"},
    {"dport 5 and ctwnd < 3", ERR_UNKNOWN, 13, "did you mean cwnd?"},
    {"total_retarns > 5", ERR_UNKNOWN, 1, "did you mean total_retrans?"},
    {"RETARNS > 5", ERR_UNKNOWN, 1, "did you mean retrans?"},
    {"LIMIT = peer", ERR_TYPE, 1, "limit is made of rwnd_limited, sndbuf_limited and busy_time"},
    {"LIMTI = peer", ERR_UNKNOWN, 1, "did you mean limit?"},
    {"len > 5", ERR_UNKNOWN, 1, "unknown field len"},
    {"tcp_info_lne > 5", ERR_UNKNOWN, 1, "did you mean tcp_info_len?"},
    {"idle = established", ERR_TYPE, 8, "needs a number"},
    {"idle > 5 s", ERR_UNKNOWN, 10, "s stands alone: write 5s, without a space"},
    {"idle > 5 MB", ERR_UNKNOWN, 8, "MB is no unit of"},
    {"idle", ERR_MALFORMED, 5, "expected =, !="},
    {"sprot 22", ERR_UNKNOWN, 1, "did you mean sport?"},
    {"xyzzy = 5", ERR_UNKNOWN, 1, "cgroup, autobound, idle or a field of a record, see xtcp2-filter(7)"},
    /* a value with a space in it */
    {"rtt > 50 ms", ERR_UNKNOWN, 10, "ms stands alone: write 50ms, without a space"},
    {"rtt > 1.5 s and cwnd > 3", ERR_UNKNOWN, 11, "write 1.5s"},
    {"not (bytes_acked >= 10 MB)", ERR_UNKNOWN, 24, "write 10MB"},
    {"delivery_rate > 5 Mbit", ERR_UNKNOWN, 19, "write 5Mbit"},
    {"cwnd > 50 ms", ERR_UNKNOWN, 8, "ms is no unit of cwnd: expected k, M, G"},
    {"cwnd > 50 rtt", ERR_MALFORMED, 14, "but the expression ends here"},
    {"dst 10.0.0.0 /8", ERR_UNKNOWN, 14, "/8 stands alone: write an address"},
    {"src 10.0.0.1 :443", ERR_UNKNOWN, 14, "without a space (10.0.0.0/8, 10.0.0.1:443)"},
    {"state estblished", ERR_UNKNOWN, 7, "did you mean established?"},
    {"state qqq", ERR_UNKNOWN, 7, "expected established, syn-sent"},
    {"state", ERR_MALFORMED, 6, "expected a state, but the expression ends here"},
    {"state > closed", ERR_TYPE, 7, "has no order"},
    {"dport =", ERR_MALFORMED, 8, "expected a port"},
    {"dport = )", ERR_MALFORMED, 9, "not )"},
    {"dport = 65536", ERR_UNKNOWN, 9, "0 to 65535"},
    {"dport = nosuchservice", ERR_UNKNOWN, 9, "/etc/services"},
    {"dport > 1-2", ERR_TYPE, 9, "range of ports"},
    {"dport = 9-2", ERR_RANGE, 9, "empty range"},
    {"dst 10.0.0.256", ERR_UNKNOWN, 5, "is no address"},
    {"dst 1.2.3.4.5", ERR_UNKNOWN, 5, "is no address"},
    {"dst example.org", ERR_UNKNOWN, 5, "not looked up"},
    {"dst 10.0.0.1/33", ERR_RANGE, 5, "expected 0 to 32"},
    {"dst [::1/129]", ERR_RANGE, 5, "expected 0 to 128"},
    {"dst [::1", ERR_MALFORMED, 5, "expected ]"},
    {"cgroup /..", ERR_RANGE, 8, "must not have .. in it"},
    {"cgroup = ../../etc", ERR_RANGE, 10, "must not have .. in it"},
    {"cgroup != \"/sys/fs/cgroup/a/../../x\"", ERR_RANGE, 12, "must not have .. in it"},
    {"dst [::1]x", ERR_MALFORMED, 5, "expected a /"},
    {"dst [::1/3]/4", ERR_MALFORMED, 5, "twice"},
    {"dst []", ERR_MALFORMED, 5, "IPv6 address between"},
    {"dst [10.0.0.1]", ERR_UNKNOWN, 5, "is no address"},
    {"dst ::1", ERR_MALFORMED, 5, "brackets"},
    {"dst 10.0.0.1:", ERR_MALFORMED, 5, "port behind the colon"},
    {"dst inet6:10.0.0.1", ERR_TYPE, 5, "no address of inet6"},
    {"dst > 10.0.0.1", ERR_TYPE, 5, "no order"},
    {"dev > lo", ERR_TYPE, 5, "no order"},
    {"fwmark = x", ERR_TYPE, 10, "needs a number"},
    {"fwmark = 1/", ERR_TYPE, 10, "needs a number"},
    {"fwmark = 0x100000000", ERR_RANGE, 10, "32 bits"},
    {"rtt", ERR_MALFORMED, 4, "expected =, !=, <"},
    {"rtt 5ms", ERR_MALFORMED, 5, "expected =, !=, <, <=, > or >=, not 5ms"},
    {"rtt >", ERR_MALFORMED, 6, "expected a number"},
    {"rtt > fast", ERR_TYPE, 7, "needs a number"},
    {"rtt > 5parsec", ERR_UNKNOWN, 7, "expected ns, us, ms, s, m, h or d"},
    {"rtt > 5kB", ERR_UNKNOWN, 7, "no unit of rtt"},
    {"rtt > 1ns", ERR_RANGE, 7, "no whole number of us"},
    {"rtt > 1.", ERR_TYPE, 7, "needs a number"},
    {"rtt > -1", ERR_TYPE, 7, "needs a number"},
    {"rtt > 0xfg", ERR_TYPE, 7, "needs a number"},
    {"cwnd > 18446744073709551616", ERR_RANGE, 8, "too many digits"},
    {"bytes_acked > 99999999999TB", ERR_RANGE, 15, "64 bits"},
    {"pacing_rate > 5bps", ERR_UNKNOWN, 15, "expected bit"},
    {"ca_state = bad", ERR_UNKNOWN, 12, "Open, Disorder, CWR, Recovery, Loss"},
    {"netns < a", ERR_TYPE, 9, "no order"},
    {"netns a", ERR_MALFORMED, 7, "expected = or !="},
    {"netns = \"a", ERR_MALFORMED, 9, "quote"},
    {"netns = \xff", ERR_MALFORMED, 9, "not text"},
    {"netns = \x1b[m", ERR_MALFORMED, 9, "not text"},
    {"(sport 1", ERR_MALFORMED, 9, "expected and, or or )"},
    {"sport 1)", ERR_MALFORMED, 8, "expected and, or or the end"},
    {"()", ERR_MALFORMED, 2, "expected a comparison"},
    {"and sport 1", ERR_MALFORMED, 1, "expected a comparison"},
    {"sport 1 or", ERR_MALFORMED, 11, "expected a comparison"},
    {"sport 1 and and sport 2", ERR_MALFORMED, 13, "expected a comparison"},
    {"not", ERR_MALFORMED, 4, "expected a comparison"},
    {"= 5", ERR_MALFORMED, 1, "expected a comparison"},
    {"netns = \xc3\xbc\xc3\xbc or xyzzy = 1", ERR_UNKNOWN, 15, "xyzzy"}, /* characters, not bytes */
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct filter *f;
        struct filter_error e;
        char column[32];
        int rc = filter_parse(bad[i].text, &f, &e);
        snprintf(column, sizeof(column), "column %zu: ", bad[i].column);
        if (rc != bad[i].code || e.err.code != rc || e.column != bad[i].column || f ||
            !strstr(e.err.text, bad[i].says) || strncmp(e.err.text, column, strlen(column)) != 0)
            fail_msg("%s: %d, column %zu, %s", bad[i].text, rc, e.column, e.err.text);
    }
}

/* |head|, |n| times |middle|, |tail|, parsed. */
static int repeated(const char *head, size_t n, const char *middle, const char *tail, struct filter_error *e)
{
    static char text[200000];
    struct filter *f;
    size_t len = (size_t)snprintf(text, sizeof(text), "%s", head);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", middle);
    snprintf(text + len, sizeof(text) - len, "%s", tail);
    int rc = filter_parse(text, &f, e);
    filter_unref(f);
    return rc;
}

static void test_limits(void **state)
{
    (void)state;
    struct filter_error e;
    assert_int_equal(repeated("sport 1", FILTER_TEXT_MAX - 7, " ", "", &e), 0);
    assert_int_equal(repeated("sport 1", FILTER_TEXT_MAX - 6, " ", "", &e), ERR_LIMIT);
    assert_int_equal(repeated("", FILTER_DEPTH_MAX - 1, "not ", "sport 1", &e), 0);
    assert_int_equal(repeated("", FILTER_DEPTH_MAX, "not ", "sport 1", &e), ERR_LIMIT);
    assert_int_equal(repeated("", FILTER_DEPTH_MAX, "(", "sport 1", &e), ERR_LIMIT);
    assert_int_equal(e.column, FILTER_DEPTH_MAX + 1);
    assert_int_equal(repeated("", FILTER_TERMS_MAX, "rtt > 1 ", "", &e), 0);
    assert_int_equal(repeated("", FILTER_TERMS_MAX + 1, "rtt > 1 ", "", &e), ERR_LIMIT);
    assert_int_equal(repeated("", FILTER_TERMS_MAX / 2, "rtt > 1 or not sport = 5 or ", "cwnd = 1", &e),
                     ERR_LIMIT);
    assert_int_equal(repeated("dev a dev b dev c dev d dev e dev f dev g dev h", 1, " dev a", "", &e), 0);
    assert_int_equal(repeated("dev a dev b dev c dev d dev e dev f dev g dev h", 1, " dev i", "", &e),
                     ERR_LIMIT);
}

static void test_groups(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        groups_t groups;
    } cases[] = {
        {"", 0},
        {"dport = 22 and state established and uid = 0 and netns = a and fwmark = 1", 0},
        {"rtt > 1", GROUP_BIT(GROUP_INFO)},
        {"rtt > 1 or not cong = bbr", GROUP_BIT(GROUP_INFO) | GROUP_BIT(GROUP_CONG)},
        {"bbr_min_rtt > 1", GROUP_BIT(GROUP_BBR)},
        {"cgroup = /a", GROUP_BIT(GROUP_CGROUP)},
        {"c_group = 1", GROUP_BIT(GROUP_CGROUP)},
        {"tos = 1 and tclass = 1", GROUP_BIT(GROUP_TOS) | GROUP_BIT(GROUP_TC)},
        {"shutdown = 3", GROUP_BIT(GROUP_SHUT)},
        {"drops > 0", GROUP_BIT(GROUP_SKMEM)},
        {"rmem > 0", GROUP_BIT(GROUP_MEMINFO)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct filter *f = parsed(cases[i].text);
        if (filter_groups(f) != cases[i].groups)
            fail_msg("%s: %x", cases[i].text, filter_groups(f));
        assert_int_equal(filter_is_empty(f), i == 0);
        filter_unref(f);
    }
}

static void test_references(void **state)
{
    (void)state;
    struct filter *f = parsed("sport = 1 and (rtt > 5 or cong = bbr)");
    assert_ptr_equal(filter_ref(f), f);
    filter_unref(f);
    assert_int_equal(filter_part_count(f), 2);
    assert_string_equal(filter_part_text(f, 0), "sport = 1");
    assert_string_equal(filter_part_text(f, 1), "rtt > 5us or cong = bbr");
    filter_unref(f);
    filter_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_groups), cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
