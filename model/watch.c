#include "model/watch.h"

#include "model/name_of.h"

const char *focus_end_name(uint32_t reason)
{
    static const char *const names[] = {
        [FOCUS_END_UNSPECIFIED] = "unspecified", [FOCUS_END_CLOSED] = "closed",
        [FOCUS_END_TIME_WAIT] = "time-wait",     [FOCUS_END_NAMESPACE] = "namespace gone",
        [FOCUS_END_NOT_FOUND] = "not found",     [FOCUS_END_UNREACHABLE] = "not reachable",
    };
    return NAME_OF(names, reason);
}
