/* Texts of nswatch that depend on nothing but their arguments. Pure; any thread. */
#ifndef XTCP_NSWATCH_TEXT_H
#define XTCP_NSWATCH_TEXT_H

#include <stddef.h>

/* |in|, |n| bytes, as people and records may see it: control characters, others that nobody sees
 * (utf8_is_hidden), backslashes and bytes that are not UTF-8 become \xNN, so that the result is valid UTF-8
 * on one line and two different names never look the same. Returns a NUL-terminated string for free(3), NULL
 * without memory. */
char *text_escape(const char *in, size_t n);

#endif
