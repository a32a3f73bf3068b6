#include "lib/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/utf8.h"

const char *const log_level_names[LOG_LEVELS] = {"error", "warn", "info", "debug", "trace"};
const char *const log_format_names[2] = {"text", "json"};

struct log_state {
    _Atomic int level;
    _Atomic int format;
    _Atomic int fd;
    pthread_mutex_t lock; /* a leaf: one line at a time */
    uint64_t lines_lost;  /* since the last one written; under the lock */
};

static struct log_state own = {
    .level = LOG_INFO, .format = LOG_TEXT, .fd = STDERR_FILENO, .lock = PTHREAD_MUTEX_INITIALIZER};
static struct log_state *_Atomic current = &own;

struct log_state *log_state(void)
{
    return atomic_load_explicit(&current, memory_order_acquire);
}

void log_use(struct log_state *state)
{
    atomic_store_explicit(&current, state, memory_order_release);
}

void log_set(enum log_level level, enum log_format format)
{
    atomic_store(&log_state()->level, (int)level);
    atomic_store(&log_state()->format, (int)format);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&log_state()->level, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store(&log_state()->fd, fd);
}

/* The written form of a character, or of a byte that is none. */
struct piece {
    char text[UTF8_ESCAPE_MAX];
    size_t len;
    size_t width; /* in the line, but for the backslashes that JSON puts before quotes and backslashes */
    size_t used;  /* bytes of the message */
};

/* A control character would let a stranger's text forge a second line or drive the reader's terminal: it
 * becomes spaces. Characters that are not visible are escaped, in JSON by buf_json_string. */
static struct piece next_piece(const char *message, size_t n, bool json)
{
    size_t len = utf8_length(message, n);
    struct piece p = {.text = "?", .len = 1, .width = 1, .used = 1};
    if (len == 0)
        return p;
    p.len = p.width = p.used = len;
    if (utf8_is_control(message, len)) {
        memset(p.text, ' ', len);
        return p;
    }
    bool hidden = utf8_is_hidden(message, len);
    if (hidden)
        p.width = utf8_escape(message, len, p.text);
    if (hidden && !json)
        p.len = p.width;
    else
        memcpy(p.text, message, len);
    return p;
}

/* Copies the |n| bytes of |message| to |out|, as far as there is room, made fit for a line. Returns the
 * length. */
static size_t clean(const char *message, size_t n, bool json, char out[LOG_TEXT_MAX + 1])
{
    size_t len = 0, width = 0;
    for (size_t i = 0; i < n;) {
        struct piece p = next_piece(message + i, n - i, json);
        if (width + p.width > LOG_TEXT_MAX)
            break;
        memcpy(out + len, p.text, p.len);
        len += p.len;
        width += p.width;
        i += p.used;
    }
    out[len] = '\0';
    return len;
}

/* Writes one line of |len| bytes of clean text, unless that would have to wait: a pipe or a terminal that
 * nobody reads must not stop the daemon. Returns whether it did. The lock is held, so that no other thread of
 * this process changes the state of the descriptor before the write. */
static bool write_line(bool json, enum log_level level, const char *module, const char *message, size_t len)
{
    int fd = atomic_load(&log_state()->fd);
    char
        storage[PIPE_BUF]; /* JSON doubles the text at worst: it is clean, only quotes and backslashes grow */
    char when[CLOCK_TEXT_MAX];
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (fd >= 0 && poll(&ready, 1, 0) == 0)
        return false;
    clock_format(clock_wall_ns(), 3, when);

    struct buf line;
    buf_init_fixed(&line, storage, sizeof(storage) - 1);
    if (json) {
        buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"module\":\"%s\",\"msg\":", when,
                   log_level_names[level], module);
        buf_json_string(&line, message, len);
        buf_str(&line, "}");
    } else {
        buf_printf(&line, "%s %-5s %s: %s", when, log_level_names[level], module, message);
    }
    storage[line.len] = '\n';
    ssize_t written = write(fd, storage, line.len + 1);
    (void)written; /* there is nowhere to report that the log cannot be written */
    return true;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    int saved_errno = errno;
    bool json = atomic_load(&log_state()->format) == LOG_JSON; /* it may change at any time */
    char whole[LOG_TEXT_MAX + 1];
    char message[LOG_TEXT_MAX + 1];
    char lost[64];

    va_list args;
    va_start(args, format);
    int n = vsnprintf(whole, sizeof(whole), format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : n <= LOG_TEXT_MAX ? (size_t)n : utf8_cut(whole, LOG_TEXT_MAX);
    len = clean(whole, len, json, message);

    pthread_mutex_lock(&log_state()->lock);
    if (log_state()->lines_lost) {
        n = snprintf(lost, sizeof(lost), "%llu lines that nobody read are lost",
                     (unsigned long long)log_state()->lines_lost);
        if (write_line(json, LOG_WARN, "log", lost, (size_t)n))
            log_state()->lines_lost = 0;
    }
    if (log_state()->lines_lost || !write_line(json, level, module, message, len))
        log_state()->lines_lost++;
    pthread_mutex_unlock(&log_state()->lock);
    errno = saved_errno;
}

int log_rate_allow(struct log_rate *rate, int64_t interval_ns, uint64_t *suppressed)
{
    int64_t now = clock_mono_ns();
    int64_t next = atomic_load(&rate->next_ns);
    if (now < next || !atomic_compare_exchange_strong(&rate->next_ns, &next, now + interval_ns)) {
        atomic_fetch_add(&rate->suppressed, 1);
        return 0;
    }
    *suppressed = atomic_exchange(&rate->suppressed, 0);
    return 1;
}
