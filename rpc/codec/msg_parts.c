#include "rpc/codec/msg_parts.h"

#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "model/poll.h"
#include "model/subscription.h"
#include "rpc/codec/msg_fields.h"

MSG_CODEC_AS(, poll_error, xtcp_flat_record_v1_NamespaceError, POLL_ERROR_FIELDS)
MSG_CODEC_AS(, filter_part, xtcp_flat_record_v1_FilterPart, FILTER_PART_FIELDS)
MSG_CODEC_AS(, poll_begin, xtcp_flat_record_v1_PollBegin, POLL_BEGIN_FIELDS)
MSG_CODEC_AS(, poll_end, xtcp_flat_record_v1_PollEnd, POLL_END_FIELDS)
MSG_CODEC_AS(, subscription_info, xtcp_flat_record_v1_StreamInfo, SUBSCRIPTION_INFO_FIELDS)
