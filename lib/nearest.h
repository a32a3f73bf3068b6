/* Finds the known name that was probably meant by one that does not exist. Pure; any thread. */
#ifndef XTCP_LIB_NEAREST_H
#define XTCP_LIB_NEAREST_H

#include <stddef.h>

#define NEAREST_NAME_MAX 48 /* bytes; longer names are like no other */

/* The number of letters of |a| (|n| bytes) to change, add or leave out to get |b| (|m| bytes); two neighbours
 * that change places count as one. Letters are compared by ascii_fold_name. |most| + 1 when it is more than
 * |most|, or one of them is longer than NEAREST_NAME_MAX. */
size_t nearest_distance(const char *a, size_t n, const char *b, size_t m, size_t most);

/* A search: set |typed| and offer all known names. |name| is NULL while none is like it. */
struct nearest {
    const char *typed;
    const char *name;
    size_t distance;
};

/* |candidate| must live as long as |n| is used. Names of more than NEAREST_NAME_MAX bytes are like no
 * other. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
