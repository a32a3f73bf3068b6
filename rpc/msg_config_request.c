/* The requests of ConfigService that change no configuration, and the client's side of all of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/duration.h"
#include "rpc/msg_config_int.h"
#include "rpc/msg_guard.h"
#include "rpc/msg_json.h"

/* ---- Bursts ---- */

enum { BURST_COUNT_MAX = 1000, BURST_INTERVAL_MIN_S = 1, BURST_INTERVAL_MAX_S = 3600 };

static int check_burst(const XtcpConfig__V1__TriggerPollBurstRequest *m, int64_t poll_timeout_ns,
                       struct config_msg_burst *out, struct err *e)
{
    if (m->count < 1 || m->count > BURST_COUNT_MAX)
        return err_set(e, ERR_RANGE, "count: value \"%" PRIu32 "\" is out of range; allowed 1 to %d",
                       m->count, BURST_COUNT_MAX);
    if (!m->interval)
        return err_set(e, ERR_RANGE, "interval: is required; allowed %ds to %ds", BURST_INTERVAL_MIN_S,
                       BURST_INTERVAL_MAX_S);
    int rc = config_duration_ns(m->interval, "interval", &out->interval_ns, e);
    if (rc == 0)
        rc = config_duration_check(out->interval_ns, "interval", BURST_INTERVAL_MIN_S, BURST_INTERVAL_MAX_S,
                                   false, e);
    if (rc == 0 && out->interval_ns <= poll_timeout_ns) {
        char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
        duration_format(out->interval_ns, interval);
        duration_format(poll_timeout_ns, timeout);
        rc = err_set(e, ERR_RANGE, "interval: value \"%s\" must be more than poll_timeout, which is \"%s\"",
                     interval, timeout);
    }
    out->count = m->count;
    out->replace = m->replace;
    return rc;
}

int config_msg_decode_burst(const void *request, size_t len, int64_t poll_timeout_ns,
                            struct config_msg_burst *out, struct err *e)
{
    ProtobufCMessage *m;
    *out = (struct config_msg_burst){0};
    int rc =
        msg_guard_unpack(&xtcp_config__v1__trigger_poll_burst_request__descriptor, request, len, true, &m, e);
    if (rc == 0) {
        rc = check_burst((const XtcpConfig__V1__TriggerPollBurstRequest *)m, poll_timeout_ns, out, e);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}

int config_msg_encode_burst_reply(const struct config_msg_burst *burst, struct buf *out)
{
    Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT;
    XtcpConfig__V1__TriggerPollBurstResponse m = XTCP_CONFIG__V1__TRIGGER_POLL_BURST_RESPONSE__INIT;
    config_duration_set(&interval, burst->interval_ns);
    m.count = burst->count;
    m.interval = &interval;
    return config_msg_pack(&m.base, out);
}

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
    int rc = msg_guard_unpack(&xtcp_config__v1__trigger_poll_burst_response__descriptor, reply, len, false,
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

int config_msg_encode_cancel_reply(uint32_t cancelled, struct buf *out)
{
    XtcpConfig__V1__CancelBurstResponse m = XTCP_CONFIG__V1__CANCEL_BURST_RESPONSE__INIT;
    m.cancelled = cancelled;
    return config_msg_pack(&m.base, out);
}

int config_cancel_reply_decode(const void *reply, size_t len, uint32_t *cancelled, struct err *e)
{
    ProtobufCMessage *m;
    *cancelled = 0;
    int rc = msg_guard_unpack(&xtcp_config__v1__cancel_burst_response__descriptor, reply, len, false, &m, e);
    if (rc == 0) {
        *cancelled = ((const XtcpConfig__V1__CancelBurstResponse *)m)->cancelled;
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}

/* ---- Upload to the object store ---- */

static int check_s3(const XtcpConfig__V1__SetS3UploadRequest *m, struct config_msg_s3 *out, struct err *e)
{
    out->flush_threshold_bytes = m->s3_parquet_flush_threshold_bytes;
    if (m->s3_flush_interval) {
        int rc = config_duration_ns(m->s3_flush_interval, "s3_flush_interval", &out->flush_interval_ns, e);
        if (rc == 0)
            rc = config_duration_check(out->flush_interval_ns, "s3_flush_interval", 0, 0, false, e);
        if (rc < 0)
            return rc;
    }
    if (out->flush_interval_ns == 0 && out->flush_threshold_bytes == 0)
        return err_set(e, ERR_RANGE,
                       "s3_flush_interval, s3_parquet_flush_threshold_bytes: at least one must be above 0");
    return 0;
}

int config_msg_decode_s3(const void *request, size_t len, struct config_msg_s3 *out, struct err *e)
{
    ProtobufCMessage *m;
    *out = (struct config_msg_s3){0};
    int rc = msg_guard_unpack(&xtcp_config__v1__set_s3_upload_request__descriptor, request, len, true, &m, e);
    if (rc == 0) {
        rc = check_s3((const XtcpConfig__V1__SetS3UploadRequest *)m, out, e);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}

/* ---- Client: the frequency ---- */

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

/* ---- Client: a whole configuration ---- */

int config_reply_decode(const void *reply, size_t len, struct config_reply **out, struct err *e)
{
    ProtobufCMessage *m;
    *out = NULL;
    int rc = msg_guard_unpack(&xtcp_config__v1__set_response__descriptor, reply, len, false, &m, e);
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

/* |d| in ns; 0 when it is absent or none. */
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

int config_set_request_from_json(const char *text, size_t len, const char *name, bool dry_run,
                                 struct buf *request, struct err *e)
{
    ProtobufCMessage *config;
    int rc = msg_json_read(&xtcp_config__v1__xtcp_config__descriptor, text, len, name, &config, e);
    if (rc < 0)
        return rc;
    XtcpConfig__V1__SetRequest m = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    m.config = (XtcpConfig__V1__XtcpConfig *)config;
    m.dry_run = dry_run;
    rc = config_msg_pack(&m.base, request);
    protobuf_c_message_free_unpacked(config, NULL);
    return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}
