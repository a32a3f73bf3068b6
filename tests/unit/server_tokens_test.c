/* Tokens: when their file is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "server/listen/tokens.h"

#define FIRST  "first-0123456789abcdef"
#define SECOND "second-0123456789abcdef"
#define THIRD  "third-0123456789abcdef"

static char path[] = "/tmp/xt_tokens_XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(const char *token)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "read:%s\n", token) > 0);
    assert_int_equal(fclose(f), 0);
}

static bool counts(struct tokens *t, const char *token)
{
    struct rpc_grant grant;
    return tokens_find(t, path, token, &grant);
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* None can be had from now on. */
static void take_descriptors(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    limit_descriptors((rlim_t)fd);
}

static void give_descriptors(void)
{
    limit_descriptors(RLIM_INFINITY);
}

/* A reading that fails for want of a descriptor is tried again, though the file does not change any more. */
static void test_a_failure_that_passes(void **state)
{
    (void)state;
    struct tokens *t;
    struct err e;
    put(FIRST);
    assert_int_equal(tokens_new(path, &t, &e), 0);
    assert_true(counts(t, FIRST));

    put(SECOND);
    take_descriptors();
    assert_false(counts(t, SECOND));
    assert_true(counts(t, FIRST));
    give_descriptors();
    tokens_refresh(t, path, true); /* at once */
    assert_true(counts(t, SECOND));
    assert_false(counts(t, FIRST));

    put(THIRD);
    take_descriptors();
    assert_false(counts(t, THIRD));
    give_descriptors();
    int64_t deadline_ns = clock_mono_ns() + 30 * NS_PER_S;
    while (!counts(t, THIRD) && clock_mono_ns() < deadline_ns) /* by itself, soon */
        usleep(10000);
    assert_true(counts(t, THIRD));
    tokens_free(t);
}

int main(void)
{
    log_set(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_that_passes),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
