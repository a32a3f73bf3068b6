/* Reads the messages of a stream of records: rows, which go to their sink, and the edges of polls, which are told
 * on standard error. Also for daemons that send neither envelopes nor edges: their polls are told apart by
 * the records. One thread. */
#ifndef XTCP_CLIENT_SHOW_STREAM_READER_H
#define XTCP_CLIENT_SHOW_STREAM_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/session.h"
#include "client/show/record_sink.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/client/client.h"

#define STREAM_READER_UNKNOWN_MAX 1024

struct stream_reader {
    struct output *out;
    struct record_sink *records; /* destination of the records: the caller's */
    const struct query *query;
    const char *target;   /* for errors */
    const char *node;     /* for the column with the node of a record; NULL: there is none */
    bool quiet;           /* no line about each poll that went well */
    bool verbose;         /* tell which parts are filtered where */
    uint64_t max_records; /* 0: no limit */
    bool plain;           /* the daemon is asked for everything, since it knows no other request */
    bool informed;        /* it has told its understanding of the request */
    bool here;            /* it sends everything: records are filtered here */
    char unknown
        [STREAM_READER_UNKNOWN_MAX]; /* names that it does not know, as lines; told beside an empty answer */
    bool told_unknown;               /* a poll was complete: it is too late to tell them */
    /* The state of the stream. */
    uint64_t n_records;
    uint64_t n_polls;             /* complete ones */
    bool edges;                   /* the daemon marks begin and end of polls */
    bool open;                    /* a begin came, its end not yet */
    uint64_t deferred_ns;         /* time for which that poll was held back */
    struct record_sink_poll last; /* of the last record */
    uint64_t n_last;              /* records of that poll that were shown */
    bool any_last;                /* it has records, shown or not */
    uint32_t unseen;              /* namespaces that no poll shows, as they were told last */
};

/* A reader for |s| whose records go to |records|, those that |query| wants; both must outlive it. It needs no
 * end. */
void stream_reader_init(struct stream_reader *r, struct session *s, struct record_sink *records,
                        const struct query *query);

/* Fills |request| with the request of the stream. Returns 0 or -ENOMEM. */
int stream_reader_request(const struct stream_reader *r, struct buf *request);

/* The daemon has ended the stream with |status|. Returns true when the daemon does not know a part of the
 * request: filters and columns as such (UNIMPLEMENTED), one of the columns, or the filter. Then a stream that
 * asks for less may be opened instead, with a new stream_reader_request. */
bool stream_reader_refused(struct stream_reader *r, const struct rpc_status *status);

/* Takes a message of the stream. Returns 0, 1 when |max_records| have come, ERR_MALFORMED with |e|, or the
 * error of the output. n_polls tells whether a poll has ended. */
int stream_reader_message(struct stream_reader *r, const struct rpc_bytes *message, struct err *e);

/* The poll of the last records is over, which a daemon that marks no edges does not tell. */
void stream_reader_end(struct stream_reader *r);

/* The stream has begun anew: the poll that was under way is never going to end. */
void stream_reader_again(struct stream_reader *r);

#endif
