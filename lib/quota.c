#include "lib/quota.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"

/* Users are few: those with a connection. Chains of the table stay short up to some thousands. */
#define BUCKETS 1024

struct quota_user {
    struct quota *quota;
    struct quota_user *next; /* of the same bucket */
    uint64_t hash;
    uint32_t refs; /* under the lock, as are the members below */
    uint64_t used[QUOTA_KINDS];
    char name[];
};

struct quota {
    pthread_mutex_t lock; /* guards all; a leaf */
    struct quota_user *users[BUCKETS];
    uint64_t total[QUOTA_KINDS];
    uint64_t refused[QUOTA_KINDS];
};

static const struct {
    const char *things;
    const char *option;
} kinds[QUOTA_KINDS] = {
    [QUOTA_CONNECTIONS] = {"connections", "connections_max"},
    [QUOTA_CALLS] = {"open calls", "calls_max"},
    [QUOTA_SUBSCRIBERS] = {"streams of records", "subscribers_max"},
    [QUOTA_FILTERS] = {"different filters", NULL},
    [QUOTA_FILTER_BYTES] = {"bytes of filters", NULL},
    [QUOTA_COLUMNS] = {"different sets of columns", NULL},
    [QUOTA_NETNS_BYTES] = {"bytes of patterns of namespaces", NULL},
    [QUOTA_QUEUE_BYTES] = {"bytes that wait for readers", "queue_memory_max"},
    [QUOTA_FOCUS_STREAMS] = {"watches", "focus_streams_max"},
    [QUOTA_FOCUS_RATE] = {"lookups a second", "focus_rate_max"},
};

struct quota *quota_new(void)
{
    struct quota *q = calloc(1, sizeof(*q));
    if (q)
        pthread_mutex_init(&q->lock, NULL);
    return q;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    pthread_mutex_destroy(&q->lock);
    free(q);
}

/* ---- Users ---- */

static struct quota_user *user_new(struct quota *q, const char *name, uint64_t hash)
{
    size_t size = strlen(name) + 1;
    struct quota_user *u = calloc(1, sizeof(*u) + size);
    if (!u)
        return NULL;
    u->quota = q;
    u->hash = hash;
    memcpy(u->name, name, size);
    u->next = q->users[hash % BUCKETS];
    q->users[hash % BUCKETS] = u;
    return u;
}

struct quota_user *quota_user(struct quota *q, const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name));
    pthread_mutex_lock(&q->lock);
    struct quota_user *u = q->users[hash % BUCKETS];
    while (u && (u->hash != hash || strcmp(u->name, name) != 0))
        u = u->next;
    if (!u)
        u = user_new(q, name, hash);
    if (u)
        u->refs++;
    pthread_mutex_unlock(&q->lock);
    return u;
}

struct quota_user *quota_user_ref(struct quota_user *u)
{
    if (!u)
        return NULL;
    pthread_mutex_lock(&u->quota->lock);
    u->refs++;
    pthread_mutex_unlock(&u->quota->lock);
    return u;
}

void quota_user_unref(struct quota_user *u)
{
    if (!u)
        return;
    struct quota *q = u->quota;
    pthread_mutex_lock(&q->lock);
    bool last = --u->refs == 0;
    if (last) {
        struct quota_user **at = &q->users[u->hash % BUCKETS];
        while (*at != u)
            at = &(*at)->next;
        *at = u->next;
    }
    pthread_mutex_unlock(&q->lock);
    if (last)
        free(u);
}

const char *quota_user_name(const struct quota_user *u)
{
    return u->name;
}

/* ---- Shares ---- */

/* |percent| of |max|, rounded down. */
static uint64_t part(uint64_t max, unsigned percent)
{
    return max / 100 * percent + max % 100 * percent / 100;
}

/* The part of the bound that users of |rank| may have together. */
static uint64_t reach(const struct quota_bound *b, enum quota_rank rank)
{
    uint64_t kept = (unsigned)(QUOTA_CONTROL - rank) * part(b->max, b->reserved_percent);
    return kept < b->max ? b->max - kept : 0;
}

uint64_t quota_share(const struct quota_bound *bound, enum quota_rank rank)
{
    uint64_t all = reach(bound, rank);
    uint64_t own = rank == QUOTA_CONTROL ? all : part(bound->max, bound->user_percent);
    if (own == 0)
        own = 1; /* a share of a small bound is 1 rather than nothing */
    return own < all ? own : all;
}

/* Makes the error that tells why |u| gets no more. The lock is held. */
static int refuse(const struct quota_user *u, enum quota_kind kind, uint64_t own, uint64_t all,
                  const struct quota_bound *b, uint64_t amount, struct err *e)
{
    const char *option = kinds[kind].option ? kinds[kind].option : "a fixed bound";
    const unsigned long long max = b->max;
    if (own < b->max && u->used[kind] + amount > own)
        return err_set(
            e, ERR_LIMIT,
            "%s: %s has %llu and asks for %llu, its share is %llu of %llu (%s, user_share_percent %u)",
            kinds[kind].things, u->name, (unsigned long long)u->used[kind], (unsigned long long)amount,
            (unsigned long long)own, max, option, b->user_percent);
    if (all < b->max)
        return err_set(
            e, ERR_LIMIT, "%s: %llu of %llu are in use and the rest is reserved (%s, reserved_percent %u)",
            kinds[kind].things, (unsigned long long)u->quota->total[kind], max, option, b->reserved_percent);
    return err_set(e, ERR_LIMIT, "%s: %llu of %llu are in use (%s)", kinds[kind].things,
                   (unsigned long long)u->quota->total[kind], max, option);
}

int quota_take(struct quota_user *u, enum quota_rank rank, enum quota_kind kind, uint64_t amount,
               uint64_t anew, const struct quota_bound *bound, struct err *e)
{
    if (!u)
        return 0;
    struct quota *q = u->quota;
    uint64_t all = reach(bound, rank);
    uint64_t own = quota_share(bound, rank);
    int rc = 0;
    pthread_mutex_lock(&q->lock);
    if ((amount && u->used[kind] + amount > own) || (anew && q->total[kind] + anew > all)) {
        q->refused[kind]++;
        rc = refuse(u, kind, own, all, bound, amount, e);
    } else {
        u->used[kind] += amount;
        q->total[kind] += anew;
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

void quota_give(struct quota_user *u, enum quota_kind kind, uint64_t amount, uint64_t anew)
{
    if (!u)
        return;
    struct quota *q = u->quota;
    pthread_mutex_lock(&q->lock);
    u->used[kind] -= amount;
    q->total[kind] -= anew;
    pthread_mutex_unlock(&q->lock);
}

uint64_t quota_total(struct quota *q, enum quota_kind kind)
{
    pthread_mutex_lock(&q->lock);
    uint64_t n = q->total[kind];
    pthread_mutex_unlock(&q->lock);
    return n;
}

uint64_t quota_refused(struct quota *q, enum quota_kind kind)
{
    pthread_mutex_lock(&q->lock);
    uint64_t n = q->refused[kind];
    pthread_mutex_unlock(&q->lock);
    return n;
}

uint64_t quota_used(struct quota_user *u, enum quota_kind kind)
{
    pthread_mutex_lock(&u->quota->lock);
    uint64_t n = u->used[kind];
    pthread_mutex_unlock(&u->quota->lock);
    return n;
}
