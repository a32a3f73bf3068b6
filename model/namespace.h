/* Network namespaces as the daemon tells of them. */
#ifndef XTCP_MODEL_NAMESPACE_H
#define XTCP_MODEL_NAMESPACE_H

#include <stddef.h>
#include <stdint.h>

/* The values are those of NamespaceKind, NamespaceState and NamespaceEventType in the contract. */
enum namespace_kind {
    NAMESPACE_KIND_UNSPECIFIED,
    NAMESPACE_KIND_OWN,
    NAMESPACE_KIND_NAMED,
    NAMESPACE_KIND_ANONYMOUS,
};
enum namespace_state {
    NAMESPACE_STATE_UNSPECIFIED,
    NAMESPACE_STATE_PENDING,
    NAMESPACE_STATE_READY,
    NAMESPACE_STATE_FAILED,
    NAMESPACE_STATE_REMOVED,
    NAMESPACE_STATE_EXCLUDED,
};
enum namespace_event_type {
    NAMESPACE_EVENT_UNSPECIFIED,
    NAMESPACE_EVENT_ADDED,
    NAMESPACE_EVENT_READY,
    NAMESPACE_EVENT_REMOVED,
    NAMESPACE_EVENT_FAILED,
    NAMESPACE_EVENT_SYNCED, /* all that were present have been sent; carries no namespace */
    NAMESPACE_EVENT_EXCLUDED,
};

/* "own", "pending", "added", …; "unknown" for a value that is none. */
const char *namespace_kind_name(uint32_t kind);
const char *namespace_state_name(uint32_t state);
const char *namespace_event_name(uint32_t type);

/* One network namespace. Values of the enums may be others when a newer daemon sent them. */
struct namespace_info {
    const char *const *names; /* the one that records carry first */
    size_t n_names;
    const char *const *found_at; /* paths that lead to it */
    size_t n_found_at;
    uint64_t inode;
    uint64_t cookie;        /* 0: not known */
    uint32_t kind;          /* enum namespace_kind */
    uint32_t state;         /* enum namespace_state */
    uint64_t sockets;       /* at poll |full_poll_id| */
    const char *last_error; /* NULL or "": none */
    int64_t last_poll_ns;   /* wall clock; 0: none yet */
    uint64_t last_poll_id;
    uint64_t last_poll_duration_ns;
    uint64_t errors;       /* polls that failed here */
    uint64_t full_poll_id; /* the last that counted all of its sockets; 0: none yet */
};

struct namespace_event {
    uint32_t type;                   /* enum namespace_event_type */
    int64_t timestamp_ns;            /* wall clock */
    const struct namespace_info *ns; /* NULL: none */
};

#endif
