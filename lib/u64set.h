/* A set of 64-bit keys that is quickly emptied: for the sockets that a dump has already shown. One owner at a
 * time. */
#ifndef XTCP_LIB_U64SET_H
#define XTCP_LIB_U64SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct u64set {
    uint64_t *slots; /* NULL until the first key; 0: free */
    uint32_t *taken; /* the slots in use */
    size_t capacity; /* of slots[]: a power of two, or 0 */
    size_t used;     /* keys in the set */
    bool zero;       /* 0 is one of them */
};

void u64set_init(struct u64set *s);
void u64set_free(struct u64set *s);

/* Forgets every key, in no more time than adding them took; memory beyond |keep| slots is given back. */
void u64set_clear(struct u64set *s, size_t keep);

/* Adds |key|. Returns 1 when it is new, 0 when it was there, -ENOMEM. */
int u64set_add(struct u64set *s, uint64_t key);

/* Makes room for |keys| keys in one step, if there is memory: for callers that know roughly how many there
 * will be. */
void u64set_reserve(struct u64set *s, size_t keys);

/* Starts loading the memory that u64set_add will look at for |key|: when many keys are known ahead,
 * prefetching all of them first makes one wait of many. */
void u64set_prefetch(const struct u64set *s, uint64_t key);

#endif
