#include "client/show/throughput.h"

#include <inttypes.h>

#include "client/show/units.h"
#include "lib/clock.h"

void throughput_begin(struct throughput *r)
{
    *r = (struct throughput){.first_ns = clock_mono_ns()};
    r->last_ns = r->first_ns;
}

void throughput_count(struct throughput *r, size_t bytes)
{
    r->last_ns = clock_mono_ns();
    r->records++;
    r->bytes += bytes;
}

void throughput_tell(const struct throughput *r, struct output *out)
{
    char bytes[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX], byte_rate[UNITS_TEXT_MAX];
    int64_t took = r->last_ns - r->first_ns;
    double seconds = (double)(took > 0 ? took : 1) / (double)NS_PER_S;
    units_bytes(r->bytes, bytes);
    units_time((uint64_t)took, time);
    units_count((uint64_t)((double)r->records / seconds), rate);
    units_bytes((uint64_t)((double)r->bytes / seconds), byte_rate);
    output_say(out, "%" PRIu64 " record%s, %s in %s: %s records/s, %s/s", r->records,
               r->records == 1 ? "" : "s", bytes, time, rate, byte_rate);
}
