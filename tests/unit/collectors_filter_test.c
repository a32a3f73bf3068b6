/* Poll requests with filters: the rows, the filters that they match, and the requests to the kernel. */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/collector.h"
#include "collectors/collectors_internal.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "tests/unit/needs_namespace.h"
#include "tests/unit/test_net.h"

#define CONNECTIONS 100
#define PATIENCE    (20 * NS_PER_S)

/* A set of collectors whose sink counts rows by the filters that they match. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    uint64_t rows;
    uint64_t matching[COLLECTOR_FILTERS_MAX];
    uint64_t bytes;
    struct collector_result result;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int unshared;
static struct net_sockets sockets;
static uint16_t four;
static struct batch_pool *pool;
static struct collectors *set;
static struct collector *own;
static uint64_t poll_id;
static bool spoil; /* requests ask for an operation that no kernel has */

static void on_batch(void *arg, struct batch *b)
{
    (void)arg;
    pthread_mutex_lock(&sink.lock);
    sink.rows += b->rows;
    sink.bytes += b->len;
    for (uint32_t i = 0; i < b->rows; i++) {
        for (uint64_t match = b->index[i].match; match; match &= match - 1)
            sink.matching[__builtin_ctzll(match)]++;
    }
    pthread_mutex_unlock(&sink.lock);
    batch_unref(b);
}

static void on_done(void *arg, const struct collector_result *result)
{
    (void)arg;
    pthread_mutex_lock(&sink.lock);
    sink.result = *result;
    sink.done = true;
    pthread_cond_signal(&sink.changed);
    pthread_mutex_unlock(&sink.lock);
}

static struct filter *parsed(const char *text)
{
    struct filter *f;
    struct filter_error e;
    if (filter_parse(text, &f, &e))
        fail_msg("%s: %s", text, e.err.text);
    return f;
}

/* One poll with the |n| expressions |texts|; leaves its outcome in |sink|. */
static void poll_with(struct collector *c, groups_t groups, const char *const *texts, unsigned n,
                      bool want_all)
{
    struct filter *filters[COLLECTOR_FILTERS_MAX];
    struct poll_request *o = poll_request_new();
    assert_non_null(o);
    for (unsigned i = 0; i < n; i++)
        filters[i] = parsed(texts[i]);
    assert_int_equal(poll_request_filters(o, filters, n, want_all), 0);
    for (unsigned i = 0; i < n; i++)
        filter_unref(filters[i]); /* the request has its own */
    if (spoil)
        o->kernel->code[0] = 0xff;
    o->poll_id = ++poll_id;
    o->groups = groups;
    o->deadline_ns = clock_mono_ns() + PATIENCE;
    sink.rows = sink.bytes = 0;
    sink.done = false;
    memset(sink.matching, 0, sizeof(sink.matching));
    assert_int_equal(collector_poll(c, o), 0);
    pthread_mutex_lock(&sink.lock);
    while (!sink.done)
        pthread_cond_wait(&sink.changed, &sink.lock);
    pthread_mutex_unlock(&sink.lock);
    poll_request_unref(o);
    if (sink.result.err.code)
        fail_msg("%s", sink.result.err.text);
    assert_int_equal(sink.result.rows, sink.rows);
}

static void poll_one(const char *text, bool want_all)
{
    poll_with(own, GROUPS_DEFAULT, &text, 1, want_all);
}

static void test_without_filters(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    poll_with(own, GROUPS_DEFAULT, NULL, 0, true);
    assert_int_equal(sink.rows, sockets.count);
    assert_int_equal(sink.result.sockets, sockets.count);
    assert_false(sink.result.partial);
    poll_with(own, GROUPS_DEFAULT, NULL, 0, false); /* nobody wants anything */
    assert_int_equal(sink.rows, 0);
    assert_true(sink.result.partial);
}

static void test_in_the_kernel(void **state)
{
    (void)state;
    char text[128];
    NEEDS_NAMESPACE(unshared);
    snprintf(text, sizeof(text), "sport = %u and state established", four);
    poll_one(text, false);
    assert_int_equal(sink.rows, CONNECTIONS);
    assert_int_equal(sink.matching[0], CONNECTIONS);
    assert_int_equal(sink.result.sockets, CONNECTIONS); /* the others were not even sent */
    assert_true(sink.result.partial);
    poll_one("state listening", false);
    assert_int_equal(sink.rows, 2);
    assert_int_equal(sink.result.sockets, 2);
}

static void test_in_the_collector(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    poll_one("rtt > 1h or state listening", false);
    assert_int_equal(sink.rows, 2);
    assert_int_equal(sink.result.sockets, sockets.count);
    assert_false(sink.result.partial);
    poll_one("rcv_buf > 0 and dst inet:*", false);
    assert_int_equal(sink.rows, 2 * CONNECTIONS + 1);
    assert_true(sink.result.partial);
}

/* Others that want everything keep the kernel out of it; the match is told all the same. */
static void test_want_all(void **state)
{
    (void)state;
    const char *texts[COLLECTOR_FILTERS_MAX];
    char text[COLLECTOR_FILTERS_MAX][64];
    NEEDS_NAMESPACE(unshared);
    for (unsigned i = 0; i < COLLECTOR_FILTERS_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), i % 2 ? "dport = %u" : "sport = %u", i < 2 ? four : i);
        texts[i] = text[i];
    }
    poll_with(own, GROUPS_DEFAULT, texts, COLLECTOR_FILTERS_MAX, true);
    assert_int_equal(sink.rows, sockets.count);
    assert_false(sink.result.partial);
    assert_int_equal(sink.matching[0], CONNECTIONS + 1);
    assert_int_equal(sink.matching[1], CONNECTIONS);
    assert_int_equal(sink.matching[2], 0);
    poll_with(own, GROUPS_DEFAULT, texts, COLLECTOR_FILTERS_MAX, false);
    assert_int_equal(sink.rows, 2 * CONNECTIONS + 1);
    assert_int_equal(sink.matching[0], CONNECTIONS + 1);
    assert_int_equal(sink.matching[1], CONNECTIONS);
    assert_true(sink.result.partial);
    assert_int_equal(poll_request_filters(NULL, NULL, COLLECTOR_FILTERS_MAX + 1, true), ERR_LIMIT);
}

/* A field whose group is switched off is asked for, but not sent on. */
static void test_groups(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    poll_with(own, 0, NULL, 0, true);
    uint64_t bare = sink.bytes;
    poll_with(own, 0, (const char *const[]){"cwnd > 0 and cong = *"}, 1, true);
    assert_true(sink.matching[0] >= 2 * CONNECTIONS);
    assert_true(sink.bytes < bare + 8 * sockets.count); /* numbers of polls and positions vary in length */
    poll_with(own, GROUPS_DEFAULT, NULL, 0, true);
    assert_true(sink.bytes > bare + 100 * sockets.count);
}

/* Names are looked up in the namespace of the sockets. */
static void test_names(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
    assert_int_equal(listen(fd, 1), 0);
    poll_one("dev lo", false);
    assert_int_equal(sink.rows, 1);
    poll_one("dev lo or dev nosuch0", true);
    assert_int_equal(sink.matching[0], 1);
    close(fd);
    poll_one("dev != lo", false);
    assert_int_equal(sink.rows, sockets.count);
}

/* A partial dump says nothing of how many sockets there are. */
static void test_what_is_remembered(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    poll_with(own, 0, NULL, 0, true);
    assert_int_equal(own->sockets, sockets.count);
    assert_false(own->was_empty);
    poll_one("sport = 1", false);
    assert_int_equal(sink.rows, 0);
    assert_true(sink.result.partial);
    assert_int_equal(own->sockets, sockets.count);
    assert_false(own->was_empty);
}

/* Drops or takes back CAP_NET_ADMIN of the calling thread. */
static void net_admin(bool on)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    if (on)
        data[0].effective |= 1u << CAP_NET_ADMIN;
    else
        data[0].effective &= ~(1u << CAP_NET_ADMIN);
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* The kernel takes no filter by marks from somebody without CAP_NET_ADMIN: then the collector is on its own,
 * and does not try again. */
static void test_refused(void **state)
{
    (void)state;
    NEEDS_NAMESPACE(unshared);
    struct err e;
    struct collectors *weak_set;
    struct collector *weak;
    const struct collectors_options options = {.pool = pool, .sink = {.batch = on_batch, .done = on_done}};
    const struct netns_ref ns = {.name = "weak", .path = "", .own = true};
    char text[128];
    snprintf(text, sizeof(text), "not fwmark = 5 and sport >= %u and sport <= %u", four, four);
    assert_int_equal(collectors_new(&options, &weak_set, &e), 0);
    net_admin(false);
    assert_int_equal(collector_start(weak_set, &ns, &weak, &e), 0); /* its thread is as weak as this one */
    net_admin(true);
    for (unsigned i = 0; i < 2; i++) {
        poll_with(weak, 0, (const char *const[]){text}, 1, false);
        assert_int_equal(sink.rows, CONNECTIONS + 1);
        assert_int_equal(sink.result.sockets, sockets.count);
        assert_false(sink.result.partial);
        assert_int_equal(sink.result.retries, 0);
        assert_true(atomic_load(&weak_set->no_privileged_code));
        assert_false(atomic_load(&weak_set->no_code));
    }
    /* what needs no right still goes there */
    snprintf(text, sizeof(text), "sport >= %u and sport <= %u", four, four);
    poll_with(weak, 0, (const char *const[]){text}, 1, false);
    assert_int_equal(sink.result.sockets, CONNECTIONS + 1);
    /* and a port, which is not code, goes there in any case */
    snprintf(text, sizeof(text), "not fwmark = 5 and sport = %u", four);
    poll_with(weak, 0, (const char *const[]){text}, 1, false);
    assert_int_equal(sink.result.sockets, CONNECTIONS + 1);
    assert_true(sink.result.partial);
    poll_with(own, 0, (const char *const[]){"not fwmark = 0"}, 1, false);
    assert_int_equal(sink.result.sockets, 0); /* with the right */
    collector_stop(weak);
    collector_join(weak);
    collectors_free(weak_set);
}

/* The same with a kernel that does not know an operation, for any code from then on; states are not code. */
static void test_not_understood(void **state)
{
    (void)state;
    char text[128];
    struct err e;
    struct collectors *old_set;
    struct collector *old;
    const struct collectors_options options = {.pool = pool, .sink = {.batch = on_batch, .done = on_done}};
    const struct netns_ref ns = {.name = "old", .path = "", .own = true};
    NEEDS_NAMESPACE(unshared);
    assert_int_equal(collectors_new(&options, &old_set, &e), 0);
    assert_int_equal(collector_start(old_set, &ns, &old, &e), 0);
    snprintf(text, sizeof(text), "sport >= %u and sport <= %u and state established", four, four);
    for (unsigned i = 0; i < 2; i++) {
        spoil = i == 0;
        poll_with(old, 0, (const char *const[]){text}, 1, false);
        assert_int_equal(sink.rows, CONNECTIONS);
        assert_int_equal(sink.result.sockets, 2 * CONNECTIONS);
        assert_true(sink.result.partial); /* the listeners were not asked for */
        assert_true(atomic_load(&old_set->no_code));
    }
    collector_stop(old);
    collector_join(old);
    collectors_free(old_set);
}

static int set_up(void **state)
{
    (void)state;
    struct err e;
    unshared = net_unshare();
    pool = batch_pool_new(4);
    const struct collectors_options options = {.pool = pool, .sink = {.batch = on_batch, .done = on_done}};
    const struct netns_ref ns = {.name = "here", .path = "", .own = true};
    if (unshared)
        return 0;
    four = net_listen(&sockets, AF_INET);
    net_listen(&sockets, AF_INET6);
    net_connect(&sockets, sockets.fds[0], four, CONNECTIONS);
    return collectors_new(&options, &set, &e) || collector_start(set, &ns, &own, &e);
}

static int tear_down(void **state)
{
    (void)state;
    if (own) {
        collector_stop(own);
        collector_join(own);
    }
    collectors_free(set);
    batch_pool_free(pool);
    net_close(&sockets);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_filters),
        cmocka_unit_test(test_in_the_kernel),
        cmocka_unit_test(test_in_the_collector),
        cmocka_unit_test(test_want_all),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_remembered),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_understood),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
