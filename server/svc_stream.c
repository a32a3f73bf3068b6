/* XTCPFlatRecordService: turns a stream into a subscriber of the hub. */
#include <errno.h>
#include <stdio.h>

#include "lib/log.h"
#include "rpc/msg_stream.h"
#include "server/app.h"
#include "server/services.h"

/* What a request may ask for that this version does not do, by the name of its field. Refused rather than
 * ignored: the client would take everything for what it has asked for. */
static const char *unsupported(const struct stream_request *r)
{
    if (r->filter && r->filter[0])
        return "filter";
    if (r->n_columns)
        return "columns";
    if (r->n_netns)
        return "netns";
    return r->events ? "events" : NULL;
}

static int read_request(const uint8_t *data, size_t len, struct stream_request *out, struct err *e)
{
    int rc = stream_request_decode(data, len, out, e);
    if (rc)
        return rc;
    const char *field = unsupported(out);
    if (!field)
        return 0;
    stream_request_free(out);
    return err_set(e, ERR_UNSUPPORTED, "%s: not supported by this daemon", field);
}

/* Makes |call| a subscriber. Returns it (the call's own reference), or NULL after the call has been finished
 * with an error. */
static struct subscriber *subscribe(struct app *app, struct rpc_call *call,
                                    const struct stream_request *request, bool on_demand)
{
    const struct config *config = app_config(app);
    struct subscriber_options options = {
        .id = app_next_subscriber(app),
        .batch_rows = request->batch_rows,
        .markers = request->markers,
        .on_demand = on_demand,
        .queue_rows = config->queue_rows,
    };
    uint32_t max = config->subscribers_max;
    config_unref(config);
    struct subscriber *s = subscriber_new(call, &options);
    rpc_call_set_user(call, s); /* before the hub knows it: rows may come at once */
    int rc = s ? hub_subscribe(app_hub(app), s, max) : -ENOMEM;
    if (rc == 0) {
        log_debug("stream", "subscriber %llu: %s from %s", (unsigned long long)options.id,
                  rpc_call_method(call), rpc_call_peer(call));
        return s;
    }
    char text[128];
    if (rc == ERR_LIMIT)
        snprintf(text, sizeof(text), "there are %u subscribers already (subscribers_max)", max);
    else
        snprintf(text, sizeof(text), "%s", err_name(rc));
    rpc_call_finish(call, rc, text);
    log_limited(LOG_WARN, "stream", "a subscriber is refused: %s", text);
    rpc_call_set_user(call, NULL);
    if (s)
        subscriber_unref(s);
    return NULL;
}

static void flat_open(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct stream_request request;
    struct err e = {0};
    int rc = read_request(data, len, &request, &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    subscribe(arg, call, &request, false);
    stream_request_free(&request);
}

static bool stream_next(void *arg, struct rpc_call *call, struct rpc_message *out)
{
    (void)arg;
    struct subscriber *s = rpc_call_user(call);
    return s && subscriber_next(s, out);
}

static void stream_closed(void *arg, struct rpc_call *call)
{
    struct subscriber *s = rpc_call_user(call);
    if (!s)
        return;
    struct subscriber_stats stats;
    subscriber_stats(s, &stats);
    hub_unsubscribe(app_hub(arg), s);
    subscriber_close(s);
    log_debug("stream", "subscriber %llu: gone, %llu rows delivered, %llu lost",
              (unsigned long long)subscriber_options(s)->id, (unsigned long long)stats.delivered,
              (unsigned long long)stats.lost);
    subscriber_unref(s);
}

/* PollFlatRecords begins with silence: it becomes a subscriber with its first request, which says in what
 * form it wants the records. */
static void poll_open(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)call;
    (void)data;
    (void)len;
}

static void poll_message(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct stream_request request;
    struct err e = {0};
    int rc = read_request(data, len, &request, &e);
    if (rc) {
        rpc_call_finish(call, rc, e.text);
        return;
    }
    struct subscriber *s = rpc_call_user(call);
    if (!s)
        s = subscribe(arg, call, &request, true);
    stream_request_free(&request);
    if (s)
        app_request_poll(arg, s);
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
