/* The rows that were delivered last on a connection: to be sent again when it breaks and its peer may not have read them. One thread. */
#ifndef XTCP_OUTPUTS_HISTORY_H
#define XTCP_OUTPUTS_HISTORY_H

#include <stddef.h>

#include "outputs/chunk.h"

/* The rows that one attempt has delivered. */
struct history_entry {
    struct history_entry *next;
    struct chunk chunk;
    size_t bytes; /* of the messages that were made of it */
};

/* The entries in their order. All zero: empty. */
struct history {
    struct history_entry *first;
    struct history_entry *last;
    size_t bytes; /* of all */
};

/* Puts |entry|, which becomes the history's, behind the others, and forgets all but those that made the last |keep| bytes. */
void history_add(struct history *h, struct history_entry *entry, size_t keep);

/* Moves the entries that made the last |bytes| bytes of |h| in front of those of |to|, in their order, and forgets the rest of
 * |h|. */
void history_recall(struct history *h, size_t bytes, struct history *to);

/* Frees the first entry. */
void history_forget_first(struct history *h);

void history_clear(struct history *h);

#endif
