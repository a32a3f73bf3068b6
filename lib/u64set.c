#include "lib/u64set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing with linear probing. A slot is a key and nothing else, 0 when it is free: eight of them
 * share a line of the cache, and a table for a large dump is still small enough for the cache of a core. The
 * key 0 is a flag of its own. The slots in use are listed in the order of their use, so that a nearly empty
 * table is cleared without a look at the rest of it. */

#define FIRST_CAPACITY 64

/* The number of keys at which a table grows: three quarters. */
static size_t room(size_t capacity)
{
    return capacity - capacity / 4;
}

void u64set_init(struct u64set *s)
{
    *s = (struct u64set){0};
}

void u64set_free(struct u64set *s)
{
    free(s->slots);
    free(s->taken);
    u64set_init(s);
}

void u64set_clear(struct u64set *s, size_t keep)
{
    size_t taken = s->used - s->zero;
    if (s->capacity > keep) {
        u64set_free(s);
        return;
    }
    if (taken > s->capacity / 16) {
        memset(s->slots, 0, s->capacity * sizeof(s->slots[0]));
    } else {
        for (size_t i = 0; i < taken; i++)
            s->slots[s->taken[i]] = 0;
    }
    s->used = 0;
    s->zero = false;
}

/* splitmix64's finisher: socket cookies are consecutive numbers, which must not cluster. */
static size_t hash(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
    return (size_t)(key ^ (key >> 31));
}

void u64set_prefetch(const struct u64set *s, uint64_t key)
{
    if (s->capacity > 0)
        __builtin_prefetch(&s->slots[hash(key) & (s->capacity - 1)], 1);
}

/* The slot that holds |key|, which is not 0, or the free one where it belongs. There is a free one. */
static size_t find(const struct u64set *s, uint64_t key)
{
    size_t mask = s->capacity - 1, i = hash(key) & mask;
    while (s->slots[i] != key && s->slots[i] != 0)
        i = (i + 1) & mask;
    return i;
}

static void put(struct u64set *s, size_t at, uint64_t key)
{
    s->slots[at] = key;
    s->taken[s->used - s->zero] = (uint32_t)at;
    s->used++;
}

static int resize(struct u64set *s, size_t capacity)
{
    struct u64set larger = {.capacity = capacity, .zero = s->zero};
    if (larger.capacity > (size_t)1 << 31)
        return -ENOMEM; /* the bound of the numbers in taken[] */
    larger.slots = calloc(larger.capacity, sizeof(larger.slots[0]));
    larger.taken = malloc(room(larger.capacity) * sizeof(larger.taken[0]));
    if (!larger.slots || !larger.taken) {
        free(larger.slots);
        free(larger.taken);
        return -ENOMEM;
    }
    larger.used = larger.zero;
    for (size_t i = 0; i < s->used - s->zero; i++) {
        uint64_t key = s->slots[s->taken[i]];
        put(&larger, find(&larger, key), key);
    }
    u64set_free(s);
    *s = larger;
    return 0;
}

void u64set_reserve(struct u64set *s, size_t keys)
{
    size_t capacity = s->capacity ? s->capacity : FIRST_CAPACITY;
    while (room(capacity) < keys && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity > s->capacity)
        resize(s, capacity); /* without memory it grows later, or reports the lack then */
}

int u64set_add(struct u64set *s, uint64_t key)
{
    if (key == 0) {
        bool added = !s->zero;
        s->zero = true;
        s->used += added;
        return added;
    }
    if (s->used - s->zero >= room(s->capacity)) {
        int rc = resize(s, s->capacity ? 2 * s->capacity : FIRST_CAPACITY);
        if (rc)
            return rc;
    }
    size_t at = find(s, key);
    if (s->slots[at] == key)
        return 0;
    put(s, at, key);
    return 1;
}
