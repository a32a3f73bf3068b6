/* From keys to places: a hash table of struct socket_key, open addressing. Keys may come from anybody, so its
 * order is made different in each process. One owner at a time. */
#ifndef XTCP_CLIENT_SHOW_SOCKET_INDEX_H
#define XTCP_CLIENT_SHOW_SOCKET_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "client/show/socket_sample.h"

#define SOCKET_INDEX_NONE UINT32_MAX

struct socket_index_slot {
    struct socket_key key;
    uint32_t place; /* SOCKET_INDEX_NONE: empty */
};

/* Zero-initialise it. */
struct socket_index {
    struct socket_index_slot *slots; /* a power of two of them, at most three quarters full */
    size_t size;
    size_t used;
};

void socket_index_free(struct socket_index *x);

/* Forgets all keys, keeps the memory. */
void socket_index_clear(struct socket_index *x);

/* The place of |key|, or SOCKET_INDEX_NONE. */
uint32_t socket_index_find(const struct socket_index *x, const struct socket_key *key);

/* Adds |key|, which must not be there yet. Returns 0 or -ENOMEM. */
int socket_index_add(struct socket_index *x, const struct socket_key *key, uint32_t place);

/* Takes |key| out, if it is there. */
void socket_index_remove(struct socket_index *x, const struct socket_key *key);

#endif
