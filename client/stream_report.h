/* Notes on standard error about streams that fail and come back, and the decision whether they are opened again: for
 * a command about one daemon, and for one about several, where the notes name the daemon and are throttled. One
 * thread. */
#ifndef XTCP_CLIENT_STREAM_REPORT_H
#define XTCP_CLIENT_STREAM_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/fleet/throttled_notes.h"
#include "client/options.h"
#include "client/output.h"
#include "client/stop.h"
#include "lib/clock.h"
#include "rpc/client/client.h"

enum stream_failure_kind {
    STREAM_ENDED,      /* by the daemon or with the connection: |status| */
    STREAM_BROKEN,     /* by a malformed message, or without memory: |text| */
    STREAM_NOT_OPENED, /* the options of the connection are wrong: |text| */
    STREAM_SILENT,     /* no answer within STREAM_ANSWER_NS */
};

/* The progress of the streams of a target. */
struct stream_history {
    bool heard;  /* the last one has been answered */
    bool ever;   /* an earlier stream has been answered, or this one */
    bool spoken; /* a message came at some time */
    bool lost;   /* a stream has ended, and none was answered since */
};

/* The failure of a stream. */
struct stream_failure {
    enum stream_failure_kind kind;
    const struct options *options; /* of the target */
    const char *method;
    bool polls;               /* each request is a poll */
    struct rpc_status status; /* with STREAM_ENDED */
    const char *text;         /* with STREAM_BROKEN and STREAM_NOT_OPENED, else "" */
    struct stream_history history;
    int64_t wait_ns; /* until the next attempt */
};

/* The next step after a failure. */
enum stream_next {
    STREAM_NEXT_GIVE_UP,
    STREAM_NEXT_WAIT, /* the stream is opened again after |wait_ns| */
    STREAM_NEXT_POLL, /* the stream is opened again with the next poll */
};

/* The wait for a stream. */
struct stream_waiting {
    const struct options *options; /* of the target */
    bool polls;
    bool connected;     /* the daemon has answered */
    int64_t elapsed_ns; /* since the stream was opened or the poll asked for */
};

#define STREAM_PATIENCE_NS (3 * NS_PER_S) /* before stream_report_waiting */

struct stream_report {
    struct output *out;
    struct stop *stop;
    bool several;                 /* the command is about several daemons */
    struct throttled_notes notes; /* with |several|; the engine looks after those that are due */
};

/* A report to |out|, quiet about failures that |stop| causes; |several|: see above. */
void stream_report_init(struct stream_report *r, struct output *out, struct stop *stop, bool several);

/* Tells how many throttled notes were left out. */
void stream_report_end(struct stream_report *r);

/* Tells a failure and returns the next step. */
enum stream_next stream_report_failed(struct stream_report *r, const struct stream_failure *f);

/* Nothing has come yet of a stream that only listens to the only daemon: tells it once while there is no connection,
 * else each second, as progress. Returns the time (ns) until the next call, 0: none. */
int64_t stream_report_waiting(struct stream_report *r, const struct stream_waiting *w);

/* The time is over, and the target of |options| has not answered. Returns whether that has been told as a failure:
 * it is one for the only daemon. */
bool stream_report_timeout(struct stream_report *r, const struct options *options);

/* The target of |options| has answered; |before|: its progress until then. */
void stream_report_connected(struct stream_report *r, const struct options *options,
                             const struct stream_history *before);

#endif
