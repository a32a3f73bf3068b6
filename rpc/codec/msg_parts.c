#include "rpc/codec/msg_parts.h"

#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "model/poll.h"
#include "model/subscription.h"
#include "rpc/codec/msg_fields.h"

/* clang-format off */
#define ERROR_FIELDS(F, M)                                                                                   \
    F(M, TEXT, name)                                                                                         \
    F(M, NUMBER, inode)                                                                                      \
    F(M, NUMBER, cookie)                                                                                     \
    F(M, NUMBER, code)                                                                                       \
    F(M, TEXT, text)
MSG_CODEC_AS(, msg_error, struct poll_error, xtcp_flat_record_v1_NamespaceError, ERROR_FIELDS)

#define FILTER_PART_FIELDS(F, M)                                                                             \
    F(M, TEXT, expression)                                                                                   \
    F(M, NUMBER, place)
MSG_CODEC_AS(, msg_filter_part, struct filter_part, xtcp_flat_record_v1_FilterPart, FILTER_PART_FIELDS)

#define POLL_BEGIN_FIELDS(F, M)                                                                              \
    F(M, NUMBER, poll_id)                                                                                    \
    F(M, NUMBER, timestamp_ns)                                                                               \
    F(M, NUMBER, trigger)                                                                                    \
    F(M, NUMBER, namespaces)                                                                                 \
    F(M, NUMBER, interval_ns)                                                                                \
    F(M, NUMBER, deferred_ns)
MSG_CODEC_AS(, msg_poll_begin, struct poll_begin, xtcp_flat_record_v1_PollBegin, POLL_BEGIN_FIELDS)

#define POLL_END_FIELDS(F, M)                                                                                \
    F(M, NUMBER, poll_id)                                                                                    \
    F(M, NUMBER, timestamp_ns)                                                                               \
    F(M, NUMBER, duration_ns)                                                                                \
    F(M, NUMBER, namespaces)                                                                                 \
    F(M, NUMBER, namespaces_empty)                                                                           \
    F(M, NUMBER, namespaces_failed)                                                                          \
    F(M, NUMBER, namespaces_unseen)                                                                          \
    F(M, NUMBER, sockets)                                                                                    \
    F(M, NUMBER, rows_sent)                                                                                  \
    F(M, NUMBER, rows_lost)                                                                                  \
    F(M, NUMBER, cpu_ns)                                                                                     \
    F(M, NUMBER, dumps_interrupted)                                                                          \
    F(M, LIST, errors, msg_error, POLL_ERRORS_MAX)                                                           \
    F(M, TEXTS, warnings)
MSG_CODEC_AS(, msg_poll_end, struct poll_end, xtcp_flat_record_v1_PollEnd, POLL_END_FIELDS)

#define STREAM_INFO_FIELDS(F, M)                                                                             \
    F(M, TEXT, filter)                                                                                       \
    F(M, LIST, parts, msg_filter_part, SIZE_MAX)                                                             \
    F(M, TEXTS, columns)                                                                                     \
    F(M, TEXTS, warnings)
MSG_CODEC_AS(, msg_stream_info, struct subscription_info, xtcp_flat_record_v1_StreamInfo, STREAM_INFO_FIELDS)
/* clang-format on */
