/* How much came, and how fast: what --output null is for. One thread. */
#ifndef XTCP_CLIENT_SHOW_THROUGHPUT_H
#define XTCP_CLIENT_SHOW_THROUGHPUT_H

#include <stddef.h>
#include <stdint.h>

#include "client/output.h"

struct rates {
    int64_t first_ns; /* monotonic: of the beginning */
    int64_t last_ns;  /* of the last record */
    uint64_t records;
    uint64_t bytes; /* of serialized records */
};

/* Nothing has come. */
void rates_begin(struct rates *r);

/* A record of |bytes| bytes has come now. */
void rates_count(struct rates *r, size_t bytes);

/* Writes a line to standard error: "1200 records, 290kB in 2.1s: 571 records/s, 138kB/s". */
void rates_tell(const struct rates *r, struct output *out);

#endif
