/* Network namespaces as the daemon tells of them. */
#ifndef XTCP_MODEL_NAMESPACE_H
#define XTCP_MODEL_NAMESPACE_H

#include "model/fields.h"

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

/* clang-format off */
/* One network namespace. Values of the enums may be others when a newer daemon sent them. */
#define NAMESPACE_INFO_FIELDS(F, M) \
    F(M, TEXTS, names)                                  /* the one that records carry first */ \
    F(M, U64, inode) \
    F(M, U64, cookie)                                   /* 0: not known */ \
    F(M, ENUM, kind, "NAMESPACE_KIND_", namespace_kind_name) \
    F(M, TEXTS, found_at)                               /* paths that lead to it */ \
    F(M, ENUM, state, "NAMESPACE_STATE_", namespace_state_name) \
    F(M, U64, sockets)                                  /* at poll |full_poll_id| */ \
    F(M, TEXT, last_error)                              /* NULL or "": none */ \
    F(M, TIME, last_poll_ns)                            /* 0: none yet */ \
    F(M, U64, last_poll_id) \
    F(M, U64, last_poll_duration_ns) \
    F(M, U64, errors)                                   /* polls that failed here */ \
    F(M, U64, full_poll_id)                             /* the last that counted all of its sockets; 0: none yet */
struct namespace_info {
    NAMESPACE_INFO_FIELDS(FIELDS_MEMBER, )
};
/* clang-format on */

struct namespace_event {
    uint32_t type;                   /* enum namespace_event_type */
    int64_t timestamp_ns;            /* wall clock */
    const struct namespace_info *ns; /* NULL: none */
};

#endif
