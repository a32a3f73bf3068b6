/* XTCPFlatRecordService: a stream is the sink of a subscriber of the hub. */
#include <errno.h>

#include "lib/log.h"
#include "rpc/codec/msg_stream.h"
#include "rpc/server/guard.h"
#include "server/app.h"
#include "server/services/record_message.h"
#include "server/services/services.h"
#include "server/services/unknown_names.h"

/* A request after decoding. */
struct wish {
    uint32_t batch_rows;
    bool markers;
    struct selection *selection;
};

/* Reads a request. Returns 0 and |out|, whose selection is the caller's, or a code with |e|. A request for
 * something that this daemon cannot do is refused rather than ignored: the client would take all rows for the
 * ones it asked for. */
static int read_request(const uint8_t *data, size_t len, struct wish *out, struct err *e)
{
    struct subscription request;
    int rc = stream_request_decode(data, len, &request, e);
    if (rc)
        return rc;
    *out = (struct wish){.batch_rows = request.batch_rows, .markers = request.markers};
    if (request.events)
        rc = err_set(e, ERR_UNSUPPORTED, "events: this daemon does not send close events");
    else
        rc = selection_new(&request, &out->selection, e);
    subscription_free(&request);
    return rc;
}

/* Puts the stream_info in front of everything that |s| will get. */
static int tell_selection(struct app *app, struct subscriber *s, struct err *e)
{
    const struct selection *selection = subscriber_options(s)->selection;
    if (!selection->told)
        return 0;
    struct buf info;
    struct unknown_names unknown;
    buf_init(&info);
    unknown_names_find(app_inventory(app), selection, &unknown);
    struct selection_description description;
    selection_describe(selection, &description);
    description.info.warnings = (const char *const *)unknown.texts;
    description.info.n_warnings = unknown.n;
    int rc = stream_encode_info(&info, &description.info);
    unknown_names_free(&unknown);
    if (rc == 0 && !subscriber_tell(s, info.data, info.len))
        rc = -ENOMEM;
    buf_free(&info);
    return rc ? err_set(e, rc, "%s", err_name(rc)) : 0;
}

/* Ends |call| with the error |e|. */
static void refuse(struct rpc_call *call, const struct err *e)
{
    log_limited(LOG_WARN, "stream", "a subscriber is refused: %s", e->text);
    rpc_call_finish(call, e->code, e->text);
}

/* Makes |call| a subscriber. Returns it (the call's own reference), or NULL after the call has been finished
 * with an error. */
static struct subscriber *subscribe(struct app *app, struct rpc_call *call, const struct wish *wish,
                                    bool on_demand)
{
    const struct config *config = app_config(app);
    struct subscriber_options options = {
        .id = app_next_subscriber(app),
        .batch_rows = wish->batch_rows,
        .markers = wish->markers,
        .on_demand = on_demand,
        .held = on_demand && rpc_call_role(call) < RPC_ROLE_CONTROL,
        .queue_rows = config->queue_rows,
        .selection = wish->selection,
    };
    struct bounds bounds;
    bounds_read(config, &bounds);
    options.queue_memory = bounds.of[QUOTA_QUEUE_BYTES];
    config_unref(config);
    struct err e = {0};
    struct subscriber *s = record_message_subscriber(call, &options, &e);
    rpc_call_set_user(call, s); /* before the hub knows it: rows may come at once */
    /* Streams of clients that do not use our additions end with OK, as with the Go daemon; the others are
     * told to come back. */
    if (!wish->batch_rows && !wish->markers)
        rpc_call_set_goodbye(call, 0, "");
    int rc = s ? tell_selection(app, s, &e) : e.code;
    if (rc == 0)
        rc = hub_subscribe(app_hub(app), s, &bounds, &e);
    if (rc == 0) {
        log_debug("stream", "subscriber %llu: %s from %s", (unsigned long long)options.id,
                  rpc_call_method(call), rpc_call_peer(call));
        rpc_call_kick(call);
        return s;
    }
    rpc_call_set_user(call, NULL);
    refuse(call, &e);
    if (s)
        subscriber_unref(s);
    return NULL;
}

static void flat_open(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct wish wish;
    struct err e = {0};
    int rc = read_request(data, len, &wish, &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    subscribe(arg, call, &wish, false);
    selection_unref(wish.selection);
}

static bool stream_next(void *arg, struct rpc_call *call, struct rpc_message *out)
{
    (void)arg;
    struct subscriber *s = rpc_call_user(call);
    return s && record_message_next(s, out);
}

static void stream_closed(void *arg, struct rpc_call *call)
{
    struct subscriber *s = rpc_call_user(call);
    if (!s)
        return;
    struct subscriber_stats stats;
    subscriber_stats(s, &stats);
    subscriber_close(s);
    if (stats.queued > 0)
        rpc_guard_trim();
    hub_unsubscribe(app_hub(arg), s);
    log_debug("stream", "subscriber %llu: gone, %llu rows delivered, %llu lost",
              (unsigned long long)subscriber_options(s)->id, (unsigned long long)stats.delivered,
              (unsigned long long)stats.lost);
    subscriber_unref(s);
}

/* PollFlatRecords opens without a request: it becomes a subscriber with its first one, which says what it
 * wants and in what form. */
static void poll_open(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)call;
    (void)data;
    (void)len;
}

/* Whether a further request of |s| asks for the same as the first one, or leaves that open. */
static int check_further(const struct subscriber *s, const struct wish *wish, struct err *e)
{
    if (!wish->selection->told || selection_equal(subscriber_options(s)->selection, wish->selection))
        return 0;
    return err_set(
        e, ERR_RANGE,
        "filter, columns and netns are those of the stream's first request: for others, open another stream");
}

static void poll_message(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct subscriber *s = rpc_call_user(call);
    struct wish wish = {0};
    struct err e = {0};
    int rc = read_request(data, len, &wish, &e);
    if (rc == 0 && s)
        rc = check_further(s, &wish, &e);
    if (rc)
        rpc_call_finish(call, rc, e.text);
    else if (!s)
        s = subscribe(arg, call, &wish, true);
    if (rc == 0 && s)
        app_request_poll(arg, s);
    selection_unref(wish.selection);
}

static void poll_half_closed(void *arg, struct rpc_call *call)
{
    (void)arg;
    struct subscriber *s = rpc_call_user(call);
    if (!s || subscriber_half_closed(s))
        rpc_call_finish(call, 0, "");
}

const struct rpc_stream_ops svc_flat_records = {
    .open = flat_open,
    .next = stream_next,
    .closed = stream_closed,
};

const struct rpc_stream_ops svc_poll_flat_records = {
    .open = poll_open,
    .message = poll_message,
    .half_closed = poll_half_closed,
    .next = stream_next,
    .closed = stream_closed,
};
