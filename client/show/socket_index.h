/* From keys to places: a hash table of struct top_key, open addressing. Keys may come from anybody, so its
 * order is made different in each process. One owner at a time. */
#ifndef XTCP_CLIENT_SHOW_SOCKET_INDEX_H
#define XTCP_CLIENT_SHOW_SOCKET_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "client/show/socket_sample.h"

#define TOP_INDEX_NONE UINT32_MAX

struct top_index_slot {
    struct top_key key;
    uint32_t place; /* TOP_INDEX_NONE: empty */
};

/* Zero-initialise it. */
struct top_index {
    struct top_index_slot *slots; /* a power of two of them, at most three quarters full */
    size_t size;
    size_t used;
};

void top_index_free(struct top_index *x);

/* Forgets all keys, keeps the memory. */
void top_index_clear(struct top_index *x);

/* The place of |key|, or TOP_INDEX_NONE. */
uint32_t top_index_find(const struct top_index *x, const struct top_key *key);

/* Adds |key|, which must not be there yet. Returns 0 or -ENOMEM. */
int top_index_add(struct top_index *x, const struct top_key *key, uint32_t place);

/* Takes |key| out, if it is there. */
void top_index_remove(struct top_index *x, const struct top_key *key);

/* Room for |n| elements of |size| bytes in the heap array whose pointer is at |array|; |*room| is what it has
 * room for. Returns 0 or -ENOMEM (nothing has changed then). */
int top_room(void *array, size_t n, size_t *room, size_t size);

#endif
