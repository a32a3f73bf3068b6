/* Texts of nswatch that depend on nothing but their arguments. Pure; any thread. */
#ifndef XTCP_NSWATCH_TEXT_H
#define XTCP_NSWATCH_TEXT_H

#include <stddef.h>

/* |in|, |n| bytes, in a form for people and records: control characters, other invisible ones
 * (utf8_is_hidden), backslashes and bytes that are not UTF-8 become \xNN, so that the result is valid UTF-8
 * on one line and two different names never look the same. Returns a NUL-terminated string for free(3), NULL
 * without memory. */
char *text_escape(const char *in, size_t n);

#endif
