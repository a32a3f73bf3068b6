/* The plain nouns: names of their values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/groups.h"
#include "model/output.h"

/* ---- groups ---- */

static void test_groups(void **state)
{
    (void)state;
    for (int i = 0; i < GROUP_COUNT; i++) {
        assert_non_null(group_names[i]);
        assert_int_equal(group_by_name(group_names[i]), i);
        assert_true(GROUPS_ALL & GROUP_BIT(i));
    }
    assert_int_equal(group_by_name(""), -1);
    assert_int_equal(group_by_name("Info"), -1);
    assert_int_equal(group_by_name("inf"), -1);
    assert_int_equal(GROUPS_ALL & ~GROUPS_DEFAULT, GROUP_BIT(GROUP_MEMINFO));
    assert_string_equal(group_names[GROUP_SOCKOPT], "sockopt");
}

/* ---- outputs ---- */

static void test_names_of_outputs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < OUTPUT_STATES; i++)
        assert_non_null(output_state_name(i));
    assert_string_equal(output_state_name(OUTPUT_STATE_RUNNING), "running");
    assert_string_equal(output_state_name(OUTPUT_STATE_STOPPING), "stopping");
    assert_string_equal(output_state_name(OUTPUT_STATES), "unknown");
    assert_string_equal(output_state_name(UINT32_MAX), "unknown");
    for (uint32_t i = 0; i < OUTPUT_DROPS; i++)
        assert_non_null(output_drop_name(i));
    assert_string_equal(output_drop_name(OUTPUT_DROP_QUEUE), "queue_full");
    assert_string_equal(output_drop_name(OUTPUT_DROP_STOP), "stop");
    assert_string_equal(output_drop_name(OUTPUT_DROPS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names_of_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
