/* lib/linux/resolve: addresses and names, and a C library that does not come back. */
#include "lib_test.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/linux/resolve.h"
#include "lib/thread.h"

/* ---- The C library ---- */

static sem_t answers;              /* posted: a name that hangs is answered */
static _Atomic unsigned came_back; /* answers of these */
static _Atomic unsigned asked;     /* names, not addresses */
static _Atomic unsigned threads;
static bool no_threads;

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __real_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);
int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);

/* |n| addresses, one behind the other. */
static int many(unsigned n, const char *port, const struct addrinfo *hints, struct addrinfo **out)
{
    struct addrinfo *list = NULL;
    for (unsigned i = n; i > 0; i--) {
        char host[32];
        struct addrinfo *first;
        snprintf(host, sizeof(host), "127.0.0.%u", i);
        assert_int_equal(__real_getaddrinfo(host, port, hints, &first), 0);
        first->ai_next = list;
        list = first;
    }
    *out = list;
    return 0;
}

static int fail_with(int error)
{
    errno = error;
    return EAI_SYSTEM;
}

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, port, hints, out);
    asked++;
    if (strcmp(host, "hangs") == 0) {
        while (sem_wait(&answers) != 0)
            ;
        came_back++;
        return many(1, port, hints, out);
    }
    if (strcmp(host, "three") == 0)
        return many(3, port, hints, out);
    if (strcmp(host, "forty") == 0)
        return many(40, port, hints, out);
    if (strcmp(host, "no-files") == 0)
        return fail_with(EMFILE);
    if (strcmp(host, "odd") == 0)
        return fail_with(0);
    return strcmp(host, "no-memory") == 0 ? EAI_MEMORY : strcmp(host, "later") == 0 ? EAI_AGAIN : EAI_NONAME;
}

int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg)
{
    threads++;
    return no_threads ? -EAGAIN : __real_thread_start(t, name, stack, fn, arg);
}

/* ---- Helpers ---- */

static int setup(void **state)
{
    (void)state;
    return sem_init(&answers, 0, 0);
}

static int teardown(void **state)
{
    (void)state;
    return sem_destroy(&answers);
}

static struct resolve *start(const char *host)
{
    struct resolve *r;
    assert_int_equal(resolve_start(host, 9000, SOCK_STREAM, &r, NULL), 0);
    return r;
}

static bool is_ready(const struct resolve *r, int timeout_ms)
{
    struct pollfd p = {.fd = resolve_fd(r), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

/* Looks |host| up, up to the end. */
static int look_up(const char *host, struct resolve_result *out, struct err *e)
{
    struct resolve *r = start(host);
    assert_true(is_ready(r, 60000));
    return resolve_take(r, out, e);
}

static void assert_address(const struct resolve_address *a, const char *text)
{
    char found[INET6_ADDRSTRLEN];
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a->address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->address;
    bool is_four = a->address.ss_family == AF_INET;
    assert_int_equal(a->len, is_four ? sizeof(*four) : sizeof(*six));
    assert_int_equal(ntohs(is_four ? four->sin_port : six->sin6_port), 9000);
    assert_non_null(inet_ntop(a->address.ss_family, is_four ? (const void *)&four->sin_addr : &six->sin6_addr,
                              found, sizeof(found)));
    assert_string_equal(found, text);
}

/* ---- Tests ---- */

static void test_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1", "::1", "2001:db8::7"};
    unsigned before = threads;
    struct resolve_result found;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct resolve *r = start(texts[i]);
        assert_true(is_ready(r, 0));
        assert_int_equal(resolve_take(r, &found, NULL), 0);
        assert_int_equal(found.n, 1);
        assert_address(&found.list[0], texts[i]);
    }
    assert_int_equal(look_up("fe80::1%lo", &found, NULL), 0);
    assert_int_equal(((struct sockaddr_in6 *)&found.list[0].address)->sin6_scope_id, if_nametoindex("lo"));
    resolve_cancel(start("127.0.0.1"));
    resolve_cancel(NULL);
    assert_int_equal(threads, before);
    assert_int_equal(asked, 0);
}

static void test_names(void **state)
{
    (void)state;
    struct resolve_result found;
    assert_int_equal(look_up("three", &found, NULL), 0);
    assert_int_equal(found.n, 3);
    assert_address(&found.list[0], "127.0.0.1");
    assert_address(&found.list[2], "127.0.0.3");
    assert_int_equal(look_up("forty", &found, NULL), 0);
    assert_int_equal(found.n, RESOLVE_ADDRESSES_MAX);
    assert_address(&found.list[RESOLVE_ADDRESSES_MAX - 1], "127.0.0.16");
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int code;
        const char *text;
    } cases[] = {
        {"nobody", ERR_UNAVAILABLE, "Name or service not known"},
        {"later", ERR_UNAVAILABLE, "Temporary failure in name resolution"},
        {"no-memory", -ENOMEM, "out of memory"},
        {"no-files", -EMFILE, "Too many open files"},
        {"odd", ERR_UNAVAILABLE, "System error"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = {0};
        struct resolve_result found;
        assert_int_equal(look_up(cases[i].host, &found, &e), cases[i].code);
        assert_int_equal(e.code, cases[i].code);
        assert_string_equal(e.text, cases[i].text);
        assert_int_equal(look_up(cases[i].host, &found, NULL), cases[i].code);
    }
}

static void test_no_thread(void **state)
{
    (void)state;
    struct err e = {0};
    struct resolve *r;
    no_threads = true;
    assert_int_equal(resolve_start("three", 1, SOCK_STREAM, &r, &e), -EAGAIN);
    no_threads = false;
    assert_non_null(strstr(e.text, "no further thread may be started"));
}

static void test_cancel_while_it_hangs(void **state)
{
    (void)state;
    struct resolve *r = start("hangs");
    int64_t begin_ns = clock_mono_ns();
    assert_false(is_ready(r, 20));
    resolve_cancel(r);
    assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S);
    assert_int_equal(came_back, 0);
    sem_post(&answers);
    while (came_back == 0)
        usleep(1000);
    r = start("three"); /* done already */
    assert_true(is_ready(r, 60000));
    resolve_cancel(r);
}

/* Repeated attempts do not fill the process with threads; addresses need none. */
static void test_many_that_hang(void **state)
{
    (void)state;
    struct err e = {0};
    struct resolve *r;
    struct resolve_result found;
    came_back = 0;
    for (int i = 0; i < RESOLVE_THREADS_MAX;) {
        if (resolve_start("hangs", 1, SOCK_STREAM, &r, NULL) == 0) { /* a thread before may be ending still */
            resolve_cancel(r);
            i++;
        }
    }
    unsigned before = threads;
    assert_int_equal(resolve_start("three", 1, SOCK_STREAM, &r, &e), ERR_LIMIT);
    assert_string_equal(e.text, "not looked up: 32 other names wait for an answer");
    assert_int_equal(threads, before);
    assert_int_equal(look_up("127.0.0.1", &found, NULL), 0);
    for (int i = 0; i < RESOLVE_THREADS_MAX; i++)
        sem_post(&answers);
    while (came_back < RESOLVE_THREADS_MAX || resolve_start("three", 1, SOCK_STREAM, &r, &e) != 0)
        usleep(1000);
    assert_true(is_ready(r, 60000));
    assert_int_equal(resolve_take(r, &found, NULL), 0);
}

/* The answer and the end of interest at the same moment. */
static void test_cancel_at_any_time(void **state)
{
    (void)state;
    enum { TIMES = 300 };
    for (int i = 0; i < TIMES; i++) {
        struct resolve *r;
        if (resolve_start("three", 9000, SOCK_DGRAM, &r, NULL) != 0)
            continue;
        if (i % 3 == 1)
            usleep((useconds_t)i / 3);
        if (i % 3 == 2)
            is_ready(r, 60000);
        resolve_cancel(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_no_thread),
        cmocka_unit_test(test_cancel_while_it_hangs),
        cmocka_unit_test(test_many_that_hang),
        cmocka_unit_test(test_cancel_at_any_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
