/* The queue of small messages: bounded by their number and by their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "server/services/outbox.h"

static void take(struct outbox *o, size_t len, bool more)
{
    struct rpc_message m;
    assert_true(outbox_next(o, &m));
    assert_int_equal(GRPC_SLICE_LENGTH(m.slices[0]), len);
    assert_int_equal(m.more, more);
    grpc_slice_unref(m.slices[0]);
}

static void test_number(void **state)
{
    (void)state;
    struct outbox o;
    struct rpc_message m;
    outbox_init(&o, 2, NULL, NULL);
    assert_false(outbox_next(&o, &m));
    assert_int_equal(outbox_push(&o, "one", 3), 0);
    assert_int_equal(outbox_push(&o, NULL, 0), 0);
    assert_int_equal(outbox_push(&o, "x", 1), ERR_LIMIT);
    take(&o, 3, true);
    assert_int_equal(outbox_push(&o, "x", 1), 0);
    take(&o, 0, true);
    outbox_fini(&o);
}

static void test_bytes(void **state)
{
    (void)state;
    enum { PART = OUTBOX_BYTES_MAX / 4 };
    struct outbox o;
    char *data = calloc(1, OUTBOX_BYTES_MAX + 1);
    outbox_init(&o, 100, NULL, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(outbox_push(&o, data, PART), 0);
    assert_int_equal(outbox_push(&o, data, 1), ERR_LIMIT);
    assert_int_equal(outbox_push(&o, data, 0), 0);
    take(&o, PART, true);
    assert_int_equal(outbox_push(&o, data, PART + 1), ERR_LIMIT);
    assert_int_equal(outbox_push(&o, data, PART), 0);
    for (int i = 0; i < 3; i++)
        take(&o, PART, true);
    take(&o, 0, true);
    take(&o, PART, false);
    /* One that is larger than the bound is no reason to wait for ever, but fills it alone. */
    assert_int_equal(outbox_push(&o, data, OUTBOX_BYTES_MAX + 1), 0);
    assert_int_equal(outbox_push(&o, data, 1), ERR_LIMIT);
    outbox_fini(&o);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_number), cmocka_unit_test(test_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
