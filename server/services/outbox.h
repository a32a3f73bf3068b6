/* A bounded queue of finished messages for one stream: streams of namespaces, health and reflection send from
 * it. Any thread. */
#ifndef XTCP_SERVER_SERVICES_OUTBOX_H
#define XTCP_SERVER_SERVICES_OUTBOX_H

#include <pthread.h>

#include "rpc/server/server.h"

struct outbox_item {
    grpc_slice slice;
    struct outbox_item *next;
};

struct outbox {
    pthread_mutex_t lock; /* a leaf: only the quota's is taken under it */
    struct outbox_item *first;
    struct outbox_item **last;
    size_t n;
    size_t max;
    size_t bytes;            /* that wait */
    struct quota_user *user; /* that pays for them; NULL: nobody does */
    enum quota_rank rank;
    struct quota_bound memory;
};

/* Bytes that may wait in an outbox; the first message always fits. */
#define OUTBOX_BYTES_MAX (16 * 1024 * 1024)

/* An empty one for at most |max| messages, whose memory the user of |call| pays for (QUOTA_QUEUE_BYTES,
 * |memory|). |call| NULL: nobody pays. |call| must live as long as the outbox. */
void outbox_init(struct outbox *o, size_t max, const struct rpc_call *call, const struct quota_bound *memory);
void outbox_fini(struct outbox *o);

/* Appends a copy of |len| bytes at |data|. Returns 0, ERR_LIMIT when it is full, -ENOMEM. */
int outbox_push(struct outbox *o, const void *data, size_t len);

/* For rpc_stream_ops.next: the first message, if there is one. */
bool outbox_next(struct outbox *o, struct rpc_message *out);

#endif
