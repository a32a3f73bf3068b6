#include "client/show/socket_index.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 256 /* slots */

static bool same(const struct socket_key *a, const struct socket_key *b)
{
    return a->netns == b->netns && a->cookie == b->cookie;
}

/* A number that others cannot guess, the same for the whole process. */
static uint64_t seed(void)
{
    static _Atomic uint64_t value;
    uint64_t v = atomic_load(&value);
    if (!v) {
        uint64_t fresh = 0;
        arc4random_buf(&fresh, sizeof(fresh));
        fresh |= 1;
        v = atomic_compare_exchange_strong(&value, &v, fresh) ? fresh : v;
    }
    return v;
}

/* Multiply and fold, twice (the mixing of two 64-bit words by a 128-bit product). */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static size_t home(const struct socket_index *x, const struct socket_key *key)
{
    uint64_t s = seed();
    return (size_t)fold(fold(key->cookie ^ s, 0x9e3779b97f4a7c15) ^ key->netns, s | 1) & (x->size - 1);
}

void socket_index_free(struct socket_index *x)
{
    free(x->slots);
    *x = (struct socket_index){0};
}

void socket_index_clear(struct socket_index *x)
{
    for (size_t i = 0; i < x->size; i++)
        x->slots[i].place = SOCKET_INDEX_NONE;
    x->used = 0;
}

/* The slot of |key|, or the empty one where it would be. |x| is not empty and never full. */
static size_t seek(const struct socket_index *x, const struct socket_key *key)
{
    size_t at = home(x, key);
    while (x->slots[at].place != SOCKET_INDEX_NONE && !same(&x->slots[at].key, key))
        at = (at + 1) & (x->size - 1);
    return at;
}

uint32_t socket_index_find(const struct socket_index *x, const struct socket_key *key)
{
    return x->size ? x->slots[seek(x, key)].place : SOCKET_INDEX_NONE;
}

static int grow(struct socket_index *x)
{
    struct socket_index bigger = {.size = x->size ? x->size * 2 : SIZE_FIRST, .used = x->used};
    bigger.slots = reallocarray(NULL, bigger.size, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < bigger.size; i++)
        bigger.slots[i].place = SOCKET_INDEX_NONE;
    for (size_t i = 0; i < x->size; i++)
        if (x->slots[i].place != SOCKET_INDEX_NONE)
            bigger.slots[seek(&bigger, &x->slots[i].key)] = x->slots[i];
    free(x->slots);
    *x = bigger;
    return 0;
}

int socket_index_add(struct socket_index *x, const struct socket_key *key, uint32_t place)
{
    if (x->used >= x->size / 4 * 3) {
        int rc = grow(x);
        if (rc != 0)
            return rc;
    }
    x->slots[seek(x, key)] = (struct socket_index_slot){.key = *key, .place = place};
    x->used++;
    return 0;
}

void socket_index_remove(struct socket_index *x, const struct socket_key *key)
{
    if (!x->size)
        return;
    size_t mask = x->size - 1;
    size_t hole = seek(x, key);
    if (x->slots[hole].place == SOCKET_INDEX_NONE)
        return;
    x->used--;
    /* An entry that was pushed past the hole moves back into it, so that no search ends early. */
    for (size_t at = (hole + 1) & mask; x->slots[at].place != SOCKET_INDEX_NONE; at = (at + 1) & mask) {
        size_t from = home(x, &x->slots[at].key);
        if (((at - from) & mask) >= ((at - hole) & mask)) {
            x->slots[hole] = x->slots[at];
            hole = at;
        }
    }
    x->slots[hole].place = SOCKET_INDEX_NONE;
}
