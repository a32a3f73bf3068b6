/* The connections under guard and their users: how they come and go. */
#include "rpc/server/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "rpc/server/guard_internal.h"

/* The most descriptors, even if the limit of the process is higher. */
#define FDS_MAX (1 << 20)

/* The weight of a connection by TLS in connections_max: it takes 95 KB, where one in plaintext
 * takes 20. */
#define TLS_WEIGHT 2

/* When this many connections have ended, memory is given back. */
#define TRIM_ENDED 64

/* Users without a connection that are remembered, so that a new connection does not bring a new budget. */
#define IDLE_MAX 8192

/* ---- Life ---- */

static size_t descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > FDS_MAX)
        return FDS_MAX;
    return (size_t)limit.rlim_cur;
}

int rpc_guard_start(struct quota *quota, const struct rpc_guard_limits *limits, struct err *e)
{
    thread_cond_init(&guard.changed);
    guard.quota = quota;
    guard.n_fds = descriptors();
    guard.stopping = false;
    guard.stats = (struct rpc_guard_stats){0};
    atomic_store(&guard.works, false);
    _Atomic(struct guard_conn *) *conns = calloc(guard.n_fds, sizeof(*conns));
    int rc = conns ? rpc_peer_finder_new(&guard.finder) : -ENOMEM;
    rpc_guard_set(limits);
    for (int i = 0; i < GUARD_CLASSES; i++)
        budget_init(&guard.all[i], guard.budgets[GUARD_ALL][i], clock_mono_ns());
    budget_init(&guard.light, guard.budgets[GUARD_ALL][GUARD_OTHERS], clock_mono_ns());
    if (rc == 0)
        rc = thread_start(&guard.thread, "rpc/guard", 0, guard_run, NULL);
    if (rc) {
        rpc_peer_finder_free(guard.finder);
        guard.finder = NULL;
        free(conns);
        return err_set(e, rc, "guard: %s", thread_error(rc));
    }
    atomic_store(&guard_conns, conns);
    return 0;
}

void rpc_guard_set(const struct rpc_guard_limits *limits)
{
    pthread_mutex_lock(&guard.lock);
    guard.limits = *limits;
    guard_set_budgets();
    pthread_mutex_unlock(&guard.lock);
}

bool rpc_guard_works(void)
{
    return atomic_load(&guard.works);
}

const char *rpc_guard_failure(void)
{
    return guard.failure.text;
}

void rpc_guard_trim(void)
{
    pthread_mutex_lock(&guard.lock);
    guard_trim_soon();
    pthread_mutex_unlock(&guard.lock);
}

void rpc_guard_stats(struct rpc_guard_stats *out)
{
    pthread_mutex_lock(&guard.lock);
    *out = guard.stats;
    pthread_mutex_unlock(&guard.lock);
}

/* ---- Users ---- */

static struct guard_user **user_bucket(const struct quota_user *quota)
{
    return &guard.users[(uintptr_t)quota / 64 % GUARD_BUCKETS];
}

static void user_free(struct guard_user **at)
{
    struct guard_user *u = *at;
    *at = u->next;
    guard.n_idle--;
    quota_user_unref(u->quota);
    free(u);
}

/* Forgets users that have been quiet; |all|: every one without a connection. */
static void forget_users(int64_t now_ns, bool all)
{
    for (size_t i = 0; i < GUARD_BUCKETS && guard.n_idle > 0; i++) {
        for (struct guard_user **at = &guard.users[i]; *at;) {
            if ((*at)->connections == 0 && (all || guard_is_fresh(*at, now_ns)))
                user_free(at);
            else
                at = &(*at)->next;
        }
    }
}

/* The user |name|, made if need be: it counts as idle until it has a connection. */
static struct guard_user *find_user(const char *name, int64_t now_ns)
{
    if (guard.n_idle >= IDLE_MAX)
        forget_users(now_ns, false);
    if (guard.n_idle >= IDLE_MAX)
        forget_users(now_ns, true);
    struct quota_user *quota = quota_user(guard.quota, name);
    if (!quota)
        return NULL;
    struct guard_user **bucket = user_bucket(quota);
    struct guard_user *u = *bucket;
    while (u && u->quota != quota)
        u = u->next;
    if (u) {
        quota_user_unref(quota);
        return u;
    }
    u = calloc(1, sizeof(*u));
    if (!u) {
        quota_user_unref(quota);
        return NULL;
    }
    *u = (struct guard_user){.next = *bucket, .quota = quota, .connects = -1, .idle_ns = now_ns};
    for (int i = 0; i < GUARD_CLASSES; i++)
        budget_init(&u->budget[i], guard.budgets[GUARD_USER][i], now_ns);
    *bucket = u;
    guard.n_idle++;
    return u;
}

/* ---- Connections ---- */

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static size_t address_bucket(const char *address)
{
    return hash_bytes(address, strlen(address)) % GUARD_BUCKETS;
}

static void leave_tables(struct guard_conn *c)
{
    struct guard_conn **at = &guard.by_address[address_bucket(c->address)];
    while (*at && *at != c)
        at = &(*at)->next_address;
    if (*at)
        *at = c->next_address;
    if (!c->known)
        return;
    at = &guard.by_random[guard_random_bucket(c->hello + TLS_RANDOM_AT)];
    while (*at && *at != c)
        at = &(*at)->next_random;
    if (*at)
        *at = c->next_random;
}

/* Takes |c|, the connection |fd|, out of everything and frees it. The lock is held. */
static void forget(int fd, struct guard_conn *c)
{
    atomic_store(&atomic_load(&guard_conns)[fd], NULL);
    guard_flow_end(c);
    if (c->tls)
        leave_tables(c);
    quota_give(c->user->quota, QUOTA_CONNECTIONS, c->weight, c->weight);
    if (++guard.ended % TRIM_ENDED == 0)
        guard_trim_soon();
    if (--c->user->connections == 0) {
        c->user->idle_ns = clock_mono_ns();
        guard.n_idle++;
    }
    free(c);
}

void guard_closing(int fd)
{
    pthread_mutex_lock(&guard.lock);
    struct guard_conn *c = guard_find(fd);
    if (c)
        forget(fd, c);
    pthread_mutex_unlock(&guard.lock);
}

/* Forgets connections that are gone, in case close() does not come through the guard. The lock is held. */
static void sweep(void)
{
    for (size_t fd = 0; fd < guard.n_fds; fd++) {
        struct guard_conn *c = guard_find((int)fd);
        if (c && c->cookie != cookie_of((int)fd))
            forget((int)fd, c);
    }
}

static int take(struct quota_user *u, const struct guard_conn *c, struct err *e)
{
    const struct quota_bound *bound = &guard.limits.connections;
    uint64_t n = c->weight;
    int rc = quota_take(u, c->rank, QUOTA_CONNECTIONS, n, n, bound, e);
    if (rc == 0 || rpc_guard_works())
        return rc;
    sweep();
    return quota_take(u, c->rank, QUOTA_CONNECTIONS, n, n, bound, e);
}

/* The lock is held. */
static int enter(struct guard_conn *c, const struct rpc_peer *peer, struct guard_news *news, struct err *e)
{
    int64_t now = clock_mono_ns();
    struct guard_conn *old = guard_find(c->fd);
    if (old)
        forget(c->fd, old);
    struct guard_user *u = find_user(peer->user, now);
    if (!u)
        return err_set(e, -ENOMEM, "out of memory");
    if (!guard_may_connect(u, c->rank, now)) {
        guard_blame(u, RPC_GUARD_CONNECTS, news);
        return err_set(e, ERR_LIMIT, "connections of %s come too fast (calls_rate_max)", peer->user);
    }
    int rc = take(u->quota, c, e);
    if (rc)
        return rc;
    c->user = u;
    if (u->connections++ == 0)
        guard.n_idle--;
    guard_flow_begin(c, now);
    if (c->tls) {
        struct guard_conn **bucket = &guard.by_address[address_bucket(c->address)];
        c->next_address = *bucket;
        *bucket = c;
    }
    atomic_store(&atomic_load(&guard_conns)[c->fd], c);
    return 0;
}

static int open_conn(int fd, const struct rpc_peer *peer, enum quota_rank rank, bool tls, struct err *e)
{
    struct guard_news news = {0};
    if ((size_t)fd >= guard.n_fds || !atomic_load(&guard_conns))
        return err_set(e, ERR_LIMIT, "descriptor %d is beyond those that can be guarded", fd);
    struct guard_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, -ENOMEM, "out of memory");
    *c = (struct guard_conn){.fd = fd, .cookie = cookie_of(fd), .rank = rank, .tls = tls, .epoll = -1};
    c->weight = tls ? TLS_WEIGHT : 1;
    snprintf(c->address, sizeof(c->address), "%s", peer->address);
    pthread_mutex_lock(&guard.lock);
    int rc = enter(c, peer, &news, e);
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
    if (rc)
        free(c);
    return rc;
}

int rpc_guard_open(int fd, const struct rpc_peer *peer, enum quota_rank rank, struct err *e)
{
    return open_conn(fd, peer, rank, false, e);
}

bool guard_accepted(int fd)
{
    struct rpc_peer peer;
    struct err e;
    pthread_mutex_lock(&guard.finder_lock);
    rpc_peer_find(guard.finder, fd, &peer);
    pthread_mutex_unlock(&guard.finder_lock);
    if (open_conn(fd, &peer, QUOTA_REMOTE, true, &e) == 0)
        return true;
    log_limited(LOG_WARN, "guard", "a connection by TLS is turned away: %s", e.text);
    return false;
}

/* ---- For calls ---- */

/* The lock is held. */
static struct quota_user *user_of(const struct guard_conn *c, enum quota_rank *rank)
{
    if (!c)
        return NULL;
    *rank = c->rank;
    return quota_user_ref(c->user->quota);
}

static struct guard_conn *find_address(const char *address)
{
    struct guard_conn *c = guard.by_address[address_bucket(address)];
    while (c && strcmp(c->address, address) != 0)
        c = c->next_address;
    return c;
}

struct quota_user *rpc_guard_user(int fd, enum quota_rank *rank)
{
    pthread_mutex_lock(&guard.lock);
    struct quota_user *u = user_of(guard_find(fd), rank);
    pthread_mutex_unlock(&guard.lock);
    return u;
}

struct quota_user *rpc_guard_tls_user(const char *address, enum quota_rank *rank)
{
    pthread_mutex_lock(&guard.lock);
    struct quota_user *u = user_of(find_address(address), rank);
    pthread_mutex_unlock(&guard.lock);
    return u;
}

void rpc_guard_promote(int fd, const char *address)
{
    pthread_mutex_lock(&guard.lock);
    struct guard_conn *c = address ? find_address(address) : guard_find(fd);
    if (c && c->rank != QUOTA_CONTROL) {
        guard_flow_unstick(c);
        guard_give_back(c); /* to the budgets of the class that it leaves */
        c->rank = QUOTA_CONTROL;
        guard_flow_begin(c, clock_mono_ns());
        guard_resume(c);
    }
    pthread_mutex_unlock(&guard.lock);
}

/* ---- The end ---- */

void rpc_guard_stop(void)
{
    _Atomic(struct guard_conn *) *conns = atomic_load(&guard_conns);
    if (!conns)
        return;
    pthread_mutex_lock(&guard.lock);
    guard.stopping = true;
    pthread_cond_signal(&guard.changed);
    pthread_mutex_unlock(&guard.lock);
    thread_join(&guard.thread);
    pthread_mutex_lock(&guard.lock);
    for (size_t fd = 0; fd < guard.n_fds; fd++) {
        struct guard_conn *c = guard_find((int)fd);
        if (c)
            forget((int)fd, c);
    }
    forget_users(clock_mono_ns(), true);
    atomic_store(&guard_conns, NULL);
    pthread_mutex_unlock(&guard.lock);
    free(conns);
    rpc_peer_finder_free(guard.finder);
    guard.finder = NULL;
    pthread_cond_destroy(&guard.changed);
}
