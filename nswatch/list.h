/* Intrusive lists and hash tables: the links live in the elements, so that linking cannot fail. */
#ifndef XTCP_NSWATCH_LIST_H
#define XTCP_NSWATCH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A circular doubly linked list; the head is a link of its own. An unlinked link points to itself. */
struct list {
    struct list *prev, *next;
};

#define container_of(ptr_, type_, member_) ((type_ *)(void *)((char *)(ptr_)-offsetof(type_, member_)))

/* |at_| walks from the first to the last link of |head_|; the link at hand may be taken out (only that one). */
#define list_each(at_, head_)                                                                                \
    for (struct list *at_ = (head_)->next, *next_##at_ = at_->next; at_ != (head_);                          \
         at_ = next_##at_, next_##at_ = at_->next)

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *l)
{
    l->prev = at;
    l->next = at->next;
    at->next->prev = l;
    at->next = l;
}

static inline void list_append(struct list *head, struct list *l)
{
    list_insert_after(head->prev, l);
}

/* Takes |l| out of its list; nothing when it is in none. */
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* A chained hash table that grows while there is memory and stays correct without. */
struct table_link {
    struct table_link *next;
    uint64_t hash;
};

struct table {
    struct table_link **chains; /* a power of two of them */
    size_t size, used;
};

static inline int table_init(struct table *t)
{
    t->size = 64;
    t->used = 0;
    t->chains = calloc(t->size, sizeof(struct table_link *));
    return t->chains ? 0 : -1;
}

static inline void table_fini(struct table *t)
{
    free(t->chains);
    t->chains = NULL;
}

/* Spreads |key| over all bits (the finalizer of splitmix64). */
static inline uint64_t table_hash(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
    return key ^ (key >> 31);
}

static inline void table_grow(struct table *t)
{
    size_t size = t->size * 2;
    struct table_link **chains = calloc(size, sizeof(struct table_link *));
    if (!chains)
        return;
    for (size_t i = 0; i < t->size; i++) {
        struct table_link *next;
        for (struct table_link *l = t->chains[i]; l; l = next) {
            next = l->next;
            l->next = chains[l->hash & (size - 1)];
            chains[l->hash & (size - 1)] = l;
        }
    }
    free(t->chains);
    t->chains = chains;
    t->size = size;
}

static inline void table_insert(struct table *t, struct table_link *l, uint64_t hash)
{
    if (t->used >= t->size)
        table_grow(t);
    l->hash = hash;
    l->next = t->chains[hash & (t->size - 1)];
    t->chains[hash & (t->size - 1)] = l;
    t->used++;
}

static inline void table_remove(struct table *t, struct table_link *l)
{
    struct table_link **at = &t->chains[l->hash & (t->size - 1)];
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    t->used--;
}

/* The first of the chain that elements of |hash| are in, the newest first; compare the hash and the key. */
static inline struct table_link *table_chain(const struct table *t, uint64_t hash)
{
    return t->chains[hash & (t->size - 1)];
}

#endif
