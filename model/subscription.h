/* The request of a reader of records, and the daemon's reading of it. */
#ifndef XTCP_MODEL_SUBSCRIPTION_H
#define XTCP_MODEL_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBSCRIPTION_FILTER_MAX 16384 /* bytes of a filter */
#define SUBSCRIPTION_NAMES_MAX  256   /* entries of |columns|, and of |netns| */
#define SUBSCRIPTION_NAME_MAX   255   /* bytes of one of them */

/* A request. All zero: every record, one per message, nothing else. Strings are NUL-terminated
 * and valid UTF-8. */
struct subscription {
    uint32_t batch_rows; /* 0: one record per message; N: up to N rows per message, in an envelope */
    bool markers;        /* send poll_begin and poll_end */
    bool events;         /* send close events */
    char *filter;        /* NULL: no filter */
    char **columns;      /* proto names of the fields to send; NULL: all */
    size_t n_columns;
    char **netns; /* names (globs) or inode numbers; NULL: all */
    size_t n_netns;
};

/* Frees all strings and lists of |r|, which are malloc's, and empties it. */
void subscription_free(struct subscription *r);

/* The place where a part of a filter is evaluated; the values are those of FilterPlace in the contract. */
enum filter_place {
    FILTER_PLACE_UNSPECIFIED,
    FILTER_PLACE_KERNEL,
    FILTER_PLACE_COLLECTOR,
    FILTER_PLACE_STREAM
};

struct filter_part {
    const char *expression;
    uint32_t place; /* enum filter_place */
};

/* The daemon's reading of a request. */
struct subscription_info {
    const char *filter;
    const struct filter_part *parts;
    size_t n_parts;
    const char *const *columns;
    size_t n_columns;
    const char *const *warnings; /* sentences about names that nothing had */
    size_t n_warnings;
};

#endif
