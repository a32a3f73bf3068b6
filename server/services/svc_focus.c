/* FocusService: turns a stream into a watch. */
#include "lib/log.h"
#include "rpc/codec/msg_focus.h"
#include "server/app.h"
#include "server/services/services.h"

static void focus_stream_open(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    struct focus_watch *w;
    struct err e = {0};
    int rc = focus_open(app_focus(arg), call, &w, &e);
    if (rc == 0) {
        rpc_call_set_user(call, w);
        return;
    }
    log_limited(LOG_WARN, "focus", "a stream is refused: %s", e.text);
    rpc_call_finish(call, rc, e.text);
}

static void end(struct rpc_call *call, struct focus_watch *w, int code, const char *text)
{
    focus_dismiss(w);
    rpc_call_finish(call, code, text);
}

static void focus_stream_message(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    (void)arg;
    struct focus_watch *w = rpc_call_user(call);
    struct focus_request request;
    struct err e = {0};
    if (!w)
        return; /* refused already */
    int rc = focus_request_decode(data, len, &request, &e);
    if (rc == 0)
        rc = focus_select(w, &request, &e);
    if (rc == ERR_LIMIT)
        log_limited(LOG_WARN, "focus", "a request is refused: %s", e.text);
    if (rc)
        end(call, w, rc, e.text);
}

/* No further requests will come: the watch goes on. */
static void focus_stream_half_closed(void *arg, struct rpc_call *call)
{
    (void)arg;
    struct focus_watch *w = rpc_call_user(call);
    if (w && !focus_selected(w))
        end(call, w, ERR_MALFORMED, "there was no request");
}

static bool focus_stream_next(void *arg, struct rpc_call *call, struct rpc_message *out)
{
    (void)arg;
    struct focus_watch *w = rpc_call_user(call);
    return w && focus_next(w, out);
}

static void focus_stream_closed(void *arg, struct rpc_call *call)
{
    struct focus_watch *w = rpc_call_user(call);
    if (!w)
        return;
    focus_close(w);
    struct focus_stats stats;
    focus_stats(app_focus(arg), &stats);
    log_debug("focus", "a stream is gone: %u left, with %u sockets; %llu lookups in %llu ticks so far",
              stats.streams, stats.sockets, (unsigned long long)stats.lookups,
              (unsigned long long)stats.ticks);
}

const struct rpc_stream_ops svc_focus_watch = {
    .open = focus_stream_open,
    .message = focus_stream_message,
    .half_closed = focus_stream_half_closed,
    .next = focus_stream_next,
    .closed = focus_stream_closed,
    .inline_send = true,
};
