#include "server/services/outbox_stream.h"

#include <stdlib.h>

struct outbox_stream *outbox_stream_new(struct app *app, struct rpc_call *call, size_t max)
{
    struct outbox_stream *s = malloc(sizeof(*s));
    if (!s) {
        rpc_call_finish(call, ERR_LIMIT, "out of memory");
        return NULL;
    }
    *s = (struct outbox_stream){.app = app, .call = call};
    struct bounds bounds;
    app_bounds(app, &bounds);
    outbox_init(&s->outbox, max, call, &bounds.of[QUOTA_QUEUE_BYTES]);
    rpc_call_set_user(call, s);
    return s;
}

void outbox_stream_free(struct outbox_stream *s)
{
    outbox_fini(&s->outbox);
    free(s);
}

void outbox_stream_send(struct outbox_stream *s, const void *data, size_t len)
{
    if (outbox_push(&s->outbox, data, len) == 0)
        hub_run(app_hub(s->app), rpc_call_kick_later, rpc_call_ref(s->call));
    else
        outbox_stream_abort(s, ERR_LIMIT, "the client reads too slowly: too many messages wait for it");
}

static void finish_later(void *call, bool run)
{
    if (run)
        rpc_call_finish(call, 0, "");
    rpc_call_unref(call);
}

void outbox_stream_end(struct outbox_stream *s)
{
    hub_run(app_hub(s->app), finish_later, rpc_call_ref(s->call));
}

void outbox_stream_abort(struct outbox_stream *s, int code, const char *text)
{
    struct rpc_abort *abort = rpc_abort_new(s->call, code, text);
    if (abort)
        hub_run(app_hub(s->app), rpc_abort_later, abort);
}

bool outbox_stream_next(void *app, struct rpc_call *call, struct rpc_message *out)
{
    (void)app;
    struct outbox_stream *s = rpc_call_user(call);
    return s && outbox_next(&s->outbox, out);
}
