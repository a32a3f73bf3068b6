#include "server/listen/peer_rate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hash.h"

#define WAYS 8
#define SETS 64

/* A full bucket is one whose next call is due now; each call moves that time by its share of a second, and a
 * peer that is a second ahead has to wait. */
struct bucket {
    uint64_t peer;   /* hash; 0: unused */
    int64_t next_ns; /* when the next call is due */
};

struct peer_rate {
    pthread_mutex_t lock; /* guards all below; a leaf */
    struct bucket buckets[SETS][WAYS];
};

int peer_rate_new(struct peer_rate **out)
{
    struct peer_rate *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return 0;
}

void peer_rate_free(struct peer_rate *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* A number that stands for |peer|: for its user, when it tells one, else for its address without the port. */
static uint64_t hash_of(const char *peer)
{
    const char *user = strstr(peer, " uid=");
    const char *from = user ? user : peer;
    const char *colon = user ? NULL : strrchr(peer, ':');
    size_t n = colon ? (size_t)(colon - from) : strlen(from);
    uint64_t hash = hash_bytes(from, n);
    return hash ? hash : 1;
}

/* The bucket of |peer|. When there is none, it gets the bucket of the peer that has been quiet for
 * longest. */
static struct bucket *find(struct peer_rate *r, uint64_t peer)
{
    struct bucket *set = r->buckets[peer % SETS];
    struct bucket *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].peer == peer)
            return &set[i];
        if (set[i].next_ns < oldest->next_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.peer = peer};
    return oldest;
}

bool peer_rate_admit(struct peer_rate *r, const char *peer, uint32_t per_second, int64_t now_ns)
{
    pthread_mutex_lock(&r->lock);
    struct bucket *b = find(r, hash_of(peer));
    if (b->next_ns < now_ns)
        b->next_ns = now_ns;
    int64_t share = NS_PER_S / per_second;
    bool ok = b->next_ns - now_ns + share <= NS_PER_S;
    if (ok)
        b->next_ns += share;
    pthread_mutex_unlock(&r->lock);
    return ok;
}
