/* Rows on their way into messages, or into the spool. */
#ifndef XTCP_OUTPUTS_CHUNK_H
#define XTCP_OUTPUTS_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

struct chunk {
    struct buf rows; /* a serialized Envelope */
    uint32_t n;      /* rows in it */
    uint64_t poll_id;
    int64_t time_ns; /* wall clock, when the first of them came */
    int64_t due_ns;  /* monotonic: when it is sent though it is not full; INT64_MAX: at the end of its poll */
    bool complete;   /* to be sent as it is */
    bool poll_end;   /* it ends its poll */
    bool spooled;    /* it came from the spool, where it stays until it is delivered */
};

/* Makes it empty; its memory stays. */
void chunk_reset(struct chunk *c);

#endif
