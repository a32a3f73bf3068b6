/* Decodes bytes to records, for readers of a stream. The bytes may come from anybody.
 *
 * The struct is that of protobuf-c. A reader decodes one record after the other into the same memory: nothing
 * is allocated for a record once the memory has grown to the largest one. */
#ifndef XTCP_RECORD_UNPACK_H
#define XTCP_RECORD_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "record/envelope.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"

typedef XtcpFlatRecord__V1__XtcpFlatRecord record_message;

/* The memory of one reader; zero-initialise it. One thread. */
struct record_reader {
    uint8_t *memory;
    size_t size;
    size_t used;
    bool full; /* the record being decoded did not fit */
};

void record_reader_free(struct record_reader *r);

/* Decodes the record |bytes|. Returns 0 and the record in |out|, valid until the next call with |r|;
 * ERR_LIMIT for more than RECORD_UNPACK_MAX (record/envelope.h) bytes, ERR_MALFORMED for bytes that are no record, -ENOMEM.
 * Unknown fields are skipped. */
int record_unpack(struct record_reader *r, const uint8_t *bytes, size_t n, const record_message **out);

#endif
