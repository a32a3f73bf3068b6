/* rpc/server/listen_socket.c where descriptors run out, and where others may write to the folder of a unix socket. */
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
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "rpc/server/listen_socket.h"

static int connect_to(const struct listen_socket *l)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(listen_socket_port(l)),
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
    struct listen_socket *l;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(listen_socket_open("127.0.0.1:0", &(struct listen_socket_options){0}, &l, NULL), 0);

    int turned_away = connect_to(l);
    limit_descriptors((rlim_t)lowest_free());
    assert_int_equal(listen_socket_accept(l), -EMFILE);
    assert_true(is_closed(turned_away));

    /* Not even the reserve can be had again: the caller waits. */
    limit_descriptors(before.rlim_cur);
    int waits = connect_to(l);
    limit_descriptors((rlim_t)listen_socket_fd(l));
    assert_int_equal(listen_socket_accept(l), -EMFILE);
    assert_int_equal(listen_socket_accept(l), -EMFILE);
    assert_false(is_closed(waits));

    /* With the first one that is let in, there is a reserve again. */
    limit_descriptors(before.rlim_cur);
    int accepted = listen_socket_accept(l);
    assert_true(accepted >= 0);
    int again = connect_to(l);
    limit_descriptors((rlim_t)lowest_free());
    assert_int_equal(listen_socket_accept(l), -EMFILE);
    assert_true(is_closed(again));

    limit_descriptors(before.rlim_cur);
    close(again);
    close(accepted);
    close(waits);
    close(turned_away);
    listen_socket_close(l);
}

/* ---- The file of a unix socket ---- */

static char folder[] = "/tmp/xt_listener_XXXXXX";

/* The action of another process as soon as the socket is bound. */
static void (*after_bind)(const char *path);

int __real_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    int rc = __real_bind(fd, address, len);
    if (rc == 0 && after_bind)
        after_bind(((const struct sockaddr_un *)address)->sun_path);
    return rc;
}

static const char *in_folder(const char *name)
{
    static char path[4][64];
    static unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(in_folder(name), &st), 0);
    return st.st_mode & 07777;
}

static void put_a_link(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("victim", path), 0);
}

static void put_a_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(in_folder("victim"), path), 0);
}

static void remove_it(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && close(creat(in_folder("victim"), 0600)) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"victim", "s", "s.lock"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

static int open_unix(mode_t mode, struct listen_socket **out, struct err *e)
{
    char text[80];
    const struct listen_socket_options options = {.socket_mode = mode, .socket_group = "7"};
    snprintf(text, sizeof(text), "unix:%s", in_folder("s"));
    return listen_socket_open(text, &options, out, e);
}

static void test_what_is_not_the_socket_is_left_alone(void **state)
{
    (void)state;
    static void (*const attacks[])(const char *path) = {put_a_link, put_a_file, remove_it};
    const struct listen_socket_options wider = {.socket_mode = 0666, .socket_group = "7"};
    struct listen_socket *l;
    struct err e;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        after_bind = attacks[i];
        assert_int_equal(open_unix(0666, &l, &e), ERR_GONE);
        assert_non_null(strstr(e.text, "removed or replaced"));
        after_bind = NULL;
        assert_int_equal(mode_of("victim"), 0600);
        unlink(in_folder("s"));
        /* Later is not different. */
        assert_int_equal(open_unix(0600, &l, &e), 0);
        assert_int_equal(mode_of("s"), 0600);
        attacks[i](in_folder("s"));
        assert_int_equal(listen_socket_permit(l, &wider, &e), 0);
        assert_int_equal(mode_of("victim"), 0600);
        listen_socket_close(l);
        struct stat st;
        assert_int_equal(lstat(in_folder("s"), &st), attacks[i] == remove_it ? -1 : 0);
        unlink(in_folder("s"));
    }
}

static void test_a_lost_socket(void **state)
{
    (void)state;
    const struct listen_socket_options options = {.socket_mode = 0660, .socket_group = ""};
    struct listen_socket *l;
    struct err e;
    for (int with_lock = 0; with_lock < 2; with_lock++) {
        assert_int_equal(open_unix(0600, &l, &e), 0);
        assert_true(listen_socket_is_there(l));
        unlink(in_folder("s"));
        if (with_lock)
            unlink(in_folder("s.lock"));
        assert_false(listen_socket_is_there(l));
        assert_int_equal(listen_socket_restore(l, &options, &e), 0);
        assert_true(listen_socket_is_there(l));
        assert_int_equal(mode_of("s"), 0660);
        struct sockaddr_un where = {.sun_family = AF_UNIX};
        snprintf(where.sun_path, sizeof(where.sun_path), "%s", in_folder("s"));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
        int accepted = listen_socket_accept(l);
        assert_true(accepted >= 0);
        close(accepted);
        close(fd);
        /* Somebody else's file at its place is an error, and stays. */
        unlink(in_folder("s"));
        assert_int_equal(link(in_folder("victim"), in_folder("s")), 0);
        assert_int_equal(listen_socket_restore(l, &options, &e), -EEXIST);
        assert_int_equal(listen_socket_restore(l, &options, &e), -EEXIST);
        unlink(in_folder("s"));
        /* The path is still ours. */
        struct listen_socket *other;
        assert_int_equal(open_unix(0600, &other, &e), -EADDRINUSE);
        /* The folder says no: the same. */
        after_bind = remove_it;
        assert_int_equal(listen_socket_restore(l, &options, &e), ERR_GONE);
        after_bind = NULL;
        assert_false(listen_socket_is_there(l));
        assert_int_equal(open_unix(0600, &other, &e), -EADDRINUSE);
        assert_int_equal(listen_socket_restore(l, &options, &e), 0);
        listen_socket_close(l);
        assert_int_equal(access(in_folder("s"), F_OK), -1);
        assert_int_equal(access(in_folder("s.lock"), F_OK), -1);
    }
}

/* No descriptor is left for the file that was just bound. */
static void take_descriptors(const char *path)
{
    (void)path;
    limit_descriptors((rlim_t)lowest_free());
}

static void test_what_is_not_finished_goes(void **state)
{
    (void)state;
    struct listen_socket *l;
    struct rlimit before;
    struct err e;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    after_bind = take_descriptors;
    assert_int_equal(open_unix(0600, &l, &e), -EMFILE);
    after_bind = NULL;
    limit_descriptors(before.rlim_cur);
    assert_int_equal(access(in_folder("s"), F_OK), -1);
    assert_int_equal(access(in_folder("s.lock"), F_OK), -1);
}

/* A process was killed between bind and what comes after: also without the rights of root, who can connect.
 */
static void test_what_was_never_finished_is_replaced(void **state)
{
    (void)state;
    const struct listen_socket_options options = {.socket_mode = 0600, .socket_group = ""};
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    struct listen_socket *l = NULL;
    struct err e = {0};
    char text[80];
    uid_t before = geteuid();
    if (before == 0) {
        assert_int_equal(chown(folder, 65534, (gid_t)-1), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", in_folder("s"));
    snprintf(text, sizeof(text), "unix:%s", in_folder("s"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fchmod(fd, 0) == 0 ? bind(fd, (struct sockaddr *)&where, sizeof(where)) : -1;
    if (rc == 0)
        rc = listen_socket_open(text, &options, &l, &e);
    listen_socket_close(l);
    close(fd);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(chown(folder, before, (gid_t)-1), 0);
    if (rc)
        fail_msg("%s", e.text);
}

int main(void)
{
    log_set(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_what_is_not_the_socket_is_left_alone),
        cmocka_unit_test(test_a_lost_socket),
        cmocka_unit_test(test_what_is_not_finished_goes),
        cmocka_unit_test(test_what_was_never_finished_is_replaced),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
