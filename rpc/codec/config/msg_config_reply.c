/* The client's side of ConfigService: requests written, responses read. */
#include "rpc/codec/config/msg_config_reply.h"

#include <errno.h>
#include <stdlib.h>

#include "rpc/codec/config/msg_config_internal.h"
#include "rpc/codec/json/msg_json.h"
#include "rpc/codec/msg_check.h"

/* ---- Bursts ---- */

int config_burst_request(const struct config_msg_burst *burst, struct buf *request)
{
    Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT;
    XtcpConfig__V1__TriggerPollBurstRequest m = XTCP_CONFIG__V1__TRIGGER_POLL_BURST_REQUEST__INIT;
    config_duration_set(&interval, burst->interval_ns);
    m.count = burst->count;
    m.interval = &interval;
    m.replace = burst->replace;
    return config_msg_pack(&m.base, request);
}

int config_burst_reply_decode(const void *reply, size_t len, struct config_msg_burst *out, struct err *e)
{
    ProtobufCMessage *unpacked;
    *out = (struct config_msg_burst){0};
    int rc = msg_check_unpack(&xtcp_config__v1__trigger_poll_burst_response__descriptor, reply, len, false,
                              &unpacked, e);
    if (rc < 0)
        return rc;
    const XtcpConfig__V1__TriggerPollBurstResponse *m =
        (const XtcpConfig__V1__TriggerPollBurstResponse *)unpacked;
    out->count = m->count;
    if (m->interval)
        rc = config_duration_ns(m->interval, "interval", &out->interval_ns, e);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return rc;
}

int config_cancel_reply_decode(const void *reply, size_t len, uint32_t *cancelled, struct err *e)
{
    ProtobufCMessage *m;
    *cancelled = 0;
    int rc = msg_check_unpack(&xtcp_config__v1__cancel_burst_response__descriptor, reply, len, false, &m, e);
    if (rc == 0) {
        *cancelled = ((const XtcpConfig__V1__CancelBurstResponse *)m)->cancelled;
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}

/* ---- The frequency ---- */

int config_poll_frequency_request(int64_t frequency_ns, int64_t timeout_ns, struct buf *request)
{
    Google__Protobuf__Duration frequency = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    XtcpConfig__V1__SetPollFrequencyRequest m = XTCP_CONFIG__V1__SET_POLL_FREQUENCY_REQUEST__INIT;
    config_duration_set(&frequency, frequency_ns);
    config_duration_set(&timeout, timeout_ns);
    m.poll_frequency = &frequency;
    m.poll_timeout = &timeout;
    return config_msg_pack(&m.base, request);
}

/* ---- A whole configuration ---- */

int config_reply_decode(const void *reply, size_t len, struct config_reply **out, struct err *e)
{
    ProtobufCMessage *m;
    *out = NULL;
    int rc = msg_check_unpack(&xtcp_config__v1__set_response__descriptor, reply, len, false, &m, e);
    if (rc < 0)
        return rc;
    struct config_reply *r = calloc(1, sizeof(*r));
    XtcpConfig__V1__SetResponse *response = (XtcpConfig__V1__SetResponse *)m;
    if (r && response->config) {
        r->message = response;
        *out = r;
        return 0;
    }
    rc = r ? err_set(e, ERR_MALFORMED, "the response holds no configuration")
           : err_set(e, -ENOMEM, "out of memory");
    free(r);
    protobuf_c_message_free_unpacked(m, NULL);
    return rc;
}

void config_reply_free(struct config_reply *r)
{
    if (!r)
        return;
    protobuf_c_message_free_unpacked(&r->message->base, NULL);
    free(r);
}

int config_reply_json(const struct config_reply *r, struct buf *out)
{
    return msg_json_write(&r->message->config->base, out);
}

uint64_t config_reply_generation(const struct config_reply *r)
{
    return r->message->config->generation;
}

/* |d| in ns; 0 when it is absent or invalid. */
static int64_t duration_or_zero(const Google__Protobuf__Duration *d)
{
    int64_t ns;
    return d && config_duration_ns(d, "", &ns, NULL) == 0 ? ns : 0;
}

int64_t config_reply_poll_frequency(const struct config_reply *r)
{
    return duration_or_zero(r->message->config->poll_frequency);
}

int64_t config_reply_poll_timeout(const struct config_reply *r)
{
    return duration_or_zero(r->message->config->poll_timeout);
}

const char *const *config_reply_changed(const struct config_reply *r, size_t *n)
{
    *n = r->message->n_changed;
    return (const char *const *)r->message->changed;
}

int config_json_read(const char *text, size_t len, const char *name, ProtobufCMessage **out, struct err *e)
{
    *out = NULL;
    if (len > CONFIG_JSON_MAX)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes long, allowed are %d", name, len, CONFIG_JSON_MAX);
    return msg_json_read(&xtcp_config__v1__xtcp_config__descriptor, text, len, name, out, e);
}

int config_set_request_from_json(const char *text, size_t len, const char *name, bool dry_run,
                                 struct buf *request, struct err *e)
{
    ProtobufCMessage *config;
    int rc = config_json_read(text, len, name, &config, e);
    if (rc < 0)
        return rc;
    XtcpConfig__V1__SetRequest m = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    m.config = (XtcpConfig__V1__XtcpConfig *)config;
    m.dry_run = dry_run;
    rc = config_msg_pack(&m.base, request);
    protobuf_c_message_free_unpacked(config, NULL);
    return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}
