#include "lib/u64set.h"

#include <errno.h>
#include <stdlib.h>

struct u64set_slot {
    uint64_t key;
    uint32_t generation; /* the slot is in use when this is the set's */
};

void u64set_init(struct u64set *s)
{
    *s = (struct u64set){.generation = 1};
}

void u64set_free(struct u64set *s)
{
    free(s->slots);
    u64set_init(s);
}

void u64set_clear(struct u64set *s, size_t keep)
{
    s->used = 0;
    s->generation++;
    if (s->capacity > keep || s->generation == 0) { /* after a wrap old slots would look used */
        free(s->slots);
        s->slots = NULL;
        s->capacity = 0;
        s->generation = 1;
    }
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
    if (s->capacity)
        __builtin_prefetch(&s->slots[hash(key) & (s->capacity - 1)], 1);
}

static int grow(struct u64set *s)
{
    size_t capacity = s->capacity ? 2 * s->capacity : 64;
    struct u64set_slot *slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    struct u64set old = *s;
    s->slots = slots;
    s->capacity = capacity;
    s->used = 0;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].generation == old.generation)
            u64set_add(s, old.slots[i].key);
    }
    free(old.slots);
    return 0;
}

int u64set_add(struct u64set *s, uint64_t key)
{
    if (s->used * 2 >= s->capacity) {
        int rc = grow(s);
        if (rc)
            return rc;
    }
    size_t mask = s->capacity - 1;
    for (size_t i = hash(key) & mask;; i = (i + 1) & mask) {
        struct u64set_slot *slot = &s->slots[i];
        if (slot->generation != s->generation) {
            *slot = (struct u64set_slot){.key = key, .generation = s->generation};
            s->used++;
            return 1;
        }
        if (slot->key == key)
            return 0;
    }
}
