#include "model/namespace.h"

#include "model/name_of.h"

const char *namespace_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [NAMESPACE_KIND_UNSPECIFIED] = "unspecified",
        [NAMESPACE_KIND_OWN] = "own",
        [NAMESPACE_KIND_NAMED] = "named",
        [NAMESPACE_KIND_ANONYMOUS] = "anonymous",
    };
    return NAME_OF(names, kind);
}

const char *namespace_state_name(uint32_t state)
{
    static const char *const names[] = {
        [NAMESPACE_STATE_UNSPECIFIED] = "unspecified",
        [NAMESPACE_STATE_PENDING] = "pending",
        [NAMESPACE_STATE_READY] = "ready",
        [NAMESPACE_STATE_FAILED] = "failed",
        [NAMESPACE_STATE_REMOVED] = "removed",
        [NAMESPACE_STATE_EXCLUDED] = "excluded",
    };
    return NAME_OF(names, state);
}

const char *namespace_event_name(uint32_t type)
{
    static const char *const names[] = {
        [NAMESPACE_EVENT_UNSPECIFIED] = "unspecified",
        [NAMESPACE_EVENT_ADDED] = "added",
        [NAMESPACE_EVENT_READY] = "ready",
        [NAMESPACE_EVENT_REMOVED] = "removed",
        [NAMESPACE_EVENT_FAILED] = "failed",
        [NAMESPACE_EVENT_SYNCED] = "synced",
        [NAMESPACE_EVENT_EXCLUDED] = "excluded",
    };
    return NAME_OF(names, type);
}
