/* The guard itself, and the texts of its log lines. */
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "rpc/server/guard_internal.h"

struct guard guard = {.finder_lock = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
_Atomic(struct guard_conn *) *_Atomic guard_conns;

static const char *const reasons[RPC_GUARD_REASONS] = {
    [RPC_GUARD_CALLS] = "connection closed: too many calls",
    [RPC_GUARD_FRAMES] = "connection closed: too many frames",
    [RPC_GUARD_BYTES] = "connection closed: too many bytes",
    [RPC_GUARD_RESETS] = "connection closed: too many calls reset",
    [RPC_GUARD_HEADERS] = "connection closed: a header block without an end",
    [RPC_GUARD_UNREAD] = "connection closed: answers not read",
    [RPC_GUARD_CONNECTS] = "connection turned away: too many in a short time",
    [RPC_GUARD_BLIND] = "connection closed: TLS that cannot be looked into",
};

const char *rpc_guard_reason_text(enum rpc_guard_reason reason)
{
    return reasons[reason];
}

void guard_tell(const struct guard_news *news)
{
    if (news->any)
        log_warn("guard", "%s: %s (said once for this user; `xtcp2client status` counts)", news->user,
                 reasons[news->reason]);
}

void guard_blame(struct guard_user *u, enum rpc_guard_reason reason, struct guard_news *news)
{
    guard.stats.closed[reason]++;
    if (u->told)
        return;
    u->told = true;
    news->any = true;
    news->reason = reason;
    snprintf(news->user, sizeof(news->user), "%s", quota_user_name(u->quota));
}

size_t guard_random_bucket(const uint8_t *random)
{
    uint32_t part;
    memcpy(&part, random, sizeof(part));
    return part % GUARD_BUCKETS;
}
