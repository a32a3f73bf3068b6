#include "record/batch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/inet_diag.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct batch_pool {
    pthread_mutex_t lock;
    struct batch **kept; /* room for |keep|; all of full size */
    size_t keep;
    size_t kept_count;
    struct batch_pool_stats stats;
};

/* The bytes that a batch occupies: it is one allocation of header, index and bytes. */
static size_t batch_size(const struct batch *b)
{
    return sizeof(*b) + (size_t)b->rows_cap * sizeof(b->index[0]) + b->bytes_cap;
}

struct batch_pool *batch_pool_new(size_t keep)
{
    struct batch_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->kept = calloc(keep ? keep : 1, sizeof(struct batch *));
    if (!pool->kept || pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool->kept);
        free(pool);
        return NULL;
    }
    pool->keep = keep;
    return pool;
}

void batch_pool_free(struct batch_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    assert(pool->stats.out == 0);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&pool->lock);
    for (size_t i = 0; i < pool->kept_count; i++)
        free(pool->kept[i]);
    free(pool->kept);
    free(pool);
}

void batch_pool_stats(struct batch_pool *pool, struct batch_pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    *stats = pool->stats;
    pthread_mutex_unlock(&pool->lock);
}

/* A kept batch, or NULL when there is none. Counts one more batch as out if it returns one. */
static struct batch *pool_take(struct batch_pool *pool)
{
    struct batch *b = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->kept_count > 0) {
        b = pool->kept[--pool->kept_count];
        pool->stats.out++;
    }
    pthread_mutex_unlock(&pool->lock);
    return b;
}

/* A batch from the heap with room for |rows| and |bytes|, counted as out; NULL without memory. */
static struct batch *batch_alloc(struct batch_pool *pool, uint32_t rows, uint32_t bytes)
{
    const struct batch shape = {.rows_cap = rows, .bytes_cap = bytes};
    struct batch *b = malloc(batch_size(&shape));
    if (!b)
        return NULL;
    *b = shape;
    b->pool = pool;
    b->index = (struct batch_row *)(b + 1);
    b->bytes = (uint8_t *)(b->index + rows);
    pthread_mutex_lock(&pool->lock);
    pool->stats.out++;
    pool->stats.bytes += batch_size(b);
    pthread_mutex_unlock(&pool->lock);
    return b;
}

struct batch *batch_new(struct batch_pool *pool)
{
    struct batch *b = pool_take(pool);
    if (!b)
        b = batch_alloc(pool, BATCH_ROWS, BATCH_BYTES);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->poll_id = 0;
    b->netns_cookie = 0;
    b->netns_id = 0;
    b->rows = 0;
    b->len = 0;
    return b;
}

bool batch_append(struct batch *b, const struct record_frame *f, const struct record_source *s,
                  uint64_t counter)
{
    return batch_append_match(b, f, s, counter, UINT64_MAX);
}

bool batch_append_match(struct batch *b, const struct record_frame *f, const struct record_source *s,
                        uint64_t counter, uint64_t match)
{
    if (b->rows == b->rows_cap || b->bytes_cap - b->len < RECORD_ROW_MAX)
        return false;
    struct inet_diag_msg msg = {0};
    size_t known = s->len[PART_MSG] < sizeof(msg) ? s->len[PART_MSG] : sizeof(msg);
    if (known > 0)
        memcpy(&msg, s->data[PART_MSG], known);
    b->index[b->rows++] = (struct batch_row){
        .offset = b->len,
        .sport = ntohs(msg.id.idiag_sport),
        .dport = ntohs(msg.id.idiag_dport),
        .family = msg.idiag_family,
        .state = msg.idiag_state,
        .match = match,
    };
    b->len += (uint32_t)record_encode(f, s, counter, b->bytes + b->len);
    return true;
}

struct batch *batch_seal(struct batch *b)
{
    if (b->len > b->bytes_cap / 2)
        return b;
    struct batch *exact = batch_alloc(b->pool, b->rows, b->len);
    if (!exact)
        return b;
    atomic_init(&exact->refs, 1);
    exact->poll_id = b->poll_id;
    exact->netns_cookie = b->netns_cookie;
    exact->netns_id = b->netns_id;
    exact->rows = b->rows;
    exact->len = b->len;
    memcpy(exact->index, b->index, b->rows * sizeof(b->index[0]));
    memcpy(exact->bytes, b->bytes, b->len);
    batch_unref(b);
    return exact;
}

struct batch *batch_ref(struct batch *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void batch_unref(struct batch *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct batch_pool *pool = b->pool;
    pthread_mutex_lock(&pool->lock);
    pool->stats.out--;
    bool keep = b->bytes_cap == BATCH_BYTES && pool->kept_count < pool->keep;
    if (keep)
        pool->kept[pool->kept_count++] = b;
    else
        pool->stats.bytes -= batch_size(b);
    pthread_mutex_unlock(&pool->lock);
    if (!keep)
        free(b);
}
