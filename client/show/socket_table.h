/* The table of sockets: its columns, and one row for each record. */
#ifndef XTCP_CLIENT_SHOW_SOCKET_TABLE_H
#define XTCP_CLIENT_SHOW_SOCKET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/show/cell.h"
#include "client/show/measured_rate.h"
#include "client/show/table.h"
#include "record/unpack.h"

#define SOCKET_TABLE_FIELDS_MAX 4

/* A column that tables have by themselves. */
struct socket_table_column {
    const char *name;         /* for --columns and --sort-by, which take the title as well */
    struct table_column look; /* in the table: title, alignment, importance when there is no room */
    bool wide;                /* in the wide table only */
    const char *doc;          /* one line; NULL: that of its only field */
    /* Writes its cell of a record; NULL: its only field, as cell_field has it. */
    void (*put)(struct cell *c, const record_message *r);
    /* The number that it is sorted by; false: there is none. NULL: the values of its fields, the first counts
     * most. */
    bool (*rank)(const record_message *r, uint64_t *out);
    /* It shows a rate that is measured between two polls; until there are two, its field, which is a
     * sample. */
    bool measured;
    uint8_t n_fields;
    int16_t fields[SOCKET_TABLE_FIELDS_MAX]; /* enum record_field_id: its sources, the first counts most */
};

/* From left to right. */
extern const struct socket_table_column socket_table_columns[];
extern const size_t n_socket_table_columns;

struct view;
struct socket_table;

/* A table with the columns of |v|, which must outlive it; |nodes|: and in front of them a column for the node
 * of each record. NULL without memory. */
struct socket_table *socket_table_new(const struct view *v, bool nodes);
void socket_table_free(struct socket_table *s);

/* Rates are those of |m|, which must outlive it; without, all sockets count as seen for the first time. */
void socket_table_measure(struct socket_table *s, const struct measured_rate *m);

/* The table in which its rows wait. */
struct table *socket_table_table(struct socket_table *s);

/* Adds |r|, whose contents may be anything; |node| is its node (NULL: not shown). Rows are sorted by
 * namespace, listeners first and ended sockets (TIME_WAIT, CLOSE) last, then by local and peer end; those of
 * a view that sorts stay in the order of their coming. */
void socket_table_add(struct socket_table *s, const record_message *r, const char *node);

#endif
