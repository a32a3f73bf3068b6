/* Pauses between attempts, with full jitter: each is chosen evenly between nothing and a bound that doubles from attempt
 * to attempt. Many machines that lost the same peer at the same moment come back spread over the whole time; their
 * random numbers are the system's (getrandom(2)), so two machines with the same name and clock differ as well. One
 * owner at a time. */
#ifndef XTCP_LIB_BACKOFF_H
#define XTCP_LIB_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t base_ns;
    int64_t cap_ns;
    int64_t bound_ns; /* of the next pause */
};

/* The first pause is |base_ns| at most, no pause is longer than |cap_ns|; both in nanoseconds and positive. */
void backoff_init(struct backoff *b, int64_t base_ns, int64_t cap_ns);

/* The pause before the next attempt: from 0 to the smaller of cap and base * 2^n nanoseconds, both included, after n
 * calls since backoff_init or backoff_reset. Does not wait. While the system has no random numbers yet, early at its
 * start, the pause is the longest of these. */
int64_t backoff_next(struct backoff *b);

/* An attempt went well: the next pause is one of the first again. */
void backoff_reset(struct backoff *b);

#endif
