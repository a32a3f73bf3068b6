/* Network namespaces: the id that one has here, and why there is none to tell. */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/linux/netns.h"
#include "lib_test.h"
#include "refuse.h"

#define OWN "/proc/self/ns/net"

static void test_nsid(void **state)
{
    (void)state;
    int32_t id = 5;
    assert_int_equal(netns_nsid(OWN, &id), 0);
    assert_int_equal(id, -1); /* nobody has given it one */
    assert_int_equal(netns_nsid("/proc/self/ns/none", &id), -ENOENT);
    assert_int_equal(netns_nsid("/proc/self/ns/mnt", &id), ERR_TYPE);
    assert_int_equal(netns_nsid("/dev/null", &id), ERR_TYPE);
}

/* A kernel that cannot be asked, or does not answer: no id is taken from memory that nobody wrote. */
static void test_nsid_refused(void **state)
{
    static const int calls[] = {SYS_socket, SYS_sendto, SYS_recvfrom};
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            int32_t id;
            _exit(refuse_call(calls[i], ENOBUFS) == 0 && netns_nsid(OWN, &id) == -ENOBUFS ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("system call %d refused: status %d", calls[i], status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nsid),
        cmocka_unit_test(test_nsid_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
