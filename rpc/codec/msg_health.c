#include "rpc/codec/msg_health.h"

#include <errno.h>
#include <grpc/health/v1/health.upb.h>
#include <string.h>

#include "rpc/codec/msg_upb.h"

#define REQUEST(name) grpc_health_v1_HealthCheckRequest_##name
#define REPLY(name)   grpc_health_v1_HealthCheckResponse_##name

int health_request_decode(const void *data, size_t len, char service[HEALTH_SERVICE_MAX], struct err *e)
{
    service[0] = '\0';
    if (len == 0)
        return 0;
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "HealthCheckRequest: out of memory");
    grpc_health_v1_HealthCheckRequest *m = REQUEST(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REQUEST(msginit), arena, "HealthCheckRequest", e);
    if (rc == 0) {
        upb_StringView name = REQUEST(service)(m);
        if (name.size > 0 && memchr(name.data, '\0', name.size)) {
            rc = err_set(e, ERR_MALFORMED, "HealthCheckRequest: service holds a NUL byte");
        } else {
            size_t n = name.size < HEALTH_SERVICE_MAX ? name.size : HEALTH_SERVICE_MAX - 1;
            if (n > 0)
                memcpy(service, name.data, n);
            service[n] = '\0';
        }
    }
    upb_Arena_Free(arena);
    return rc;
}

int health_request_encode(const char *service, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    grpc_health_v1_HealthCheckRequest *m = REQUEST(new)(arena);
    if (m)
        REQUEST(set_service)(m, msg_upb_text(arena, service));
    int rc = msg_upb_encode(m, &REQUEST(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

int health_reply_encode(enum health_status status, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    grpc_health_v1_HealthCheckResponse *m = REPLY(new)(arena);
    if (m)
        REPLY(set_status)(m, (int32_t)status);
    int rc = msg_upb_encode(m, &REPLY(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

int health_reply_decode(const void *data, size_t len, uint32_t *status, struct err *e)
{
    *status = HEALTH_UNKNOWN;
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "HealthCheckResponse: out of memory");
    grpc_health_v1_HealthCheckResponse *m = REPLY(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REPLY(msginit), arena, "HealthCheckResponse", e);
    if (rc == 0)
        *status = (uint32_t)REPLY(status)(m);
    upb_Arena_Free(arena);
    return rc;
}
