/* A stop that takes too long ends the process and says what held it; one that does not, leaves it alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "server/process/watchdog.h"

/* In a child: |work| with a watchdog; what it says on standard error comes in |said|. Returns its exit status. */
static int in_a_child(void (*work)(struct watchdog *w), char *said, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct watchdog w;
        dup2(ends[1], STDERR_FILENO);
        if (watchdog_start(&w) != 0)
            _exit(99);
        work(&w);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(ends[0], said + n, size - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void hang(struct watchdog *w)
{
    watchdog_at(w, "first");
    watchdog_arm(w, clock_mono_ns() + 20 * NS_PER_MS, 7);
    watchdog_at(w, "second");
    sleep(10);
}

static void end_in_time(struct watchdog *w)
{
    watchdog_arm(w, clock_mono_ns() + 100 * NS_PER_MS, 7);
    watchdog_stop(w);
    usleep(200 * 1000);
}

static void never_arm(struct watchdog *w)
{
    usleep(50 * 1000);
    watchdog_stop(w);
}

static void test_what_hangs_is_named(void **state)
{
    (void)state;
    char said[400];
    assert_int_equal(in_a_child(hang, said, sizeof(said)), 7);
    assert_non_null(strstr(said, "not everything has come to its end in time: leaving it behind (second)\n"));
}

static void test_nothing_hangs(void **state)
{
    (void)state;
    char said[400];
    assert_int_equal(in_a_child(end_in_time, said, sizeof(said)), 0);
    assert_string_equal(said, "");
    assert_int_equal(in_a_child(never_arm, said, sizeof(said)), 0);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_hangs_is_named),
        cmocka_unit_test(test_nothing_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
