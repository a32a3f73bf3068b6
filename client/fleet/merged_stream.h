/* The streams of several daemons as one: opened together, held until a poll is complete so that its rows stay
 * together, opened again when they are lost. One thread, one completion queue. */
#ifndef XTCP_CLIENT_FLEET_MERGED_STREAM_H
#define XTCP_CLIENT_FLEET_MERGED_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/fleet/nodes.h"
#include "client/output.h"
#include "client/show/stream_reader.h"
#include "client/stop.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/client/client.h"

/* What a command for several daemons is run with. */
struct fleet {
    const struct options *options;
    const struct nodes *nodes;
    struct output *out;
    struct stop *stop;
    int64_t deadline_ns; /* monotonic end of the whole run; 0: none */
};

struct merged_stream;
struct feed; /* the stream of one node */

/* Who reads the messages, and what is done with them. |i| is the node's number. */
struct merged_stream_user {
    const char *method;
    bool polls; /* a bidirectional stream on which each request is a poll; else one that only listens */
    struct stream_reader *readers; /* one for each node: what it is asked for, and where its stream is */
    void *context;
    /* A message of node |i|. Those of one poll come together. Returns 0, 1 when no more is wanted of this
     * node, 2 when no more is wanted of any, or a negative error with |e|: the stream is given up. */
    int (*message)(void *context, size_t i, const struct rpc_bytes *message, struct err *e);
    /* What has come so far may be shown: the rest of a poll is late. NULL: nothing is shown before its end. */
    void (*idle)(void *context);
};

/* Returns 0 and the streams in |out|, none of them open, or -ENOMEM. What it is given must outlive it. */
int merged_stream_new(const struct fleet *fleet, const struct merged_stream_user *user,
                      struct merged_stream **out);
void merged_stream_free(struct merged_stream *m);

enum merged_stream_end {
    MERGED_STREAM_DONE,    /* nothing more is wanted, or to be had */
    MERGED_STREAM_STOPPED, /* by a signal, or the reader of the output has gone */
    MERGED_STREAM_TIMEOUT, /* --timeout */
    MERGED_STREAM_TIME,    /* the time that was given has come */
};

/* Listens to all nodes until the end; lost connections are made again, with waits from 1 s to 30 s. When no
 * node can be reached at all, that is the end. */
enum merged_stream_end merged_stream_listen(struct merged_stream *m);

/* Has all nodes make a poll and takes what they answer; those that fail are asked again by the next call. */
enum merged_stream_end merged_stream_poll(struct merged_stream *m);

/* Waits until |at| (monotonic). */
enum merged_stream_end merged_stream_wait(struct merged_stream *m, int64_t at);

/* Whether node |i| took part in the last merged_stream_poll to its end. */
bool merged_stream_answered(const struct merged_stream *m, size_t i);

/* EXIT_DONE when nothing has failed, EXIT_FAILED when all nodes have, else EXIT_SOME_FAILED. */
int merged_stream_exit_code(const struct merged_stream *m);

#endif
