/* Sorts the records of one poll: gathers them as they come, gives them out in order. One thread. */
#ifndef XTCP_CLIENT_SHOW_SORTER_H
#define XTCP_CLIENT_SHOW_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "client/show/view.h"
#include "record/unpack.h"

#define SORTER_BYTES_MAX (512u * 1024 * 1024) /* of records that wait: no poll should be larger */

struct sorter;

/* By the keys of |v|, which must outlive it. NULL without memory. */
struct sorter *sorter_new(const struct view *v);
/* Rates are those of |m|, which must outlive it and have noted the record already. */
void sorter_measure(struct sorter *o, const struct measured_rate *m);
void sorter_free(struct sorter *o);

/* Keeps the serialized record of |len| bytes at |row|, whose content is |r|; |node| (may be NULL) stays the
 * caller's. Returns 0; ERR_LIMIT when SORTER_BYTES_MAX are reached: give out the kept records, then add
 * again; -ENOMEM. */
int sorter_add(struct sorter *o, const uint8_t *row, size_t len, const record_message *r, const char *node);

/* Gives all records to |take|, sorted, equal ones in the order of their coming, and forgets them. Ends when
 * |take| returns another number than 0, and returns that. */
int sorter_give(struct sorter *o,
                int (*take)(void *context, const uint8_t *row, size_t len, const char *node), void *context);

#endif
