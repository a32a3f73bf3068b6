/* The health of the daemon, as grpc.health.v1 has it. */
#ifndef XTCP_MODEL_HEALTH_H
#define XTCP_MODEL_HEALTH_H

#include <stdint.h>

/* HealthCheckResponse.ServingStatus. */
enum health_status { HEALTH_UNKNOWN, HEALTH_SERVING, HEALTH_NOT_SERVING, HEALTH_SERVICE_UNKNOWN };

/* "SERVING", …; "UNRECOGNIZED" for a value that is none. */
const char *health_status_name(uint32_t status);

#endif
