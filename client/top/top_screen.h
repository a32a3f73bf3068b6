/* The terminal as top has it: full screen, single keys, text in styles. The one file with curses. One thread. */
#ifndef XTCP_CLIENT_TOP_TOP_SCREEN_H
#define XTCP_CLIENT_TOP_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

enum top_style {
    TOP_STYLE_PLAIN,
    TOP_STYLE_DIM,
    TOP_STYLE_BOLD,
    TOP_STYLE_TITLES, /* the titles of the columns */
    TOP_STYLE_SORTED, /* that of the column that is sorted by */
    TOP_STYLE_CURSOR, /* the row with the cursor */
    TOP_STYLE_GOOD,
    TOP_STYLE_WARN,
    TOP_STYLE_BAD,
    TOP_STYLES
};

/* Whether standard input and output are a terminal that top can use. Returns 0, or ERR_USAGE with |e|. */
int top_screen_check(struct err *e);

/* Takes over the terminal at standard input and output; without |colours|, or where the terminal has none,
 * styles are bold and reverse only. Returns 0, or ERR_USAGE with |e| when it is no terminal that top can use;
 * nothing has changed then. */
int top_screen_open(bool colours, struct err *e);

/* Gives it back as it was. May be called when it is not open. */
void top_screen_close(void);

/* The same in a hurry, from another thread, when the process is about to end at once. */
void top_screen_abandon(void);

/* Gives it back, stops the process as the key Ctrl-Z does, and takes the terminal again once the process goes
 * on. */
void top_screen_suspend(void);

/* The terminal may have another size, or others may have written to it: everything is drawn anew. */
void top_screen_resized(void);

size_t top_screen_width(void);
size_t top_screen_height(void);

/* The next key (see top_view.h) that was pressed, or false. Does not wait. */
bool top_screen_key(uint32_t *key);

/* Everything that is to be on the screen is drawn between these two calls. */
void top_screen_begin(void);
void top_screen_end(void);

/* Writes |text|, made clean, from column |x| of line |y| on, in at most |width| columns; returns how many it
 * took. Text outside of the screen is left out. */
size_t top_screen_put(size_t y, size_t x, size_t width, enum top_style style, const char *text);

/* The same, at the right end of |width| columns. */
void top_screen_put_right(size_t y, size_t x, size_t width, enum top_style style, const char *text);

/* |width| columns in |style| with nothing in them. */
void top_screen_fill(size_t y, size_t x, size_t width, enum top_style style);

/* Sets the place where the terminal's cursor blinks, until the next top_screen_begin. */
void top_screen_cursor(size_t y, size_t x);

#endif
