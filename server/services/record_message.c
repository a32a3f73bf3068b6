#include "server/services/record_message.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/tsan.h"
#include "lib/wire.h"
#include "rpc/codec/msg_stream.h"

/* The bytes of a batch as gRPC refers to them. */
struct slice_view {
    struct shared_view view; /* the first: a pointer to it is one to the whole */
    grpc_slice slice;
};

static void free_view(struct shared_view *v)
{
    struct slice_view *s = (struct slice_view *)v;
    grpc_slice_unref(s->slice);
    free(s);
}

static struct shared_view *new_view(grpc_slice slice)
{
    struct slice_view *s = malloc(sizeof(*s));
    if (!s) {
        grpc_slice_unref(slice);
        return NULL;
    }
    *s = (struct slice_view){.view = {.free = free_view}, .slice = slice};
    return &s->view;
}

/* gRPC has dropped its last reference, on whatever thread. */
static void release_batch(void *batch)
{
    tsan_acquire(batch);
    batch_unref(batch);
}

static struct shared_view *view_envelope(struct batch *b)
{
    tsan_release(b);
    return new_view(grpc_slice_new_with_user_data(b->bytes, b->len, release_batch, batch_ref(b)));
}

/* A row of an Envelope and the record of a response differ in one byte, the tag before the length. */
static struct shared_view *view_single(struct batch *b)
{
    grpc_slice copy = grpc_slice_from_copied_buffer((const char *)b->bytes, b->len);
    uint8_t *bytes = GRPC_SLICE_START_PTR(copy);
    for (uint32_t i = 0; i < b->rows; i++)
        bytes[b->index[i].offset] = WIRE_TAG(STREAM_FIELD_RECORD, WIRE_LEN);
    return new_view(copy);
}

static bool rows_message(const struct subscriber_item *item, bool single, struct rpc_message *m)
{
    struct shared_batch *batch = item->rows.batch;
    uint32_t from = batch_offset(batch->batch, item->rows.row);
    uint32_t to = batch_offset(batch->batch, item->rows.end);
    const struct slice_view *view =
        (const struct slice_view *)(single ? shared_batch_view(batch, SHARED_VIEW_SINGLE, view_single)
                                           : shared_batch_view(batch, SHARED_VIEW_ENVELOPE, view_envelope));
    if (!view)
        return false;
    grpc_slice rows = grpc_slice_sub(view->slice, from, to);
    if (single) {
        *m = (struct rpc_message){.slices = {rows}, .n = 1};
        return true;
    }
    uint8_t prefix[STREAM_PREFIX_MAX];
    size_t len = stream_put_envelope(prefix, to - from);
    *m = (struct rpc_message){.slices = {grpc_slice_from_copied_buffer((const char *)prefix, len), rows},
                              .n = 2};
    return true;
}

static bool marker_message(const struct subscriber_item *item, struct rpc_message *m)
{
    struct buf b;
    buf_init(&b);
    int rc = item->kind == SUBSCRIBER_BEGIN ? stream_encode_begin(&b, item->begin)
                                            : stream_encode_end(&b, item->end);
    if (rc == 0)
        *m = rpc_message_copy(b.data, b.len, false);
    buf_free(&b);
    return rc == 0;
}

struct taking {
    bool single; /* one record per message */
    struct rpc_message *out;
};

static bool make_message(void *arg, const struct subscriber_item *item, bool more)
{
    const struct taking *t = arg;
    bool made = true;
    if (item->kind == SUBSCRIBER_ROWS)
        made = rows_message(item, t->single, t->out);
    else if (item->kind == SUBSCRIBER_MESSAGE)
        *t->out = rpc_message_copy(item->message.data, item->message.len, false);
    else
        made = marker_message(item, t->out);
    t->out->more = more;
    return made;
}

bool record_message_next(struct subscriber *s, struct rpc_message *out)
{
    struct taking t = {.single = subscriber_options(s)->batch_rows == 0, .out = out};
    return subscriber_next(s, make_message, &t);
}

/* ---- The sink ---- */

static void kick(void *call)
{
    rpc_call_kick(call);
}

static void finish(void *call)
{
    rpc_call_finish(call, 0, "");
}

static void unref(void *call)
{
    rpc_call_unref(call);
}

struct subscriber *record_message_subscriber(struct rpc_call *call, const struct subscriber_options *options,
                                             struct err *e)
{
    struct subscriber_sink sink = {.kick = kick,
                                   .finish = finish,
                                   .unref = unref,
                                   .arg = rpc_call_ref(call),
                                   .peer = rpc_call_peer(call),
                                   .method = rpc_call_method(call)};
    sink.user = rpc_call_quota(call, &sink.rank); /* NULL: no memory. All must be accounted */
    struct subscriber *s = sink.user ? subscriber_new(&sink, options) : NULL;
    if (!s) {
        rpc_call_unref(call);
        err_set(e, -ENOMEM, "out of memory");
    }
    return s;
}
