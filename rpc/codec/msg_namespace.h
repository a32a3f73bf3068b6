/* Messages of NamespaceService (package xtcp_namespace.v1). The requests of List and Watch are empty:
 * msg_empty_check. Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_MSG_NAMESPACE_H
#define XTCP_RPC_CODEC_MSG_NAMESPACE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "model/namespace.h"

/* Append a ListResponse, a NamespaceEvent. Strings may be NULL (empty); bytes in them that are not valid
 * UTF-8 are sent as U+FFFD. Return 0 or -ENOMEM. */
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
