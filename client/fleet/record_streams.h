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

/* What a command wants of its streams. */
struct record_streams_options {
    const struct query *query;
    struct record_sink *records; /* where rows go */
    bool polls;                  /* polls are asked for; else the daemon's own are listened to */
    bool one; /* the command is about one daemon: rows as they come, messages as stream_report says */
    void *context;
    /* A message of node |i|, which is |r|'s to read: as the hook of stream_engine.h. */
    int (*message)(void *context, size_t i, struct stream_reader *r, const struct rpc_bytes *message,
                   struct err *e);
    void (*idle)(void *context);                                                 /* as that hook */
    int64_t (*waiting)(void *context, size_t i, const struct stream_waiting *w); /* as that hook */
    int64_t waiting_ns;
};

struct record_streams {
    struct fleet *fleet;
    struct record_streams_options options;
    struct stream_reader *readers; /* one for each node */
    struct stream_target *targets;
    struct stream_hooks hooks;
    struct stream_report report;
    struct stream_engine *engine;
};

/* Makes the streams of |fleet|, none of them open. Returns 0 or -ENOMEM; record_streams_free comes after it in any
 * case. |fleet| and what |options| point to must outlive them. */
int record_streams_new(struct record_streams *s, struct fleet *fleet,
                       const struct record_streams_options *options);
void record_streams_free(struct record_streams *s);

#endif
