/* Streams of one daemon or of several: opened together, opened again for less where a daemon refuses a request, given
 * up after a long silence, opened again after a loss, until enough has come, the time is over or a signal comes. Hooks
 * contain the differences between commands: the requests, the meaning of messages and of silence, the notes.
 *
 * One thread uses an engine and runs the hooks; stream_engine_interrupt may come from any other. */
#ifndef XTCP_CLIENT_STREAM_ENGINE_H
#define XTCP_CLIENT_STREAM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/output.h"
#include "client/session.h"
#include "client/stop.h"
#include "client/stream_report.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "rpc/client/client.h"

struct stream_engine;

/* One daemon. */
struct stream_target {
    const struct options *options;
    struct rpc_channel *channel; /* for its first stream; NULL: it makes one of its own, as all others do */
};

/* A request to a daemon. */
struct stream_request {
    const char *method;
    bool
        polls; /* each request is a poll, on a bidirectional stream; else there is one, and answers without end */
    struct buf body; /* the engine's, empty; append here */
};

/* The next step after a message. */
enum stream_result {
    STREAM_GO_ON,         /* more is wanted */
    STREAM_POLL_ENDED,    /* and a poll is complete */
    STREAM_ENOUGH,        /* no more of this target */
    STREAM_ENOUGH_OF_ALL, /* no more of any */
};

/* The place of a message in its poll. */
enum stream_mark { STREAM_MARK_NONE, STREAM_MARK_BEGIN, STREAM_MARK_END };

/* The meaning of silence. */
enum stream_silence {
    STREAM_SILENCE_NOTHING,
    STREAM_SILENCE_ENDS_POLL, /* after STREAM_POLL_END_NS the poll is complete */
    STREAM_SILENCE_FAILS,     /* after STREAM_ANSWER_NS the stream is given up */
};

#define STREAM_IDLE_NS     (50 * NS_PER_MS) /* silence after which the messages so far are shown */
#define STREAM_LATE_NS     (1 * NS_PER_S) /* the same for a poll that is held and whose end will be marked */
#define STREAM_POLL_END_NS (1 * NS_PER_S)
#define STREAM_ANSWER_NS   (30 * NS_PER_S)

/* The command's part. |i| is the number of a target. A hook that may be NULL says so. */
struct stream_hooks {
    /* Fills in the request to target |i|: when a stream is opened, and for each further poll. Returns 0 or -ENOMEM. */
    int (*request)(void *context, size_t i, struct stream_request *r);
    /* Returns the place of |message|, without a look at its rows. With this hook the messages of a poll are held until
     * its end has come, is late, or many bytes are held. NULL: messages are handed on as they come. */
    enum stream_mark (*mark)(void *context, size_t i, const struct rpc_bytes *message);
    /* Takes a message. Returns an enum stream_result, or a negative error with |e|: the stream has failed. */
    int (*message)(void *context, size_t i, const struct rpc_bytes *message, struct err *e);
    /* No message has come for a moment: shows those that have. NULL: nothing is shown before the end of a poll. */
    void (*idle)(void *context);
    /* Returns the meaning of silence of target |i|, whose stream is open. NULL: it has none. */
    enum stream_silence (*silence)(void *context, size_t i);
    /* Silence has ended the poll. Returns 0 or a negative error; NULL without |silence|. */
    int (*end_poll)(void *context, size_t i);
    /* The stream is not the first one of target |i|: a poll that was under way will not go on. NULL: that does not
     * matter. */
    void (*again)(void *context, size_t i);
    /* The stream has ended with |status|. Returns true when the daemon does not know the request and |request| asks
     * for less from now on: the stream is opened again at once. NULL: there is nothing less to ask for. */
    bool (*refused)(void *context, size_t i, const struct rpc_status *status);
    /* Called |waiting_ns| after a stream was opened and after a poll was asked for, until the first message comes or
     * the poll is complete. Returns the time (ns) until the next call, 0: none. NULL: stream_report_waiting is called,
     * after STREAM_PATIENCE_NS. */
    int64_t (*waiting)(void *context, size_t i, const struct stream_waiting *w);
    int64_t waiting_ns;
    /* A stream has failed. Returns the next step, for which |f|->wait_ns may be changed. NULL: stream_report_failed is
     * called. */
    enum stream_next (*failed)(void *context, size_t i, struct stream_failure *f);
};

/* The parts of an engine, all of which must outlive it. */
struct stream_engine_options {
    const struct stream_target *targets;
    size_t n;
    const struct stream_hooks *hooks;
    void *context;
    struct stream_report *report; /* NULL: |hooks| have |failed| and |waiting| */
    const struct output *out;     /* its error ends everything; NULL: there is none */
    struct stop *stop;            /* ends everything at once; NULL: there is none */
    int64_t deadline_ns;          /* monotonic; 0: none */
};

/* Returns 0 and the engine in |out|, no stream open yet, or -ENOMEM. */
int stream_engine_new(const struct stream_engine_options *options, struct stream_engine **out);

/* Cancels open streams and frees. NULL is allowed. */
void stream_engine_free(struct stream_engine *e);

/* Makes the calls below return STREAM_END_STOPPED, now and later. Any thread. */
void stream_engine_interrupt(struct stream_engine *e);

enum stream_end {
    STREAM_END_DONE,    /* nothing more is wanted, or will come */
    STREAM_END_STOPPED, /* by |stop| or stream_engine_interrupt */
    STREAM_END_TIMEOUT, /* the deadline */
    STREAM_END_TIME,    /* the given time has come */
};

/* Opens a stream to each target and listens until the end. Lost streams are opened again, with waits from 1 s to
 * 30 s; when no target can be reached at all, that is the end. */
enum stream_end stream_engine_listen(struct stream_engine *e);

/* Asks each target for a poll and takes the answers; a target whose stream has failed is connected to anew. */
enum stream_end stream_engine_poll(struct stream_engine *e);

/* Takes messages until |at| (monotonic) without sending requests, or until all targets have failed for good. */
enum stream_end stream_engine_wait(struct stream_engine *e, int64_t at);

/* EXIT_DONE when nothing has failed, EXIT_FAILED when all targets have, else EXIT_SOME_FAILED. */
int stream_engine_exit_code(const struct stream_engine *e);

/* Listens to the daemon of |s|, as stream_engine_listen, with an engine and a report of its own. Returns an exit code,
 * and in |end| how it ended. */
int stream_engine_follow(struct session *s, const struct stream_hooks *hooks, void *context,
                         enum stream_end *end);

#endif
