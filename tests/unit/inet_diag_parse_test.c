#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <netlink/msg.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/diag_request.h"
#include "lib/err.h"
#include "tests/unit/inet_diag_message.h"

/* Feeds an exact heap copy, so that a sanitizer sees the first byte read past the end. */
struct fed {
    struct diag_reader r;
    uint8_t *copy;
};

static void feed(struct fed *f, const struct message *m)
{
    f->copy = malloc(m->len ? m->len : 1);
    assert_non_null(f->copy);
    memcpy(f->copy, m->bytes, m->len);
    diag_reader_init(&f->r);
    diag_reader_expect(&f->r, TEST_SEQ, TEST_PORTID);
    diag_reader_feed(&f->r, f->copy, m->len);
}

static void feed_end(struct fed *f)
{
    assert_int_equal(diag_reader_next(&f->r), DIAG_END);
    free(f->copy);
}

static void test_both_answer_types(void **state)
{
    (void)state;
    struct message m = {.len = 0};
    struct fed f;
    uint8_t tos = 0x10;
    put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET6, 2);
    put_attr(&m, INET_DIAG_TOS, &tos, 1); /* the last one, not padded */
    put_end(&m);
    feed(&f, &m);
    uint64_t ahead = 0;
    size_t at = 0;
    assert_true(diag_reader_peek(&f.r, &at, &ahead) && ahead == 1);
    assert_true(diag_reader_peek(&f.r, &at, &ahead) && ahead == 2);
    assert_false(diag_reader_peek(&f.r, &at, &ahead));
    assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
    assert_int_equal(f.r.type, TCPDIAG_GETSOCK);
    assert_int_equal(diag_cookie(&f.r.source), 1);
    assert_int_equal(f.r.source.data[PART_MSG][0], AF_INET);
    assert_null(f.r.source.data[PART_TOS]);
    assert_int_equal(f.r.source.attributes, 0);
    assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
    assert_int_equal(diag_cookie(&f.r.source), 2);
    assert_int_equal(f.r.source.len[PART_TOS], 1);
    assert_int_equal(f.r.source.data[PART_TOS][0], 0x10);
    assert_int_equal(f.r.source.attributes, 1 << INET_DIAG_TOS);
    assert_int_equal(f.r.counts.sockets, 2);
    feed_end(&f);
}

static void test_every_part(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        uint16_t len;
        enum record_part part;
    } attrs[] = {
        {INET_DIAG_MEMINFO, 16, PART_MEMINFO},
        {INET_DIAG_INFO, 280, PART_INFO},
        {INET_DIAG_VEGASINFO, 16, PART_VEGAS},
        {INET_DIAG_CONG, 6, PART_CONG},
        {INET_DIAG_TOS, 1, PART_TOS},
        {INET_DIAG_TCLASS, 1, PART_TCLASS},
        {INET_DIAG_SKMEMINFO, 36, PART_SKMEMINFO},
        {INET_DIAG_SHUTDOWN, 1, PART_SHUTDOWN},
        {INET_DIAG_DCTCPINFO, 16, PART_DCTCP},
        {INET_DIAG_BBRINFO, 20, PART_BBR},
        {INET_DIAG_CLASS_ID, 4, PART_CLASS_ID},
        {INET_DIAG_CGROUP_ID, 8, PART_CGROUP_ID},
        {INET_DIAG_SOCKOPT, 2, PART_SOCKOPT},
        {INET_DIAG_SKV6ONLY, 1, PART_V6ONLY},
        {INET_DIAG_MARK, 4, PART_MARK},
    };
    const size_t count = sizeof(attrs) / sizeof(attrs[0]);
    assert_int_equal(count, PART_COUNT - 2); /* the message itself, and the name of a device, are none */
    uint8_t value[512] = {0};
    uint32_t sent = 0;
    struct message m = {.len = 0};
    struct fed f;
    put_socket(&m, TCPDIAG_GETSOCK, AF_INET6, 9);
    for (size_t i = 0; i < count; i++) {
        value[0] = (uint8_t)(i + 1);
        put_attr(&m, attrs[i].type, value, attrs[i].len);
    }
    put_end(&m);
    feed(&f, &m);
    assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(f.r.source.data[attrs[i].part]);
        assert_int_equal(f.r.source.len[attrs[i].part], attrs[i].len);
        assert_int_equal(f.r.source.data[attrs[i].part][0], i + 1);
        assert_int_equal(record_part_attributes[attrs[i].part], attrs[i].type);
        sent |= UINT32_C(1) << attrs[i].type;
    }
    assert_int_equal(f.r.source.attributes, sent);
    assert_int_equal(f.r.counts.unknown_attrs + f.r.counts.short_attrs, 0);
    feed_end(&f);

    /* One byte less than the oldest kernel sends: skipped and counted, the socket stays. */
    for (size_t i = 0; i < count; i++) {
        static const uint16_t oldest[] = {16, 104, 16, 1, 1, 1, 28, 1, 16, 20, 4, 8, 2, 1, 4};
        for (unsigned cut = 0; cut < 2; cut++) {
            m.len = 0;
            put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 9);
            put_attr(&m, attrs[i].type, value, oldest[i] - cut);
            put_end(&m);
            feed(&f, &m);
            assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
            assert_int_equal(f.r.source.data[attrs[i].part] == NULL, cut);
            assert_int_equal(f.r.source.attributes == 0, cut);
            assert_int_equal(f.r.counts.short_attrs, cut);
            feed_end(&f);
        }
    }
}

static void test_odd_attributes(void **state)
{
    (void)state;
    struct message m = {.len = 0};
    struct fed f;
    char name[17] = "a-name-too-long-";
    put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 9);
    put_attr(&m, 31, "?", 1);
    put_attr(&m, 32, "?", 1);
    put_attr(&m, 4000, NULL, 0);
    put_attr(&m, INET_DIAG_NONE, "?", 1);
    put_attr(&m, INET_DIAG_CONG, name, sizeof(name));
    put_attr(&m, INET_DIAG_CONG, "cubic", 6);
    put_attr(&m, INET_DIAG_CONG, "reno", 5);
    put_attr(&m, INET_DIAG_ULP_INFO | NLA_F_NESTED, "tls", 4);
    put_attr(&m, INET_DIAG_TOS | NLA_F_NET_BYTEORDER, "\2", 1);
    put_end(&m);
    feed(&f, &m);
    assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
    assert_int_equal(f.r.counts.unknown_attrs, 4);
    assert_int_equal(f.r.counts.short_attrs, 2);
    assert_int_equal(f.r.source.attributes,
                     1u << 31 | 1 << INET_DIAG_CONG | 1 << INET_DIAG_ULP_INFO | 1 << INET_DIAG_TOS);
    assert_int_equal(f.r.source.len[PART_CONG], 6);
    assert_memory_equal(f.r.source.data[PART_CONG], "cubic", 6);
    assert_int_equal(f.r.source.data[PART_TOS][0], 2);
    feed_end(&f);
}

/* Each of these messages stands between two good ones, which must survive it. */
static void test_not_ours(void **state)
{
    (void)state;
    static const uint8_t udp = IPPROTO_UDP, tcp = IPPROTO_TCP;
    static const struct {
        uint16_t type;
        uint8_t family;
        uint8_t body; /* bytes of struct inet_diag_msg that are there */
        const uint8_t *protocol;
        uint16_t broken_attr; /* length of an attribute that lies, 0: none */
        uint8_t sockets, malformed, foreign;
    } cases[] = {
        {SOCK_DIAG_BY_FAMILY, AF_UNIX, 16, NULL, 0, 2, 0, 1},
        {SOCK_DIAG_BY_FAMILY, AF_UNIX, 72, NULL, 0, 2, 0, 1},
        {SOCK_DIAG_BY_FAMILY, AF_INET, 71, NULL, 0, 2, 1, 0},
        {SOCK_DIAG_BY_FAMILY, AF_INET, 0, NULL, 0, 2, 1, 0},
        {SOCK_DIAG_BY_FAMILY, AF_INET, 72, &udp, 0, 2, 0, 1},
        {SOCK_DIAG_BY_FAMILY, AF_INET, 72, &tcp, 0, 3, 0, 0},
        {TCPDIAG_GETSOCK, AF_INET, 72, NULL, 3, 2, 1, 0},
        {TCPDIAG_GETSOCK, AF_INET, 72, NULL, 9, 2, 1, 0},
        {TCPDIAG_GETSOCK, AF_INET, 72, NULL, 8, 3, 0, 0},
        {DCCPDIAG_GETSOCK, AF_INET, 72, NULL, 0, 2, 0, 1},
        {SOCK_DESTROY, AF_INET, 72, NULL, 0, 2, 0, 1},
        {0xffff, AF_INET, 72, NULL, 0, 2, 0, 1},
        {NLMSG_NOOP, AF_INET, 0, NULL, 0, 2, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message m = {.len = 0};
        struct fed f;
        struct inet_diag_msg d = {.idiag_family = cases[i].family};
        put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
        put_header(&m, cases[i].type, 0);
        put(&m, &d, cases[i].body);
        if (cases[i].protocol)
            put_attr(&m, INET_DIAG_PROTOCOL, cases[i].protocol, 1);
        if (cases[i].broken_attr) {
            struct rtattr a = {.rta_len = cases[i].broken_attr, .rta_type = INET_DIAG_MARK};
            put(&m, &a, sizeof(a));
            put(&m, "mark", 4);
        }
        put_end(&m);
        put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 2);
        feed(&f, &m);
        unsigned sockets = 0;
        while (diag_reader_next(&f.r) == DIAG_SOCKET)
            sockets++;
        assert_int_equal(sockets, cases[i].sockets);
        assert_int_equal(f.r.counts.malformed, cases[i].malformed);
        assert_int_equal(f.r.counts.foreign, cases[i].foreign);
        assert_int_equal(diag_cookie(&f.r.source), 2);
        feed_end(&f);
    }
}

static void test_done_and_error(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        int32_t code;
        enum diag_event event;
        int error;
    } cases[] = {
        {NLMSG_DONE, 0, DIAG_DONE, 0},
        {NLMSG_DONE, -ENOENT, DIAG_DONE, -ENOENT},
        {NLMSG_DONE, 5, DIAG_DONE, 0},
        {NLMSG_DONE, ERR_CANCELLED, DIAG_DONE, ERR_MALFORMED}, /* not one of ours by accident */
        {NLMSG_DONE, INT32_MIN, DIAG_DONE, ERR_MALFORMED},
        {NLMSG_ERROR, -EBUSY, DIAG_ERROR, -EBUSY},
        {NLMSG_ERROR, INT32_MIN, DIAG_ERROR, ERR_MALFORMED},
        {NLMSG_ERROR, 0, DIAG_END, 0},
        {NLMSG_OVERRUN, 0, DIAG_OVERRUN, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message m = {.len = 0};
        struct fed f;
        put_code(&m, cases[i].type, cases[i].code);
        feed(&f, &m);
        assert_int_equal(diag_reader_next(&f.r), cases[i].event);
        assert_int_equal(f.r.error, cases[i].error);
        feed_end(&f);
    }

    struct message empty = {.len = 0};
    struct fed f;
    put_header(&empty, NLMSG_DONE, 0);
    put_header(&empty, NLMSG_ERROR, 0);
    feed(&f, &empty);
    assert_int_equal(diag_reader_next(&f.r), DIAG_DONE);
    assert_int_equal(f.r.error, 0);
    assert_int_equal(diag_reader_next(&f.r), DIAG_ERROR);
    assert_int_equal(f.r.error, ERR_MALFORMED);
    feed_end(&f);
}

static void test_interrupted(void **state)
{
    (void)state;
    struct message m = {.len = 0};
    struct fed f;
    put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
    m.begin = m.len;
    put_header(&m, NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR);
    feed(&f, &m);
    assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
    assert_false(f.r.interrupted);
    assert_int_equal(diag_reader_next(&f.r), DIAG_DONE);
    assert_true(f.r.interrupted);
    feed_end(&f);
}

static void test_stale_and_requests(void **state)
{
    (void)state;
    struct message m = {.len = 0};
    struct fed f;
    struct nlmsghdr h;
    for (unsigned i = 0; i < 3; i++) { /* another sequence number, another port, a request */
        put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
        memcpy(&h, m.bytes + m.begin, sizeof(h));
        h.nlmsg_seq += i == 0;
        h.nlmsg_pid += i == 1;
        h.nlmsg_flags |= i == 2 ? NLM_F_REQUEST : NLM_F_DUMP_INTR;
        memcpy(m.bytes + m.begin, &h, sizeof(h));
    }
    feed(&f, &m);
    assert_int_equal(diag_reader_next(&f.r), DIAG_REQUEST);
    assert_int_equal(f.r.payload_len, sizeof(struct inet_diag_msg));
    assert_int_equal(f.r.counts.stale, 2);
    assert_int_equal(f.r.counts.sockets, 0);
    assert_false(f.r.interrupted);
    feed_end(&f);
}

static void test_broken_lengths(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 15, 89, 4096, 0x7fffffff, 0xffffffff};
    struct fed f;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct message m = {.len = 0};
        put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 1);
        put_socket(&m, TCPDIAG_GETSOCK, AF_INET, 2); /* 16 + 72 bytes */
        put_length(&m, lengths[i]);
        feed(&f, &m);
        assert_int_equal(diag_reader_next(&f.r), DIAG_SOCKET);
        assert_int_equal(diag_reader_next(&f.r), DIAG_BROKEN);
        assert_int_equal(f.r.offset, 88);
        assert_int_equal(f.r.counts.malformed, 1);
        feed_end(&f);
    }
    struct message whole = {.len = 0};
    uint8_t tos = 1;
    put_socket(&whole, TCPDIAG_GETSOCK, AF_INET, 1);
    put_attr(&whole, INET_DIAG_TOS, &tos, 1);
    put_end(&whole);
    for (size_t cut = 1; cut < whole.len; cut++) { /* cut anywhere: no socket, no crash */
        struct message m = whole;
        m.len = cut;
        feed(&f, &m);
        assert_int_equal(diag_reader_next(&f.r), DIAG_BROKEN);
        feed_end(&f);
    }
}

static void test_cookie(void **state)
{
    (void)state;
    struct inet_diag_msg d = {.id.idiag_cookie = {0x11223344, 0x1}};
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&d, .len[PART_MSG] = sizeof(d)};
    assert_true(diag_cookie(&s) == 0x111223344ULL);
    d.id.idiag_cookie[0] = d.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    assert_true(diag_cookie(&s) == 0);
    d.id.idiag_cookie[1] = 0;
    assert_true(diag_cookie(&s) == INET_DIAG_NOCOOKIE);
}

static void test_request(void **state)
{
    (void)state;
    static const struct {
        groups_t groups;
        uint8_t mask;
    } cases[] = {
        {0, 0},
        {GROUP_BIT(GROUP_MEMINFO), 0x01},
        {GROUP_BIT(GROUP_INFO), 0x02},
        {GROUP_BIT(GROUP_VEGAS), 0x04},
        {GROUP_BIT(GROUP_DCTCP), 0x04},
        {GROUP_BIT(GROUP_BBR), 0x04},
        {GROUP_BIT(GROUP_CONG), 0x08},
        {GROUP_BIT(GROUP_TOS), 0x10},
        {GROUP_BIT(GROUP_TC), 0x20},
        {GROUP_BIT(GROUP_CLASSID), 0x20},
        {GROUP_BIT(GROUP_SKMEM), 0x40},
        {GROUP_BIT(GROUP_SHUT), 0x80},
        {GROUP_BIT(GROUP_CGROUP) | GROUP_BIT(GROUP_SOCKOPT), 0},
        {GROUPS_DEFAULT, 0xfe},
        {GROUPS_ALL, 0xff},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(diag_request_extensions(cases[i].groups), cases[i].mask);
        struct nl_msg *m =
            diag_request_new(&(struct diag_request){.groups = cases[i].groups, .states = DIAG_STATES_ALL});
        assert_non_null(m);
        const struct nlmsghdr *h = nlmsg_hdr(m);
        const struct inet_diag_req *request = nlmsg_data(h);
        assert_int_equal(h->nlmsg_type, TCPDIAG_GETSOCK);
        assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
        assert_int_equal(h->nlmsg_len, sizeof(*h) + sizeof(*request));
        assert_int_equal(request->idiag_ext, cases[i].mask);
        assert_int_equal(request->idiag_states, 0xfff);
        assert_int_equal(request->id.idiag_sport, 0);
        nlmsg_free(m);
    }
    struct nl_msg *m = diag_request_new(&(struct diag_request){.states = 2, .sport = 22, .dport = 443});
    const struct inet_diag_req *request = nlmsg_data(nlmsg_hdr(m));
    assert_int_equal(request->idiag_states, 2);
    assert_int_equal(request->id.idiag_sport, htons(22));
    assert_int_equal(request->id.idiag_dport, htons(443));
    nlmsg_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_answer_types),
        cmocka_unit_test(test_every_part),
        cmocka_unit_test(test_odd_attributes),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_done_and_error),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_stale_and_requests),
        cmocka_unit_test(test_broken_lengths),
        cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
