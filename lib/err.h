/* Error codes and error texts of the whole project.
 *
 * A function that can fail returns 0 or a negative code: -errno for errors of the system, one of enum
 * err_code for errors that we found ourselves. A function whose caller is a person (a config file, a command
 * line, an RPC) also fills a struct err with one sentence that names the key, the value and the allowed
 * range. */
#ifndef XTCP_LIB_ERR_H
#define XTCP_LIB_ERR_H

#include <stddef.h>

enum err_code {
    ERR_MALFORMED = -1000,       /* the bytes do not follow their format */
    ERR_TRUNCATED = -1001,       /* the bytes end too early */
    ERR_RANGE = -1002,           /* a value outside of its bounds */
    ERR_TYPE = -1003,            /* a value of another type than asked for */
    ERR_UNKNOWN = -1004,         /* a key or name that does not exist */
    ERR_DUPLICATE = -1005,       /* given twice */
    ERR_UNSUPPORTED = -1006,     /* known, but not something this program does */
    ERR_PRECONDITION = -1007,    /* not now: the state of the daemon forbids it */
    ERR_LIMIT = -1008,           /* a configured limit is reached */
    ERR_TIMEOUT = -1009,         /* not finished in time */
    ERR_GONE = -1010,            /* the namespace, peer or object has ceased to exist */
    ERR_INTERRUPTED = -1011,     /* the kernel says the dump is inconsistent (NLM_F_DUMP_INTR) */
    ERR_CANCELLED = -1012,       /* stopped on request */
    ERR_UNAVAILABLE = -1013,     /* the other side cannot be reached */
    ERR_PERMISSION = -1014,      /* refused for want of a right */
    ERR_STALE = -1015,           /* based on an outdated generation */
    ERR_USAGE = -1016,           /* the command line is wrong */
    ERR_UNAUTHENTICATED = -1017, /* the caller's credentials prove nothing */
};

#define ERR_TEXT_MAX 512

/* An error with its sentence. Plain data: copy it freely. */
struct err {
    int code;                /* 0: no error */
    char text[ERR_TEXT_MAX]; /* one sentence without newline, NUL-terminated */
};

/* Text of |code| (0, -errno or enum err_code): a constant string for our own codes, strerror's (thread-local
 * storage of libc) for errno. Any thread. */
const char *err_name(int code);

/* Fills |e| (may be NULL) with |code| and the formatted sentence, cut to fit. Returns |code|, so that a
 * function can end with `return err_set(e, ERR_RANGE, "...")`. Any thread. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
/* The analyzer looks at one file at a time: this shows it the return value; otherwise it follows paths on
 * which the error code is 0. */
#define err_set(e, code, ...) ((void)(err_set)(e, code, __VA_ARGS__), (code))
#endif

/* Puts the formatted text and ": " before the sentence that |e| holds. Returns e->code. |e| may be NULL
 * (returns 0). */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
