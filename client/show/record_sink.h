/* The destination of records: the table of sockets, or one of the formats of outputs/, in order if that was asked for.
 * One thread. */
#ifndef XTCP_CLIENT_SHOW_RECORD_SINK_H
#define XTCP_CLIENT_SHOW_RECORD_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/output.h"
#include "client/show/query.h"
#include "client/show/view.h"
#include "lib/err.h"

struct record_sink;

/* The values that tell the records of one poll from those of the next. */
struct record_sink_poll {
    int64_t timestamp_ns;
    uint64_t poll_id; /* 0: the daemon does not number its polls */
};

/* The fate of a record. */
struct record_sink_added {
    struct record_sink_poll poll;
    bool shown; /* it was wanted */
};

/* A sink to |out| for records as |v| has them; |nodes|: with a column for the node of each, where the format
 * has a place for it. |v| and |out| must outlive it. NULL without memory. */
struct record_sink *record_sink_new(const struct view *v, bool nodes, struct output *out);

/* The same for records that go to |take| with |context|; |take| returns 0 or a negative code, which
 * record_sink_add returns. Only the fields of |v| count. */
struct record_sink *record_sink_new_to(const struct view *v,
                                       int (*take)(void *context, const record_message *m, const char *node),
                                       void *context, struct output *out);

/* Ends the output (a list gets its end) without losing records that wait, tells the rates of --output null on
 * standard error, and frees. */
void record_sink_free(struct record_sink *r);

/* Takes the serialized record of |len| bytes at |row|. |here| is the query to apply here, NULL: the daemon has
 * applied it. |node| (may be NULL) must stay valid until record_sink_end. Returns 0 and its fate in |added|,
 * ERR_MALFORMED with |e|, or the error of the output. */
int record_sink_add(struct record_sink *r, const uint8_t *row, size_t len, const struct query *here,
                    const char *node, struct record_sink_added *added, struct err *e);

/* Tells the poll of the serialized record. Returns 0 or ERR_MALFORMED with |e|. */
int record_sink_poll_of(struct record_sink *r, const uint8_t *row, size_t len, struct record_sink_poll *poll,
                        struct err *e);

/* Shows all records, except those that are to be sorted and belong to an unfinished poll, and flushes the
 * output. Returns 0 or the error of the output. */
int record_sink_flush(struct record_sink *r);

/* The same, when a poll of |node| is over: shows all. */
int record_sink_end(struct record_sink *r, const char *node);

#endif
