#include "client/show/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/show/terminal_text.h"
#include "lib/array.h"

#define GAP 2 /* blanks between columns */

struct cell {
    uint32_t offset; /* in text */
    uint16_t len;    /* bytes */
    uint16_t width;  /* columns */
};

struct row {
    uint32_t order; /* of its coming; also where its cells are */
    uint8_t key[TABLE_KEY_MAX];
};

/* The width of each column, 0 when it is left out. */
struct layout {
    uint16_t *widths;
    bool printed; /* its titles have been printed */
};

struct table {
    struct table_column *columns;
    size_t n;
    bool header;
    size_t cell_max;
    size_t width;
    size_t page;
    size_t lines; /* since the titles were printed */
    struct row *rows;
    size_t n_rows;
    size_t cap_rows;
    struct cell *cells; /* n for each row */
    size_t filled;      /* cells of the last row that have been given */
    struct buf text;
    struct layout layout;
    uint16_t *natural; /* scratch: the width that each column needs */
    uint16_t *fresh;   /* scratch: the layout that fits best */
    bool failed;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
    struct table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->n = n;
    t->header = true;
    t->cell_max = TABLE_CELL_MAX;
    t->columns = calloc(n, sizeof(*t->columns));
    buf_init(&t->text);
    t->layout.widths = calloc(n, sizeof(*t->layout.widths));
    t->natural = calloc(n, sizeof(*t->natural));
    t->fresh = calloc(n, sizeof(*t->fresh));
    if (!t->columns || !t->layout.widths || !t->natural || !t->fresh) {
        table_free(t);
        return NULL;
    }
    memcpy(t->columns, columns, n * sizeof(*columns));
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    buf_free(&t->text);
    free(t->columns);
    free(t->layout.widths);
    free(t->natural);
    free(t->fresh);
    free(t->rows);
    free(t->cells);
    free(t);
}

void table_set_size(struct table *t, size_t width, size_t page)
{
    if (width != t->width)
        t->layout.printed = false;
    t->width = width;
    t->page = page;
}

void table_set_header(struct table *t, bool header)
{
    t->header = header;
}

void table_keep_whole(struct table *t)
{
    t->cell_max = UINT16_MAX / 4;
}

void table_row(struct table *t, const void *key, size_t key_len)
{
    size_t cap = t->cap_rows; /* of both */
    if (array_room(&t->rows, t->n_rows + 1, &cap, sizeof(*t->rows)) ||
        array_room(&t->cells, t->n_rows + 1, &t->cap_rows, t->n * sizeof(*t->cells))) {
        t->failed = true;
        return;
    }
    struct row *r = &t->rows[t->n_rows];
    memset(r, 0, sizeof(*r));
    r->order = (uint32_t)t->n_rows;
    if (key_len)
        memcpy(r->key, key, key_len < TABLE_KEY_MAX ? key_len : TABLE_KEY_MAX);
    memset(&t->cells[t->n_rows * t->n], 0, t->n * sizeof(*t->cells));
    t->n_rows++;
    t->filled = 0;
}

void table_cell(struct table *t, const char *text, size_t n)
{
    if (t->failed || t->n_rows == 0 || t->filled == t->n)
        return;
    struct cell *c = &t->cells[(t->n_rows - 1) * t->n + t->filled++];
    if (n == 0)
        return;
    size_t start = t->text.len;
    c->width = (uint16_t)text_clean(&t->text, text, n, t->cell_max);
    c->offset = (uint32_t)start;
    c->len = (uint16_t)(t->text.len - start);
    if (t->text.failed)
        t->failed = true;
}

void table_cell_str(struct table *t, const char *text)
{
    table_cell(t, text, strlen(text));
}

bool table_full(const struct table *t)
{
    return t->n_rows >= TABLE_ROWS_MAX;
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->key, y->key, TABLE_KEY_MAX);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* The width that each column needs for all rows that wait. */
static void measure(struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t title = t->header ? strlen(t->columns[i].title) : 1; /* an empty cell is "-" */
        t->natural[i] = (uint16_t)(title > t->columns[i].least ? title : t->columns[i].least);
    }
    for (size_t r = 0; r < t->n_rows; r++)
        for (size_t i = 0; i < t->n; i++)
            if (t->cells[r * t->n + i].width > t->natural[i])
                t->natural[i] = t->cells[r * t->n + i].width;
}

static size_t total_width(const struct table *t, const uint16_t *widths)
{
    size_t sum = 0;
    for (size_t i = 0; i < t->n; i++)
        if (widths[i])
            sum += widths[i] + (sum ? GAP : 0u);
    return sum;
}

/* The width below which column |i| must not go. */
static uint16_t floor_of(const struct table *t, size_t i)
{
    const struct table_column *c = &t->columns[i];
    return c->cut && c->cut < t->natural[i] ? c->cut : t->natural[i];
}

/* When nothing more can be left out: takes from the widest of the columns that may be squeezed. */
static void squeeze(const struct table *t, uint16_t *widths)
{
    for (size_t total = total_width(t, widths); t->width && total > t->width; total--) {
        size_t widest = t->n;
        for (size_t i = 0; i < t->n; i++)
            if (t->columns[i].squeeze && widths[i] > t->columns[i].squeeze &&
                (widest == t->n || widths[i] > widths[widest]))
                widest = i;
        if (widest == t->n)
            return;
        widths[widest]--;
    }
}

/* Fits the columns into the terminal: |widths| receives the result. */
static void fit(const struct table *t, uint16_t *widths)
{
    for (size_t i = 0; i < t->n; i++)
        widths[i] = floor_of(t, i);
    while (t->width && total_width(t, widths) > t->width) {
        size_t worst = t->n;
        for (size_t i = 0; i < t->n; i++)
            if (widths[i] && t->columns[i].drop &&
                (worst == t->n || t->columns[i].drop > t->columns[worst].drop))
                worst = i;
        if (worst == t->n)
            break;
        widths[worst] = 0;
    }
    squeeze(t, widths);
    /* A narrow one of those left out may still fit. */
    for (unsigned rank = 1; t->width && rank <= UINT8_MAX; rank++)
        for (size_t i = 0; i < t->n; i++)
            if (!widths[i] && t->columns[i].drop == rank &&
                total_width(t, widths) + GAP + floor_of(t, i) <= t->width)
                widths[i] = floor_of(t, i);
    /* The remaining width goes back to the columns that were cut. */
    for (size_t i = 0; i < t->n; i++) {
        if (!widths[i] || widths[i] == t->natural[i])
            continue;
        size_t want = (size_t)t->natural[i] - widths[i];
        size_t used = total_width(t, widths);
        size_t left = !t->width ? want : used < t->width ? t->width - used : 0;
        widths[i] = (uint16_t)(widths[i] + (want < left ? want : left));
    }
}

/* Whether the rows that wait can be printed in the previous layout as well as in the |fresh| one. */
static bool layout_holds(const struct table *t, const uint16_t *fresh)
{
    for (size_t i = 0; i < t->n; i++) {
        uint16_t old = t->layout.widths[i];
        if ((old == 0) != (fresh[i] == 0) || old < fresh[i])
            return false;
        if (old > fresh[i] + 12u) /* the wide row that needed it is gone */
            return false;
    }
    return true;
}

static void put_blanks(struct buf *out, size_t n)
{
    char *at = buf_reserve(out, n);
    if (at) {
        memset(at, ' ', n);
        out->len += n;
    }
}

/* One line; |cell| gives text and width of a column. */
static void put_field(struct buf *out, const char *text, size_t len, size_t text_width, size_t width,
                      enum table_align align, bool last)
{
    size_t blanks = text_width < width ? width - text_width : 0;
    if (align == TABLE_RIGHT)
        put_blanks(out, blanks);
    buf_bytes(out, text, len);
    if (!last)
        put_blanks(out, GAP + (align == TABLE_LEFT ? blanks : 0));
}

static size_t last_shown(const struct table *t)
{
    size_t last = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->layout.widths[i])
            last = i;
    return last;
}

static void put_titles(struct table *t, struct buf *out)
{
    size_t last = last_shown(t);
    for (size_t i = 0; t->header && i < t->n; i++) {
        const struct table_column *c = &t->columns[i];
        size_t len = strlen(c->title);
        if (t->layout.widths[i])
            put_field(out, c->title, len < t->layout.widths[i] ? len : t->layout.widths[i], len,
                      t->layout.widths[i], c->align, i == last);
    }
    if (t->header)
        buf_char(out, '\n');
    t->layout.printed = true;
    t->lines = 1;
}

/* |c| in |width| columns, which are too few: a squeezed column loses its middle, since both ends of an
 * address tell more. */
static void put_cut(const struct table *t, struct buf *out, const struct cell *c, size_t i, size_t width,
                    bool last)
{
    const char *text = t->text.data + c->offset;
    size_t used = 0, tail = width / 2;
    const char *colon = memrchr(text, ':', c->len);
    size_t port = colon ? (size_t)(text + c->len - colon) : 0;
    if (port > tail && port + 2 <= width)
        tail = port;
    /* Bytes are columns only where all of it is ASCII. */
    if (t->columns[i].squeeze && c->len == c->width && width > 4) {
        used = text_clean(out, text, c->len, width - tail);
        put_field(out, text + c->len - tail, tail, used + tail, width, TABLE_LEFT, last);
        return;
    }
    used = text_clean(out, text, c->len, width);
    put_field(out, "", 0, used, width, TABLE_LEFT, last);
}

static void put_row(struct table *t, struct buf *out, const struct row *r)
{
    size_t last = last_shown(t);
    for (size_t i = 0; i < t->n; i++) {
        const struct cell *c = &t->cells[r->order * t->n + i];
        uint16_t width = t->layout.widths[i];
        if (!width)
            continue;
        if (!c->len) {
            put_field(out, "-", 1, 1, width, t->columns[i].align, i == last);
        } else if (c->width <= width) {
            put_field(out, t->text.data + c->offset, c->len, c->width, width, t->columns[i].align, i == last);
        } else {
            put_cut(t, out, c, i, width, i == last);
        }
    }
    buf_char(out, '\n');
    t->lines++;
}

int table_flush(struct table *t, struct buf *out)
{
    bool failed = t->failed;
    if (!failed && t->n_rows) {
        qsort(t->rows, t->n_rows, sizeof(*t->rows), by_key);
        measure(t);
        fit(t, t->fresh);
        if (!t->layout.printed || !layout_holds(t, t->fresh)) {
            memcpy(t->layout.widths, t->fresh, t->n * sizeof(*t->fresh));
            t->layout.printed = false;
        }
        for (size_t i = 0; i < t->n_rows; i++) {
            if (!t->layout.printed || (t->page && t->lines >= t->page))
                put_titles(t, out);
            put_row(t, out, &t->rows[i]);
        }
    }
    t->n_rows = 0;
    t->failed = false;
    buf_reset(&t->text);
    return failed || out->failed ? -ENOMEM : 0;
}
