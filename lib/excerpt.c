#include "lib/excerpt.h"

#include <string.h>

#include "lib/utf8.h"

#define CONTEXT 16 /* bytes that are shown beside a difference, at most */

/* Bytes at the begin of both that are the same. */
static size_t common_begin(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    while (n && (utf8_goes_on(a[n]) || utf8_goes_on(b[n])))
        n--;
    return n;
}

/* Bytes at the end of both that are the same, |most| at most. */
static size_t common_end(const char *a, size_t a_len, const char *b, size_t b_len, size_t most)
{
    size_t n = 0;
    while (n < most && a[a_len - n - 1] == b[b_len - n - 1])
        n++;
    while (n && utf8_goes_on(a[a_len - n]))
        n--;
    return n;
}

/* The begin of the excerpt before the difference at |at|. */
static size_t begin_of(const char *text, size_t at)
{
    if (at <= CONTEXT)
        return 0;
    for (size_t i = at; i > at - CONTEXT; i--) {
        if (text[i - 1] == ',')
            return i;
    }
    at -= CONTEXT;
    while (utf8_goes_on(text[at]))
        at++;
    return at;
}

/* The end of the excerpt behind the difference that ends at |at|; |text| has |len| bytes. */
static size_t end_of(const char *text, size_t len, size_t at)
{
    if (len - at <= CONTEXT)
        return len;
    for (size_t i = at; i < at + CONTEXT; i++) {
        if (text[i] == ',')
            return i;
    }
    at += CONTEXT;
    while (utf8_goes_on(text[at]))
        at--;
    return at;
}

static struct excerpt bounded(const char *text, size_t len, size_t from, size_t to, size_t most)
{
    size_t marks = (from ? EXCERPT_MARK : 0) + (to < len ? EXCERPT_MARK : 0);
    if (to - from + marks <= most)
        return (struct excerpt){from, to};
    to = from + most - (from ? EXCERPT_MARK : 0) - EXCERPT_MARK;
    while (utf8_goes_on(text[to]))
        to--;
    return (struct excerpt){from, to};
}

void excerpt_differing(const char *a, const char *b, size_t whole, size_t most, struct excerpt *of_a,
                       struct excerpt *of_b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    *of_a = (struct excerpt){0, a_len};
    *of_b = (struct excerpt){0, b_len};
    if (a_len <= whole && b_len <= whole)
        return;
    size_t begin = common_begin(a, b);
    size_t least = (a_len < b_len ? a_len : b_len) - begin;
    size_t end = common_end(a, a_len, b, b_len, least);
    size_t from = begin_of(a, begin);
    *of_a = bounded(a, a_len, from, end_of(a, a_len, a_len - end), most);
    *of_b = bounded(b, b_len, from, end_of(b, b_len, b_len - end), most);
}
