/* A filter when memory runs out: each allocation fails once, and nothing is left behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/filter.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t n);
char *__wrap_strdup(const char *text);

static long until_failure = -1; /* allocations that still succeed; -1: all */

static int fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t n)
{
    return fails() ? NULL : __real_realloc(at, n);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static void test_each_allocation(void **state)
{
    (void)state;
    static const char text[] =
        "(sport 1 or dport 2-3) and not (rtt > 5ms or cwnd < 3) and dev eth0 and cgroup /a/b and netns = "
        "web* and "
        "dst inet:10.0.0.0/8:80 and label = \"a very long text that needs more room than a short one does\" "
        "and "
        "host = another-text-that-has-the-pool-grow-once-more-than-it-had-to-before-it-came";
    struct filter *f;
    struct filter_error e;
    unsigned failures = 0;
    for (;; failures++) {
        until_failure = (long)failures;
        int rc = filter_parse(text, &f, &e);
        bool all_succeeded = until_failure >= 0;
        until_failure = -1;
        if (all_succeeded) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_int_equal(e.err.code, -ENOMEM);
        assert_null(f);
    }
    assert_true(failures > 10);
    assert_int_equal(filter_part_count(f), 10);
    filter_unref(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
