#include "server/poll/schedule.h"

#include "lib/clock.h"

void schedule_init(struct schedule *s, int64_t frequency_ns, uint64_t seed)
{
    *s = (struct schedule){.frequency_ns = frequency_ns,
                           .due_ns = INT64_MAX,
                           .burst_due_ns = INT64_MAX,
                           .random = seed ? seed : 1};
}

void schedule_open(struct schedule *s, int64_t now_ns)
{
    if (s->opened)
        return;
    s->opened = true;
    s->due_ns = now_ns;
}

void schedule_set_frequency(struct schedule *s, int64_t frequency_ns, int64_t now_ns)
{
    int64_t before = schedule_interval(s);
    s->frequency_ns = frequency_ns;
    if (!s->opened)
        return;
    int64_t due = s->due_ns - before + schedule_interval(s);
    int64_t latest = now_ns + schedule_interval(s);
    s->due_ns = due < now_ns ? now_ns : due > latest ? latest : due;
}

/* Marsaglia's xorshift64*: the numbers only have to differ between hosts. */
static uint64_t draw(struct schedule *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * 0x2545f4914f6cdd1dULL;
}

/* A delay for the next regular poll. */
static void draw_delay(struct schedule *s)
{
    uint64_t most = (uint64_t)schedule_interval(s) / 100 * s->jitter_pct;
    s->delay_ns = most ? (int64_t)(draw(s) % most) : 0;
}

void schedule_set_jitter(struct schedule *s, unsigned percent)
{
    s->jitter_pct = percent;
    if (percent == 0)
        s->delay_ns = 0;
}

void schedule_set_loops(struct schedule *s, uint32_t count)
{
    s->limited = count > 0;
    s->loops_left = count;
}

/* When the next regular poll is to begin; INT64_MAX: never. */
static int64_t regular_ns(const struct schedule *s)
{
    if (!s->opened || (s->limited && s->loops_left == 0))
        return INT64_MAX;
    return s->due_ns + s->delay_ns;
}

int64_t schedule_interval(const struct schedule *s)
{
    return s->stretch_ns > s->frequency_ns ? s->stretch_ns : s->frequency_ns;
}

bool schedule_stretch(struct schedule *s, int64_t interval_ns)
{
    int64_t before = schedule_interval(s);
    s->stretch_ns = interval_ns;
    int64_t interval = schedule_interval(s);
    if (s->opened && interval > before && s->due_ns < s->begun_ns + interval)
        s->due_ns = s->begun_ns + interval;
    return interval != before;
}

uint64_t schedule_request(struct schedule *s)
{
    s->requested = true;
    return s->last_id + 1;
}

uint64_t schedule_request_held(struct schedule *s, int64_t now_ns)
{
    if (!s->held)
        s->held_ns = now_ns;
    s->held = true;
    return s->last_id + 1;
}

void schedule_set_readers(struct schedule *s, int64_t interval_ns)
{
    s->readers_ns = interval_ns;
}

/* When the requests that are held back are due; INT64_MAX: there are none. */
static int64_t held_due_ns(const struct schedule *s)
{
    int64_t least = s->stretch_ns > s->readers_ns ? s->stretch_ns : s->readers_ns;
    return s->held ? s->begun_ns + least : INT64_MAX;
}

/* The requests that were held back are served now. Returns for how long they were held back: 0 when the poll
 * could not have begun earlier. */
static int64_t release(struct schedule *s, int64_t now)
{
    int64_t since = s->held_ns > s->ended_ns ? s->held_ns : s->ended_ns;
    int64_t deferred = s->deferred ? now - since : 0;
    s->deferred_polls += deferred > 0;
    s->held = s->deferred = false;
    return deferred;
}

bool schedule_burst(struct schedule *s, uint32_t count, int64_t interval_ns, bool replace, int64_t now_ns)
{
    if (s->burst_left && !replace)
        return false;
    s->burst_left = s->burst_polls = count;
    s->burst_interval_ns = interval_ns;
    s->burst_due_ns = now_ns;
    return true;
}

uint32_t schedule_cancel_burst(struct schedule *s)
{
    uint32_t left = s->burst_left;
    s->burst_left = 0;
    s->burst_due_ns = INT64_MAX;
    return left;
}

/* The regular poll begins. Moves the next one to a multiple of the interval, counted
 * from where this one was due: no drift. Counts those that were missed. */
static void advance(struct schedule *s, int64_t now)
{
    int64_t interval = schedule_interval(s);
    uint64_t missed = (uint64_t)(now - regular_ns(s)) / (uint64_t)interval;
    s->late += missed;
    s->due_ns += (int64_t)(missed + 1) * interval;
    if (s->limited)
        s->loops_left--;
    draw_delay(s);
}

/* The reason for the poll that begins; |burst|: it is part of a burst. It serves everything that waits; the
 * most specific reason is told. */
static enum poll_trigger reason(const struct schedule *s, bool burst)
{
    if (s->requested || s->held)
        return POLL_TRIGGER_REQUEST;
    if (burst)
        return POLL_TRIGGER_BURST;
    return s->last_id == 0 ? POLL_TRIGGER_START : POLL_TRIGGER_SCHEDULE;
}

bool schedule_begin(struct schedule *s, int64_t now_ns, struct poll_begin *begin)
{
    if (s->running || !s->opened)
        return false;
    bool regular = now_ns >= regular_ns(s);
    bool burst = s->burst_left && now_ns >= s->burst_due_ns;
    if (!regular && !burst && !s->requested && now_ns < held_due_ns(s)) {
        s->deferred = s->held && s->stretch_ns > s->readers_ns;
        return false;
    }
    *begin = (struct poll_begin){.poll_id = s->last_id + 1, .trigger = reason(s, burst)};
    if (regular)
        advance(s, now_ns);
    if (burst) {
        s->burst_left--;
        s->burst_due_ns = s->burst_left ? now_ns + s->burst_interval_ns : INT64_MAX;
    }
    begin->interval_ns = (uint64_t)schedule_interval(s);
    begin->deferred_ns = (uint64_t)release(s, now_ns);
    s->requested = false;
    s->running = true;
    s->begun_ns = now_ns;
    s->last_id = begin->poll_id;
    return true;
}

void schedule_end(struct schedule *s, int64_t now_ns)
{
    s->running = false;
    s->ended_ns = now_ns;
}

int64_t schedule_next(const struct schedule *s)
{
    if (s->running || !s->opened)
        return INT64_MAX;
    if (s->requested)
        return 0;
    return clock_earlier(clock_earlier(s->burst_due_ns, regular_ns(s)), held_due_ns(s));
}
