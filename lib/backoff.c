#include "lib/backoff.h"

#include <sys/random.h>

/* A random number from 0 to |max|. */
static int64_t random_up_to(int64_t max)
{
    uint64_t random;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return max;
    /* The upper half of the product is even enough: no number is more than a 2^-64th more likely than it should be. */
    return (int64_t)((unsigned __int128)random * ((uint64_t)max + 1) >> 64);
}

void backoff_init(struct backoff *b, int64_t base_ns, int64_t cap_ns)
{
    *b = (struct backoff){.base_ns = base_ns, .cap_ns = cap_ns};
    backoff_reset(b);
}

int64_t backoff_next(struct backoff *b)
{
    int64_t bound = b->bound_ns;
    b->bound_ns = bound > b->cap_ns / 2 ? b->cap_ns : 2 * bound;
    return random_up_to(bound);
}

void backoff_reset(struct backoff *b)
{
    b->bound_ns = b->base_ns < b->cap_ns ? b->base_ns : b->cap_ns;
}
