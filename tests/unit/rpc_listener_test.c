/* rpc/listener.c where descriptors run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "rpc/listener.h"

static int connect_to(const struct rpc_listener *l)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(rpc_listener_port(l)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    return fd;
}

/* No descriptor from |n| on can be had. */
static void limit_descriptors(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* Whether the other side has closed it, without waiting. */
static bool is_closed(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void test_without_descriptors(void **state)
{
    (void)state;
    struct rpc_listener *l;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rpc_listener_open("127.0.0.1:0", &(struct rpc_listener_options){0}, &l, NULL), 0);

    int turned_away = connect_to(l);
    limit_descriptors((rlim_t)lowest_free());
    assert_int_equal(rpc_listener_accept(l), -EMFILE);
    assert_true(is_closed(turned_away));

    /* Not even the reserve can be had again: the caller waits. */
    limit_descriptors(before.rlim_cur);
    int waits = connect_to(l);
    limit_descriptors((rlim_t)rpc_listener_fd(l));
    assert_int_equal(rpc_listener_accept(l), -EMFILE);
    assert_int_equal(rpc_listener_accept(l), -EMFILE);
    assert_false(is_closed(waits));

    /* With the first one that is let in, there is a reserve again. */
    limit_descriptors(before.rlim_cur);
    int accepted = rpc_listener_accept(l);
    assert_true(accepted >= 0);
    int again = connect_to(l);
    limit_descriptors((rlim_t)lowest_free());
    assert_int_equal(rpc_listener_accept(l), -EMFILE);
    assert_true(is_closed(again));

    limit_descriptors(before.rlim_cur);
    close(again);
    close(accepted);
    close(waits);
    close(turned_away);
    rpc_listener_close(l);
}

int main(void)
{
    log_set(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_descriptors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
