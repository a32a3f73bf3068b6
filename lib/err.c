#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/utf8.h"

static const struct {
    int code;
    const char *name;
} names[] = {
    {0, "success"},
    {ERR_MALFORMED, "malformed data"},
    {ERR_TRUNCATED, "data ends too early"},
    {ERR_RANGE, "value out of range"},
    {ERR_TYPE, "wrong type"},
    {ERR_UNKNOWN, "unknown name"},
    {ERR_DUPLICATE, "given twice"},
    {ERR_UNSUPPORTED, "not supported"},
    {ERR_PRECONDITION, "not possible in this state"},
    {ERR_LIMIT, "limit reached"},
    {ERR_TIMEOUT, "timed out"},
    {ERR_GONE, "no longer exists"},
    {ERR_INTERRUPTED, "interrupted by a change"},
    {ERR_CANCELLED, "cancelled"},
    {ERR_UNAVAILABLE, "not reachable"},
    {ERR_PERMISSION, "permission denied"},
    {ERR_STALE, "outdated generation"},
    {ERR_USAGE, "wrong usage"},
    {ERR_UNAUTHENTICATED, "not authenticated"},
};

const char *err_name(int code)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].code == code)
            return names[i].name;
    }
    return code < 0 && code > ERR_MALFORMED ? strerror(-code) : "unknown error";
}

/* Formats into |size| bytes at |text|; a text that is cut ends at a whole character. Returns the length. */
static size_t format_text(char *text, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static size_t format_text(char *text, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(text, size, format, args);
    if (n < 0)
        n = 0;
    size_t len = (size_t)n < size ? (size_t)n : utf8_cut(text, size - 1);
    text[len] = '\0';
    return len;
}

#undef err_set /* see err.h */
int err_set(struct err *e, int code, const char *format, ...)
{
    if (!e)
        return code;
    va_list args;
    va_start(args, format);
    format_text(e->text, sizeof(e->text), format, args);
    va_end(args);
    e->code = code;
    return code;
}

int err_prefix(struct err *e, const char *format, ...)
{
    char old[ERR_TEXT_MAX];
    if (!e)
        return 0;
    memcpy(old, e->text, sizeof(old));
    va_list args;
    va_start(args, format);
    size_t n = format_text(e->text, sizeof(e->text), format, args);
    va_end(args);
    size_t room = sizeof(e->text) - n;
    if ((size_t)snprintf(e->text + n, room, ": %s", old) >= room)
        e->text[utf8_cut(e->text, sizeof(e->text) - 1)] = '\0';
    return e->code;
}
