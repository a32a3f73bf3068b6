/* The values of a decoded record, one by one, and their text. All of it follows the field table. Any thread. */
#ifndef XTCP_RECORD_TEXT_H
#define XTCP_RECORD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "record/fields.h"
#include "record/unpack.h"
#include "record/values.h"

struct record_value {
    bool present;        /* it has a value: one that is in the record, or a zero that the kernel sent */
    bool in_record;      /* not zero, not empty: it is on the wire */
    uint64_t number;     /* every type but STRING and BYTES; int64_t of I64 and ENUM */
    const uint8_t *data; /* STRING, BYTES: in the record */
    size_t len;
};

/* Whether the kernel sent |f|, possibly as zero; false also where |r| does not tell, as records of other
 * daemons do not. */
bool record_was_sent(const record_message *r, const struct record_field *f);

/* The field |f| of |r|. */
struct record_value record_get(const record_message *r, const struct record_field *f);

/* The field |f| of |values|. */
struct record_value record_value_of(const struct record_values *values, const struct record_field *f);

/* All values of |r| in |out|; texts stay those of |r|. */
void record_values_of(struct record_values *out, const record_message *r);

/* The name that the contract gives to |number| as a value of the enum |f|, or NULL. */
const char *record_enum_name(const struct record_field *f, uint64_t number);

#define RECORD_ADDRESS_MAX 48

/* An address in |out|: the first four of its bytes for the family AF_INET, else by its length; hexadecimal when
 * it is neither 4 nor 16 bytes long (cut to fit). Bytes behind the text may be overwritten. Returns the place of its NUL. */
char *record_put_address(uint64_t family, const uint8_t *data, size_t n, char out[RECORD_ADDRESS_MAX]);

/* The same of |r|. */
void record_address_text(const record_message *r, const uint8_t *data, size_t n,
                         char out[RECORD_ADDRESS_MAX]);

/* |text| with every character that is hidden (utf8_is_hidden) and every byte that is not UTF-8 made visible:
 * \u001b, U+FFFD. */
void record_put_clean(struct buf *out, const void *text, size_t n);

/* Appends |v|, the value of |f| in a record of |family|, as exact text: numbers as they are, addresses as text, states and
 * algorithms by name, strings made clean; nothing when it is absent. */
void record_print_value(struct buf *out, uint64_t family, const struct record_field *f,
                        const struct record_value *v);

#endif
