/* Event sources: whose function is called, and with what. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/linux/event_source.h"
#include "lib_test.h"

struct seen {
    unsigned calls;
    uint32_t events;
    int close_fd; /* closed by the call; -1: none */
};

static void ready(void *arg, uint32_t events)
{
    struct seen *s = arg;
    s->calls++;
    s->events = events;
    if (s->close_fd >= 0)
        close(s->close_fd);
}

static void test_calls(void **state)
{
    (void)state;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int a = eventfd(1, EFD_CLOEXEC);
    int b = eventfd(0, EFD_CLOEXEC);
    struct seen seen_a = {.close_fd = -1};
    struct seen seen_b = {.close_fd = -1};
    const struct event_source source_a = {ready, &seen_a};
    const struct event_source source_b = {ready, &seen_b};

    assert_int_equal(event_source_add(epoll, a, EPOLLIN, &source_a), 0);
    assert_int_equal(event_source_add(epoll, b, EPOLLIN, &source_b), 0);
    assert_int_equal(event_source_add(epoll, b, EPOLLIN, &source_b), -EEXIST);
    assert_int_equal(event_source_add(epoll, -1, EPOLLIN, &source_b), -EBADF);
    event_source_wait(epoll);
    assert_int_equal(seen_a.calls, 1);
    assert_int_equal(seen_a.events, EPOLLIN);
    assert_int_equal(seen_b.calls, 0);

    /* The same descriptor for another source. */
    assert_int_equal(event_source_change(epoll, a, EPOLLOUT, &source_b), 0);
    event_source_wait(epoll);
    assert_int_equal(seen_a.calls, 1);
    assert_int_equal(seen_b.calls, 1);
    assert_int_equal(seen_b.events, EPOLLOUT);
    close(a);
    close(b);
    close(epoll);
}

/* Of two events at a time the second is told although the first has closed its descriptor. */
static void test_late(void **state)
{
    (void)state;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int a = eventfd(1, EFD_CLOEXEC);
    int b = eventfd(1, EFD_CLOEXEC);
    struct seen seen_a = {.close_fd = b};
    struct seen seen_b = {.close_fd = a};
    const struct event_source source_a = {ready, &seen_a};
    const struct event_source source_b = {ready, &seen_b};
    assert_int_equal(event_source_add(epoll, a, EPOLLIN, &source_a), 0);
    assert_int_equal(event_source_add(epoll, b, EPOLLIN, &source_b), 0);
    event_source_wait(epoll);
    assert_int_equal(seen_a.calls, 1);
    assert_int_equal(seen_b.calls, 1);
    close(epoll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_late)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
