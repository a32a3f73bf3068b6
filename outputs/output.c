/* Outputs from outside: their life, what is put in, what is asked of them. */
#include "outputs/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/output_internal.h"

#define BACKOFF_BASE_NS NS_PER_S
#define BACKOFF_CAP_NS  (60 * NS_PER_S)

static void wake(struct output *o)
{
    const uint64_t one = 1;
    while (write(o->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* ---- Life ---- */

/* The parts that only need memory. */
static int make_parts(struct output *o, const struct output_env *env, struct err *e)
{
    o->to = url_safe(o->config.to);
    o->hostname = strdup(env->hostname);
    o->options = calloc(1, o->kind->options_size ? o->kind->options_size : 1);
    const struct packer_options packing = {
        .format = o->format, .columns = &o->config.columns, .hostname = env->hostname};
    if (!o->to || !o->hostname || !o->options || packer_new(&packing, &o->packer) ||
        output_queue_new(o->config.queue, o->config.on_full == OUTPUT_DROP_NEWEST, &o->queue))
        return err_set(e, -ENOMEM, "out of memory");
    o->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return o->wake < 0 ? err_set(e, -errno, "cannot make a descriptor: %s", err_name(-errno)) : 0;
}

/* The directory of its spool. It is opened by the thread: the output that this one takes the place of may have it still. */
static int name_spool(struct output *o, const struct output_env *env, struct err *e)
{
    if (o->config.on_full != OUTPUT_SPOOL)
        return 0;
    if (!env->spool_dir || !*env->spool_dir)
        return err_set(e, ERR_PRECONDITION, "on_full: there is no place for a spool: spool_dir is empty");
    return asprintf(&o->spool_dir, "%s/%s", env->spool_dir, o->config.name) < 0
               ? err_set(e, -ENOMEM, "out of memory")
               : 0;
}

static int open_sink(struct output *o, struct err *e)
{
    o->ops = sink_find(o->kind, e);
    if (!o->ops)
        return e->code;
    int rc = url_parse(o->config.to, o->kind->url, &o->url, e);
    if (rc == 0)
        rc = output_options_read(o->kind, &o->config, o->options, e);
    if (rc)
        return rc;
    o->host = (struct sink_host){
        .arg = o, .wait = output_host_wait, .output = o->config.name, .hostname = o->hostname};
    o->env = (struct sink_env){.host = &o->host,
                               .config = &o->config,
                               .kind = o->kind,
                               .url = &o->url,
                               .options = o->options,
                               .format = o->format};
    return o->ops->open(&o->env, &o->sink, e);
}

int output_new(const struct output_config *c, const struct output_env *env, struct output **out,
               struct err *e)
{
    struct output *o = calloc(1, sizeof(*o));
    if (!o)
        return err_set(e, -ENOMEM, "out of memory");
    pthread_mutex_init(&o->lock, NULL);
    thread_cond_init(&o->settled);
    backoff_init(&o->backoff, BACKOFF_BASE_NS, BACKOFF_CAP_NS);
    o->wake = -1;
    o->state = OUTPUT_STATE_STARTING;
    o->counts.since_ns = clock_wall_ns();
    o->changed = env->changed;
    o->changed_arg = env->arg;
    o->probe = true;
    o->kind = output_kind_of(c->to);
    chunk_reset(&o->chunk);
    chunk_reset(&o->moving);
    int rc = o->kind ? 0 : err_set(e, ERR_UNKNOWN, "to: there is no such destination");
    if (rc == 0 && output_config_copy(&o->config, c))
        rc = err_set(e, -ENOMEM, "out of memory");
    if (rc == 0) {
        o->format = format_by_name(output_config_format(&o->config, o->kind));
        rc =
            o->format ? make_parts(o, env, e) : err_set(e, ERR_UNKNOWN, "format: there is none of that name");
    }
    if (rc == 0)
        rc = open_sink(o, e);
    if (rc == 0)
        rc = name_spool(o, env, e);
    if (rc) {
        output_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

void output_free(struct output *o)
{
    if (!o)
        return;
    if (o->sink && !o->ended)
        o->ops->close(o->sink);
    spool_close(o->spool);
    if (o->item.batch)
        batch_unref(o->item.batch);
    buf_free(&o->chunk.rows);
    buf_free(&o->moving.rows);
    history_clear(&o->history);
    history_clear(&o->again);
    packer_free(o->packer);
    output_queue_free(o->queue);
    if (o->options)
        output_options_free(o->kind, o->options);
    free(o->options);
    url_free(&o->url);
    output_config_free(&o->config);
    free(o->to);
    free(o->hostname);
    free(o->spool_dir);
    if (o->wake >= 0)
        close(o->wake);
    pthread_cond_destroy(&o->settled);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

int output_start(struct output *o)
{
    char name[16];
    snprintf(name, sizeof(name), "out/%.11s", o->config.name);
    int rc = thread_start(&o->thread, name, 0, output_run, o);
    if (rc == 0)
        return 0;
    o->ops->close(o->sink);
    pthread_mutex_lock(&o->lock);
    o->ended = true;
    o->state = OUTPUT_STATE_FAILED;
    o->counts.last_failure_ns = clock_wall_ns();
    snprintf(o->last_error, sizeof(o->last_error), "no thread: %s", thread_error(rc));
    pthread_mutex_unlock(&o->lock);
    return rc;
}

int output_wait_connected(struct output *o, int64_t timeout_ns, struct err *e)
{
    int64_t deadline = clock_mono_ns() + timeout_ns;
    int rc = 0;
    pthread_mutex_lock(&o->lock);
    while (!o->tried && !o->ended && clock_mono_ns() < deadline)
        thread_cond_wait(&o->settled, &o->lock, deadline);
    if (!o->connected)
        rc = err_set(e, ERR_UNAVAILABLE, "%s",
                     o->last_error[0] ? o->last_error : "the destination has not answered in time");
    pthread_mutex_unlock(&o->lock);
    return rc;
}

/* Whether |a| and |b| differ in what a running output can follow at most. */
static bool can_follow(const struct output_config *a, const struct output_config *b)
{
    struct output_config c;
    if ((a->on_full == OUTPUT_SPOOL) != (b->on_full == OUTPUT_SPOOL) || output_config_copy(&c, b))
        return false;
    c.batch_rows = a->batch_rows;
    c.batch_bytes = a->batch_bytes;
    c.batch_interval = a->batch_interval;
    c.queue = a->queue;
    c.on_full = a->on_full;
    c.spool_bytes = a->spool_bytes;
    c.spool_age = a->spool_age;
    c.start = a->start;
    bool same = output_config_equal(a, &c);
    output_config_free(&c);
    return same;
}

bool output_can_change(const struct output *o, const struct output_config *c)
{
    struct output *changed = (struct output *)(uintptr_t)o; /* by its lock alone */
    pthread_mutex_lock(&changed->lock);
    bool can = !o->stop && can_follow(&o->config, c);
    pthread_mutex_unlock(&changed->lock);
    return can;
}

void output_change(struct output *o, const struct output_config *c)
{
    pthread_mutex_lock(&o->lock);
    o->next = (struct output_bounds){.batch_rows = c->batch_rows,
                                     .batch_bytes = c->batch_bytes,
                                     .batch_interval = c->batch_interval,
                                     .queue = c->queue,
                                     .on_full = c->on_full,
                                     .spool_bytes = c->spool_bytes,
                                     .spool_age = c->spool_age,
                                     .start = c->start};
    o->rebound = true;
    output_queue_set_bounds(o->queue, c->queue, c->on_full == OUTPUT_DROP_NEWEST);
    pthread_mutex_unlock(&o->lock);
    wake(o);
}

/* ---- In ---- */

/* So many bytes of rows are worth waking the thread for before their poll ends: enough for a message, or a part of the queue
 * that has to be looked at before it is full. The lock is held. */
static uint64_t enough(const struct output *o)
{
    uint64_t part = o->config.queue / 8;
    return o->config.batch_bytes < part ? o->config.batch_bytes : part;
}

void output_rows(struct output *o, struct batch *b, uint32_t row, uint32_t end)
{
    pthread_mutex_lock(&o->lock);
    o->counts.rows_taken += end - row;
    bool dropped = o->ended || o->stop, news = false;
    if (dropped) {
        o->dropped[OUTPUT_DROP_STOP] += end - row;
    } else {
        output_queue_put_rows(o->queue, b, row, end);
        o->unseen_bytes += batch_offset(b, end) - batch_offset(b, row);
        news = o->config.batch_interval || o->unseen_bytes >= enough(o);
        if (news)
            o->unseen_bytes = 0;
    }
    pthread_mutex_unlock(&o->lock);
    if (news)
        wake(o);
}

void output_poll_end(struct output *o, uint64_t poll_id)
{
    output_queue_put_end(o->queue, poll_id);
    wake(o);
}

void output_lost(struct output *o, uint64_t rows)
{
    pthread_mutex_lock(&o->lock);
    o->counts.rows_taken += rows;
    o->dropped[OUTPUT_DROP_QUEUE] += rows;
    pthread_mutex_unlock(&o->lock);
}

/* ---- Any thread ---- */

const char *output_name(const struct output *o)
{
    return o->config.name;
}

void output_pause(struct output *o, bool pause)
{
    pthread_mutex_lock(&o->lock);
    bool news = o->paused != pause;
    o->paused = pause;
    if (pause && !o->stop)
        o->state = OUTPUT_STATE_PAUSED;
    else if (!pause && o->state == OUTPUT_STATE_PAUSED)
        o->state = o->connected ? OUTPUT_STATE_RUNNING : OUTPUT_STATE_STARTING;
    o->flush = o->flush || !pause;
    pthread_mutex_unlock(&o->lock);
    if (news && o->changed)
        o->changed(o->changed_arg);
    wake(o);
}

void output_flush(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    o->flush = true;
    pthread_mutex_unlock(&o->lock);
    wake(o);
}

void output_reopen(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    o->reopen = true;
    pthread_mutex_unlock(&o->lock);
    wake(o);
}

void output_test(struct output *o, output_test_fn *done, void *arg)
{
    const char *why = NULL;
    pthread_mutex_lock(&o->lock);
    if (o->ended || o->stop)
        why = "the output has ended";
    else if (o->test)
        why = "another test is under way";
    if (!why) {
        o->test = done;
        o->test_arg = arg;
    }
    pthread_mutex_unlock(&o->lock);
    if (why)
        done(arg, &(struct output_test){.error = why});
    else
        wake(o);
}

/* ---- Status ---- */

/* The texts and lists of a status, in one piece of memory. */
struct status_memory {
    struct output_dropped dropped[OUTPUT_DROPS];
    char name[OUTPUT_NAME_MAX + 1];
    char format[40];
    char last_error[ERR_TEXT_MAX];
    char to[];
};

/* Adds what the spool and the queue have dropped to what the output has. |sum| has a place for each reason. */
static void sum_drops(const struct output *o, const struct output_queue_stats *queue,
                      uint64_t sum[OUTPUT_DROPS])
{
    memcpy(sum, o->dropped, sizeof(o->dropped));
    sum[OUTPUT_DROP_QUEUE] += queue->rows_dropped;
    sum[OUTPUT_DROP_SPOOL] += o->spooled.rows_full - o->full_sent;
    sum[OUTPUT_DROP_AGE] += o->spooled.rows_old;
    sum[OUTPUT_DROP_DAMAGED] += o->spooled.rows_damaged;
}

static size_t list_drops(const uint64_t sum[OUTPUT_DROPS], struct output_dropped *list)
{
    size_t n = 0;
    for (unsigned i = 0; i < OUTPUT_DROPS; i++)
        if (sum[i])
            list[n++] = (struct output_dropped){.reason = output_drop_name(i), .rows = sum[i]};
    return n;
}

int output_status(struct output *o, struct output_status *out, void **memory)
{
    struct output_queue_stats queue;
    uint64_t sum[OUTPUT_DROPS];
    size_t to_len = strlen(o->to) + 1;
    struct status_memory *m = calloc(1, sizeof(*m) + to_len);
    if (!m)
        return -ENOMEM;
    pthread_mutex_lock(&o->lock);
    output_queue_stats(o->queue, &queue);
    *out = o->counts;
    out->state = o->state;
    out->rows_queued = queue.rows + o->held_rows;
    out->bytes_queued = queue.bytes + o->held_bytes;
    out->queue_bytes = o->config.queue;
    if (out->rows_queued)
        out->oldest_ns = o->held_since_ns ? o->held_since_ns : queue.oldest_ns;
    out->rows_spooled = o->spooled.rows - o->spooled_sent;
    out->bytes_spooled = o->spooled.bytes;
    out->spool_bytes = o->config.on_full == OUTPUT_SPOOL ? o->config.spool_bytes : 0;
    out->oldest_spooled_ns = o->spooled.oldest_ns;
    sum_drops(o, &queue, sum);
    snprintf(m->last_error, sizeof(m->last_error), "%s", o->last_error);
    pthread_mutex_unlock(&o->lock);
    snprintf(m->name, sizeof(m->name), "%s", o->config.name);
    snprintf(m->format, sizeof(m->format), "%s", o->format->name);
    memcpy(m->to, o->to, to_len);
    out->name = m->name;
    out->to = m->to;
    out->format = m->format;
    out->last_error = m->last_error;
    out->dropped = m->dropped;
    out->n_dropped = list_drops(sum, m->dropped);
    *memory = m;
    return 0;
}

/* ---- The end ---- */

void output_stop(struct output *o, int64_t deadline_ns)
{
    pthread_mutex_lock(&o->lock);
    if (!o->stop || deadline_ns < o->stop_ns)
        o->stop_ns = deadline_ns;
    o->stop = true;
    pthread_mutex_unlock(&o->lock);
    wake(o);
}

bool output_join(struct output *o, int64_t deadline_ns)
{
    pthread_mutex_lock(&o->lock);
    while (!o->ended && clock_mono_ns() < deadline_ns)
        thread_cond_wait(&o->settled, &o->lock, deadline_ns);
    bool ended = o->ended;
    pthread_mutex_unlock(&o->lock);
    if (ended)
        thread_join(&o->thread);
    return ended;
}
