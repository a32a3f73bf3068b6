#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/thread.h"

/* The longest time that a file system may take. */
#define WAIT_NS (2 * NS_PER_S)

/* Files that the system could not read are tried again after this time. */
#define RETRY_NS (1 * NS_PER_S)

/* The most threads that may hang in file systems that do not answer; at this number nothing is read until one
 * is back. */
#define HANGING_MAX 8

static _Atomic unsigned hanging; /* threads that have been left behind */

/* A file that is being read, by a thread that may never come back. */
struct job {
    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t changed;
    bool done;
    bool abandoned; /* the thread frees it */
    char *path;
    size_t max;
    char *data;
    size_t len;
    struct stat st;
    struct err error;
};

const char *file_type(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISREG(mode)  ? "a regular file"
           : S_ISLNK(mode)  ? "a symbolic link"
                            : "something else";
}

void file_forget(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

bool file_error_passes(int rc)
{
    return rc == ERR_TIMEOUT || (rc < 0 && rc > ERR_MALFORMED && rc != -ENOENT);
}

/* ---- Reading ---- */

/* Bytes that have been read of a file or a stream. */
struct intake {
    const char *path;
    char *data; /* |max| + 1 bytes */
    size_t len;
    size_t max;
    bool waits; /* the caller waits between two reads until there are bytes */
};

static int intake_begin(struct intake *in, const char *path, size_t max, struct err *e)
{
    *in = (struct intake){.path = path, .max = max, .data = malloc(max + 1)};
    return in->data ? 0 : err_set(e, -ENOMEM, "%s: out of memory", path);
}

/* Takes the bytes of one read(2) of |fd|. Returns 1 when there may be more, 0 at the end, or a code. */
static int intake_read(struct intake *in, int fd, struct err *e)
{
    ssize_t n = read(fd, in->data + in->len, in->max + 1 - in->len);
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && in->waits)))
        return 1;
    if (n < 0)
        return err_set(e, -errno, "%s: cannot read: %s", in->path, err_name(-errno));
    in->len += (size_t)n;
    if (in->len > in->max)
        return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", in->path, in->max);
    return n > 0;
}

/* If |rc| is 0, hands out the bytes that were read, in memory of that size. Nothing stays here in memory. */
static int intake_end(struct intake *in, int rc, char **data, size_t *len, struct err *e)
{
    char *exact = rc == 0 ? malloc(in->len + 1) : NULL;
    if (exact) {
        memcpy(exact, in->data, in->len);
        exact[in->len] = '\0';
        *data = exact;
        *len = in->len;
    } else if (rc == 0) {
        rc = err_set(e, -ENOMEM, "%s: out of memory", in->path);
    }
    explicit_bzero(in->data, in->len);
    free(in->data);
    return rc;
}

/* ---- Regular files ---- */

static int check_type(const char *path, const struct stat *st, struct err *e)
{
    bool null =
        S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3); /* Documentation/admin-guide/devices.txt */
    if (S_ISREG(st->st_mode) || null)
        return 0;
    return err_set(e, ERR_TYPE, "%s: is %s; only a regular file can be read", path, file_type(st->st_mode));
}

static int read_fd(struct job *j, int fd)
{
    struct intake in;
    if (fstat(fd, &j->st) != 0)
        return err_set(&j->error, -errno, "%s: %s", j->path, err_name(-errno));
    int rc = check_type(j->path, &j->st, &j->error);
    if (rc == 0)
        rc = intake_begin(&in, j->path, j->max, &j->error);
    if (rc)
        return rc;
    do
        rc = intake_read(&in, fd, &j->error);
    while (rc > 0);
    return intake_end(&in, rc, &j->data, &j->len, &j->error);
}

/* A FIFO is opened without waiting for its other end, a terminal does not become ours, and a lease of another
 * process (fcntl(2), F_SETLEASE) is an error instead of a pause. A device is not opened at all. */
static void job_read(struct job *j)
{
    if (stat(j->path, &j->st) == 0 && check_type(j->path, &j->st, &j->error))
        return;
    int fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        err_set(&j->error, -errno, "%s: cannot open: %s", j->path, err_name(-errno));
        return;
    }
    read_fd(j, fd);
    close(fd);
}

static struct job *job_new(const char *path, size_t max)
{
    struct job *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->path = strdup(path);
    if (!j->path) {
        free(j);
        return NULL;
    }
    j->max = max;
    thread_cond_init(&j->changed);
    pthread_mutex_init(&j->lock, NULL);
    return j;
}

static void job_free(struct job *j)
{
    if (j->data)
        explicit_bzero(j->data, j->len);
    free(j->data);
    free(j->path);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static void *job_run(void *arg)
{
    struct job *j = arg;
    job_read(j);
    pthread_mutex_lock(&j->lock);
    j->done = true;
    bool abandoned = j->abandoned;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
    if (abandoned) {
        atomic_fetch_sub(&hanging, 1);
        job_free(j);
    }
    return NULL;
}

/* Returns whether the thread came back in time; if not, |j| is no longer the caller's. */
static bool job_wait(struct job *j)
{
    int64_t deadline_ns = clock_mono_ns() + WAIT_NS;
    pthread_mutex_lock(&j->lock);
    while (!j->done && thread_cond_wait(&j->changed, &j->lock, deadline_ns))
        continue;
    bool done = j->done;
    j->abandoned = !done;
    if (!done)
        atomic_fetch_add(&hanging, 1);
    pthread_mutex_unlock(&j->lock);
    return done;
}

int file_read(const char *path, size_t max, char **data, size_t *len, struct stat *st, struct err *e)
{
    struct thread thread;
    if (atomic_load(&hanging) >= HANGING_MAX)
        return err_set(e, ERR_TIMEOUT, "%s: not read: %d other files hang in file systems that do not answer",
                       path, HANGING_MAX);
    struct job *j = job_new(path, max);
    if (!j)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    if (thread_start(&thread, "file", 0, job_run, j)) {
        job_read(j); /* no thread can be started: read on this one */
    } else if (job_wait(j)) {
        thread_join(&thread);
    } else {
        thread_abandon(&thread);
        return err_set(e, ERR_TIMEOUT, "%s: the file system has not answered for %d s", path,
                       (int)(WAIT_NS / NS_PER_S));
    }
    int rc = j->error.code;
    if (rc && e)
        *e = j->error;
    if (st)
        *st = j->st;
    if (rc == 0) {
        *data = j->data;
        if (len)
            *len = j->len;
        j->data = NULL;
    }
    job_free(j);
    return rc;
}

/* ---- Files that are followed ---- */

struct file_stamp file_stamp(const char *path)
{
    struct stat st;
    if (!path || !*path || stat(path, &st) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){.dev = st.st_dev,
                               .ino = st.st_ino,
                               .size = st.st_size,
                               .modified = st.st_mtim,
                               .changed = st.st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

bool file_attempt_due(const struct file_attempt *a)
{
    return a->retry_ns && clock_mono_ns() >= a->retry_ns;
}

bool file_attempt_note(struct file_attempt *a, int rc)
{
    bool other = rc != a->failed;
    a->failed = rc;
    a->retry_ns = rc && file_error_passes(rc) ? clock_mono_ns() + RETRY_NS : 0;
    return other;
}

/* ---- Standard input ---- */

/* The own descriptor that |path| stands for; -1 when it is an ordinary path. */
static int input_fd(const char *path)
{
    static const char folder[] = "/dev/fd/";
    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
        return STDIN_FILENO;
    if (strncmp(path, folder, sizeof(folder) - 1) != 0)
        return -1;
    const char *digits = path + sizeof(folder) - 1;
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n < 9 && digits[n] == '\0' ? atoi(digits) : -1;
}

/* Waits until |fd| can be read. Returns 0, ERR_CANCELLED or -errno. */
static int wait_for_input(int fd, int stop_fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (stop_fd < 0) {
        sigdelset(&mask, SIGINT);
        sigdelset(&mask, SIGTERM);
    }
    while (ppoll(fds, 2, NULL, &mask) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return fds[1].revents ? ERR_CANCELLED : 0;
}

static int read_stream(int fd, const char *name, size_t max, int stop_fd, char **data, size_t *len,
                       struct err *e)
{
    struct intake in;
    int rc = intake_begin(&in, name, max, e);
    if (rc)
        return rc;
    in.waits = true;
    do {
        rc = wait_for_input(fd, stop_fd);
        if (rc)
            err_set(e, rc, "%s: %s", name, rc == ERR_CANCELLED ? "interrupted" : err_name(rc));
        else
            rc = intake_read(&in, fd, e);
    } while (rc > 0);
    return intake_end(&in, rc, data, len, e);
}

bool file_is_input(const char *path)
{
    return input_fd(path) >= 0;
}

bool file_is_stream(const char *path)
{
    struct stat st;
    int fd = input_fd(path);
    return fd >= 0 && (strcmp(path, "-") == 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode));
}

int file_read_input(const char *path, size_t max, int stop_fd, char **data, size_t *len, struct err *e)
{
    size_t n = 0;
    if (!file_is_stream(path))
        return file_read(path, max, data, len, NULL, e);
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    return read_stream(input_fd(path), name, max, stop_fd, data, len ? len : &n, e);
}
