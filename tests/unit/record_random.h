/* Serialized records at random, for tests that read them in two ways. */
#ifndef XTCP_TESTS_RECORD_RANDOM_H
#define XTCP_TESTS_RECORD_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

/* What one has beside values of its fields in their order. */
enum random_flag {
    RANDOM_ORDER = 1 << 0,   /* fields in any order, repeated, some with a zero or an empty value */
    RANDOM_UNKNOWN = 1 << 1, /* fields that there are not */
    RANDOM_LONG = 1 << 2,    /* varints that are longer than they have to be */
    RANDOM_TYPES = 1 << 3,   /* values of another type than that of the field */
    RANDOM_DAMAGED = 1 << 4, /* bytes that are changed, or cut off */
    RANDOM_FOREIGN = 1 << 5, /* without the fields that tell what the kernel sent, as of other daemons */
    RANDOM_ALL = (1 << 6) - 1,
};

/* The next number of |rng|, which is not zero; below |n|. */
uint64_t random_below(uint64_t *rng, uint64_t n);

/* Replaces the contents of |out| by a record with |flags|. */
void random_record(struct buf *out, uint64_t *rng, unsigned flags);

#endif
