/* Finding the owner of an address that is in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/listen/address_owner.h"

/* A socket that is bound to |text| and listens; |*where| receives its address. */
static int listen_at(const char *text, struct config_listen *where)
{
    assert_int_equal(config_listen_parse(text, where, NULL), 0);
    int fd = socket(where->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &where->addr.any, where->len), 0);
    assert_int_equal(listen(fd, 8), 0);
    if (where->kind == CONFIG_LISTEN_TCP) {
        socklen_t len = sizeof(where->addr);
        assert_int_equal(getsockname(fd, &where->addr.any, &len), 0);
        where->port = ntohs(where->addr.in4.sin_port); /* at the same place in both families */
    }
    return fd;
}

static void abstract(char out[64], const char *suffix)
{
    snprintf(out, 64, "unix-abstract:xtcp2-holder-%d-%s", (int)getpid(), suffix);
}

static void test_own(void **state)
{
    (void)state;
    char name[64], holder[ADDRESS_OWNER_TEXT_MAX];
    abstract(name, "own");
    const char *const texts[] = {"127.0.0.1:0", "[::1]:0", "[::]:0", name};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config_listen where;
        int fd = listen_at(texts[i], &where);
        assert_true(address_owner_find(&where, holder));
        assert_string_equal(holder, "this process");
        close(fd);
        assert_false(address_owner_find(&where, holder));
        assert_string_equal(holder, "");
    }
}

/* A socket bound to every address is in the way of a single one, and the other way round; another address is
 * not. */
static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *taken, *wanted;
        bool found;
    } cases[] = {
        {"127.0.0.1:0", "0.0.0.0", true}, {"0.0.0.0:0", "127.0.0.1", true},
        {"[::]:0", "127.0.0.1", true},    {"127.0.0.1:0", "127.0.0.2", false},
        {"[::1]:0", "127.0.0.1", false},  {"127.0.0.1:0", "[::1]", false},
        {"[::1]:0", "[::]", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_listen taken, wanted;
        char text[64], holder[ADDRESS_OWNER_TEXT_MAX];
        int fd = listen_at(cases[i].taken, &taken);
        snprintf(text, sizeof(text), "%s:%u", cases[i].wanted, taken.port);
        assert_int_equal(config_listen_parse(text, &wanted, NULL), 0);
        assert_int_equal(address_owner_find(&wanted, holder), cases[i].found);
        close(fd);
    }
}

/* A process of another name, which may hold anything. */
static void test_another_process(void **state)
{
    (void)state;
    char name[64], holder[ADDRESS_OWNER_TEXT_MAX], expected[ADDRESS_OWNER_TEXT_MAX];
    abstract(name, "other");
    const char *const texts[] = {"127.0.0.1:0", name};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int ready[2];
        struct config_listen where;
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_NAME, "a\033[31m\n\xc3\xbc\xe2\x80\xae");
            listen_at(texts[i], &where);
            if (write(ready[1], &where, sizeof(where)) != sizeof(where))
                _exit(1);
            pause();
            _exit(0);
        }
        assert_int_equal(read(ready[0], &where, sizeof(where)), sizeof(where));
        bool found = address_owner_find(&where, holder);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        assert_true(found);
        snprintf(expected, sizeof(expected), "a?[31m?\xc3\xbc? (pid %d)", (int)child);
        assert_string_equal(holder, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
