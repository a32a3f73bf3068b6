/* google.protobuf.Duration and ns. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/clock.h"
#include "rpc/codec/config/msg_config_internal.h"

#define DURATION_SECONDS_MAX 315576000000LL /* of google/protobuf/duration.proto */

int config_duration_ns(const Google__Protobuf__Duration *d, const char *name, int64_t *ns, struct err *e)
{
    if (d->seconds > DURATION_SECONDS_MAX || d->seconds < -DURATION_SECONDS_MAX || d->nanos >= NS_PER_S ||
        d->nanos <= -NS_PER_S || (d->seconds > 0 && d->nanos < 0) || (d->seconds < 0 && d->nanos > 0))
        return err_set(e, ERR_MALFORMED,
                       "%s: %" PRId64 " s and %" PRId32
                       " ns are no valid Duration (same sign, less than a second of ns)",
                       name, d->seconds, d->nanos);
    if (__builtin_mul_overflow(d->seconds, NS_PER_S, ns) ||
        __builtin_add_overflow(*ns, (int64_t)d->nanos, ns))
        return err_set(e, ERR_RANGE, "%s: value \"%" PRId64 "s\" is out of range; allowed at most %lld s",
                       name, d->seconds, INT64_MAX / NS_PER_S);
    return 0;
}

void config_duration_set(Google__Protobuf__Duration *d, int64_t ns)
{
    d->seconds = ns / NS_PER_S;
    d->nanos = (int32_t)(ns % NS_PER_S);
}

int config_duration_check(int64_t ns, const char *name, uint64_t min_s, uint64_t max_s, bool above,
                          struct err *e)
{
    int64_t min = (int64_t)min_s * NS_PER_S;
    int64_t max = max_s ? (int64_t)max_s * NS_PER_S : INT64_MAX;
    if (ns >= min && ns <= max && !(above && ns == min))
        return 0;
    char upper[48] = "";
    if (max_s)
        snprintf(upper, sizeof(upper), ", at most %" PRIu64 "s", max_s);
    return err_set(e, ERR_RANGE, "%s: value \"%.9gs\" is out of range; allowed %s %" PRIu64 "s%s", name,
                   (double)ns / (double)NS_PER_S, above ? "more than" : "at least", min_s, upper);
}
