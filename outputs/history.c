#include "outputs/history.h"

#include <stdlib.h>

void history_forget_first(struct history *h)
{
    struct history_entry *first = h->first;
    h->first = first->next;
    if (!h->first)
        h->last = NULL;
    h->bytes -= first->bytes;
    buf_free(&first->chunk.rows);
    free(first);
}

void history_clear(struct history *h)
{
    while (h->first)
        history_forget_first(h);
}

/* Forgets what is older than the last |bytes| bytes. */
static void cut(struct history *h, size_t bytes)
{
    while (h->first && h->bytes - h->first->bytes >= bytes)
        history_forget_first(h);
}

void history_add(struct history *h, struct history_entry *entry, size_t keep)
{
    entry->next = NULL;
    if (h->last)
        h->last->next = entry;
    else
        h->first = entry;
    h->last = entry;
    h->bytes += entry->bytes;
    cut(h, keep);
}

void history_recall(struct history *h, size_t bytes, struct history *to)
{
    cut(h, bytes);
    if (!h->first)
        return;
    h->last->next = to->first;
    to->first = h->first;
    to->last = to->last ? to->last : h->last;
    to->bytes += h->bytes;
    *h = (struct history){0};
}
