/* Envelopes: the messages that carry rows, each of them a record. Pure; any thread. */
#ifndef XTCP_RECORD_ENVELOPE_H
#define XTCP_RECORD_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/wire.h"

/* The longest record that is read. Ours are shorter than RECORD_ROW_MAX. */
#define RECORD_UNPACK_MAX 65536

#define ENVELOPE_ROW_TAG WIRE_TAG(10, WIRE_LEN) /* Envelope.row */

/* Bytes of a row around a record of |len| bytes. */
size_t envelope_row_size(size_t len);

#define ENVELOPE_ROW_HEAD_MAX (2 * VARINT_MAX)

/* Writes what stands in a row in front of a record of |len| bytes. Returns its size. */
size_t envelope_put_row_head(uint8_t out[ENVELOPE_ROW_HEAD_MAX], size_t len);

/* Appends a row with the |len| bytes |record|. */
void envelope_put_row(struct buf *out, const uint8_t *record, size_t len);

/* The next row of a serialized Envelope: its record, in place. Begin with wire_over(envelope). Returns 1, 0
 * at the end, or as wire_next does; unknown fields are skipped. */
int envelope_next(struct wire *w, const uint8_t **record, size_t *n);

/* Rows in the serialized Envelope |bytes|, or a negative code when it cannot be walked to its end. */
int64_t envelope_count(const uint8_t *bytes, size_t n);

#endif
