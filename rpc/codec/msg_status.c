#include "rpc/codec/msg_status.h"

#include <errno.h>
#include <xtcp_status/v1/xtcp_status.upb.h>

#include "rpc/codec/msg_fields.h"
#include "rpc/codec/msg_parts.h"

/* ---- The fields of the messages; msg_fields.h says how they are to be read ---- */

/* clang-format off */
#define POLL_FIELDS(F, M) \
    F(M, NUMBER, poll_id) \
    F(M, NUMBER, trigger) \
    F(M, NUMBER, timestamp_ns) \
    F(M, NUMBER, duration_ns) \
    F(M, NUMBER, namespaces) \
    F(M, NUMBER, namespaces_empty) \
    F(M, NUMBER, namespaces_failed) \
    F(M, NUMBER, namespaces_unseen) \
    F(M, NUMBER, dumps_interrupted) \
    F(M, NUMBER, sockets) \
    F(M, TEXT, hint) \
    F(M, NUMBER, partial) \
    F(M, LIST, errors, msg_error, POLL_ERRORS_MAX)
MSG_CODEC(poll, struct status_poll, xtcp_status_v1_PollSummary, POLL_FIELDS)

#define COST_FIELDS(F, M) \
    F(M, NUMBER, cpu_ns) \
    F(M, NUMBER, collect_cpu_ns) \
    F(M, NUMBER, collect_kernel_ns) \
    F(M, NUMBER, fan_out_cpu_ns) \
    F(M, NUMBER, last_poll_cpu_ns) \
    F(M, NUMBER, last_socket_cpu_ns) \
    F(M, NUMBER, cpu_percent) \
    F(M, NUMBER, max_cpu_percent) \
    F(M, NUMBER, interval_ns) \
    F(M, NUMBER, stretched) \
    F(M, NUMBER, rss_bytes) \
    F(M, NUMBER, threads) \
    F(M, NUMBER, batch_bytes) \
    F(M, NUMBER, late_polls) \
    F(M, NUMBER, deferred_polls) \
    F(M, NUMBER, measured)
MSG_CODEC(cost, struct status_cost, xtcp_status_v1_Cost, COST_FIELDS)

#define BURST_FIELDS(F, M) \
    F(M, NUMBER_AS, polls, burst_polls) \
    F(M, NUMBER_AS, left, burst_left) \
    F(M, NUMBER_AS, interval_ns, burst_interval_ns) \
    F(M, NUMBER_AS, next_poll_ns, burst_next_ns)
MSG_CODEC(burst, struct status_schedule, xtcp_status_v1_Burst, BURST_FIELDS)

#define SCHEDULE_FIELDS(F, M) \
    F(M, NUMBER, frequency_ns) \
    F(M, NUMBER, interval_ns) \
    F(M, NUMBER, next_poll_ns) \
    F(M, NUMBER, running_poll_id) \
    F(M, NUMBER, late_polls) \
    F(M, NUMBER, limited) \
    F(M, NUMBER, loops_left) \
    F(M, PART, burst, burst, burst_left)
MSG_CODEC(schedule, struct status_schedule, xtcp_status_v1_Schedule, SCHEDULE_FIELDS)

#define LIMIT_FIELDS(F, M) \
    F(M, TEXT, option) \
    F(M, NUMBER, max) \
    F(M, NUMBER, current) \
    F(M, NUMBER, refused)
MSG_CODEC(limit, struct status_limit, xtcp_status_v1_Limit, LIMIT_FIELDS)

#define COUNT_FIELDS(F, M) \
    F(M, TEXT, kind) \
    F(M, NUMBER, count)
MSG_CODEC(count, struct status_error_count, xtcp_status_v1_ErrorCount, COUNT_FIELDS)

#define SUBSCRIBER_FIELDS(F, M) \
    F(M, NUMBER, id) \
    F(M, TEXT, peer) \
    F(M, TEXT, method) \
    F(M, NUMBER, since_ns) \
    F(M, NUMBER, rows_delivered) \
    F(M, NUMBER, rows_lost) \
    F(M, NUMBER, rows_queued)
MSG_CODEC(subscriber, struct status_subscriber, xtcp_status_v1_Subscriber, SUBSCRIBER_FIELDS)

#define GAP_FIELDS(F, M) \
    F(M, TEXT, capability) \
    F(M, TEXT, effect)
MSG_CODEC(gap, struct status_gap, xtcp_status_v1_CapabilityGap, GAP_FIELDS)

#define OPTION_FIELDS(F, M) \
    F(M, TEXT, name) \
    F(M, TEXT, before) \
    F(M, TEXT, after)
MSG_CODEC(option, struct status_option_change, xtcp_status_v1_OptionChange, OPTION_FIELDS)

#define CHANGE_FIELDS(F, M) \
    F(M, NUMBER, generation) \
    F(M, NUMBER, timestamp_ns) \
    F(M, TEXT, origin) \
    F(M, TEXT, peer) \
    F(M, LIST, options, option, SIZE_MAX)
MSG_CODEC(change, struct status_change, xtcp_status_v1_ConfigChange, CHANGE_FIELDS)

#define STATUS_FIELDS(F, M) \
    F(M, TEXT, version) \
    F(M, NUMBER, start_time_ns) \
    F(M, NUMBER, uptime_ns) \
    F(M, TEXT, kernel) \
    F(M, TEXT, hostname) \
    F(M, NUMBER, polls) \
    F(M, NUMBER, namespaces) \
    F(M, NUMBER, namespaces_excluded) \
    F(M, NUMBER, sockets) \
    F(M, NUMBER, timestamp_ns) \
    F(M, LIST, errors, count, SIZE_MAX) \
    F(M, LIST, subscribers, subscriber, SIZE_MAX) \
    F(M, LIST, gaps, gap, SIZE_MAX) \
    F(M, LIST, changes, change, SIZE_MAX) \
    F(M, ONE, last_poll, poll) \
    F(M, ONE, last_full_poll, poll) \
    F(M, ONE, schedule, schedule) \
    F(M, LIST, limits, limit, SIZE_MAX) \
    F(M, LIST, refusals, count, SIZE_MAX) \
    F(M, ONE, cost, cost)
MSG_CODEC(status, struct status_msg, xtcp_status_v1_GetResponse, STATUS_FIELDS)
/* clang-format on */

/* ---- Encoding and decoding ---- */

int status_msg_encode(const struct status_msg *status, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_status_v1_GetResponse *m = xtcp_status_v1_GetResponse_new(arena);
    int rc = -ENOMEM;
    if (status_put(m, status, arena))
        rc = msg_upb_encode(m, &xtcp_status_v1_GetResponse_msginit, arena, out);
    upb_Arena_Free(arena);
    return rc;
}

static int read_status(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e)
{
    xtcp_status_v1_GetResponse *m = xtcp_status_v1_GetResponse_new(arena);
    int rc = msg_upb_decode(data, len, m, &xtcp_status_v1_GetResponse_msginit, arena, "GetResponse", e);
    if (rc < 0)
        return rc;
    return status_get(m, to, arena) ? 0 : err_set(e, -ENOMEM, "GetResponse: out of memory");
}

int status_msg_decode(const void *data, size_t len, struct status_msg *out, void **memory, struct err *e)
{
    return msg_upb_read_new(read_status, data, len, out, sizeof(*out), memory, "GetResponse", e);
}

void status_msg_free(void *memory)
{
    msg_upb_free(memory);
}
