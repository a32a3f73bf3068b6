/* The request of a reader of records, and the daemon's reading of it. */
#ifndef XTCP_MODEL_SUBSCRIPTION_H
#define XTCP_MODEL_SUBSCRIPTION_H

#include "model/fields.h"

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

/* clang-format off */

#define FILTER_PART_FIELDS(F, M) \
    F(M, TEXT, expression) \
    F(M, U32, place)                     /* enum filter_place; it has no JSON, where it would need its name */
struct filter_part {
    FILTER_PART_FIELDS(FIELDS_MEMBER, )
};

/* The daemon's reading of a request. */
#define SUBSCRIPTION_INFO_FIELDS(F, M) \
    F(M, TEXT, filter) \
    F(M, LIST, parts, filter_part, SIZE_MAX) \
    F(M, TEXTS, columns) \
    F(M, TEXTS, warnings)                /* sentences about names that nothing had */
struct subscription_info {
    SUBSCRIPTION_INFO_FIELDS(FIELDS_MEMBER, )
};

/* clang-format on */

#endif
