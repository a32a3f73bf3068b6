#include "rpc/status.h"

#include <errno.h>
#include <grpc/status.h>
#include <stddef.h>

#include "lib/err.h"

/* One row for each status: its name and the code of ours that stands for it. */
static const struct {
    const char *name;
    int code;
} statuses[] = {
    [GRPC_STATUS_OK] = {"OK", 0},
    [GRPC_STATUS_CANCELLED] = {"CANCELLED", ERR_CANCELLED},
    [GRPC_STATUS_UNKNOWN] = {"UNKNOWN", ERR_MALFORMED},
    [GRPC_STATUS_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", ERR_RANGE},
    [GRPC_STATUS_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", ERR_TIMEOUT},
    [GRPC_STATUS_NOT_FOUND] = {"NOT_FOUND", ERR_GONE},
    [GRPC_STATUS_ALREADY_EXISTS] = {"ALREADY_EXISTS", ERR_DUPLICATE},
    [GRPC_STATUS_PERMISSION_DENIED] = {"PERMISSION_DENIED", ERR_PERMISSION},
    [GRPC_STATUS_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", ERR_LIMIT},
    [GRPC_STATUS_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", ERR_PRECONDITION},
    [GRPC_STATUS_ABORTED] = {"ABORTED", ERR_STALE},
    [GRPC_STATUS_OUT_OF_RANGE] = {"OUT_OF_RANGE", ERR_RANGE},
    [GRPC_STATUS_UNIMPLEMENTED] = {"UNIMPLEMENTED", ERR_UNSUPPORTED},
    [GRPC_STATUS_INTERNAL] = {"INTERNAL", ERR_MALFORMED},
    [GRPC_STATUS_UNAVAILABLE] = {"UNAVAILABLE", ERR_UNAVAILABLE},
    [GRPC_STATUS_DATA_LOSS] = {"DATA_LOSS", ERR_MALFORMED},
    [GRPC_STATUS_UNAUTHENTICATED] = {"UNAUTHENTICATED", ERR_UNAUTHENTICATED},
};

#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

const char *rpc_status_name(int grpc_status)
{
    if (grpc_status < 0 || (size_t)grpc_status >= STATUS_COUNT)
        return "UNKNOWN";
    return statuses[grpc_status].name;
}

int rpc_status_error(int grpc_status)
{
    if (grpc_status < 0 || (size_t)grpc_status >= STATUS_COUNT)
        return ERR_MALFORMED;
    return statuses[grpc_status].code;
}

int rpc_status_from_error(int code)
{
    switch (code) {
    case 0:
        return GRPC_STATUS_OK;
    case ERR_MALFORMED:
    case ERR_TRUNCATED:
    case ERR_RANGE:
    case ERR_TYPE:
    case ERR_UNKNOWN:
    case ERR_DUPLICATE:
    case ERR_USAGE:
    case -EINVAL:
        return GRPC_STATUS_INVALID_ARGUMENT;
    case ERR_UNSUPPORTED:
        return GRPC_STATUS_UNIMPLEMENTED;
    case ERR_PRECONDITION:
        return GRPC_STATUS_FAILED_PRECONDITION;
    case ERR_LIMIT:
    case -ENOMEM:
    case -EBUSY:
        return GRPC_STATUS_RESOURCE_EXHAUSTED;
    case ERR_TIMEOUT:
        return GRPC_STATUS_DEADLINE_EXCEEDED;
    case ERR_GONE:
    case -ENOENT:
        return GRPC_STATUS_NOT_FOUND;
    case ERR_CANCELLED:
        return GRPC_STATUS_CANCELLED;
    case ERR_UNAVAILABLE:
        return GRPC_STATUS_UNAVAILABLE;
    case ERR_PERMISSION:
    case -EPERM:
    case -EACCES:
        return GRPC_STATUS_PERMISSION_DENIED;
    case ERR_UNAUTHENTICATED:
        return GRPC_STATUS_UNAUTHENTICATED;
    case ERR_STALE:
        return GRPC_STATUS_ABORTED;
    default:
        return GRPC_STATUS_INTERNAL;
    }
}
