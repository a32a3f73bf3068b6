/* Texts that came from elsewhere, made fit for a terminal, and their width on it. Any thread. */
#ifndef XTCP_CLIENT_SHOW_TERMINAL_TEXT_H
#define XTCP_CLIENT_SHOW_TERMINAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

/* Takes from the environment's locale (LC_CTYPE) whether the terminal speaks UTF-8, and no more: letters and
 * their case stay as they are in the locale C, also for the libraries that speak protocols. Once, before the
 * first thread. */
void text_use_locale(void);

/* Whether the terminal speaks UTF-8, as far as the locale tells. */
bool text_utf8(void);

/* Appends |n| bytes of |text| to |b| so that they take at most |max| columns: characters that a terminal
 * would act upon or that are invisible (utf8_is_hidden), invalid UTF-8 and characters without a width become
 * \xNN per byte, and so does everything that is not ASCII unless the locale (LC_CTYPE) is a UTF-8 one. A text
 * that is too wide ends in "…" ("~" without UTF-8). Returns the columns taken. */
size_t text_clean(struct buf *b, const char *text, size_t n, size_t max);

/* The same for a NUL-terminated text without a limit of width. */
size_t text_clean_str(struct buf *b, const char *text);

#endif
