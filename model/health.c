#include "model/health.h"

#include "model/name_of.h"

const char *health_status_name(uint32_t status)
{
    static const char *const names[] = {
        [HEALTH_UNKNOWN] = "UNKNOWN",
        [HEALTH_SERVING] = "SERVING",
        [HEALTH_NOT_SERVING] = "NOT_SERVING",
        [HEALTH_SERVICE_UNKNOWN] = "SERVICE_UNKNOWN",
    };
    return name_of(names, sizeof(names) / sizeof(names[0]), status, "UNRECOGNIZED");
}
