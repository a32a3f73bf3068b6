#include "model/output.h"

#include "model/name_of.h"

const char *output_state_name(uint32_t state)
{
    static const char *const names[] = {
        [OUTPUT_STATE_UNSPECIFIED] = "unspecified", [OUTPUT_STATE_STARTING] = "starting",
        [OUTPUT_STATE_RUNNING] = "running",         [OUTPUT_STATE_RETRYING] = "retrying",
        [OUTPUT_STATE_PAUSED] = "paused",           [OUTPUT_STATE_FAILED] = "failed",
        [OUTPUT_STATE_STOPPING] = "stopping",
    };
    _Static_assert(sizeof(names) / sizeof(names[0]) == OUTPUT_STATES, "a name for each state");
    return NAME_OF(names, state);
}

const char *output_drop_name(enum output_drop reason)
{
    static const char *const names[] = {
        [OUTPUT_DROP_QUEUE] = "queue_full", [OUTPUT_DROP_SPOOL] = "spool_full",
        [OUTPUT_DROP_AGE] = "too_old",      [OUTPUT_DROP_DAMAGED] = "damaged",
        [OUTPUT_DROP_DISK] = "disk",        [OUTPUT_DROP_REFUSED] = "refused",
        [OUTPUT_DROP_MEMORY] = "memory",    [OUTPUT_DROP_STOP] = "stop",
    };
    _Static_assert(sizeof(names) / sizeof(names[0]) == OUTPUT_DROPS, "a name for each reason");
    return NAME_OF(names, (uint32_t)reason);
}
