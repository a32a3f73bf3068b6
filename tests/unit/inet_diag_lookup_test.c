/* Exact requests: the messages, byte by byte, and real ones in a namespace of this process's own. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/dump.h"
#include "inet_diag/socket_lookup.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "tests/unit/inet_diag_message.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

static int unshared; /* 0, or why there is no namespace of our own */
static int own_netns_fd;
static struct net_sockets sockets;
static const struct netns_ref own = {.own = true, .name = "default", .path = "/proc/self/ns/net"};

struct answers {
    size_t count;
    size_t index[256];
    int code[256];
    uint64_t cookie[256];
    uint8_t state[256];
    bool info[256];
};

static void collect(void *arg, size_t index, const struct record_source *s, int code)
{
    struct answers *a = arg;
    assert_true(a->count < 256);
    assert_true((s != NULL) == (code == 0));
    a->index[a->count] = index;
    a->code[a->count] = code;
    a->cookie[a->count] = s ? diag_cookie(s) : 0;
    a->state[a->count] = s ? s->data[PART_MSG][1] : 0;
    a->info[a->count++] = s && s->data[PART_INFO];
}

/* ---- The messages ---- */

static struct lookup_socket numbered(uint64_t cookie)
{
    struct lookup_socket s = {.family = AF_INET};
    s.id.idiag_cookie[0] = (uint32_t)cookie;
    s.id.idiag_cookie[1] = (uint32_t)(cookie >> 32);
    return s;
}

static void put_seq(struct message *m, uint32_t seq)
{
    memcpy(m->bytes + m->begin + offsetof(struct nlmsghdr, nlmsg_seq), &seq, sizeof(seq));
}

static void test_request(void **state)
{
    (void)state;
    uint8_t bytes[LOOKUP_REQUEST_SIZE];
    struct lookup_socket s = numbered(0x1122334455667788);
    s.id.idiag_sport = htons(443);
    s.id.idiag_if = 7;
    lookup_put_request(bytes, &s, 0xfe, 99);
    struct nlmsghdr h;
    struct inet_diag_req_v2 r;
    memcpy(&h, bytes, sizeof(h));
    memcpy(&r, bytes + sizeof(h), sizeof(r));
    assert_int_equal(sizeof(h) + sizeof(r), LOOKUP_REQUEST_SIZE);
    assert_int_equal(h.nlmsg_len, LOOKUP_REQUEST_SIZE);
    assert_int_equal(h.nlmsg_type, SOCK_DIAG_BY_FAMILY);
    assert_int_equal(h.nlmsg_flags, NLM_F_REQUEST); /* no dump: that would be all sockets */
    assert_int_equal(h.nlmsg_seq, 99);
    assert_int_equal(r.sdiag_family, AF_INET);
    assert_int_equal(r.sdiag_protocol, IPPROTO_TCP);
    assert_int_equal(r.idiag_ext, 0xfe);
    assert_memory_equal(&r.id, &s.id, sizeof(s.id));
}

/* One datagram with |m|'s messages, for |n| sockets with the cookies 1 to |n|. */
static size_t take(const struct message *m, size_t len, size_t n, struct answers *a)
{
    struct lookup_socket wanted[64];
    uint8_t answered[64] = {0};
    *a = (struct answers){0};
    for (size_t i = 0; i < n; i++)
        wanted[i] = numbered(i + 1);
    /* Exactly as long as it is, so that a sanitizer sees a byte too many. */
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, m->bytes, len);
    const struct lookup_asked asked = {.first_seq = UINT32_MAX - 1,
                                       .sockets = wanted,
                                       .n = n,
                                       .base = 100,
                                       .answered = answered,
                                       .fn = collect,
                                       .arg = a};
    size_t count = lookup_take_answers(copy, len, &asked);
    free(copy);
    assert_int_equal(count, a->count);
    for (size_t i = 0; i < a->count; i++)
        assert_true(answered[a->index[i] - 100]);
    return count;
}

static void test_answers_find_their_sockets(void **state)
{
    (void)state;
    struct message m = {0};
    struct answers a;
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 3); /* sequence numbers wrap: this is the third */
    put_seq(&m, 0);
    put_code(&m, NLMSG_ERROR, -ENOENT);
    put_seq(&m, UINT32_MAX - 1);
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 3); /* a second time */
    put_seq(&m, 0);
    assert_int_equal(take(&m, m.len, 4, &a), 2);
    assert_int_equal(a.index[0], 102);
    assert_int_equal(a.code[0], 0);
    assert_int_equal(a.cookie[0], 3);
    assert_int_equal(a.index[1], 100);
    assert_int_equal(a.code[1], -ENOENT);
}

static void test_foreign_answers_are_none(void **state)
{
    (void)state;
    struct message m = {0};
    struct answers a;
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 9); /* another socket than the one asked for */
    put_seq(&m, UINT32_MAX - 1);
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 2); /* outside of the numbers asked with */
    put_seq(&m, UINT32_MAX - 2);
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 2);
    put_seq(&m, 2);
    put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_UNIX, 1);
    put_seq(&m, UINT32_MAX - 1);
    put_code(&m, NLMSG_DONE, 0);
    put_seq(&m, UINT32_MAX - 1);
    assert_int_equal(take(&m, m.len, 2, &a), 0);
}

static void test_hostile_lengths(void **state)
{
    (void)state;
    struct answers a;
    static const uint32_t lengths[] = {0, 1, 15, 16, 17, 71, 87, 89, 4096, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct message m = {0};
        put_socket(&m, SOCK_DIAG_BY_FAMILY, AF_INET, 1);
        put_seq(&m, UINT32_MAX - 1);
        put_attr(&m, INET_DIAG_INFO, "x", 1); /* too short: left out */
        put_length(&m, lengths[i]);
        take(&m, m.len, 4, &a);
    }
    struct message whole = {0};
    put_socket(&whole, SOCK_DIAG_BY_FAMILY, AF_INET, 1);
    put_seq(&whole, UINT32_MAX - 1);
    for (size_t cut = 0; cut < whole.len; cut++)
        assert_int_equal(take(&whole, cut, 4, &a), 0);
    assert_int_equal(take(&whole, whole.len, 4, &a), 1);
}

/* ---- At work ---- */

static struct lookup_socket ids[256];
static size_t n_ids;

static int note(void *arg, const struct record_source *s)
{
    (void)arg;
    assert_true(n_ids < 256);
    lookup_identity(s, &ids[n_ids++]);
    return 0;
}

/* The identities of all sockets, by a dump. */
static void find_all(void)
{
    struct dump d;
    struct err e = {0};
    static uint8_t buffer[DUMP_BUFFER_SIZE];
    struct u64set seen;
    u64set_init(&seen);
    struct dump_options o = {.buffer = buffer,
                             .buffer_size = sizeof(buffer),
                             .seen = &seen,
                             .wake_fd = -1,
                             .deadline_ns = clock_mono_ns() + 10 * NS_PER_S};
    struct dump_counts counts = {0};
    n_ids = 0;
    assert_int_equal(dump_open(&d, 0, &e), 0);
    assert_int_equal(dump_request(&d, 0, &e), 0);
    assert_int_equal(dump_receive(&d, &o, note, NULL, &counts, &e), 0);
    dump_close(&d);
    u64set_free(&seen);
}

static struct socket_lookup *open_lookup(void)
{
    struct socket_lookup *x;
    struct err e = {0};
    bool lost = false;
    assert_int_equal(lookup_new(own_netns_fd, &x), 0);
    assert_int_equal(lookup_enter(x, &own, &lost, &e), 0);
    return x;
}

static void test_every_socket_answers(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    struct answers a = {0};
    find_all();
    assert_int_equal(n_ids, sockets.count);
    struct socket_lookup *x = open_lookup();
    assert_int_equal(lookup_ask(x, ids, n_ids, GROUPS_ALL, collect, &a), 0);
    assert_int_equal(a.count, n_ids);
    bool there[256] = {false};
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.code[i], 0);
        assert_false(there[a.index[i]]);
        there[a.index[i]] = true;
        assert_int_equal(a.cookie[i], (uint64_t)ids[a.index[i]].id.idiag_cookie[0] |
                                          (uint64_t)ids[a.index[i]].id.idiag_cookie[1] << 32);
        assert_true(a.info[i]);
    }
    /* Without groups the large part stays away, and the cookie need not be known. */
    a = (struct answers){0};
    struct lookup_socket any = ids[0];
    any.id.idiag_cookie[0] = any.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    assert_int_equal(lookup_ask(x, &any, 1, 0, collect, &a), 0);
    assert_int_equal(a.code[0], 0);
    assert_false(a.info[0]);
    lookup_free(x);
}

static void test_gone_and_mistaken(void **state)
{
    (void)state;
    struct answers a = {0};
    struct net_sockets few = {0};
    uint16_t port = net_listen(&few, AF_INET);
    find_all();
    struct lookup_socket found = {0};
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i].id.idiag_sport == htons(port))
            found = ids[i];
    }
    assert_int_equal(found.family, AF_INET);
    struct lookup_socket asked[] = {found, found, found};
    asked[1].id.idiag_cookie[0]++;      /* another socket in its place */
    asked[2].id.idiag_sport = htons(1); /* nobody */
    struct socket_lookup *x = open_lookup();
    assert_int_equal(lookup_ask(x, asked, 3, GROUPS_ALL, collect, &a), 0);
    assert_int_equal(a.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(a.code[i], a.index[i] == 0 ? 0 : -ENOENT);
    net_close(&few);
    a = (struct answers){0};
    assert_int_equal(lookup_ask(x, asked, 1, GROUPS_ALL, collect, &a), 0);
    assert_int_equal(a.code[0], -ENOENT);
    /* A closed socket: everybody is told, once. */
    lookup_leave(x);
    a = (struct answers){0};
    assert_int_equal(lookup_ask(x, ids, n_ids, GROUPS_ALL, collect, &a), -EBADF);
    assert_int_equal(a.count, n_ids);
    lookup_free(x);
}

static size_t descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_enters_and_holds_nothing(void **state)
{
    (void)state;
    struct net_process p;
    NEEDS_NAMESPACE(unshared);
    assert_int_equal(net_process_start(&p, 1), 0);
    size_t before = descriptors();
    struct netns_ref ns = {.name = "other", .path = p.path};
    struct err e = {0};
    bool lost = false;
    struct socket_lookup *x;
    assert_int_equal(lookup_new(own_netns_fd, &x), 0);
    assert_int_equal(lookup_enter(x, &ns, &lost, &e), 0);
    uint64_t cookie = lookup_cookie(x);
    uint64_t inode;
    assert_int_equal(netns_inode(p.path, &inode), 0);
    assert_int_equal(lookup_inode(x), inode);
    lookup_leave(x);
    assert_int_equal(descriptors(), before);
    ns.cookie = cookie;
    assert_int_equal(lookup_enter(x, &ns, &lost, &e), 0);
    ns.cookie = cookie + 1;
    assert_int_equal(lookup_enter(x, &ns, &lost, &e), ERR_GONE);
    assert_non_null(strstr(e.text, "another namespace"));
    assert_int_equal(descriptors(), before);
    net_process_end(&p);
    before = descriptors();
    ns.cookie = cookie;
    assert_int_equal(lookup_enter(x, &ns, &lost, &e), ERR_GONE);
    ns.path = "/proc/self/status";
    assert_int_equal(lookup_enter(x, &ns, &lost, &e), ERR_GONE);
    assert_non_null(strstr(e.text, "no network namespace"));
    assert_int_equal(descriptors(), before);
    /* And it is at home. */
    uint64_t here, home;
    assert_int_equal(netns_inode("/proc/thread-self/ns/net", &here), 0);
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", own_netns_fd);
    assert_int_equal(netns_inode(path, &home), 0);
    assert_int_equal(here, home);
    lookup_free(x);
}

static int set_up(void **state)
{
    (void)state;
    unshared = net_unshare();
    own_netns_fd = netns_open_self();
    uint16_t four = net_listen(&sockets, AF_INET);
    uint16_t six = net_listen(&sockets, AF_INET6);
    net_connect(&sockets, sockets.fds[0], four, 50);
    net_connect(&sockets, sockets.fds[1], six, 10);
    return own_netns_fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_close(&sockets);
    close(own_netns_fd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_answers_find_their_sockets),
        cmocka_unit_test(test_foreign_answers_are_none),
        cmocka_unit_test(test_hostile_lengths),
        cmocka_unit_test(test_every_socket_answers),
        cmocka_unit_test(test_gone_and_mistaken),
        cmocka_unit_test(test_enters_and_holds_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
