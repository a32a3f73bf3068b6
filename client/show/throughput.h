/* Counts the received records and their rate, for --output null. One thread. */
#ifndef XTCP_CLIENT_SHOW_THROUGHPUT_H
#define XTCP_CLIENT_SHOW_THROUGHPUT_H

#include <stddef.h>
#include <stdint.h>

#include "client/output.h"

struct throughput {
    int64_t first_ns; /* monotonic: of the beginning */
    int64_t last_ns;  /* of the last record */
    uint64_t records;
    uint64_t bytes; /* of serialized records */
};

/* Nothing has come. */
void throughput_begin(struct throughput *r);

/* A record of |bytes| bytes has come now. */
void throughput_count(struct throughput *r, size_t bytes);

/* Writes a line to standard error: "1200 records, 290kB in 2.1s: 571 records/s, 138kB/s". */
void throughput_tell(const struct throughput *r, struct output *out);

#endif
