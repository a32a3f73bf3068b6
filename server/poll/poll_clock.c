#include "server/poll/poll_clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/log.h"
#include "server/poll/governor.h"
#include "server/poll/schedule.h"
#include "server/stream/subscriber.h"

/* Least interval between polls that a reader causes by asking for one after the other: every stream gets the
 * rows of all polls, and has to read them. */
#define READERS_NS (25 * NS_PER_MS)

struct poll_clock {
    pthread_mutex_t schedule_lock; /* guards the next three; taken before a subscriber's lock */
    struct schedule schedule;
    struct governor governor;
    uint32_t max_cpu_percent;  /* in force; 0: no limit */
    pthread_mutex_t cost_lock; /* guards the figures; a leaf */
    struct status_cost cost;
};

struct poll_clock *poll_clock_new(const struct config *config, int64_t now_ns)
{
    struct poll_clock *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    pthread_mutex_init(&p->schedule_lock, NULL);
    pthread_mutex_init(&p->cost_lock, NULL);
    schedule_init(&p->schedule, config->poll_frequency, (uint64_t)now_ns ^ (uint64_t)getpid() << 32);
    schedule_set_jitter(&p->schedule, config->poll_jitter_pct);
    schedule_set_readers(&p->schedule, READERS_NS);
    schedule_set_loops(&p->schedule, config->max_loops);
    p->max_cpu_percent = config->max_cpu_percent;
    return p;
}

void poll_clock_free(struct poll_clock *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->cost_lock);
    pthread_mutex_destroy(&p->schedule_lock);
    free(p);
}

void poll_clock_request(struct poll_clock *p, struct subscriber *s)
{
    pthread_mutex_lock(&p->schedule_lock);
    bool held = s && subscriber_options(s)->held;
    uint64_t id =
        held ? schedule_request_held(&p->schedule, clock_mono_ns()) : schedule_request(&p->schedule);
    if (s)
        subscriber_want(s, id); /* under the lock: that poll cannot begin before */
    pthread_mutex_unlock(&p->schedule_lock);
}

int poll_clock_burst(struct poll_clock *p, uint32_t count, int64_t interval_ns, bool replace, struct err *e)
{
    pthread_mutex_lock(&p->schedule_lock);
    bool ok = schedule_burst(&p->schedule, count, interval_ns, replace, clock_mono_ns());
    uint32_t left = p->schedule.burst_left;
    pthread_mutex_unlock(&p->schedule_lock);
    if (!ok)
        return err_set(e, ERR_LIMIT,
                       "a burst is running, %u polls of it are to come: set replace to take its place", left);
    return 0;
}

uint32_t poll_clock_cancel_burst(struct poll_clock *p)
{
    pthread_mutex_lock(&p->schedule_lock);
    uint32_t n = schedule_cancel_burst(&p->schedule);
    pthread_mutex_unlock(&p->schedule_lock);
    return n;
}

void poll_clock_change(struct poll_clock *p, const struct config *old, const struct config *new)
{
    pthread_mutex_lock(&p->schedule_lock);
    p->max_cpu_percent = new->max_cpu_percent;
    if (new->max_cpu_percent != old->max_cpu_percent)
        schedule_stretch(&p->schedule,
                         governor_least(&p->governor, new->max_cpu_percent, new->poll_frequency));
    if (new->poll_frequency != old->poll_frequency || new->max_cpu_percent != old->max_cpu_percent)
        schedule_set_frequency(&p->schedule, new->poll_frequency, clock_mono_ns());
    if (new->poll_jitter_pct != old->poll_jitter_pct)
        schedule_set_jitter(&p->schedule, new->poll_jitter_pct);
    if (new->max_loops != old->max_loops)
        schedule_set_loops(&p->schedule, new->max_loops);
    pthread_mutex_unlock(&p->schedule_lock);
}

void poll_clock_open(struct poll_clock *p, int64_t now_ns)
{
    pthread_mutex_lock(&p->schedule_lock);
    schedule_open(&p->schedule, now_ns);
    pthread_mutex_unlock(&p->schedule_lock);
}

int64_t poll_clock_next(struct poll_clock *p)
{
    pthread_mutex_lock(&p->schedule_lock);
    int64_t next = p->schedule.opened ? schedule_next(&p->schedule) : INT64_MAX;
    pthread_mutex_unlock(&p->schedule_lock);
    return next;
}

bool poll_clock_begin(struct poll_clock *p, int64_t now_ns, struct poll_begin *begin)
{
    pthread_mutex_lock(&p->schedule_lock);
    bool due = schedule_begin(&p->schedule, now_ns, begin);
    if (due)
        governor_begin(&p->governor, clock_process_cpu_ns());
    pthread_mutex_unlock(&p->schedule_lock);
    return due;
}

void poll_clock_abandon(struct poll_clock *p, int64_t now_ns)
{
    pthread_mutex_lock(&p->schedule_lock);
    schedule_end(&p->schedule, now_ns);
    pthread_mutex_unlock(&p->schedule_lock);
}

static void log_stretch(const struct status_cost *c)
{
    char text[DURATION_TEXT_MAX];
    duration_format((int64_t)c->interval_ns / NS_PER_MS * NS_PER_MS, text);
    if (c->stretched)
        log_limited(LOG_INFO, "governor",
                    "polls come every %s for now: the daemon uses %.1f %% of a CPU, max_cpu_percent is %u",
                    text, c->cpu_percent, c->max_cpu_percent);
    else
        log_limited(LOG_INFO, "governor", "polls come every %s again", text);
}

void poll_clock_end(struct poll_clock *p, int64_t now_ns, int64_t cpu_ns, int64_t fan_out_ns)
{
    pthread_mutex_lock(&p->schedule_lock);
    struct schedule *s = &p->schedule;
    governor_step(&p->governor, now_ns, cpu_ns);
    schedule_end(s, now_ns);
    bool was = s->stretch_ns > s->frequency_ns;
    schedule_stretch(s, governor_least(&p->governor, p->max_cpu_percent, s->frequency_ns));
    bool is = s->stretch_ns > s->frequency_ns;
    struct status_cost cost = {.cpu_ns = (uint64_t)cpu_ns,
                               .fan_out_cpu_ns = (uint64_t)fan_out_ns,
                               .max_cpu_percent = p->max_cpu_percent,
                               .interval_ns = (uint64_t)schedule_interval(s),
                               .stretched = is,
                               .late_polls = s->late,
                               .deferred_polls = s->deferred_polls};
    cost.measured = governor_percent(&p->governor, &cost.cpu_percent);
    pthread_mutex_unlock(&p->schedule_lock);
    if (is != was)
        log_stretch(&cost);
    pthread_mutex_lock(&p->cost_lock);
    p->cost = cost;
    pthread_mutex_unlock(&p->cost_lock);
}

void poll_clock_cost(struct poll_clock *p, struct status_cost *cost)
{
    pthread_mutex_lock(&p->cost_lock);
    *cost = p->cost;
    pthread_mutex_unlock(&p->cost_lock);
}

void poll_clock_schedule(struct poll_clock *p, struct status_schedule *out)
{
    pthread_mutex_lock(&p->schedule_lock);
    struct schedule s = p->schedule;
    pthread_mutex_unlock(&p->schedule_lock);
    int64_t mono = clock_mono_ns();
    int64_t wall = clock_wall_ns();
    int64_t next = schedule_next(&s);
    *out = (struct status_schedule){.frequency_ns = (uint64_t)s.frequency_ns,
                                    .interval_ns = (uint64_t)schedule_interval(&s),
                                    .running_poll_id = s.running ? s.last_id : 0,
                                    .late_polls = s.late,
                                    .limited = s.limited,
                                    .loops_left = s.loops_left};
    if (next != INT64_MAX)
        out->next_poll_ns = next > mono ? wall + (next - mono) : wall;
    if (!s.burst_left)
        return;
    out->burst.polls = s.burst_polls;
    out->burst.left = s.burst_left;
    out->burst.interval_ns = (uint64_t)s.burst_interval_ns;
    out->burst.next_poll_ns = s.burst_due_ns > mono ? wall + (s.burst_due_ns - mono) : wall;
}
