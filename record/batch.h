/* Batches: immutable, shared runs of encoded rows. The bytes of a batch are a serialized Envelope.
 *
 * A collector takes a batch from the pool, appends rows, seals it and passes it on; from then on nobody
 * writes to it, and any thread may hold references. The last batch_unref gives the memory back to the pool,
 * which keeps a bounded number of batches for the next poll. */
#ifndef XTCP_RECORD_BATCH_H
#define XTCP_RECORD_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

struct batch_pool;

/* The place of a row, and the raw values that filters ask for most. */
struct batch_row {
    uint32_t offset; /* of the row's tag in bytes[]; its end is the next row's offset, or len */
    uint16_t sport;  /* host order */
    uint16_t dport;
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t state;  /* TCP_ESTABLISHED, … of <netinet/tcp.h> */
    uint16_t pad;
    uint64_t match; /* the filters of the poll request that the socket passes, as bits 1 << place */
};

struct batch {
    _Atomic uint32_t refs;
    struct batch_pool *pool;
    uint64_t poll_id;
    uint64_t netns_cookie;
    uint64_t netns_id; /* the daemon's own number of the namespace */
    uint32_t rows;
    uint32_t len; /* bytes in use */
    uint32_t bytes_cap;
    uint32_t rows_cap;
    uint8_t *bytes;
    struct batch_row *index; /* |rows| entries */
};

/* The offset at which row |row| of a sealed batch begins; for the number of rows, the end of the last one. */
static inline uint32_t batch_offset(const struct batch *b, uint32_t row)
{
    return row < b->rows ? b->index[row].offset : b->len;
}

#define BATCH_BYTES 65536 /* room for rows; a batch is full when RECORD_ROW_MAX no longer fits */
#define BATCH_ROWS  512

/* A pool that keeps at most |keep| unused full-size batches. Freed with batch_pool_free once every batch is
 * back; it is an error (assert) to free it earlier. */
struct batch_pool *batch_pool_new(size_t keep);
void batch_pool_free(struct batch_pool *pool);

/* Batches that are out at the moment and bytes that the pool's batches occupy, used and kept ones. Any
 * thread. */
struct batch_pool_stats {
    uint64_t out;
    uint64_t bytes;
};
void batch_pool_stats(struct batch_pool *pool, struct batch_pool_stats *stats);

/* An empty batch with one reference, the caller's; NULL without memory. Any thread. */
struct batch *batch_new(struct batch_pool *pool);

/* Encodes |s| (see record_encode) as the next row. Returns false when the batch is full: seal it and take
 * another. Only the owner of an unsealed batch. */
bool batch_append(struct batch *b, const struct record_frame *f, const struct record_source *s,
                  uint64_t counter);

/* The same, with the row's |match|; batch_append sets all its bits. */
bool batch_append_match(struct batch *b, const struct record_frame *f, const struct record_source *s,
                        uint64_t counter, uint64_t match);

/* Ends the writing. A batch that is mostly empty is replaced by one of exact size, so that batches in queues
 * do not waste memory; use the returned batch instead of |b| from here on (never NULL; the reference
 * moves). */
struct batch *batch_seal(struct batch *b);

struct batch *batch_ref(struct batch *b);
void batch_unref(struct batch *b);

#endif
