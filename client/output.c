#include "client/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/show/terminal_text.h"

#define LARGE            65536 /* bytes */
#define LINE_MAX_COLUMNS 4096
#define STOP_GRACE_MS    500 /* for a reader that is slow */

void output_init(struct output *o, int fd)
{
    *o = (struct output){
        .fd = fd, .size_fd = fd, .notes_fd = STDERR_FILENO, .stop_fd = -1, .terminal = isatty(fd) == 1};
    buf_init(&o->data);
}

void output_fini(struct output *o)
{
    buf_free(&o->data);
}

/* Waits until |fd| takes something. Once |stop_fd| is readable a reader has STOP_GRACE_MS left to read on, so
 * that the last line is a whole one unless the reader has stopped for good. */
static int wait_writable(int fd, int stop_fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = stop_fd, .events = POLLIN}};
    for (;;) {
        bool stopping = fds[1].fd < 0 && stop_fd >= 0;
        int n = poll(fds, 2, stopping ? STOP_GRACE_MS : -1);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ECANCELED;
        if (n > 0 && fds[0].revents)
            return 0;
        if (n > 0)
            fds[1].fd = -1; /* poll(2) ignores it from here on */
    }
}

/* Writes what |fd|, which is ready, takes without blocking. Where RWF_NOWAIT is not known, on older kernels and for some
 * files, that is a piece of PIPE_BUF bytes (pipe(7)). Returns as write(2). */
static ssize_t write_some(int fd, const char *at, size_t n)
{
    struct iovec all = {.iov_base = (void *)(uintptr_t)at, .iov_len = n};
    ssize_t done = pwritev2(fd, &all, 1, -1, RWF_NOWAIT);
    return done > 0 ? done : write(fd, at, n < PIPE_BUF ? n : PIPE_BUF);
}

static int write_all(int fd, int stop_fd, const char *at, size_t n)
{
    while (n) {
        int rc = wait_writable(fd, stop_fd);
        if (rc != 0)
            return rc;
        ssize_t done = write_some(fd, at, n);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

/* Takes the line of output_progress away: ECMA-48's EL, erase in line. */
static void end_progress(struct output *o)
{
    static const char erase[] = "\r\033[K";
    if (o->progress)
        (void)write_all(o->notes_fd, o->stop_fd, erase, sizeof(erase) - 1);
    o->progress = false;
}

int output_flush(struct output *o)
{
    end_progress(o);
    if (o->data.failed && !o->error)
        o->error = -ENOMEM;
    if (!o->error && o->data.len)
        o->error = write_all(o->fd, o->stop_fd, o->data.data, o->data.len);
    buf_reset(&o->data);
    return o->error;
}

int output_flush_if_large(struct output *o)
{
    return o->data.len >= LARGE || o->data.failed ? output_flush(o) : o->error;
}

static bool terminal_size(const struct output *o, struct winsize *size)
{
    return o->terminal && ioctl(o->size_fd, TIOCGWINSZ, size) == 0;
}

size_t output_width(const struct output *o)
{
    const char *columns = getenv("COLUMNS");
    if (columns && *columns) {
        char *end;
        unsigned long n = strtoul(columns, &end, 10);
        if (!*end && n > 0 && n <= 10000)
            return n;
    }
    struct winsize size;
    if (terminal_size(o, &size) && size.ws_col)
        return size.ws_col;
    return o->terminal ? 80 : OUTPUT_WIDTH_FILE;
}

size_t output_height(const struct output *o)
{
    struct winsize size;
    return terminal_size(o, &size) ? size.ws_row : 0;
}

__attribute__((format(printf, 3, 0))) static void say(struct output *o, const char *prefix,
                                                      const char *format, va_list ap)
{
    struct buf line;
    char *text = NULL;

    if (o)
        output_flush(o);
    int n = vasprintf(&text, format, ap);
    if (n < 0)
        return;
    buf_init(&line);
    buf_str(&line, prefix);
    text_clean(&line, text, (size_t)n, LINE_MAX_COLUMNS);
    buf_char(&line, '\n');
    if (!line.failed)
        (void)write_all(o ? o->notes_fd : STDERR_FILENO, o ? o->stop_fd : -1, line.data, line.len);
    buf_free(&line);
    free(text);
}

void output_note(struct output *o, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(o, "xtcp2client: ", format, ap);
    va_end(ap);
}

void output_say(struct output *o, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(o, "", format, ap);
    va_end(ap);
}

void output_progress(struct output *o, const char *format, ...)
{
    char text[256];
    struct buf line;
    struct winsize size = {0};
    va_list ap;
    if (isatty(o->notes_fd) != 1)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    end_progress(o);
    /* A line that is wrapped could not be taken away: one column less than there are. */
    size_t width = ioctl(o->notes_fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
    buf_init(&line);
    text_clean(&line, text, strlen(text), width);
    if (!line.failed && write_all(o->notes_fd, o->stop_fd, line.data, line.len) == 0)
        o->progress = true;
    buf_free(&line);
}
