/* Which sockets are the two ends of one connection, and which are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "client/fleet/connection_join.h"

/* A socket as a test describes it. */
struct sock {
    size_t node;
    uint64_t netns;
    const char *local, *peer; /* addresses; with ":" IPv6 */
    uint16_t local_port, peer_port;
    uint8_t state; /* 0: ESTABLISHED */
    uint8_t send_scale, receive_scale;
    uint8_t options;
    uint32_t idle_ms;
    uint64_t acked, received;
    bool no_info;
};

static void add(struct join *j, const struct sock *s)
{
    record_message r;
    uint8_t local[16], peer[16];
    bool v6 = strchr(s->local, ':') != NULL;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, s->local, local), 1);
    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, s->peer, peer), 1);
    r.netns = (char *)(uintptr_t) "ns";
    r.netns_cookie = s->netns;
    r.inet_diag_msg_family = v6 ? AF_INET6 : AF_INET;
    r.inet_diag_msg_socket_source = (ProtobufCBinaryData){.len = v6 ? 16 : 4, .data = local};
    r.inet_diag_msg_socket_destination = (ProtobufCBinaryData){.len = v6 ? 16 : 4, .data = peer};
    r.inet_diag_msg_socket_source_port = s->local_port;
    r.inet_diag_msg_socket_destination_port = s->peer_port;
    r.inet_diag_msg_state = s->state ? s->state : TCP_ESTABLISHED;
    r.tcp_info_state = s->no_info ? 0 : r.inet_diag_msg_state;
    r.tcp_info_send_scale = s->send_scale;
    r.tcp_info_rcv_scale = s->receive_scale;
    r.tcp_info_options = s->options;
    r.tcp_info_last_data_sent = r.tcp_info_last_data_recv = s->idle_ms;
    r.tcp_info_bytes_acked = s->acked;
    r.tcp_info_bytes_received = s->received;
    assert_int_equal(join_add(j, s->node, &r), 0);
}

static struct join match(const struct sock *list, size_t n)
{
    struct join j = {0};
    for (size_t i = 0; i < n; i++)
        add(&j, &list[i]);
    assert_int_equal(join_match(&j), 0);
    return j;
}

#define MATCH(list) match(list, sizeof(list) / sizeof(list[0]))

static void counts_are(struct join *j, size_t pairs, size_t by_counters, size_t ambiguous, size_t one_end)
{
    assert_int_equal(j->counts[JOIN_PAIR], pairs);
    assert_int_equal(j->counts[JOIN_BY_COUNTERS], by_counters);
    assert_int_equal(j->counts[JOIN_AMBIGUOUS], ambiguous);
    assert_int_equal(j->counts[JOIN_ONE_END], one_end);
}

static bool has_pair(const struct join *j, size_t a, size_t b)
{
    for (size_t i = 0; i < j->n_rows; i++)
        if ((j->rows[i].a == a && j->rows[i].b == b) || (j->rows[i].a == b && j->rows[i].b == a))
            return true;
    return false;
}

static void test_two_nodes(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {1, 5, "192.0.2.2", "192.0.2.1", 443, 40000, .send_scale = 7, .receive_scale = 9},
        {0, 5, "192.0.2.1", "192.0.2.2", 40000, 443, .send_scale = 9, .receive_scale = 7},
        {0, 5, "192.0.2.1", "192.0.2.2", 40001, 443, .no_info = false}, /* its other end is not there */
        {0, 5, "0.0.0.0", "0.0.0.0", 443, 0, .state = TCP_LISTEN},      /* has none */
    };
    struct join j = MATCH(list);
    counts_are(&j, 1, 0, 0, 1);
    assert_true(has_pair(&j, 0, 1));
    for (size_t i = 0; i < j.n_rows; i++)
        if (j.rows[i].kind == JOIN_PAIR)
            assert_int_equal(j.ends[j.rows[i].a].node, 0); /* the first node is on the left */
    join_reset(&j);
}

static void test_mapped_addresses(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "::ffff:192.0.2.1", "::ffff:192.0.2.2", 40000, 443, .no_info = false},
        {1, 2, "192.0.2.2", "192.0.2.1", 443, 40000, .no_info = false},
        {0, 1, "2001:db8::1", "2001:db8::2", 40000, 443, .no_info = false},
        {1, 2, "2001:db8::2", "2001:db8::1", 443, 40000, .no_info = false},
    };
    struct join j = MATCH(list);
    counts_are(&j, 2, 0, 0, 0);
    assert_true(has_pair(&j, 0, 1) && has_pair(&j, 2, 3));
    join_reset(&j);
}

/* Loopback connections of two hosts look alike; they never leave their namespace. */
static void test_loopback(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "127.0.0.1", "127.0.0.1", 40000, 80, .no_info = false},
        {0, 1, "127.0.0.1", "127.0.0.1", 80, 40000, .no_info = false},
        {1, 1, "127.0.0.1", "127.0.0.1", 40000, 80, .no_info = false},
        {1, 1, "127.0.0.1", "127.0.0.1", 80, 40000, .no_info = false},
        {0, 2, "127.0.0.1", "127.0.0.1", 40000, 80, .no_info = false},
        {2, 9, "127.0.0.1", "127.0.0.1", 80, 40000, .no_info = false},
        {0, 3, "::1", "::1", 40000, 80, .no_info = false},
        {0, 3, "::1", "::1", 80, 40000, .no_info = false},
    };
    struct join j = MATCH(list);
    counts_are(&j, 3, 0, 0, 2);
    assert_true(has_pair(&j, 0, 1) && has_pair(&j, 2, 3) && has_pair(&j, 6, 7));
    join_reset(&j);
}

/* 10.0.0.1 and 10.0.0.2 in two pairs of namespaces, with handshakes that differ. */
static void test_scales_decide(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .send_scale = 7, .receive_scale = 8},
        {0, 2, "10.0.0.2", "10.0.0.1", 80, 40000, .send_scale = 8, .receive_scale = 7},
        {0, 3, "10.0.0.1", "10.0.0.2", 40000, 80, .send_scale = 1, .receive_scale = 2},
        {1, 4, "10.0.0.2", "10.0.0.1", 80, 40000, .send_scale = 2, .receive_scale = 1},
    };
    struct join j = MATCH(list);
    counts_are(&j, 2, 0, 0, 0);
    assert_true(has_pair(&j, 0, 1) && has_pair(&j, 2, 3));
    join_reset(&j);
}

static void test_counters_decide(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .acked = 1001, .received = 500},
        {0, 2, "10.0.0.2", "10.0.0.1", 80, 40000, .acked = 500, .received = 1000},
        {0, 3, "10.0.0.1", "10.0.0.2", 40000, 80, .acked = 77, .received = 9999},
        {1, 4, "10.0.0.2", "10.0.0.1", 80, 40000, .acked = 9998, .received = 78},
    };
    struct join j = MATCH(list);
    counts_are(&j, 0, 2, 0, 0);
    assert_true(has_pair(&j, 0, 1) && has_pair(&j, 2, 3));
    join_reset(&j);
}

/* Nothing tells them apart: no pair is better than a wrong one. */
static void test_ambiguous(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .acked = 5000, .received = 1},
        {0, 2, "10.0.0.2", "10.0.0.1", 80, 40000, .acked = 1, .received = 5500},
        {0, 3, "10.0.0.1", "10.0.0.2", 40000, 80, .acked = 5000, .received = 1},
        {1, 4, "10.0.0.2", "10.0.0.1", 80, 40000, .acked = 1, .received = 5600},
    };
    struct join j = MATCH(list);
    counts_are(&j, 0, 0, 4, 0);
    for (size_t i = 0; i < j.n_rows; i++)
        assert_int_equal(j.rows[i].n_candidates, 2);
    join_reset(&j);
}

/* Ends whose mates are elsewhere are not made a pair only because their addresses fit. */
static void test_strangers(void **state)
{
    (void)state;
    static const struct sock quiet[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .idle_ms = 5000, .acked = 1000, .received = 1},
        {1, 2, "10.0.0.2", "10.0.0.1", 80, 40000, .idle_ms = 5000, .acked = 1, .received = 70},
    };
    static const struct sock options[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .options = TCPI_OPT_SACK},
        {1, 2, "10.0.0.2", "10.0.0.1", 80, 40000, .options = TCPI_OPT_SACK | TCPI_OPT_TIMESTAMPS},
    };
    static const struct sock same[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .no_info = false},
        {1, 2, "10.0.0.1", "10.0.0.2", 40000, 80, .no_info = false},
    };
    struct join j = MATCH(quiet);
    counts_are(&j, 0, 0, 0, 2);
    join_reset(&j);
    j = MATCH(options);
    counts_are(&j, 0, 0, 0, 2);
    join_reset(&j);
    j = MATCH(same); /* the same side twice */
    counts_are(&j, 0, 0, 0, 2);
    join_reset(&j);
}

/* Within one namespace the pair is certain, whichever other sockets have the addresses. */
static void test_same_namespace_first(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "10.0.0.1", "10.0.0.2", 40000, 80, .no_info = false},
        {0, 1, "10.0.0.2", "10.0.0.1", 80, 40000, .no_info = false},
        {1, 1, "10.0.0.2", "10.0.0.1", 80, 40000, .no_info = false},
    };
    struct join j = MATCH(list);
    counts_are(&j, 1, 0, 0, 1);
    assert_true(has_pair(&j, 0, 1));
    join_reset(&j);
}

static void test_handshake_and_end(void **state)
{
    (void)state;
    static const struct sock list[] = {
        {0, 1, "192.0.2.1", "192.0.2.2", 1, 2, .state = TCP_SYN_SENT, .receive_scale = 7},
        {1, 2, "192.0.2.2", "192.0.2.1", 2, 1, .state = TCP_SYN_RECV, .no_info = true},
        {0, 1, "192.0.2.1", "192.0.2.2", 3, 4, .state = TCP_TIME_WAIT, .no_info = true},
        {1, 2, "192.0.2.2", "192.0.2.1", 4, 3, .state = TCP_LAST_ACK, .send_scale = 3},
        {0, 1, "192.0.2.1", "192.0.2.1", 9, 9, .no_info = false}, /* connected to itself */
    };
    struct join j = MATCH(list);
    counts_are(&j, 2, 0, 0, 1);
    join_reset(&j);
}

/* As many as one likes: nothing is lost, nothing takes for ever. */
static void test_crowd(void **state)
{
    (void)state;
    struct join j = {0};
    for (size_t i = 0; i < 300; i++)
        add(&j, &(struct sock){i % 2, i, i % 2 ? "10.0.0.1" : "10.0.0.2", i % 2 ? "10.0.0.2" : "10.0.0.1",
                               i % 2 ? 1 : 2, i % 2 ? 2 : 1, .no_info = false});
    assert_int_equal(join_match(&j), 0);
    counts_are(&j, 0, 0, 300, 0);
    join_reset(&j);
    assert_int_equal(join_match(&j), 0); /* nothing at all */
    join_reset(&j);
}

/* Random populations: every socket is in exactly one row, and pairs mirror each other. */
static void test_random(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int round = 0; round < 300; round++) {
        struct join j = {0};
        static const char *const addresses[] = {"10.0.0.1", "10.0.0.2", "127.0.0.1", "::ffff:10.0.0.1"};
        for (size_t i = 0; i < 40; i++) {
            uint32_t r = seed = seed * 1664525u + 1013904223u;
            const char *local = addresses[(r >> 8) % 3], *peer = addresses[(r >> 12) % 3];
            add(&j, &(struct sock){.node = (r >> 16) % 3,
                                   .netns = (r >> 18) % 3,
                                   .local = local,
                                   .peer = peer,
                                   .local_port = (uint16_t)(1 + (r >> 20) % 3),
                                   .peer_port = (uint16_t)(1 + (r >> 22) % 3),
                                   .send_scale = (r >> 24) % 2,
                                   .receive_scale = (r >> 25) % 2,
                                   .acked = (r >> 26) % 4 * 100,
                                   .received = (r >> 28) % 4 * 100});
        }
        assert_int_equal(join_match(&j), 0);
        unsigned seen[40] = {0};
        for (size_t i = 0; i < j.n_rows; i++) {
            const struct join_row *row = &j.rows[i];
            seen[row->a]++;
            if (row->b == JOIN_NONE)
                continue;
            seen[row->b]++;
            const struct join_end *a = &j.ends[row->a], *b = &j.ends[row->b];
            assert_memory_equal(a->local, b->peer, 16);
            assert_memory_equal(a->peer, b->local, 16);
            assert_int_equal(a->local_port, b->peer_port);
            assert_int_equal(a->peer_port, b->local_port);
        }
        for (size_t i = 0; i < j.n_ends; i++)
            assert_int_equal(seen[i], 1);
        join_reset(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes),
        cmocka_unit_test(test_mapped_addresses),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_scales_decide),
        cmocka_unit_test(test_counters_decide),
        cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_same_namespace_first),
        cmocka_unit_test(test_handshake_and_end),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
