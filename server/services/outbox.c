#include "server/services/outbox.h"

#include <errno.h>
#include <stdlib.h>

void outbox_init(struct outbox *o, size_t max, const struct rpc_call *call, const struct quota_bound *memory)
{
    *o = (struct outbox){.max = max};
    if (call) {
        o->user = rpc_call_quota(call, &o->rank);
        o->memory = *memory;
    }
    o->last = &o->first;
    pthread_mutex_init(&o->lock, NULL);
}

void outbox_fini(struct outbox *o)
{
    struct rpc_message m;
    while (outbox_next(o, &m))
        grpc_slice_unref(m.slices[0]);
    pthread_mutex_destroy(&o->lock);
}

static uint64_t size_of(size_t len)
{
    return sizeof(struct outbox_item) + len;
}

static bool pay(struct outbox *o, size_t len)
{
    uint64_t bytes = size_of(len);
    return !o->user || quota_take(o->user, o->rank, QUOTA_QUEUE_BYTES, bytes, bytes, &o->memory, NULL) == 0;
}

int outbox_push(struct outbox *o, const void *data, size_t len)
{
    struct outbox_item *item = malloc(sizeof(*item));
    if (!item)
        return -ENOMEM;
    pthread_mutex_lock(&o->lock);
    bool room = o->n < o->max && (o->n == 0 || o->bytes + len <= OUTBOX_BYTES_MAX) && pay(o, len);
    if (room) {
        *item = (struct outbox_item){.slice = grpc_slice_from_copied_buffer(len ? data : "", len)};
        *o->last = item;
        o->last = &item->next;
        o->n++;
        o->bytes += len;
    }
    pthread_mutex_unlock(&o->lock);
    if (room)
        return 0;
    free(item);
    return ERR_LIMIT;
}

bool outbox_next(struct outbox *o, struct rpc_message *out)
{
    pthread_mutex_lock(&o->lock);
    struct outbox_item *item = o->first;
    if (item) {
        o->first = item->next;
        if (!o->first)
            o->last = &o->first;
        o->n--;
        size_t len = GRPC_SLICE_LENGTH(item->slice);
        o->bytes -= len;
        if (o->user)
            quota_give(o->user, QUOTA_QUEUE_BYTES, size_of(len), size_of(len));
        *out = (struct rpc_message){.slices = {item->slice}, .n = 1, .more = o->first != NULL};
    }
    pthread_mutex_unlock(&o->lock);
    free(item);
    return item != NULL;
}
