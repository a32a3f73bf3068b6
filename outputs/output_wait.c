/* Rows that wait: from the queue and the spool into the chunk that is sent next, and from the queue into the spool.
 *
 * The order is that in which they came. What is in the spool is older than what is moving there, and that is older than the
 * queue; the chunk that was begun is the oldest of all. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/output_internal.h"

#define SPOOL_RETRY_NS NS_PER_S

void chunk_reset(struct chunk *c)
{
    buf_reset(&c->rows);
    c->n = 0;
    c->poll_id = 0;
    c->time_ns = 0;
    c->due_ns = INT64_MAX;
    c->complete = c->poll_end = c->spooled = false;
}

/* Whether there is nothing in it, not even the end of a poll. */
static bool is_empty(const struct chunk *c)
{
    return !c->n && !c->complete;
}

void output_note_error(struct output *o, const struct err *e)
{
    pthread_mutex_lock(&o->lock);
    memcpy(o->last_error, e->text, sizeof(o->last_error));
    o->counts.last_failure_ns = clock_wall_ns();
    pthread_mutex_unlock(&o->lock);
}

/* ---- From the queue ---- */

/* Rows of the part at hand that are still to be taken. */
static uint32_t item_rows(const struct output *o)
{
    return o->item.batch ? o->item.end - o->item.row : 0;
}

/* Takes the next part out of the queue, if none is at hand. Returns whether there is one. */
static bool next_item(struct output *o)
{
    if (o->item.batch)
        return true;
    pthread_mutex_lock(&o->lock);
    bool taken = output_queue_take(o->queue, &o->item);
    if (taken)
        o->held_rows += item_rows(o);
    pthread_mutex_unlock(&o->lock);
    return taken;
}

static void release_item(struct output *o)
{
    if (o->item.batch && o->item.row == o->item.end) {
        batch_unref(o->item.batch);
        o->item.batch = NULL;
    }
}

/* Moves as many rows of the part at hand to |c| as fit. One row always does. */
static void take_rows(struct output *o, struct chunk *c)
{
    const struct batch *b = o->item.batch;
    const struct output_config *config = &o->config;
    uint32_t row = o->item.row, from = batch_offset(b, row);
    while (row < o->item.end && c->n + (row - o->item.row) < config->batch_rows) {
        size_t bytes = c->rows.len + batch_offset(b, row + 1) - from;
        if (bytes > config->batch_bytes && c->n + (row - o->item.row) > 0)
            break;
        row++;
    }
    if (c->n == 0) {
        c->poll_id = b->poll_id;
        c->time_ns = o->item.time_ns;
        if (config->batch_interval)
            c->due_ns = clock_mono_ns() + config->batch_interval;
    }
    uint32_t n = row - o->item.row;
    buf_bytes(&c->rows, b->bytes + from, batch_offset(b, row) - from);
    c->n += n;
    c->complete = row < o->item.end || c->n >= config->batch_rows;
    o->item.row = row;
    release_item(o);
}

/* Without memory for its rows a chunk has none. */
static void check_chunk(struct output *o, struct chunk *c)
{
    if (!c->rows.failed)
        return;
    pthread_mutex_lock(&o->lock);
    o->dropped[OUTPUT_DROP_MEMORY] += c->n;
    o->held_rows -= c->n;
    pthread_mutex_unlock(&o->lock);
    bool poll_end = c->poll_end;
    buf_free(&c->rows);
    chunk_reset(c);
    c->poll_end = c->complete = poll_end;
}

/* Fills |c| from the queue until it is complete or the queue is empty. */
static void gather_queue(struct output *o, struct chunk *c)
{
    while (!c->complete && next_item(o)) {
        if (!o->item.batch) { /* the end of a poll */
            c->poll_end = c->complete = true;
            c->poll_id = c->n ? c->poll_id : o->item.poll_id;
        } else if (c->n && o->item.batch->poll_id != c->poll_id) {
            c->complete = true; /* the end of that poll was dropped */
        } else {
            take_rows(o, c);
        }
    }
    check_chunk(o, c);
}

/* ---- From the spool ---- */

static void swap_chunks(struct chunk *a, struct chunk *b)
{
    struct chunk c = *a;
    *a = *b;
    *b = c;
}

static bool gather_spool(struct output *o)
{
    struct spool_entry entry;
    struct err e;
    if (!o->spool || o->chunk.n)
        return false;
    int rc = spool_first(o->spool, &o->chunk.rows, &entry, &e);
    if (rc < 0) {
        log_limited(LOG_WARN, "output", "%s: the spool cannot be read: %s", o->config.name, e.text);
        output_note_error(o, &e);
    }
    if (rc <= 0)
        return false;
    o->chunk.n = entry.rows;
    o->chunk.poll_id = entry.poll_id;
    o->chunk.time_ns = entry.time_ns;
    o->chunk.poll_end = entry.poll_end;
    o->chunk.complete = o->chunk.spooled = true;
    return true;
}

void output_gather(struct output *o)
{
    struct chunk *c = &o->chunk;
    if (c->complete || gather_spool(o))
        return;
    if (c->n == 0 && !is_empty(&o->moving)) { /* it could not be written, and now it is its turn */
        swap_chunks(c, &o->moving);
        c->complete = true;
        return;
    }
    gather_queue(o, c);
    if (c->n && clock_mono_ns() >= c->due_ns)
        c->complete = true;
}

/* ---- The spool ---- */

/* Makes the folders on the way to that of the spool, which spool_open makes, and tells about when there is no way. */
static void make_way(const char *dir)
{
    char path[PATH_MAX];
    size_t n = strlen(dir);
    if (n >= sizeof(path))
        return;
    memcpy(path, dir, n + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

void output_open_spool(struct output *o)
{
    struct err e;
    if (!o->spool_dir || o->spool || clock_mono_ns() < o->next_spool_ns)
        return;
    make_way(o->spool_dir);
    const struct spool_options options = {
        .dir = o->spool_dir, .bytes_max = o->config.spool_bytes, .age_max = o->config.spool_age};
    if (spool_open(&options, &o->spool, &e)) {
        o->next_spool_ns = clock_mono_ns() + SPOOL_RETRY_NS;
        log_limited(LOG_WARN, "output", "%s: no spool: %s; trying again", o->config.name, e.text);
        output_note_error(o, &e);
        return;
    }
    struct spool_stats stats;
    spool_stats(o->spool, &stats);
    pthread_mutex_lock(&o->lock);
    o->counts.rows_found = stats.rows + stats.rows_full + stats.rows_old + stats.rows_damaged;
    o->spooled = stats;
    pthread_mutex_unlock(&o->lock);
}

/* Puts o->moving into the spool. Returns whether it is there. */
static bool put_moving(struct output *o)
{
    struct err e;
    struct chunk *c = &o->moving;
    const struct spool_entry entry = {.poll_id = c->poll_id,
                                      .time_ns = c->time_ns ? c->time_ns : clock_wall_ns(),
                                      .rows = c->n,
                                      .poll_end = c->poll_end,
                                      .data = (const uint8_t *)c->rows.data,
                                      .len = c->rows.len};
    int rc = spool_put(o->spool, &entry, &e);
    if (rc) {
        log_limited(LOG_WARN, "output", "%s: the spool cannot be written: %s", o->config.name, e.text);
        output_note_error(o, &e);
        return false;
    }
    struct spool_stats stats;
    spool_stats(o->spool, &stats);
    pthread_mutex_lock(&o->lock);
    o->held_rows -= c->n;
    o->spooled = stats;
    pthread_mutex_unlock(&o->lock);
    chunk_reset(c);
    return true;
}

/* Whether the queue has more than one |part| of what it may have, as a half with 2. */
static bool has_more_than(struct output *o, uint64_t part)
{
    struct output_queue_stats stats;
    output_queue_stats(o->queue, &stats);
    return stats.bytes > o->config.queue / part;
}

void output_relieve(struct output *o)
{
    if (!o->spool || (is_empty(&o->moving) && !has_more_than(o, 2)))
        return;
    if (o->chunk.n && !o->chunk.spooled)
        o->chunk.complete = true; /* what follows goes behind the spool */
    do {
        if (is_empty(&o->moving)) {
            chunk_reset(&o->moving);
            gather_queue(o, &o->moving);
        }
        if (is_empty(&o->moving) || !put_moving(o))
            break;
    } while (has_more_than(o, 4));
    output_tell_waiting(o);
}

/* ---- At the end ---- */

/* The entry of the spool that is at hand stays there. If it had to make room meanwhile, it is lost. */
static void return_entry(struct output *o)
{
    struct spool_stats stats;
    bool kept = spool_give_back(o->spool);
    spool_stats(o->spool, &stats);
    pthread_mutex_lock(&o->lock);
    o->spooled = stats;
    if (!kept) {
        o->full_sent += o->spooled_sent;
        o->spooled_sent = 0;
    }
    pthread_mutex_unlock(&o->lock);
}

/* The rows of |c| that have not been delivered go to where they are found at the next start, or are dropped. */
static void leave_chunk(struct output *o, struct chunk *c)
{
    bool kept = false;
    if (o->spool && c->n) {
        if (c != &o->moving)
            swap_chunks(c, &o->moving);
        kept = put_moving(o);
        c = &o->moving;
    }
    if (kept)
        return;
    pthread_mutex_lock(&o->lock);
    o->dropped[o->spool && c->n ? OUTPUT_DROP_DISK : OUTPUT_DROP_STOP] += c->n;
    o->held_rows -= c->n;
    pthread_mutex_unlock(&o->lock);
    chunk_reset(c);
}

void output_leave(struct output *o)
{
    /* The chunk is older than what is moving; behind the spool's end they are told apart by their polls. */
    struct chunk moving = o->moving;
    bool returns = o->chunk.spooled;
    o->moving = (struct chunk){.due_ns = INT64_MAX};
    if (returns)
        chunk_reset(&o->chunk);
    else
        leave_chunk(o, &o->chunk);
    buf_free(&o->moving.rows);
    o->moving = moving;
    if (o->moving.n)
        leave_chunk(o, &o->moving);
    for (;;) {
        chunk_reset(&o->moving);
        gather_queue(o, &o->moving);
        if (is_empty(&o->moving))
            break;
        leave_chunk(o, &o->moving);
    }
    if (returns)
        return_entry(o);
    output_tell_waiting(o);
}

/* ---- Status ---- */

void output_tell_waiting(struct output *o)
{
    struct spool_stats stats = {0};
    if (o->spool)
        spool_stats(o->spool, &stats);
    int64_t since = 0;
    if (o->chunk.n && !o->chunk.spooled)
        since = o->chunk.time_ns;
    else if (o->moving.n)
        since = o->moving.time_ns;
    else if (o->item.batch)
        since = o->item.time_ns;
    pthread_mutex_lock(&o->lock);
    o->spooled = stats;
    o->held_bytes = (o->chunk.spooled ? 0 : o->chunk.rows.len) + o->moving.rows.len +
                    (o->item.batch ? o->item.batch->bytes_cap : 0);
    o->held_since_ns = since;
    pthread_mutex_unlock(&o->lock);
}
