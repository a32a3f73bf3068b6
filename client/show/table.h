/* Text in columns, fitted to the width of a terminal.
 *
 * Rows are gathered until table_flush, which sorts them, measures them, leaves out the least important
 * columns that do not fit and prints. The layout of the last flush is kept as long as everything fits into
 * it, so that scrolling rows do not jump; when it changes, and after every page, the titles are printed
 * again. One thread at a time. */
#ifndef XTCP_CLIENT_SHOW_TABLE_H
#define XTCP_CLIENT_SHOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *title;
    enum table_align align;
    uint8_t drop;  /* 0: always shown; of the other columns the highest is left out first */
    uint8_t least; /* width at least, so that small changes of the data leave the layout as it is */
    uint8_t cut;   /* not 0: may be cut down to this width before a column is left out */
    /* Not 0: where nothing more can be left out, it is cut down to this width, in the middle. */
    uint8_t squeeze;
};

#define TABLE_KEY_MAX  72   /* bytes of a row's sort key */
#define TABLE_CELL_MAX 120  /* columns of a cell; wider ones are cut */
#define TABLE_ROWS_MAX 4096 /* rows that are gathered */

struct table;

/* An empty table with |n| |columns|, whose titles must live as long. NULL without memory. */
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *t);

/* Columns of the terminal (0: no limit), and lines after which the titles come again (0: never). From the
 * next flush on. */
void table_set_size(struct table *t, size_t width, size_t page);

/* Whether there are titles at all. There are unless this says otherwise, before the first flush. */
void table_set_header(struct table *t, bool header);

/* From now on cells are kept whole instead of being cut at TABLE_CELL_MAX. */
void table_keep_whole(struct table *t);

/* Begins a row; its |cells| follow by table_cell, from left to right, missing ones count as "-". |key| of
 * |key_len| bytes (cut at TABLE_KEY_MAX) sorts rows of one flush by memcmp; equal ones stay in the order of
 * their coming. */
void table_row(struct table *t, const void *key, size_t key_len);

/* Adds the next cell of the row that was begun: |text| of |n| bytes, cleaned by text_clean; empty ones become
 * "-". */
void table_cell(struct table *t, const char *text, size_t n);
void table_cell_str(struct table *t, const char *text);

/* Whether TABLE_ROWS_MAX rows wait: flush before the next one. */
bool table_full(const struct table *t);

/* Appends the rows that wait to |out| and forgets them. Returns 0, or -ENOMEM (also when a row or cell before
 * could not be kept; the rows are lost). */
int table_flush(struct table *t, struct buf *out);

#endif
