/* Messages of NamespaceService (package xtcp_namespace.v1). The requests of List and Watch are empty:
 * msg_empty_check. Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_NAMESPACE_H
#define XTCP_RPC_CODEC_MSG_NAMESPACE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

/* NamespaceKind, NamespaceState, NamespaceEventType. */
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

/* Append a ListResponse, a NamespaceEvent. Strings may be NULL (empty); what is not valid UTF-8 in them is
 * sent as U+FFFD. Return 0 or -ENOMEM. */
int namespace_list_encode(const struct namespace_info *list, size_t n, struct buf *out);
int namespace_event_encode(const struct namespace_event *event, struct buf *out);

struct namespace_list {
    const struct namespace_info *items; /* strings are NUL-terminated, never NULL */
    size_t n;
    void *memory;
};

/* Reads a ListResponse. Returns 0 (end with namespace_list_free), ERR_MALFORMED or -ENOMEM; |out| is empty
 * after an error. */
int namespace_list_decode(const void *data, size_t len, struct namespace_list *out, struct err *e);
void namespace_list_free(struct namespace_list *list);

/* Reads a NamespaceEvent, whose strings live in |*memory|, for namespace_event_free. Returns as above. */
int namespace_event_decode(const void *data, size_t len, struct namespace_event *out, void **memory,
                           struct err *e);
void namespace_event_free(void *memory);

#endif
