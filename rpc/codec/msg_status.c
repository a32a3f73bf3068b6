#include "rpc/codec/msg_status.h"

#include <errno.h>
#include <xtcp_status/v1/xtcp_status.upb.h>

#include "rpc/codec/msg_fields.h"
#include "rpc/codec/msg_parts.h"

MSG_CODEC(status_poll, xtcp_status_v1_PollSummary, STATUS_POLL_FIELDS)
MSG_CODEC(status_cost, xtcp_status_v1_Cost, STATUS_COST_FIELDS)
MSG_CODEC(status_burst, xtcp_status_v1_Burst, STATUS_BURST_FIELDS)
MSG_CODEC(status_schedule, xtcp_status_v1_Schedule, STATUS_SCHEDULE_FIELDS)
MSG_CODEC(status_limit, xtcp_status_v1_Limit, STATUS_LIMIT_FIELDS)
MSG_CODEC(status_error_count, xtcp_status_v1_ErrorCount, STATUS_ERROR_COUNT_FIELDS)
MSG_CODEC(status_subscriber, xtcp_status_v1_Subscriber, STATUS_SUBSCRIBER_FIELDS)
MSG_CODEC(status_gap, xtcp_status_v1_CapabilityGap, STATUS_GAP_FIELDS)
MSG_CODEC(status_option_change, xtcp_status_v1_OptionChange, STATUS_OPTION_CHANGE_FIELDS)
MSG_CODEC(status_change, xtcp_status_v1_ConfigChange, STATUS_CHANGE_FIELDS)
MSG_CODEC(status_msg, xtcp_status_v1_GetResponse, STATUS_MSG_FIELDS)

int status_msg_encode(const struct status_msg *status, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_status_v1_GetResponse *m = xtcp_status_v1_GetResponse_new(arena);
    int rc = -ENOMEM;
    if (msg_status_msg_put(m, status, arena))
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
    return msg_status_msg_get(m, to, arena) ? 0 : err_set(e, -ENOMEM, "GetResponse: out of memory");
}

int status_msg_decode(const void *data, size_t len, struct status_msg *out, void **memory, struct err *e)
{
    return msg_upb_read_new(read_status, data, len, out, sizeof(*out), memory, "GetResponse", e);
}

void status_msg_free(void *memory)
{
    msg_upb_free(memory);
}
