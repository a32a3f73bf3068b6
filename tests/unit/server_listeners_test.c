/* server/listen/: events that come late. Nothing is adopted here, so there is no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "server/listen/listeners_internal.h"

struct fixture {
    char folder[32];
    int epoll;
    struct listeners *set;
};

/* A configuration whose only listeners are |names|, sockets in the folder, with spaces between them. */
static const struct config *config_of(const struct fixture *f, const char *names)
{
    struct config *c;
    char text[256] = "";
    char name[16];
    assert_int_equal(config_defaults(&c), 0);
    for (int n; sscanf(names, "%15s%n", name, &n) == 1; names += n) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%sunix:%s/%s", len ? "," : "", f->folder, name);
    }
    assert_int_equal(config_set_text(c, config_option_find("grpc_listen"), text, NULL), 0);
    return c;
}

static struct listeners_change *prepare(struct fixture *f, const char *names)
{
    struct listeners_change *change = NULL;
    struct err e = {0};
    const struct config *c = config_of(f, names);
    if (listeners_prepare(f->set, c, &change, &e))
        fail_msg("%s", e.text);
    config_unref(c);
    return change;
}

static void change_to(struct fixture *f, const char *names)
{
    listeners_commit(f->set, prepare(f, names));
}

static int open_set(void **state)
{
    static struct fixture f;
    struct err e;
    f = (struct fixture){.folder = "/tmp/xt-listen-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    f.epoll = epoll_create1(EPOLL_CLOEXEC);
    const struct config *c = config_of(&f, "a");
    assert_int_equal(listeners_new(c, f.epoll, &f.set, &e), 0);
    assert_int_equal(listeners_start(f.set, c, NULL, &e), 0);
    config_unref(c);
    *state = &f;
    return 0;
}

static int close_set(void **state)
{
    const struct fixture *f = *state;
    listeners_close(f->set);
    listeners_free(f->set);
    close(f->epoll);
    rmdir(f->folder);
    return 0;
}

/* A connection to the socket |name|, which waits there. */
static int wait_at(const struct fixture *f, const char *name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", f->folder, name);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* The source of the next event of epoll, as the loop would take it; NULL: there is none. */
static const struct event_source *next_event(const struct fixture *f)
{
    struct epoll_event event;
    return epoll_wait(f->epoll, &event, 1, 0) == 1 ? event.data.ptr : NULL;
}

static void tell(const struct event_source *source)
{
    source->ready(source->arg, EPOLLIN);
}

/* The listener has been closed between the event and the call. */
static void test_closed_meanwhile(void **state)
{
    struct fixture *f = *state;
    const struct event_source *late = &f->set->list[0]->source->event;
    tell(late); /* nobody waits */
    change_to(f, "b");
    const struct event_source *other = &f->set->list[0]->source->event;
    assert_ptr_not_equal(late, other); /* it was made before the first one was closed */
    tell(late);
    assert_null(next_event(f));
    listeners_close(f->set);
    tell(late);
    tell(other);
}

/* The source of the closed listener has another one by now, which nobody may use yet. */
static void test_source_used_again(void **state)
{
    struct fixture *f = *state;
    const struct event_source *late = &f->set->list[0]->source->event;
    change_to(f, "b");
    struct listeners_change *change = prepare(f, "b c");
    assert_ptr_equal(late, &f->set->sources[0].event);
    assert_non_null(f->set->sources[0].listener);
    int fd = wait_at(f, "c");
    char byte;
    assert_null(next_event(f));
    tell(late);
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    int why = errno;
    listeners_abort(f->set, change);
    /* It waited: without a guard it would have been turned away. */
    assert_true(n < 0 && why == EAGAIN);
    assert_null(f->set->sources[0].listener);
    tell(late);
    close(fd);
}

/* Sources are found again, however often listeners change. */
static void test_many_changes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4 * LISTENERS_MAX; i++)
        change_to(f, i % 2 ? "a b" : "c d e");
    size_t taken = 0;
    for (size_t i = 0; i < sizeof(f->set->sources) / sizeof(f->set->sources[0]); i++)
        taken += f->set->sources[i].listener != NULL;
    assert_int_equal(taken, f->set->n);
}

int main(void)
{
    log_set(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed_meanwhile, open_set, close_set),
        cmocka_unit_test_setup_teardown(test_source_used_again, open_set, close_set),
        cmocka_unit_test_setup_teardown(test_many_changes, open_set, close_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
