#include "server/live/bounds.h"

void bounds_read(const struct config *c, struct bounds *out)
{
    const uint64_t max[QUOTA_KINDS] = {
        [QUOTA_CONNECTIONS] = c->connections_max,
        [QUOTA_CALLS] = c->calls_max,
        [QUOTA_SUBSCRIBERS] = c->subscribers_max,
        [QUOTA_FILTERS] = SELECTION_FILTERS_MAX,
        [QUOTA_FILTER_BYTES] = SELECTION_FILTER_TEXT,
        [QUOTA_COLUMNS] = SELECTION_MASKS_MAX,
        [QUOTA_NETNS_BYTES] = SELECTION_NETNS_TEXT,
        [QUOTA_QUEUE_BYTES] = (uint64_t)c->queue_memory_max << 20,
        [QUOTA_FOCUS_STREAMS] = c->focus_streams_max,
        [QUOTA_FOCUS_RATE] = c->focus_rate_max,
    };
    for (size_t i = 0; i < QUOTA_KINDS; i++)
        out->of[i] = (struct quota_bound){
            .max = max[i], .user_percent = c->user_share_percent, .reserved_percent = c->reserved_percent};
}
