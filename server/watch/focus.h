/* Focus: streams that follow chosen sockets at a high rate (FocusService.Watch).
 *
 * A watch looks for the sockets that pass its filter from time to time, by a dump of each namespace, and asks
 * for each of them by itself at every tick. Between ticks nothing of a namespace is held.
 *
 * Two kinds of threads: "focus" and "focus/other" make the ticks of all watches, one after the other as they
 * fall due, and never wait for anything but time. The first serves the watches that are about the daemon's
 * own namespace alone: it never leaves it, so that it may call gRPC. "focus/find" (two of them) make the
 * searches, which may take long. The rows of a tick wait in the watch's slot until the client takes them; if
 * it has not, the next tick takes their place. */
#ifndef XTCP_SERVER_WATCH_FOCUS_H
#define XTCP_SERVER_WATCH_FOCUS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/err.h"
#include "model/watch.h"
#include "rpc/server/server.h"
#include "server/poll/inventory.h"
#include "server/stream/hub.h"

struct focus;
struct focus_watch;

struct focus_options {
    struct inventory *inventory;
    struct hub *hub;
    /* A reference to the configuration in force. Any thread. */
    const struct config *(*config)(void *arg);
    void *arg;
};

int focus_new(const struct focus_options *options, struct focus **out, struct err *e);

/* Starts the threads. From the daemon's own namespace. Returns 0 or -errno. */
int focus_start(struct focus *f);

/* Ends the threads and waits for them; the watches stay, without ticks. */
void focus_stop(struct focus *f);
/* After the last watch has been closed. NULL is allowed. */
void focus_free(struct focus *f);

/* The watches and lookups in use. */
struct focus_stats {
    uint32_t streams;
    uint32_t sockets; /* that are watched now */
    uint64_t lookups; /* made since the start */
    uint64_t ticks;
    uint64_t skipped; /* ticks left out since they came too late */
    uint64_t searches;
};
void focus_stats(struct focus *f, struct focus_stats *out);

/* ---- Watches; any thread ---- */

/* A watch of nothing yet for |call| (referenced), accounted to the call's user. Returns 0; ERR_LIMIT with |e|
 * naming the share, ERR_UNAVAILABLE or -ENOMEM, with |e|. */
int focus_open(struct focus *f, struct rpc_call *call, struct focus_watch **out, struct err *e);

/* Makes |w| watch the sockets that |request| asks for, in place of those watched until now. The request's
 * memory becomes the watch's; |request| is empty afterwards, also on an error. A request for less than before
 * is never refused. Returns 0; or ERR_LIMIT, or the error of the filter or the columns, with |e|, and the
 * watch stays as it was. */
int focus_select(struct focus_watch *w, struct focus_request *request, struct err *e);

/* Whether it has been given something to watch. */
bool focus_selected(struct focus_watch *w);

/* For rpc_stream_ops.next. */
bool focus_next(struct focus_watch *w, struct rpc_message *out);

/* The stream is about to be ended: from now on |w| counts for no limit and does not tick. So a client that is
 * told of the end can open another one. */
void focus_dismiss(struct focus_watch *w);

/* The stream is over; |w| must not be used any more. */
void focus_close(struct focus_watch *w);

#endif
