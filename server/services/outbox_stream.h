/* Streams of few and small messages, which threads that must not call gRPC may send: they wait in an outbox, and the hub
 * starts the sending. */
#ifndef XTCP_SERVER_SERVICES_OUTBOX_STREAM_H
#define XTCP_SERVER_SERVICES_OUTBOX_STREAM_H

#include "server/app.h"
#include "server/services/outbox.h"

struct outbox_stream {
    struct app *app;
    struct rpc_call *call; /* not referenced: the call owns the stream */
    struct outbox outbox;
};

/* Makes one the user of |call|, for |max| messages that may wait. NULL without memory: the call has been finished then.
 * For rpc_stream_ops.open. */
struct outbox_stream *outbox_stream_new(struct app *app, struct rpc_call *call, size_t max);

/* Frees it, when nobody sends any more. For rpc_stream_ops.closed. */
void outbox_stream_free(struct outbox_stream *s);

/* Sends a copy of |len| bytes at |data|; the call is aborted when there is no room. Any thread. */
void outbox_stream_send(struct outbox_stream *s, const void *data, size_t len);

/* Ends the call, once everything has been sent. Any thread. */
void outbox_stream_end(struct outbox_stream *s);

/* Ends the call now with |code| and |text|, which lives on. Any thread. */
void outbox_stream_abort(struct outbox_stream *s, int code, const char *text);

/* Is rpc_stream_ops.next. */
bool outbox_stream_next(void *app, struct rpc_call *call, struct rpc_message *out);

#endif
