/* NamespaceService.List, StatusService.Get, Health.Check: unary calls that only read. */
#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_status.h"
#include "server/app.h"
#include "server/services/health.h"
#include "server/services/services.h"
#include "server/stats.h"

static int encode_list(void *reply, const struct namespace_info *list, size_t n)
{
    return namespace_list_encode(list, n, reply);
}

int svc_namespace_list(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "ListRequest", e);
    return rc ? rc : inventory_list(app_inventory(arg), encode_list, reply);
}

int svc_health_check(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    char service[HEALTH_SERVICE_MAX];
    int rc = health_request_decode(request->data, request->len, service, e);
    if (rc)
        return rc;
    enum health_status status = health_get(app_health(arg), service);
    if (status == HEALTH_SERVICE_UNKNOWN)
        return err_set(e, ERR_GONE, "unknown service \"%s\"", service);
    return health_reply_encode(status, reply);
}

int svc_status_get(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    struct stats stats;
    int rc = msg_empty_check(request->data, request->len, "GetRequest", e);
    if (rc == 0)
        rc = stats_gather(arg, &stats);
    if (rc)
        return rc;
    rc = status_msg_encode(&stats.status, reply);
    stats_free(&stats);
    return rc;
}
