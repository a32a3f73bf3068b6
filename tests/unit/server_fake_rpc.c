#include "server_fake_rpc.h"

struct rpc_call *rpc_call_ref(struct rpc_call *call)
{
    atomic_fetch_add(&call->refs, 1);
    return call;
}

void rpc_call_unref(struct rpc_call *call)
{
    atomic_fetch_sub(&call->refs, 1);
}

struct quota_user *rpc_call_quota(const struct rpc_call *call, enum quota_rank *rank)
{
    if (rank)
        *rank = call->rank;
    return call->quota;
}

void rpc_call_kick(struct rpc_call *call)
{
    atomic_fetch_add(&call->kicks, 1);
}

void rpc_call_finish(struct rpc_call *call, int code, const char *text)
{
    (void)text;
    atomic_store(&call->code, code);
    atomic_store(&call->finished, true);
}

void rpc_call_abort(struct rpc_call *call, int code, const char *text)
{
    (void)text;
    atomic_store(&call->code, code);
    atomic_store(&call->aborted, true);
}

struct rpc_message rpc_message_copy(const void *data, size_t len, bool more)
{
    return (struct rpc_message){
        .slices = {grpc_slice_from_copied_buffer(data ? data : "", len)}, .n = 1, .more = more};
}

const char *rpc_call_peer(const struct rpc_call *call)
{
    (void)call;
    return "a test";
}

const char *rpc_call_method(const struct rpc_call *call)
{
    (void)call;
    return "/test";
}

void rpc_call_kick_later(void *call, bool run)
{
    if (run)
        rpc_call_kick(call);
    rpc_call_unref(call);
}
