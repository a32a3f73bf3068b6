/* Messages of grpc.health.v1.Health. Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_HEALTH_H
#define XTCP_RPC_CODEC_MSG_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/health.h"

#define HEALTH_SERVICE_MAX 256 /* bytes of a service's name with its NUL */

/* Reads a HealthCheckRequest: the name of the service in |service|, "" for the server as a whole. A
 * longer name than any service has is cut. Returns 0, ERR_MALFORMED or -ENOMEM. */
int health_request_decode(const void *data, size_t len, char service[HEALTH_SERVICE_MAX], struct err *e);

/* Append a HealthCheckRequest for |service|, a HealthCheckResponse. Return 0 or -ENOMEM. */
int health_request_encode(const char *service, struct buf *out);
int health_reply_encode(enum health_status status, struct buf *out);

/* Reads a HealthCheckResponse; |status| may be a value that the enum does not have. Returns 0, ERR_MALFORMED or
 * -ENOMEM. */
int health_reply_decode(const void *data, size_t len, uint32_t *status, struct err *e);

#endif
