#include "outputs/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"

/* The ends of polls that are kept where they follow each other. */
#define ENDS_MAX 4

struct node {
    struct node *next;
    uint64_t bytes; /* that it counts for; 0 for the end of a poll */
    struct queue_item item;
};

struct output_queue {
    pthread_mutex_t lock; /* a leaf: batches are given back without it */
    uint64_t bytes_max;
    bool drop_newest;
    struct node *first;
    struct node *last;
    size_t nodes;
    size_t parts;        /* nodes that have rows */
    size_t ends;         /* ends of polls behind the last part */
    uint64_t taken_poll; /* that of the rows which were taken last; 0: none were */
    struct output_queue_stats stats;
};

/* Nodes that have left the queue, to be freed without the lock. */
static void free_nodes(struct node *list)
{
    while (list) {
        struct node *n = list;
        list = n->next;
        batch_unref(n->item.batch);
        free(n);
    }
}

int output_queue_new(uint64_t bytes_max, bool drop_newest, struct output_queue **out)
{
    struct output_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    pthread_mutex_init(&q->lock, NULL);
    q->bytes_max = bytes_max;
    q->drop_newest = drop_newest;
    *out = q;
    return 0;
}

void output_queue_free(struct output_queue *q)
{
    if (!q)
        return;
    free_nodes(q->first);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void output_queue_set_bounds(struct output_queue *q, uint64_t bytes_max, bool drop_newest)
{
    pthread_mutex_lock(&q->lock);
    q->bytes_max = bytes_max;
    q->drop_newest = drop_newest;
    pthread_mutex_unlock(&q->lock);
}

/* ---- The list; the lock is held ---- */

static uint32_t rows_of(const struct node *n)
{
    return n->item.batch ? n->item.end - n->item.row : 0;
}

static void append(struct output_queue *q, struct node *n)
{
    n->item.time_ns = clock_wall_ns();
    if (q->last)
        q->last->next = n;
    else
        q->first = n;
    q->last = n;
    q->nodes++;
    q->parts += n->item.batch != NULL;
    q->ends = n->item.batch ? 0 : q->ends + 1;
    q->stats.rows += rows_of(n);
    q->stats.bytes += n->bytes;
}

/* Takes the node behind |before| (NULL: the first one) out of the list. */
static struct node *unlink_node(struct output_queue *q, struct node *before)
{
    struct node **at = before ? &before->next : &q->first;
    struct node *n = *at;
    *at = n->next;
    if (q->last == n)
        q->last = before;
    n->next = NULL;
    q->nodes--;
    q->parts -= n->item.batch != NULL;
    if (q->parts == 0)
        q->ends = q->nodes;
    q->stats.rows -= rows_of(n);
    q->stats.bytes -= n->bytes;
    return n;
}

/* Puts the node behind |before| at the head of |gone|. */
static void drop_node(struct output_queue *q, struct node *before, struct node **gone)
{
    struct node *n = unlink_node(q, before);
    q->stats.rows_dropped += rows_of(n);
    n->next = *gone;
    *gone = n;
}

static bool is_end(const struct node *n)
{
    return n && !n->item.batch;
}

/* The node behind |before|; NULL: the first one. */
static struct node *behind(const struct output_queue *q, const struct node *before)
{
    return before ? before->next : q->first;
}

/* Whether rows of the poll that |n| ends were taken out, so that its end has to come out, too. */
static bool is_awaited(const struct output_queue *q, const struct node *n)
{
    return n->item.poll_id == q->taken_poll;
}

/* Drops the oldest part, and the ends behind it. Returns false when there is none. */
static bool drop_oldest(struct output_queue *q, struct node **gone)
{
    struct node *before = NULL;
    while (is_end(behind(q, before)))
        before = behind(q, before);
    if (!behind(q, before))
        return false;
    drop_node(q, before, gone);
    while (is_end(behind(q, before)) && !is_awaited(q, behind(q, before)))
        drop_node(q, before, gone);
    return true;
}

/* Makes room for |bytes| if the rule allows it. Returns whether there is. */
static bool make_room(struct output_queue *q, uint64_t bytes, struct node **gone)
{
    if (bytes > q->bytes_max)
        return false;
    while (q->stats.bytes > q->bytes_max - bytes) {
        if (q->drop_newest || !drop_oldest(q, gone))
            return false;
    }
    return true;
}

/* ---- In ---- */

/* The memory that a reference to |b| pins, with the node that has it, and that of the end of its poll. */
static uint64_t cost_of(const struct batch *b)
{
    return 2 * sizeof(struct node) + sizeof(*b) + (uint64_t)b->rows_cap * sizeof(b->index[0]) + b->bytes_cap;
}

bool output_queue_put_rows(struct output_queue *q, struct batch *b, uint32_t row, uint32_t end)
{
    struct node *gone = NULL;
    if (row >= end)
        return true;
    struct node *n = malloc(sizeof(*n));
    if (n)
        *n = (struct node){
            .bytes = cost_of(b),
            .item = {.batch = batch_ref(b), .row = row, .end = end, .poll_id = b->poll_id},
        };
    pthread_mutex_lock(&q->lock);
    bool kept = n && make_room(q, n->bytes, &gone);
    if (kept)
        append(q, n);
    else
        q->stats.rows_dropped += end - row;
    pthread_mutex_unlock(&q->lock);
    free_nodes(gone);
    if (!kept)
        free_nodes(n);
    return kept;
}

void output_queue_put_end(struct output_queue *q, uint64_t poll_id)
{
    struct node *n = malloc(sizeof(*n));
    if (!n)
        return;
    *n = (struct node){.item = {.poll_id = poll_id}};
    pthread_mutex_lock(&q->lock);
    bool kept = q->ends < ENDS_MAX;
    if (kept)
        append(q, n);
    else
        q->last->item.poll_id = poll_id;
    pthread_mutex_unlock(&q->lock);
    if (!kept)
        free_nodes(n);
}

/* ---- Out ---- */

bool output_queue_take(struct output_queue *q, struct queue_item *out)
{
    struct node *n = NULL;
    *out = (struct queue_item){0};
    pthread_mutex_lock(&q->lock);
    if (q->first)
        n = unlink_node(q, NULL);
    if (n && n->item.batch)
        q->taken_poll = n->item.poll_id;
    pthread_mutex_unlock(&q->lock);
    if (!n)
        return false;
    *out = n->item;
    free(n);
    return true;
}

void output_queue_stats(struct output_queue *q, struct output_queue_stats *out)
{
    pthread_mutex_lock(&q->lock);
    *out = q->stats;
    out->oldest_ns = q->first ? q->first->item.time_ns : 0;
    pthread_mutex_unlock(&q->lock);
}
