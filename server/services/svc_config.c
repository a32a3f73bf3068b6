/* ConfigService. */
#include <string.h>

#include "rpc/codec/config/msg_config.h"
#include "rpc/codec/msg_empty.h"
#include "server/app.h"
#include "server/services/outputs_power.h"
#include "server/services/services.h"

static int reply_with(struct app *app, const struct config *config, const struct config_msg_set *set,
                      struct buf *reply)
{
    struct config_msg_extra extra;
    app_config_extra(app, &extra);
    return config_msg_encode_reply(config, &extra, set ? set->changed : NULL, set ? set->n_changed : 0,
                                   reply);
}

int svc_config_get(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "GetRequest", e);
    if (rc)
        return rc;
    const struct config *config = app_config(arg);
    rc = reply_with(arg, config, NULL, reply);
    config_unref(config);
    return rc;
}

/* A change that a caller asks for. */
struct asked {
    struct app *app;
    const struct rpc_call *call;
};

static int edit_set(void *arg, const void *request, size_t len, const struct config *in_force,
                    struct config_msg_set *out, struct err *e)
{
    const struct asked *a = arg;
    struct config_msg_extra extra;
    app_config_extra(a->app, &extra);
    int rc = config_msg_apply_set(request, len, in_force, &extra, out, e);
    if (rc == 0) {
        rc = outputs_power_check(a->call, in_force, out->candidate, e);
        if (rc) {
            config_unref(out->candidate);
            out->candidate = NULL;
        }
    }
    /* To the caller this is a wrong argument like any other: the method itself exists. */
    return rc == ERR_UNSUPPORTED ? ERR_RANGE : rc;
}

static int edit_frequency(void *arg, const void *request, size_t len, const struct config *in_force,
                          struct config_msg_set *out, struct err *e)
{
    (void)arg;
    return config_msg_apply_poll_frequency(request, len, in_force, out, e);
}

/* Makes the change |c|, of which the caller has filled in |edit| and |origin|. */
static int change(struct app *app, const struct rpc_request *request, struct live_config_change c,
                  bool tell_changed, struct buf *reply, struct err *e)
{
    struct config_msg_set set;
    const struct config *in_force;
    struct asked asked = {.app = app, .call = request->call};
    c.arg = &asked;
    c.request = request->data;
    c.len = request->len;
    c.peer = rpc_call_peer(request->call);
    int rc = live_config_change(app_live_config(app), &c, &set, &in_force, e);
    if (rc)
        return rc;
    rc = reply_with(app, in_force, tell_changed ? &set : NULL, reply);
    config_unref(in_force);
    return rc;
}

int svc_config_set(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    return change(arg, request, (struct live_config_change){.edit = edit_set, .origin = "Set"}, true, reply,
                  e);
}

int svc_config_set_poll_frequency(void *arg, const struct rpc_request *request, struct buf *reply,
                                  struct err *e)
{
    return change(arg, request,
                  (struct live_config_change){.edit = edit_frequency, .origin = "SetPollFrequency"}, false,
                  reply, e);
}

int svc_config_trigger_poll(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    (void)reply; /* TriggerPollResponse is empty */
    int rc = msg_empty_check(request->data, request->len, "TriggerPollRequest", e);
    if (rc == 0)
        app_request_poll(arg, NULL);
    return rc;
}

int svc_config_trigger_poll_burst(void *arg, const struct rpc_request *request, struct buf *reply,
                                  struct err *e)
{
    struct config_msg_burst burst;
    const struct config *config = app_config(arg);
    int rc = config_msg_decode_burst(request->data, request->len, config->poll_timeout, &burst, e);
    config_unref(config);
    if (rc == 0)
        rc = app_burst(arg, burst.count, burst.interval_ns, burst.replace, e);
    return rc ? rc : config_msg_encode_burst_reply(&burst, reply);
}

int svc_config_cancel_burst(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "CancelBurstRequest", e);
    return rc ? rc : config_msg_encode_cancel_reply(app_cancel_burst(arg), reply);
}

int svc_config_set_s3_upload(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    (void)arg;
    (void)reply;
    struct config_msg_s3 s3;
    int rc = config_msg_decode_s3(request->data, request->len, &s3, e);
    if (rc)
        return rc;
    return err_set(e, ERR_PRECONDITION,
                   "there is no S3 destination: dest is null:, records go to gRPC streams only");
}
