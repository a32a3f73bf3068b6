#include "rpc/server/budget.h"

#include "lib/clock.h"

/* After a wait there is enough for this part of a second, so that not every frame needs a wake-up. */
#define MOMENT 0.01

void budget_init(struct budget *b, const struct budget_limit limits[BUDGET_KINDS], int64_t now_ns)
{
    b->at_ns = now_ns;
    for (int i = 0; i < BUDGET_KINDS; i++)
        b->have[i] = limits[i].burst;
}

void budget_refill(struct budget *b, const struct budget_limit limits[BUDGET_KINDS], int64_t now_ns)
{
    double seconds = (double)(now_ns - b->at_ns) / (double)NS_PER_S;
    if (seconds <= 0)
        return;
    b->at_ns = now_ns;
    for (int i = 0; i < BUDGET_KINDS; i++) {
        b->have[i] += seconds * limits[i].rate;
        if (b->have[i] > limits[i].burst)
            b->have[i] = limits[i].burst;
    }
}

int64_t budget_wait(const struct budget *b, const struct budget_limit limits[BUDGET_KINDS],
                    enum budget_kind *kind)
{
    double longest = 0;
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (b->have[i] > 0)
            continue;
        double seconds = -b->have[i] / limits[i].rate + MOMENT;
        if (seconds > longest) {
            longest = seconds;
            *kind = (enum budget_kind)i;
        }
    }
    return (int64_t)(longest * (double)NS_PER_S);
}

bool budget_has(const struct budget *b, const struct budget_limit limits[BUDGET_KINDS], double part)
{
    for (int i = 0; i < BUDGET_KINDS; i++) {
        if (b->have[i] < part * limits[i].burst)
            return false;
    }
    return true;
}
