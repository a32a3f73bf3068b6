/* lib/file: readable files, refused files, and the bound on every wait. */
#include "lib_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/thread.h"

#define SOME "one\ntwo\n"

static char folder[] = "/tmp/xt_file_XXXXXX";

/* ---- A file system that does not answer ---- */

static sem_t answers; /* posted: it answers */
static _Atomic int came_back;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);
int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);

int __wrap_open(const char *path, int flags, ...)
{
    bool hangs = strstr(path, "hangs") != NULL;
    if (hangs)
        while (sem_wait(&answers) != 0)
            ;
    int fd = __real_open(path, flags);
    came_back += hangs;
    return fd;
}

static bool no_threads;

int __wrap_thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg)
{
    return no_threads ? -EAGAIN : __real_thread_start(t, name, stack, fn, arg);
}

/* ---- Helpers ---- */

static const char *in_folder(const char *name)
{
    static char path[4][sizeof(folder) + 64];
    static unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static const char *make_file(const char *name, const char *text)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static int setup(void **state)
{
    (void)state;
    sem_init(&answers, 0, 0);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"file", "hangs", "fifo", "socket", "link", "directory"};
    for (size_t i = 0; i < COUNT(names); i++)
        remove(in_folder(names[i]));
    sem_destroy(&answers);
    return rmdir(folder);
}

/* ---- Regular files ---- */

static void test_reads(void **state)
{
    (void)state;
    char *data;
    size_t len = 0;
    struct stat st;
    const char *path = make_file("file", SOME);
    for (int i = 0; i < 2; i++) {
        no_threads = i == 1;
        assert_int_equal(file_read(path, sizeof(SOME) - 1, &data, &len, &st, NULL), 0);
        assert_int_equal(len, sizeof(SOME) - 1);
        assert_string_equal(data, SOME);
        assert_int_equal(st.st_size, len);
        file_forget(data);
    }
    no_threads = false;
    assert_int_equal(symlink("file", in_folder("link")), 0);
    assert_int_equal(file_read(in_folder("link"), 100, &data, NULL, NULL, NULL), 0);
    file_forget(data);
    assert_int_equal(file_read("/dev/null", 100, &data, &len, NULL, NULL), 0);
    assert_int_equal(len, 0);
    assert_string_equal(data, "");
    free(data);
}

static void assert_refused(const char *path, int code, const char *words)
{
    char *data = NULL;
    struct err e = {0};
    assert_int_equal(file_read(path, 7, &data, NULL, NULL, &e), code);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, path) || !strstr(e.text, words))
        fail_msg("%s", e.text);
    assert_int_equal(file_read_input(path, 7, -1, &data, NULL, &e), code);
    assert_null(data);
}

static void test_refuses(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_refused(make_file("file", SOME), ERR_LIMIT, "larger than 7 bytes");
    assert_refused(in_folder("nothing"), -ENOENT, "No such file");
    assert_refused(in_folder("nothing/file"), -ENOENT, "No such file");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_refused(in_folder("fifo"), ERR_TYPE, "is a FIFO; only a regular file");
    int writer = open(in_folder("fifo"), O_RDWR | O_CLOEXEC); /* nor with somebody there */
    assert_true(writer >= 0);
    assert_refused(in_folder("fifo"), ERR_TYPE, "is a FIFO");
    close(writer);
    assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
    assert_refused(in_folder("directory"), ERR_TYPE, "is a directory");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_folder("socket"));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_refused(in_folder("socket"), ERR_TYPE, "is a socket");
    close(s);
    assert_refused("/dev/zero", ERR_TYPE, "is a character device");
    assert_refused("/dev/fd/x", -ENOENT, "No such file");
}

static void test_a_file_system_that_hangs(void **state)
{
    (void)state;
    char *data;
    struct err e;
    const char *path = make_file("hangs", SOME);
    int64_t begin_ns = clock_mono_ns();
    assert_int_equal(file_read(path, 100, &data, NULL, NULL, &e), ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "has not answered for 2 s"));
    assert_in_range(clock_mono_ns() - begin_ns, 2 * NS_PER_S, 60 * NS_PER_S);
    assert_int_equal(came_back, 0);
    sem_post(&answers); /* the thread that was left behind cleans up */
    while (came_back == 0)
        usleep(1000);
    sem_post(&answers);
    assert_int_equal(file_read(path, 100, &data, NULL, NULL, &e), 0);
    assert_string_equal(data, SOME);
    file_forget(data);
}

enum { HANGING = 8 };

struct hanging {
    const char *path;
    int code;
};

static void *read_hanging(void *arg)
{
    struct hanging *h = arg;
    char *data;
    h->code = file_read(h->path, 100, &data, NULL, NULL, NULL);
    return NULL;
}

/* Repeated attempts do not fill the process with threads. */
static void test_many_that_hang(void **state)
{
    (void)state;
    char *data;
    struct err e;
    pthread_t threads[HANGING];
    struct hanging hanging[HANGING];
    const char *path = make_file("file", SOME);
    const char *hangs = make_file("hangs", SOME);
    came_back = 0;
    for (int i = 0; i < HANGING; i++) {
        hanging[i].path = hangs;
        assert_int_equal(pthread_create(&threads[i], NULL, read_hanging, &hanging[i]), 0);
    }
    for (int i = 0; i < HANGING; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(hanging[i].code, ERR_TIMEOUT);
    }
    assert_int_equal(file_read(path, 100, &data, NULL, NULL, &e), ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "8 other files hang"));
    for (int i = 0; i < HANGING; i++)
        sem_post(&answers);
    while (came_back < HANGING || file_read(path, 100, &data, NULL, NULL, &e) != 0)
        usleep(1000);
    file_forget(data);
}

/* A lease of another process holds back who opens the file, for 45 seconds by default. */
static void test_a_lease(void **state)
{
    (void)state;
    char *data;
    struct err e;
    const char *path = make_file("file", SOME);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    signal(SIGIO, SIG_IGN);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    assert_int_equal(file_read(path, 100, &data, NULL, NULL, &e), -EAGAIN);
    close(fd);
    assert_int_equal(file_read(path, 100, &data, NULL, NULL, &e), 0);
    file_forget(data);
}

/* ---- Files that are followed ---- */

static void test_stamps(void **state)
{
    (void)state;
    static const struct file_stamp none;
    const char *path = make_file("file", SOME);
    struct file_stamp before = file_stamp(path);
    struct file_stamp now = file_stamp(path);
    assert_true(file_stamp_same(&before, &now));
    assert_false(file_stamp_same(&before, &none));
    make_file("file", SOME SOME);
    now = file_stamp(path);
    assert_false(file_stamp_same(&before, &now));
    static const char *const nothing[] = {NULL, "", "/does/not/exist"};
    for (size_t i = 0; i < COUNT(nothing); i++) {
        now = file_stamp(nothing[i]);
        assert_true(file_stamp_same(&now, &none));
    }
}

static void test_attempts(void **state)
{
    (void)state;
    struct file_attempt a = {0};
    assert_false(file_attempt_due(&a));
    assert_false(file_attempt_note(&a, 0));
    assert_true(file_attempt_note(&a, -EMFILE));
    assert_false(file_attempt_note(&a, -EMFILE));
    assert_in_range(a.retry_ns, clock_mono_ns(), clock_mono_ns() + NS_PER_S);
    a.retry_ns -= NS_PER_S;
    assert_true(file_attempt_due(&a));
    assert_true(file_attempt_note(&a, ERR_MALFORMED)); /* does not pass by itself */
    assert_false(file_attempt_due(&a));
    assert_true(file_attempt_note(&a, 0));
    assert_false(file_attempt_due(&a));
}

/* ---- Standard input ---- */

/* A pipe as descriptor 0 while the test runs. */
struct input {
    int saved;
    int write_end;
};

static struct input input_begin(void)
{
    int fds[2];
    struct input in = {.saved = dup(STDIN_FILENO)};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
    close(fds[0]);
    in.write_end = fds[1];
    return in;
}

static void input_end(const struct input *in)
{
    if (in->saved >= 0) {
        dup2(in->saved, STDIN_FILENO);
        close(in->saved);
    } else {
        close(STDIN_FILENO);
    }
}

static void test_input(void **state)
{
    (void)state;
    static const char *const names[] = {"-", "/dev/stdin", "/dev/fd/0"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct input in = input_begin();
        char *data;
        size_t len;
        assert_int_equal(write(in.write_end, SOME, sizeof(SOME) - 1), sizeof(SOME) - 1);
        close(in.write_end);
        assert_int_equal(file_read_input(names[i], 100, -1, &data, &len, NULL), 0);
        assert_string_equal(data, SOME);
        assert_int_equal(len, sizeof(SOME) - 1);
        free(data);
        input_end(&in);
    }
    struct input in = input_begin();
    char *data;
    struct err e;
    assert_int_equal(write(in.write_end, SOME, sizeof(SOME) - 1), sizeof(SOME) - 1);
    assert_int_equal(file_read_input("-", 7, -1, &data, NULL, &e), ERR_LIMIT);
    assert_string_equal(e.text, "standard input: larger than 7 bytes");
    /* A regular file as standard input is read from its beginning, by a name for it. */
    close(in.write_end);
    int fd = open(make_file("file", SOME), O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(file_read_input("/dev/stdin", 100, -1, &data, NULL, &e), 0);
        assert_string_equal(data, SOME);
        free(data);
    }
    input_end(&in);
}

static void test_input_interrupted(void **state)
{
    (void)state;
    char *data;
    struct err e;
    struct input in = input_begin();
    int stop = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(write(in.write_end, "part", 4), 4);
    assert_int_equal(file_read_input("-", 100, stop, &data, NULL, &e), ERR_CANCELLED);
    assert_string_equal(e.text, "standard input: interrupted");
    close(stop);
    close(in.write_end);
    input_end(&in);
}

/* Blocked signals that end the process do so here. */
static void test_input_signalled(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct input in = input_begin();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char *data;
            sigset_t all;
            sigfillset(&all);
            sigprocmask(SIG_BLOCK, &all, NULL);
            signal(signals[i], SIG_DFL);
            raise(signals[i]);
            file_read_input("-", 100, -1, &data, NULL, NULL);
            _exit(77);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
        close(in.write_end);
        input_end(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_a_file_system_that_hangs),
        cmocka_unit_test(test_many_that_hang),
        cmocka_unit_test(test_a_lease),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_input_interrupted),
        cmocka_unit_test(test_input_signalled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
