/* Decides when polls happen: at the regular interval, on requests, in bursts. Pure: no clock, no lock, no
 * thread; the caller passes the monotonic time in nanoseconds and serialises.
 *
 * There is never more than one poll at a time. All requests that come while one runs are served together by
 * the next one. */
#ifndef XTCP_SERVER_POLL_SCHEDULE_H
#define XTCP_SERVER_POLL_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/poll.h"

struct schedule {
    int64_t frequency_ns;
    int64_t due_ns;      /* of the next regular poll, without its delay; INT64_MAX until schedule_open */
    int64_t delay_ns;    /* of that poll, by the jitter */
    unsigned jitter_pct; /* greatest delay, in percent of the interval */
    uint64_t random;     /* state of the generator, never 0 */
    uint32_t loops_left; /* regular polls to come, when |limited| */
    bool limited;
    int64_t readers_ns;   /* least time between the begins of polls that readers ask for */
    int64_t stretch_ns;   /* the governor's least interval, 0: none */
    int64_t begun_ns;     /* when the last poll began */
    int64_t ended_ns;     /* and ended */
    uint64_t last_id;     /* of the poll that was begun last */
    bool opened;          /* the first poll may happen */
    bool running;         /* a poll is under way */
    bool requested;       /* a request waits that nothing holds back */
    bool held;            /* a request waits that the governor's least interval holds back */
    bool deferred;        /* the interval has held it back: without it the poll would have begun */
    int64_t held_ns;      /* when the first of these requests came */
    uint32_t burst_left;  /* polls of the burst that are still to begin */
    uint32_t burst_polls; /* of the burst in all */
    int64_t burst_interval_ns;
    int64_t burst_due_ns;
    uint64_t late; /* regular polls that could not begin in time since another one was still running */
    uint64_t deferred_polls; /* polls that served requests which were held back */
};

/* |seed|: anything; the delays that jitter makes follow from it. */
void schedule_init(struct schedule *s, int64_t frequency_ns, uint64_t seed);

/* The daemon is ready for its first poll, due at once. */
void schedule_open(struct schedule *s, int64_t now_ns);

/* Another interval from now on; the next regular poll comes one new interval after the last one was due, at
 * the latest one new interval from now. */
void schedule_set_frequency(struct schedule *s, int64_t frequency_ns, int64_t now_ns);

/* From the next regular poll on, each comes later by a random part of |percent| of the interval. Begins never
 * swap and never drift: the delay is counted from where the poll would be without it. */
void schedule_set_jitter(struct schedule *s, unsigned percent);

/* |count| more regular polls from now on; 0: no limit. */
void schedule_set_loops(struct schedule *s, uint32_t count);

/* Polls that readers ask for begin at least |interval_ns| after the last poll: all other readers get their
 * rows, too. */
void schedule_set_readers(struct schedule *s, int64_t interval_ns);

/* Sets the governor's least interval: from now on regular polls, and polls by schedule_request_held, begin at
 * least |interval_ns| after the poll before. 0: regular polls follow the frequency, requests are served as
 * soon as possible. Bursts and schedule_request are not held back. Returns whether that changes the interval
 * of regular polls. */
bool schedule_stretch(struct schedule *s, int64_t interval_ns);

/* The interval in force: the frequency, or what the governor has stretched it to. */
int64_t schedule_interval(const struct schedule *s);

/* Asks for a poll as soon as possible. Returns the id of the poll that will serve the request: one that has
 * not begun. */
uint64_t schedule_request(struct schedule *s);

/* Asks for a poll as soon as the governor's least interval since the begin of the last poll is over, also
 * where that is shorter than the frequency. A poll that begins earlier for another reason serves the request
 * too. Returns the id of the poll that will serve it: one that has not begun. */
uint64_t schedule_request_held(struct schedule *s, int64_t now_ns);

/* Asks for |count| polls |interval_ns| apart, the first at once. Returns false, and changes nothing, when a
 * burst is running and |replace| is not set. */
bool schedule_burst(struct schedule *s, uint32_t count, int64_t interval_ns, bool replace, int64_t now_ns);

/* Ends a burst. Returns how many of its polls will not happen. */
uint32_t schedule_cancel_burst(struct schedule *s);

/* Begins a poll if one is due and none is running: returns true and fills |begin|, without the time and the
 * namespaces. Its deferred_ns tells how long the oldest request that was held back has waited since the poll
 * could have begun without the governor. */
bool schedule_begin(struct schedule *s, int64_t now_ns, struct poll_begin *begin);

/* The running poll is over. */
void schedule_end(struct schedule *s, int64_t now_ns);

/* When to call schedule_begin again: INT64_MAX while a poll is running or nothing is due ever, else a time,
 * which may have passed. */
int64_t schedule_next(const struct schedule *s);

#endif
