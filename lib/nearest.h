/* The known name that was probably meant by one that does not exist. Pure; any thread. */
#ifndef XTCP_LIB_NEAREST_H
#define XTCP_LIB_NEAREST_H

#include <stddef.h>

/* A search: set |typed| and offer all known names. |name| is NULL while none is like it. */
struct nearest {
    const char *typed;
    const char *name;
    size_t distance;
};

/* |candidate| must live as long as |n| is used. Names of more than 48 bytes are like no other. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
