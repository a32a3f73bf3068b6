/* The destinations null, stdout and stderr.
 *
 * Standard output and standard error are shared with other processes, so they are never made non-blocking. A pipe or a
 * terminal is opened once more for that. Where that is not allowed, it is asked for room first (poll) and given pieces
 * of PIPE_BUF bytes, for which there is room then, unless another process takes it in between.
 *
 * When a reader has taken a part of a message and then nothing more, the message is kept here: its rest comes
 * first, whatever is sent next. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/sink/append.h"
#include "outputs/sink/sink.h"

/* A reader that takes nothing for this long is an error. */
#define STALL_NS (10 * NS_PER_S)

/* How bytes are written. */
enum way {
    WAY_NONE,   /* it has not been looked at */
    WAY_FILE,   /* a regular file: messages are appended, wholly or not at all */
    WAY_SOCKET, /* by a call that does not wait */
    WAY_OWN,    /* to a description of our own, which does not wait */
    WAY_ASK,    /* in small pieces, when there is room */
};

struct standard_sink {
    const struct sink_host *host;
    const char *name; /* "stdout" */
    int shared;       /* the descriptor of the process */
    int fd;           /* that is written to: |shared|, or our own with WAY_OWN */
    enum way way;
    bool fresh; /* nothing has been written */
    struct append file;
    struct buf half; /* the message that has been written in part; empty: none */
    size_t taken;    /* bytes of it that have been written */
};

/* ---- Opening ---- */

static int standard_open(const struct sink_env *env, const char *name, int fd, void **out, struct err *e)
{
    struct standard_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->host = env->host;
    s->name = name;
    s->shared = fd;
    s->fd = fd;
    buf_init(&s->half);
    *out = s;
    return 0;
}

static int stdout_open(const struct sink_env *env, void **out, struct err *e)
{
    return standard_open(env, "stdout", STDOUT_FILENO, out, e);
}

static int stderr_open(const struct sink_env *env, void **out, struct err *e)
{
    return standard_open(env, "stderr", STDERR_FILENO, out, e);
}

/* Opens the shared descriptor's pipe or terminal anew. */
static void open_own(struct standard_sink *s)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s->shared);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    s->way = fd < 0 ? WAY_ASK : WAY_OWN;
    s->fd = fd < 0 ? s->shared : fd;
}

static int begin(struct standard_sink *s)
{
    struct stat st;
    if (fstat(s->shared, &st) != 0)
        return -errno;
    s->fresh = true;
    s->way = S_ISSOCK(st.st_mode) ? WAY_SOCKET : WAY_ASK;
    if (S_ISREG(st.st_mode)) {
        s->way = WAY_FILE;
        append_init(&s->file, s->shared, s->name);
        s->fresh = append_place(&s->file) == 0;
    } else if (S_ISFIFO(st.st_mode) || isatty(s->shared)) {
        open_own(s);
    }
    return 0;
}

/* Nobody reads any more: if somebody should again, it is from the beginning of a message. */
static void end(struct standard_sink *s)
{
    if (s->fd != s->shared)
        close(s->fd);
    s->fd = s->shared;
    s->way = WAY_NONE;
    buf_free(&s->half);
    s->taken = 0;
}

/* Whether a pipe has lost its readers. */
static bool is_broken(const struct standard_sink *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    return s->way != WAY_FILE && poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

static enum sink_result standard_connect(void *sink, bool *fresh, struct err *e)
{
    struct standard_sink *s = sink;
    int rc = s->way == WAY_NONE ? begin(s) : 0;
    if (rc == 0 && is_broken(s)) {
        rc = -EPIPE;
        end(s);
    }
    if (rc) {
        err_set(e, rc, "%s: %s", s->name, rc == -EBADF ? "it is closed" : err_name(rc));
        return SINK_BROKEN;
    }
    *fresh = s->fresh;
    return SINK_DONE;
}

/* ---- Writing ---- */

/* Writes some of |len| bytes without waiting. Returns how many, 0 when there is no room, or -errno. */
static ssize_t write_some(const struct standard_sink *s, const char *data, size_t len)
{
    ssize_t n;
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    if (s->way == WAY_ASK) {
        if (poll(&p, 1, 0) == 0)
            return 0;
        len = len < PIPE_BUF ? len : PIPE_BUF;
    }
    do
        n = s->way == WAY_SOCKET ? send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : write(s->fd, data, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    return n;
}

/* Waits for room. Returns 0, ERR_TIMEOUT, or another code. */
static int wait_for_room(const struct standard_sink *s, int64_t deadline_ns)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    int rc = s->host->wait(s->host->arg, &p, 1, deadline_ns);
    return rc == 0 ? ERR_TIMEOUT : rc < 0 ? rc : 0;
}

/* Writes the bytes from |*done| on, which is how many have been written at the end. Returns 0, -errno, ERR_TIMEOUT or
 * ERR_CANCELLED. */
static int put(struct standard_sink *s, const char *data, size_t len, size_t *done)
{
    int64_t deadline_ns = clock_mono_ns() + STALL_NS;
    while (*done < len) {
        ssize_t n = write_some(s, data + *done, len - *done);
        if (n < 0)
            return (int)n;
        int rc = n ? 0 : wait_for_room(s, deadline_ns);
        if (rc)
            return rc;
        if (n) {
            *done += (size_t)n;
            s->fresh = false;
            deadline_ns = clock_mono_ns() + STALL_NS;
        }
    }
    return 0;
}

/* Writes the rest of the message that is kept here, and lets go of it. */
static int put_rest(struct standard_sink *s)
{
    int rc = put(s, s->half.data, s->half.len, &s->taken);
    if (rc == 0)
        buf_free(&s->half);
    return rc;
}

static void keep(struct standard_sink *s, const struct sink_message *m, size_t taken)
{
    buf_bytes(&s->half, m->data, m->len);
    s->taken = taken;
    if (s->half.failed) {
        log_limited(LOG_ERROR, "output", "%s: out of memory: the rest of a message is missing", s->name);
        buf_free(&s->half);
    }
}

static bool is_half(const struct standard_sink *s, const struct sink_message *m)
{
    return s->half.len && s->half.len == m->len && memcmp(s->half.data, m->data, m->len) == 0;
}

static int put_message(struct standard_sink *s, const struct sink_message *m)
{
    size_t done = 0;
    if (s->way == WAY_FILE) {
        int rc = append_write(&s->file, m->data, m->len);
        s->fresh = s->fresh && rc;
        return rc;
    }
    bool again = is_half(s, m);
    int rc = s->half.len ? put_rest(s) : 0;
    if (rc || again)
        return rc;
    rc = put(s, (const char *)m->data, m->len, &done);
    if (rc && done)
        keep(s, m, done);
    return rc;
}

static enum sink_result explain(const struct standard_sink *s, int rc, struct err *e)
{
    if (rc == ERR_TIMEOUT)
        err_set(e, rc, "%s: its reader has taken nothing for %d s", s->name, (int)(STALL_NS / NS_PER_S));
    else if (rc == ERR_CANCELLED)
        err_set(e, rc, "%s: interrupted while it was waiting for its reader", s->name);
    else
        err_set(e, rc, "%s: %s", s->name, err_name(rc));
    if (rc == ERR_TIMEOUT || rc == ERR_CANCELLED || s->way == WAY_FILE)
        return SINK_AGAIN;
    return SINK_BROKEN;
}

static void standard_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct standard_sink *s = sink;
    enum sink_result result = SINK_DONE;
    for (size_t i = 0; i < n; i++) {
        int rc = result == SINK_DONE ? put_message(s, &list[i]) : 0;
        if (rc)
            result = explain(s, rc, e);
        list[i].result = result;
    }
    if (result == SINK_BROKEN)
        end(s);
}

static void standard_close(void *sink)
{
    struct standard_sink *s = sink;
    ssize_t n = 1;
    while (s->taken < s->half.len && n > 0) {
        n = write_some(s, s->half.data + s->taken, s->half.len - s->taken);
        s->taken += n > 0 ? (size_t)n : 0;
    }
    end(s);
    free(s);
}

const struct sink_ops xtcp_sink_stdout = {
    .abi = SINK_ABI,
    .open = stdout_open,
    .connect = standard_connect,
    .send = standard_send,
    .close = standard_close,
};

const struct sink_ops xtcp_sink_stderr = {
    .abi = SINK_ABI,
    .open = stderr_open,
    .connect = standard_connect,
    .send = standard_send,
    .close = standard_close,
};

/* ---- null ---- */

struct null_sink {
    bool used;
};

static int null_open(const struct sink_env *env, void **out, struct err *e)
{
    (void)env;
    *out = calloc(1, sizeof(struct null_sink));
    return *out ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static enum sink_result null_connect(void *sink, bool *fresh, struct err *e)
{
    const struct null_sink *s = sink;
    (void)e;
    *fresh = !s->used;
    return SINK_DONE;
}

static void null_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct null_sink *s = sink;
    (void)e;
    for (size_t i = 0; i < n; i++)
        list[i].result = SINK_DONE;
    s->used = s->used || n;
}

static void null_close(void *sink)
{
    free(sink);
}

const struct sink_ops xtcp_sink_null = {
    .abi = SINK_ABI,
    .open = null_open,
    .connect = null_connect,
    .send = null_send,
    .close = null_close,
};
