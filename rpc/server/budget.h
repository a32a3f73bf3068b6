/* Token buckets: bound how much of several things may be used in a second, and at once. Use cannot be taken
 * back, so a budget may fall below zero; it is then used up until time has refilled it.
 *
 * Pure: the caller passes the monotonic time and serialises. */
#ifndef XTCP_RPC_SERVER_BUDGET_H
#define XTCP_RPC_SERVER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum budget_kind {
    BUDGET_CALLS,  /* calls begun */
    BUDGET_FRAMES, /* HTTP/2 frames, weighted */
    BUDGET_BYTES,  /* bytes received */
    BUDGET_DATA,   /* of these, bytes of requests */
    BUDGET_KINDS
};

/* Per second, and at once after a quiet time. */
struct budget_limit {
    double rate;
    double burst;
};

struct budget {
    double have[BUDGET_KINDS];
    int64_t at_ns; /* of the last refill */
};

/* Makes all buckets full. */
void budget_init(struct budget *b, const struct budget_limit limits[BUDGET_KINDS], int64_t now_ns);

/* Adds the tokens for the time since the last refill. */
void budget_refill(struct budget *b, const struct budget_limit limits[BUDGET_KINDS], int64_t now_ns);

/* Time in ns until no kind is used up and each has enough for a moment; 0 when none is used up. |*kind|
 * receives the kind that takes longest. */
int64_t budget_wait(const struct budget *b, const struct budget_limit limits[BUDGET_KINDS],
                    enum budget_kind *kind);

/* Whether every kind has at least |part| of its burst. */
bool budget_has(const struct budget *b, const struct budget_limit limits[BUDGET_KINDS], double part);

#endif
