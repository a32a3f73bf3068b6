/* Makes the messages of a stream into whole polls for top. Also those of daemons that mark no edges: there a poll
 * is complete when a record of another one comes, or when the owner calls top_intake_end. One thread. */
#ifndef XTCP_CLIENT_TOP_TOP_INTAKE_H
#define XTCP_CLIENT_TOP_TOP_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/top/top_poll.h"
#include "filter/filter.h"
#include "lib/err.h"
#include "record/unpack.h"
#include "rpc/client/client.h"
#include "rpc/codec/msg_stream.h"

struct top_intake {
    /* The owner's, set once. */
    struct top_poll *poll; /* that is being filled; |complete| may put another, empty one in its place */
    int (*complete)(void *context, struct top_poll **poll); /* |poll| is complete; 0 or a negative error */
    void *context;
    /* The owner's, set before each stream. */
    const struct filter *filter; /* for daemons that do not evaluate it; NULL: none */
    /* Of the stream. */
    bool filters;   /* the daemon evaluates the filter */
    bool edges;     /* it marks begin and end of polls */
    bool open;      /* a begin came, its end not yet */
    uint64_t polls; /* complete ones, of all streams */
    struct poll_begin begin;
    struct record_reader reader;
};

/* A stream begins: an unfinished poll is forgotten. */
void top_intake_begin(struct top_intake *t);

/* Takes a message. Returns 0, ERR_MALFORMED or another error of its contents with |e|, or the return value of
 * |complete|. */
int top_intake_message(struct top_intake *t, const struct rpc_bytes *message, struct err *e);

/* Whether a poll is under way whose end the daemon is not going to mark. */
bool top_intake_unmarked(const struct top_intake *t);

/* The poll under way is complete. Returns the return value of |complete|. */
int top_intake_end(struct top_intake *t);

/* Frees what it has allocated itself. */
void top_intake_free(struct top_intake *t);

#endif
