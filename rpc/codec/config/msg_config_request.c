/* The requests of ConfigService that change no configuration: bursts, uploads to the object store. */
#include <errno.h>
#include <inttypes.h>

#include "lib/duration.h"
#include "rpc/codec/config/msg_config_internal.h"
#include "rpc/codec/msg_check.h"

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
        msg_check_unpack(&xtcp_config__v1__trigger_poll_burst_request__descriptor, request, len, true, &m, e);
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

int config_msg_encode_cancel_reply(uint32_t cancelled, struct buf *out)
{
    XtcpConfig__V1__CancelBurstResponse m = XTCP_CONFIG__V1__CANCEL_BURST_RESPONSE__INIT;
    m.cancelled = cancelled;
    return config_msg_pack(&m.base, out);
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
    int rc = msg_check_unpack(&xtcp_config__v1__set_s3_upload_request__descriptor, request, len, true, &m, e);
    if (rc == 0) {
        rc = check_s3((const XtcpConfig__V1__SetS3UploadRequest *)m, out, e);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}
