/* Cuts records down to some of their fields, in encoded form.
 *
 * A cut row is the same as the encoder would have made of a record with those fields alone. Nothing is
 * decoded: fields are copied as they are, in their order. */
#ifndef XTCP_RECORD_MASK_H
#define XTCP_RECORD_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "record/batch.h"
#include "record/fields.h"

#define RECORD_MASK_NUMBERS 4096 /* field numbers are below it */

/* The fields that stay. All zero: none. Plain data; constant once it is in use, then any thread. */
struct record_mask {
    uint64_t numbers[RECORD_MASK_NUMBERS / 64]; /* a bit for each field number */
    uint32_t last;                              /* the highest of them */
};

/* Lets the field |f|, whose number is below RECORD_MASK_NUMBERS, stay, and with it the fields that
 * distinguish its zero from its absence: diag_attributes for values that the kernel sends, and tcp_info_len
 * for members of struct tcp_info. */
void record_mask_add_whole(struct record_mask *m, const struct record_field *f);

/* Lets the field |name| stay, without others; it may be named more than once. Returns 0, or ERR_UNKNOWN with
 * |e| naming it and the field that was probably meant. */
int record_mask_add(struct record_mask *m, const char *name, struct err *e);

static inline bool record_mask_has(const struct record_mask *m, uint32_t number)
{
    return number < RECORD_MASK_NUMBERS && (m->numbers[number / 64] >> number % 64 & 1);
}

bool record_mask_equal(const struct record_mask *a, const struct record_mask *b);

/* Writes the row at |row| (tag, length, record; |*n| bytes are there, of which the row may be the first), cut
 * down to |m|, to |out|, which has room for |*n| bytes and does not overlap. Returns the bytes written; |*n|
 * becomes the length of the row read. ERR_TRUNCATED or ERR_MALFORMED when there is no row. Fields behind the
 * last one that stays are not looked at: they are in ascending order. Pure; any thread. */
int64_t record_mask_row(const struct record_mask *m, const uint8_t *row, size_t *n, uint8_t *out);

/* A batch with those rows of |b| whose bit is set in |rows| (b->rows bits; NULL: all), cut down to |m| (NULL:
 * as they are). One reference, the caller's; NULL without memory. |b| is sealed and stays what it is. Any
 * thread. */
struct batch *batch_cut(const struct batch *b, const uint64_t *rows, const struct record_mask *m);

#endif
