/* The limit on the calls of one peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "lib/clock.h"
#include "server/listen/peer_rate.h"

/* The number of admitted ones of |n| calls at |now|. */
static unsigned admitted(struct peer_rate *r, const char *peer, uint32_t per_second, int64_t now, unsigned n)
{
    unsigned ok = 0;
    while (n--)
        ok += peer_rate_admit(r, peer, per_second, now);
    return ok;
}

static void test_rate(void **state)
{
    (void)state;
    const int64_t t = 1000 * NS_PER_S;
    struct peer_rate *r;
    assert_int_equal(peer_rate_new(&r), 0);
    assert_int_equal(admitted(r, "127.0.0.1:1", 10, t, 100), 10);
    assert_int_equal(admitted(r, "127.0.0.1:2", 10, t, 100), 0); /* the same peer */
    assert_int_equal(admitted(r, "127.0.0.2:1", 10, t, 100), 10);
    assert_int_equal(admitted(r, "[::1]:1", 10, t, 100), 10);
    assert_int_equal(admitted(r, "[::1]:7", 10, t, 100), 0);
    assert_int_equal(admitted(r, "unix pid=7 uid=1", 10, t, 100), 10);
    assert_int_equal(admitted(r, "unix pid=8 uid=1", 10, t, 100), 0);
    assert_int_equal(admitted(r, "unix pid=7 uid=2", 10, t, 100), 10);
    assert_int_equal(admitted(r, "127.0.0.1:1 uid=2", 10, t, 100), 0);  /* the same user */
    assert_int_equal(admitted(r, "127.0.0.1:1 uid=3", 10, t, 100), 10); /* another one at the same address */
    assert_int_equal(admitted(r, "127.0.0.1:1", 10, t + NS_PER_S / 10, 100), 1);
    assert_int_equal(admitted(r, "127.0.0.1:1", 10, t + NS_PER_S, 100), 9);
    assert_int_equal(admitted(r, "127.0.0.1:1", 10, t + 100 * NS_PER_S, 100), 10); /* no more is saved up */
    assert_int_equal(admitted(r, "127.0.0.1:1", 1, t + 200 * NS_PER_S, 100), 1);
    assert_int_equal(admitted(r, "127.0.0.1:1", 1000000, t + 300 * NS_PER_S, 2000000), 1000000);
    peer_rate_free(r);
    peer_rate_free(NULL);
}

/* More peers than are remembered: each of them may call, and who calls without a break is not forgotten. */
static void test_many_peers(void **state)
{
    (void)state;
    int64_t t = 1000 * NS_PER_S;
    struct peer_rate *r;
    assert_int_equal(peer_rate_new(&r), 0);
    for (int i = 0; i < 10000; i++) {
        char peer[32];
        snprintf(peer, sizeof(peer), "10.%d.%d.1:5", i / 256, i % 256);
        assert_true(peer_rate_admit(r, peer, 1, t));
        t += NS_PER_S / 1000;
        if (i == 0)
            assert_int_equal(admitted(r, "busy:1", 1000, t, 5000), 1000);
        else
            assert_int_equal(admitted(r, "busy:1", 1000, t, 5), 1);
    }
    peer_rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rate), cmocka_unit_test(test_many_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
