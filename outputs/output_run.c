/* The thread of an output. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/output_internal.h"

/* At least this often an output with a spool looks at the age of what is there. */
#define SPOOL_LOOK_NS (10 * NS_PER_S)

#define WAIT_FDS_MAX 8

/* ---- Waiting ---- */

static int poll_timeout(int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX)
        return -1;
    int64_t left = deadline_ns - clock_mono_ns();
    if (left <= 0)
        return 0;
    int64_t ms = (left + NS_PER_MS - 1) / NS_PER_MS;
    return ms > 3600 * 1000 ? 3600 * 1000 : (int)ms;
}

/* Waits for |fds|, of which |wake| is the last, until |deadline_ns|. Returns as poll(2). */
static int wait_fds(struct pollfd *fds, unsigned n, int64_t deadline_ns)
{
    int rc;
    do
        rc = poll(fds, n, poll_timeout(deadline_ns));
    while (rc < 0 && errno == EINTR);
    return rc;
}

static void drain(int wake)
{
    uint64_t count;
    while (read(wake, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

/* When the output has to be done with all, or INT64_MAX. */
static int64_t stop_deadline(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    int64_t deadline = o->stop ? o->stop_ns : INT64_MAX;
    pthread_mutex_unlock(&o->lock);
    return deadline;
}

/* When the spool is tried again that could not be opened, or INT64_MAX. */
static int64_t next_spool(const struct output *o)
{
    return o->spool_dir && !o->spool ? o->next_spool_ns : INT64_MAX;
}

/* What has to be done while the sink waits as well: rows that come have no room for ever. */
static void look_after_queue(struct output *o)
{
    output_open_spool(o);
    output_relieve(o);
}

int output_host_wait(void *arg, struct pollfd *fds, unsigned n, int64_t deadline_ns)
{
    struct output *o = arg;
    struct pollfd all[WAIT_FDS_MAX + 1];
    if (n > WAIT_FDS_MAX)
        return -EINVAL;
    for (;;) {
        int64_t stop = stop_deadline(o), now = clock_mono_ns();
        if (now >= stop)
            return ERR_CANCELLED;
        for (unsigned i = 0; i < n; i++)
            all[i] = (struct pollfd){.fd = fds[i].fd, .events = fds[i].events};
        all[n] = (struct pollfd){.fd = o->wake, .events = POLLIN};
        int64_t turn = clock_earlier(clock_earlier(stop, deadline_ns), next_spool(o));
        if (wait_fds(all, n + 1, turn) < 0)
            return -errno;
        int ready = 0;
        for (unsigned i = 0; i < n; i++) {
            fds[i].revents = all[i].revents;
            ready += all[i].revents != 0;
        }
        if (all[n].revents) {
            drain(o->wake);
            o->woken = true;
        }
        look_after_queue(o);
        if (ready || clock_mono_ns() >= deadline_ns)
            return ready;
    }
}

/* Waits until something is asked of the output, or |deadline_ns|. */
static void rest(struct output *o, int64_t deadline_ns)
{
    struct pollfd wake = {.fd = o->wake, .events = POLLIN};
    if (!o->woken && wait_fds(&wake, 1, deadline_ns) > 0)
        drain(o->wake);
}

/* ---- What is asked of it ---- */

/* The requests of the moment, which are done with. */
struct requests {
    bool flush, reopen, rebound, stop, paused;
    int64_t stop_ns;
};

static struct requests take_requests(struct output *o)
{
    o->woken = false;
    pthread_mutex_lock(&o->lock);
    struct requests r = {.flush = o->flush,
                         .reopen = o->reopen,
                         .rebound = o->rebound,
                         .stop = o->stop,
                         .paused = o->paused,
                         .stop_ns = o->stop_ns};
    o->flush = o->reopen = o->rebound = false;
    pthread_mutex_unlock(&o->lock);
    return r;
}

static void follow_bounds(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    o->config.batch_rows = o->next.batch_rows;
    o->config.batch_bytes = o->next.batch_bytes;
    o->config.batch_interval = o->next.batch_interval;
    o->config.queue = o->next.queue;
    o->config.on_full = o->next.on_full;
    o->config.spool_bytes = o->next.spool_bytes;
    o->config.spool_age = o->next.spool_age;
    o->config.start = o->next.start;
    pthread_mutex_unlock(&o->lock);
    if (o->spool)
        spool_set_bounds(o->spool, o->config.spool_bytes, o->config.spool_age);
}

static void follow(struct output *o, const struct requests *r)
{
    if (r->reopen && o->ops->reopen)
        o->ops->reopen(o->sink);
    if (r->rebound)
        follow_bounds(o);
    if (r->flush) {
        o->next_attempt_ns = 0;
        o->flushing = true;
    }
    output_run_test(o);
    look_after_queue(o);
}

/* ---- The loop ---- */

/* When there is something to do again without being asked. */
static int64_t next_turn(const struct output *o)
{
    int64_t next = o->chunk.n && !o->chunk.complete ? o->chunk.due_ns : INT64_MAX;
    if (o->next_attempt_ns && (o->chunk.complete || o->again.first || o->probe))
        next = clock_earlier(next, o->next_attempt_ns);
    if (o->spool)
        next = clock_earlier(next, clock_mono_ns() + SPOOL_LOOK_NS);
    return clock_earlier(next, next_spool(o));
}

/* One turn. Returns whether the next one can follow at once. */
static bool turn(struct output *o, const struct requests *r)
{
    if (r->paused && !r->stop)
        return false;
    output_gather(o);
    if ((r->stop || o->flushing) && o->chunk.n)
        o->chunk.complete = true; /* nothing more is waited for */
    o->flushing = o->flushing && (o->chunk.n || o->chunk.complete);
    output_tell_waiting(o);
    bool due = o->chunk.complete || o->again.first || o->probe;
    if (!due || clock_mono_ns() < o->next_attempt_ns)
        return false;
    output_attempt(o);
    return true;
}

/* Whether all that waits is delivered. */
static bool is_done(const struct output *o)
{
    return !o->chunk.n && !o->chunk.complete && !o->moving.n && !o->again.first && !o->item.batch;
}

/* Nobody can ask any more what has become of the rows that waited. */
static void tell_dropped(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    uint64_t n = o->dropped[OUTPUT_DROP_STOP] + o->dropped[OUTPUT_DROP_DISK];
    pthread_mutex_unlock(&o->lock);
    if (n)
        log_warn("output", "%s: %" PRIu64 " records are dropped: they waited when the output ended",
                 o->config.name, n);
}

static void *ended(struct output *o)
{
    output_leave(o);
    tell_dropped(o);
    o->ops->close(o->sink);
    spool_close(o->spool);
    o->spool = NULL;
    history_clear(&o->history);
    history_clear(&o->again);
    pthread_mutex_lock(&o->lock);
    output_test_fn *test = o->test;
    void *arg = o->test_arg;
    o->test = NULL;
    o->ended = true;
    pthread_cond_broadcast(&o->settled);
    pthread_mutex_unlock(&o->lock);
    if (test)
        test(arg, &(struct output_test){.error = "the output has ended"});
    return NULL;
}

void *output_run(void *arg)
{
    struct output *o = arg;
    bool stopping = false;
    for (;;) {
        struct requests r = take_requests(o);
        if (r.stop && !stopping) {
            stopping = true;
            o->next_attempt_ns = 0;
            output_set_state(o, OUTPUT_STATE_STOPPING);
        }
        if (r.stop && clock_mono_ns() >= r.stop_ns)
            break;
        follow(o, &r);
        if (turn(o, &r))
            continue;
        if (r.stop && is_done(o))
            break;
        rest(o, r.stop ? clock_earlier(next_turn(o), r.stop_ns) : r.paused ? INT64_MAX : next_turn(o));
    }
    return ended(o);
}
