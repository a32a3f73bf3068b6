/* The view of records: the columns, the order of the rows, and the style of the values. Made of the options;
 * unchanged from then on. Any thread. */
#ifndef XTCP_CLIENT_SHOW_VIEW_H
#define XTCP_CLIENT_SHOW_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "client/options.h"
#include "client/show/socket_table.h"
#include "lib/err.h"
#include "record/fields.h"

#define VIEW_COLUMNS_MAX 256
#define VIEW_TITLE_MAX   48

/* One column of a table: one of its own, or a field. */
struct view_column {
    const struct socket_table_column *own; /* NULL: |field| */
    const struct record_field *field;
    char title[VIEW_TITLE_MAX];
};

struct view_key {
    const struct record_field *field;
    const struct socket_table_column
        *own; /* NULL, or a column that is measured or has a rank, which sorts instead of |field| */
    bool descending;
};

struct view {
    enum output_format format;
    bool numeric;
    bool header;
    bool time;
    bool chosen;                 /* --columns was given */
    struct view_column *columns; /* of tables */
    size_t n_columns;
    const struct record_field *fields[FIELD_COUNT]; /* of the other formats; all of them unless |chosen| */
    size_t n_fields;
    bool has_field[FIELD_COUNT]; /* those in |fields| */
    struct view_key *keys;       /* the most important first; none: in the order of their coming */
    size_t n_keys;
};

/* Makes |*out| (for view_free) of --output, --columns, --sort-by, --numeric, --no-header and --time in |o|.
 * Returns 0, ERR_USAGE with |e| that says which column is unknown and what may have been meant, or -ENOMEM
 * with |e|. */
int view_new(const struct options *o, struct view **out, struct err *e);
void view_free(struct view *v);

/* Whether |v| shows or sorts by rates that are measured between polls. */
bool view_measures(const struct view *v);

/* The fields that the daemon must send for |v|, each once: those that are shown, those that are sorted by,
 * those that distinguish zero from absent, and those that distinguish polls. Returns their number; 0: all of
 * them, none was chosen. */
size_t view_mask(const struct view *v, const struct record_field *out[FIELD_COUNT]);

/* Whether |typed|, |n| bytes, is the name or title |known|: in any case, with dashes or underscores. */
bool view_is_name(const char *known, const char *typed, size_t n);

#endif
