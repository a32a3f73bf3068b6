/* The calls of a server: the list of them, and the count of operations under way. */
#include "lib/clock.h"
#include "lib/log.h"
#include "rpc/server/server_internal.h"

/* The longest time between a call and its request, which should follow at once. */
#define REQUEST_NS (10 * NS_PER_S)

/* ---- Calls that have come ---- */

void rpc_server_enter(struct rpc_call *call)
{
    struct rpc_server *s = call->server;
    pthread_mutex_lock(&s->lock);
    call->next = s->calls;
    if (s->calls)
        s->calls->previous = call;
    s->calls = call;
    pthread_mutex_unlock(&s->lock);
}

void rpc_server_leave(struct rpc_call *call)
{
    struct rpc_server *s = call->server;
    pthread_mutex_lock(&s->lock);
    *(call->previous ? &call->previous->next : &s->calls) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    if (!s->calls)
        pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool rpc_server_is_stopping(struct rpc_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* An operation's handler has returned. It may have started others, but these have been counted by then. */
void rpc_server_operation_done(struct rpc_server *s)
{
    if (atomic_fetch_sub(&s->operations, 1) != 1)
        return;
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Requests that do not come ---- */

void rpc_server_expect(struct rpc_call *call)
{
    atomic_store(&call->due_ns, clock_mono_ns() + REQUEST_NS);
    atomic_fetch_add(&call->server->expected, 1);
}

void rpc_server_expect_no_more(struct rpc_call *call)
{
    if (atomic_exchange(&call->due_ns, 0))
        atomic_fetch_sub(&call->server->expected, 1);
}

/* ---- Requests that could not be posted ---- */

void rpc_server_owe(struct rpc_server *s, struct rpc_slot *slot)
{
    log_limited(LOG_WARN, "rpc", "out of memory: incoming calls wait until there is some");
    pthread_mutex_lock(&s->lock);
    if (slot->owed++ == 0) {
        slot->next_owed = s->owed;
        s->owed = slot;
    }
    atomic_store(&s->owing, true);
    pthread_mutex_unlock(&s->lock);
}

void rpc_server_settle(struct rpc_server *s, struct rpc_slot **at)
{
    struct rpc_slot *slot = *at;
    slot->owed = 0;
    *at = slot->next_owed;
    atomic_store(&s->owing, s->owed != NULL);
}

void rpc_server_forgive(struct rpc_server *s, const struct core_server *core_server)
{
    pthread_mutex_lock(&s->lock);
    for (struct rpc_slot **at = &s->owed; *at;) {
        if ((*at)->core_server == core_server)
            rpc_server_settle(s, at);
        else
            at = &(*at)->next_owed;
    }
    pthread_mutex_unlock(&s->lock);
}
