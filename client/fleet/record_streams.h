/* The streams of records of one daemon or of several: an engine with a reader for each node, which takes the records
 * to their sink. With several the rows of a poll stay together. One thread. */
#ifndef XTCP_CLIENT_FLEET_RECORD_STREAMS_H
#define XTCP_CLIENT_FLEET_RECORD_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/fleet/fleet.h"
#include "client/show/query.h"
#include "client/show/record_sink.h"
#include "client/show/stream_reader.h"
#include "client/stream_engine.h"
#include "client/stream_report.h"

struct record_streams {
    /* The command's, set before record_streams_open. */
    struct fleet *fleet;
    const struct query *query;
    struct record_sink *records; /* where rows go */
    void *owner;                 /* for its hooks, whose context is this struct */
    bool one;                    /* for one daemon: rows as they come, messages as in stream_report.h */
    bool polls;                  /* asks for polls; else listens to those that the daemons make */
    /* Ours. */
    struct stream_reader *readers; /* one for each node */
    struct stream_target *targets;
    struct stream_hooks hooks;
    struct stream_report report;
    struct stream_engine *engine;
    bool between; /* record_streams_poll has ended between two polls, not in one */
};

/* Makes the streams, none of them open. |own| has the hooks |message|, and |idle| and |waiting| if need be. Returns 0,
 * or -ENOMEM with the failure told; record_streams_close comes after it in any case. All that |s| points to must
 * outlive it. */
int record_streams_open(struct record_streams *s, const struct stream_hooks *own);

/* Frees what record_streams_open has made; nothing when it was not called. */
void record_streams_close(struct record_streams *s);

/* Asks all nodes for |count| polls (0: without end), one each --every, until all nodes have failed. |on_poll| is called
 * with |owner| before each poll and, when it is complete, after it (NULL: is not called). Returns as
 * stream_engine_poll, and the number of complete polls in |done|. */
enum stream_end record_streams_poll(struct record_streams *s, uint64_t count,
                                    void (*on_poll)(void *owner, bool complete), uint64_t *done);

#endif
