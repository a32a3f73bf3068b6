/* Where records go: the table of sockets, or one of the formats of outputs/. One thread. */
#ifndef XTCP_CLIENT_RECORDS_H
#define XTCP_CLIENT_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/output.h"
#include "lib/err.h"

struct records;

/* What tells the records of one poll from those of the next. */
struct records_poll {
    int64_t timestamp_ns;
    uint64_t poll_id; /* 0: the daemon does not number its polls */
};

/* A sink to |out| in the format |format|. NULL without memory. */
struct records *records_new(enum output_format format, struct output *out);
void records_free(struct records *r);

/* Takes the serialized record of |len| bytes at |row|; |poll| receives what poll it is of. Returns 0,
 * ERR_MALFORMED with |e|, or the error of the output. */
int records_add(struct records *r, const uint8_t *row, size_t len, struct records_poll *poll, struct err *e);

/* Shows what has been gathered and flushes the output. Returns 0 or the error of the output. */
int records_flush(struct records *r);

#endif
