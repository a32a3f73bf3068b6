/* The log: one line per event on a file descriptor (standard error), with a level, the module and its
 * subject.
 *
 * Text:  2026-01-31T12:00:00.123Z info  collector ns=blue: dump interrupted
 * JSON:  {"time":"…","level":"info","module":"collector","msg":"ns=blue: dump interrupted"}
 *
 * A line is one write(2) of at most PIPE_BUF bytes, so that lines of several processes never mix. Nobody
 * waits for a reader: a line that has no room in a full pipe is left out and counted. The text of an event is
 * cut at LOG_TEXT_MAX bytes; control characters in it become spaces, bytes that are not UTF-8 question marks,
 * and other invisible characters (utf8_is_hidden) are escaped: \u200f. Everything here may be called from any
 * thread. */
#ifndef XTCP_LIB_LOG_H
#define XTCP_LIB_LOG_H

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVELS };
enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_TEXT_MAX 1920

/* Names of the levels and formats, indexed by the enums: "error", "warn", …; "text", "json". */
extern const char *const log_level_names[LOG_LEVELS];
extern const char *const log_format_names[2];

/* Sets what is logged from now on. Before the first call: LOG_INFO and above, as text, to descriptor 2. */
void log_set(enum log_level level, enum log_format format);

/* The level in force. */
enum log_level log_level(void);

/* The settings and the lock of the log, and their use instead of one's own: a module that has a copy of these functions
 * writes to the log of the program so. Before the module logs anything. */
struct log_state;
struct log_state *log_state(void);
void log_use(struct log_state *state);

/* Redirects the log to |fd|, which stays the caller's. For tests. */
void log_set_fd(int fd);

/* Writes one line; use the macros. */
void log_write(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* State of one rate-limited call site; zero-initialised. */
struct log_rate {
    _Atomic int64_t next_ns;     /* monotonic time from which a line may be written again */
    _Atomic uint64_t suppressed; /* lines left out since the last one written */
};

/* Whether a line may be written now: at most one each |interval_ns|. |suppressed| receives the number of
 * lines left out before it. */
int log_rate_allow(struct log_rate *rate, int64_t interval_ns, uint64_t *suppressed);

#define log_enabled(level_) ((level_) <= log_level())
#define log_at(level_, module_, ...)                                                                         \
    do {                                                                                                     \
        if (log_enabled(level_))                                                                             \
            log_write((level_), (module_), __VA_ARGS__);                                                     \
    } while (0)
#define log_error(module_, ...) log_at(LOG_ERROR, module_, __VA_ARGS__)
#define log_warn(module_, ...)  log_at(LOG_WARN, module_, __VA_ARGS__)
#define log_info(module_, ...)  log_at(LOG_INFO, module_, __VA_ARGS__)
#define log_debug(module_, ...) log_at(LOG_DEBUG, module_, __VA_ARGS__)
#define log_trace(module_, ...) log_at(LOG_TRACE, module_, __VA_ARGS__)

/* For lines that a stranger or a broken peer can trigger: at most one line in ten seconds from this place in
 * the code, the next one telling how many were left out. |format_| must be a string literal. */
#define log_limited(level_, module_, format_, ...)                                                           \
    do {                                                                                                     \
        static struct log_rate rate_;                                                                        \
        uint64_t suppressed_;                                                                                \
        if (log_enabled(level_) && log_rate_allow(&rate_, 10000000000LL, &suppressed_)) {                    \
            if (suppressed_)                                                                                 \
                log_write((level_), (module_), format_ " (%llu like it before)" __VA_OPT__(, ) __VA_ARGS__,  \
                          (unsigned long long)suppressed_);                                                  \
            else                                                                                             \
                log_write((level_), (module_), format_ __VA_OPT__(, ) __VA_ARGS__);                          \
        }                                                                                                    \
    } while (0)

#endif
