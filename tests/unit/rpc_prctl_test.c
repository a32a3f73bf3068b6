/* rpc/prctl.c: that it is the one that libraries call, and leaves errno alone where it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static void test_names_of_memory_leave_errno_alone(void **state)
{
    (void)state;
    errno = EINPROGRESS;
    assert_int_equal(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 1UL, 1UL, (unsigned long)"a name"),
                     -1); /* no page begins at 1 */
    assert_int_equal(errno, EINPROGRESS);
}

static void test_all_else_is_as_ever(void **state)
{
    (void)state;
    char name[16] = "";
    errno = 0;
    assert_int_equal(prctl(-1, 0UL, 0UL, 0UL, 0UL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(prctl(PR_SET_NAME, "a-thread", 0UL, 0UL, 0UL), 0);
    assert_int_equal(prctl(PR_GET_NAME, name, 0UL, 0UL, 0UL), 0);
    assert_string_equal(name, "a-thread");
}

static void test_libraries_find_it(void **state)
{
    (void)state;
    void *found = dlsym(RTLD_DEFAULT, "prctl");
    int (*own)(int, ...) = prctl;
    assert_memory_equal(&found, &own, sizeof(found));
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    assert_non_null(libc);
    assert_ptr_not_equal(dlsym(libc, "prctl"), found);
    dlclose(libc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_memory_leave_errno_alone),
        cmocka_unit_test(test_all_else_is_as_ever),
        cmocka_unit_test(test_libraries_find_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
