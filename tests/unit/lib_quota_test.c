/* Quotas: shares of users, the reserve, and the texts of refusals. */
#include "lib_test.h"

#include "lib/quota.h"

static const struct quota_bound bound = {.max = 100, .user_percent = 50, .reserved_percent = 10};

static int take(struct quota_user *u, enum quota_rank rank, uint64_t amount, struct err *e)
{
    return quota_take(u, rank, QUOTA_CONNECTIONS, amount, amount, &bound, e);
}

static void test_users(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    struct quota_user *a = quota_user(q, "uid 7");
    struct quota_user *b = quota_user(q, "uid 8");
    assert_ptr_equal(quota_user(q, "uid 7"), a);
    assert_ptr_not_equal(a, b);
    assert_string_equal(quota_user_name(b), "uid 8");
    quota_user_unref(a);
    assert_ptr_equal(quota_user_ref(a), a);
    quota_user_unref(a);
    quota_user_unref(a);
    a = quota_user(q, "uid 7");
    assert_int_equal(quota_used(a, QUOTA_CONNECTIONS), 0);
    quota_user_unref(a);
    quota_user_unref(b);
    quota_user_unref(NULL);
    quota_free(q);
    quota_free(NULL);
}

static void test_share(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    struct quota_user *a = quota_user(q, "uid 7");
    struct quota_user *b = quota_user(q, "address 192.0.2.7");
    struct err e = {0};
    assert_int_equal(take(a, QUOTA_REMOTE, 50, &e), 0);
    assert_int_equal(take(a, QUOTA_REMOTE, 1, &e), ERR_LIMIT);
    assert_string_equal(e.text, "connections: uid 7 has 50 and asks for 1, its share is 50 of 100 "
                                "(connections_max, user_share_percent 50)");
    /* another one gets what is left but for the reserved part */
    assert_int_equal(take(b, QUOTA_REMOTE, 30, &e), 0);
    assert_int_equal(take(b, QUOTA_REMOTE, 1, &e), ERR_LIMIT);
    assert_string_equal(
        e.text,
        "connections: 80 of 100 are in use and the rest is reserved (connections_max, reserved_percent 10)");
    assert_int_equal(quota_total(q, QUOTA_CONNECTIONS), 80);
    assert_int_equal(quota_refused(q, QUOTA_CONNECTIONS), 2);
    quota_give(a, QUOTA_CONNECTIONS, 50, 50);
    assert_int_equal(take(b, QUOTA_REMOTE, 1, &e), 0);
    quota_give(b, QUOTA_CONNECTIONS, 31, 31);
    assert_int_equal(quota_total(q, QUOTA_CONNECTIONS), 0);
    quota_user_unref(a);
    quota_user_unref(b);
    quota_free(q);
}

static void test_reserved(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    struct quota_user *remote[2] = {quota_user(q, "address 192.0.2.7"), quota_user(q, "address 192.0.2.8")};
    struct quota_user *local = quota_user(q, "uid 7");
    struct quota_user *root = quota_user(q, "uid 0");
    struct err e = {0};
    assert_int_equal(take(remote[0], QUOTA_REMOTE, 50, &e), 0);
    assert_int_equal(take(remote[1], QUOTA_REMOTE, 30, &e), 0);
    assert_int_equal(take(local, QUOTA_LOCAL, 10, &e), 0);
    assert_int_equal(take(local, QUOTA_LOCAL, 1, &e), ERR_LIMIT);
    assert_int_equal(take(root, QUOTA_CONTROL, 10, &e), 0);
    assert_int_equal(take(root, QUOTA_CONTROL, 1, &e), ERR_LIMIT);
    assert_string_equal(e.text, "connections: 100 of 100 are in use (connections_max)");
    quota_give(remote[0], QUOTA_CONNECTIONS, 50, 50);
    quota_give(remote[1], QUOTA_CONNECTIONS, 30, 30);
    quota_give(local, QUOTA_CONNECTIONS, 10, 10);
    quota_give(root, QUOTA_CONNECTIONS, 10, 10);
    /* the role control is bound by the whole alone */
    assert_int_equal(take(root, QUOTA_CONTROL, 100, &e), 0);
    quota_give(root, QUOTA_CONNECTIONS, 100, 100);
    quota_user_unref(remote[0]);
    quota_user_unref(remote[1]);
    quota_user_unref(local);
    quota_user_unref(root);
    quota_free(q);
}

/* A thing that two users share counts once for all, and for each of them. */
static void test_shared(void **state)
{
    (void)state;
    const struct quota_bound few = {.max = 4, .user_percent = 50, .reserved_percent = 10};
    struct quota *q = quota_new();
    struct quota_user *a = quota_user(q, "uid 7");
    struct quota_user *b = quota_user(q, "uid 8");
    struct err e = {0};
    assert_int_equal(quota_take(a, QUOTA_LOCAL, QUOTA_FILTERS, 1, 1, &few, &e), 0);
    assert_int_equal(quota_take(b, QUOTA_LOCAL, QUOTA_FILTERS, 1, 0, &few, &e), 0);
    assert_int_equal(quota_total(q, QUOTA_FILTERS), 1);
    assert_int_equal(quota_used(b, QUOTA_FILTERS), 1);
    quota_give(a, QUOTA_FILTERS, 1, 0); /* the other one has it still */
    assert_int_equal(quota_total(q, QUOTA_FILTERS), 1);
    quota_give(b, QUOTA_FILTERS, 1, 1);
    assert_int_equal(quota_total(q, QUOTA_FILTERS), 0);
    quota_user_unref(a);
    quota_user_unref(b);
    quota_free(q);
}

static void test_small(void **state)
{
    (void)state;
    const struct quota_bound one = {.max = 1, .user_percent = 50, .reserved_percent = 10};
    assert_int_equal(quota_share(&one, QUOTA_CONTROL), 1);
    assert_int_equal(quota_share(&one, QUOTA_LOCAL), 1);
    assert_int_equal(quota_share(&one, QUOTA_REMOTE), 1);
    const struct quota_bound ten = {.max = 10, .user_percent = 50, .reserved_percent = 10};
    assert_int_equal(quota_share(&ten, QUOTA_REMOTE), 5);
    const struct quota_bound greedy = {.max = 10, .user_percent = 100, .reserved_percent = 10};
    assert_int_equal(quota_share(&greedy, QUOTA_REMOTE), 8);
    assert_int_equal(quota_share(&greedy, QUOTA_LOCAL), 9);
    assert_int_equal(quota_share(&greedy, QUOTA_CONTROL), 10);
    const struct quota_bound large = {.max = UINT64_MAX, .user_percent = 50, .reserved_percent = 10};
    assert_true(quota_share(&large, QUOTA_REMOTE) > UINT64_MAX / 100 * 49);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),  cmocka_unit_test(test_share), cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_shared), cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
