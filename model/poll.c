#include "model/poll.h"

#include "model/name_of.h"

const char *poll_trigger_name(uint32_t trigger)
{
    static const char *const names[] = {
        [POLL_TRIGGER_UNSPECIFIED] = "unspecified",
        [POLL_TRIGGER_SCHEDULE] = "schedule",
        [POLL_TRIGGER_REQUEST] = "request",
        [POLL_TRIGGER_BURST] = "burst",
        [POLL_TRIGGER_START] = "start",
    };
    return NAME_OF(names, trigger);
}
