#include "server/poll/governor.h"

/* Weight of the latest poll: a peak of one poll does not change the rhythm much, five of them do. */
#define WEIGHT 0.3

/* Polls always have one part in this many of the limit. */
#define POLLS_PART 5

void governor_begin(struct governor *g, int64_t cpu_ns)
{
    g->begun_cpu_ns = cpu_ns;
}

void governor_step(struct governor *g, int64_t now_ns, int64_t cpu_ns)
{
    if (g->last_ns) {
        double cpu = (double)(cpu_ns - g->last_cpu_ns);
        double time = (double)(now_ns - g->last_ns);
        double weight = g->cycle_ns > 0 ? WEIGHT : 1;
        g->cycle_cpu_ns += weight * (cpu - g->cycle_cpu_ns);
        g->cycle_ns += weight * (time - g->cycle_ns);
    }
    if (g->begun_cpu_ns) {
        double cpu = (double)(cpu_ns - g->begun_cpu_ns);
        g->poll_cpu_ns += (g->poll_cpu_ns > 0 ? WEIGHT : 1) * (cpu - g->poll_cpu_ns);
        g->begun_cpu_ns = 0;
    }
    g->last_ns = now_ns;
    g->last_cpu_ns = cpu_ns;
}

int64_t governor_least(const struct governor *g, uint32_t max_percent, int64_t frequency_ns)
{
    if (max_percent == 0)
        return 0;
    double least = g->cycle_cpu_ns * 100 / max_percent;
    double most = POLLS_PART * g->poll_cpu_ns * 100 / max_percent;
    if (most < (double)frequency_ns)
        most = (double)frequency_ns;
    return (int64_t)(g->poll_cpu_ns > 0 && least > most ? most : least);
}

bool governor_percent(const struct governor *g, double *percent)
{
    bool known = g->cycle_ns > 0;
    *percent = known ? g->cycle_cpu_ns * 100 / g->cycle_ns : 0;
    return known;
}
