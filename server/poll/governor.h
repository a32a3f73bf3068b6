/* The governor: how far apart polls must be for the daemon to stay within its share of a CPU. Pure:
 * the caller passes clocks in ns and serialises. */
#ifndef XTCP_SERVER_POLL_GOVERNOR_H
#define XTCP_SERVER_POLL_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

struct governor {
    int64_t last_ns; /* time and CPU clock at the last step; 0: none yet */
    int64_t last_cpu_ns;
    int64_t begun_cpu_ns; /* CPU clock when the poll began; 0: unknown */
    double cycle_cpu_ns;  /* CPU time from one poll to the next, smoothed */
    double cycle_ns;      /* the time itself, smoothed */
    double poll_cpu_ns;   /* CPU time while a poll ran, smoothed */
};

/* A poll begins: |cpu_ns| is the CPU time of the process so far. */
void governor_begin(struct governor *g, int64_t cpu_ns);

/* After each poll: |now_ns| is the monotonic clock, |cpu_ns| the CPU time of the process so far. */
void governor_step(struct governor *g, int64_t now_ns, int64_t cpu_ns);

/* The least interval between polls, in ns, that keeps the daemon within |max_percent| of one CPU; 0 when
 * |max_percent| is 0, and before the second poll. Where work other than polls takes most of the limit, or
 * more, polls still have a fifth of it, and come every |frequency_ns| if that is enough: work for clients
 * does not put off polls for ever. */
int64_t governor_least(const struct governor *g, uint32_t max_percent, int64_t frequency_ns);

/* The use of the daemon, in percent of one CPU, over the last polls, into |*percent|. Returns false, with 0
 * there, before the second one. */
bool governor_percent(const struct governor *g, double *percent);

#endif
