/* The values of one record, each at the place of its field: numbers, and texts where they are in the serialized record. For
 * code that writes or looks at many records: nothing is allocated or copied, and record_unpack takes three times as long. */
#ifndef XTCP_RECORD_VALUES_H
#define XTCP_RECORD_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/fields.h"

/* A set of fields: bit i % 64 of word i / 64 is record_fields[i]. */
#define RECORD_SET_WORDS ((FIELD_COUNT + 63) / 64)
struct record_set {
    uint64_t words[RECORD_SET_WORDS];
};

static inline bool record_set_has(const struct record_set *s, unsigned field)
{
    return s->words[field / 64] >> field % 64 & 1;
}

static inline void record_set_add(struct record_set *s, unsigned field)
{
    s->words[field / 64] |= UINT64_C(1) << field % 64;
}

static inline void record_set_remove(struct record_set *s, unsigned field)
{
    s->words[field / 64] &= ~(UINT64_C(1) << field % 64);
}

struct record_slot {
    union {
        uint64_t number;     /* every type but STRING and BYTES; int64_t of I64 and ENUM */
        const uint8_t *data; /* STRING, BYTES: where the record is */
    };
    size_t len; /* of |data|, of a STRING up to its first NUL */
};

/* The numbers that the kernel sent, possibly as zero, in all answers with the same attributes and length of struct tcp_info. */
struct record_sent {
    uint32_t attributes, info_len; /* fields diag_attributes and tcp_info_len */
    struct record_set numbers;
};
#define RECORD_SENT_KINDS 16 /* a host has few: by states, families, algorithms */

/* The values of the record that was read last. Zero-initialise it before the first. One thread. */
struct record_values {
    struct record_set in_record;           /* not zero, not empty: they are on the wire */
    struct record_set present;             /* these, and the zeros that the kernel sent */
    struct record_slot slots[FIELD_COUNT]; /* of those that are present */
    struct record_sent sent
        [RECORD_SENT_KINDS]; /* of records before it, zeros at first: without attributes nothing was sent */
    unsigned next;           /* of |sent|, to be replaced */
};

/* Reads the |n| |bytes| of a serialized record into |v|, where they must stay. Returns whether they are a record in the form
 * that encoders give it. record_unpack takes what is read here, and then the values are the same. It also takes some that
 * are not, such as those with tags that are longer than they have to be: then false is returned, and |v| is undefined. */
bool record_values_read(struct record_values *v, const uint8_t *bytes, size_t n);

/* Whether |f| is a number, of which a zero can be told from what is absent. Enums are none: their zero says nothing. */
static inline bool record_is_number(const struct record_field *f)
{
    return f->type == TYPE_U32 || f->type == TYPE_U64 || f->type == TYPE_I64;
}

/* Whether the kernel sent |f|, possibly as zero, in a record with these |attributes| and this |info_len|; false also where it
 * does not tell, as records of other daemons do not: |attributes| is 0 then. */
bool record_sends(uint32_t attributes, uint32_t info_len, const struct record_field *f);

/* Completes |v|, of which |in_record| and its slots have been filled by other means: finds |present|. */
void record_values_find_zeros(struct record_values *v);

/* The number that the field |field| has, 0 when it has none; it is of another type than STRING and BYTES. */
static inline uint64_t record_values_number(const struct record_values *v, enum record_field_id field)
{
    return record_set_has(&v->in_record, field) ? v->slots[field].number : 0;
}

#endif
