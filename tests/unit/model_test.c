/* The plain nouns: names of their values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/groups.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
