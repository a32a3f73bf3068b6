#include "client/show/units.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"

/* |v| with one decimal below |decimals_below|, without ".0", and |unit| behind it. */
static void write_scaled(double v, double decimals_below, const char *unit, char out[UNITS_TEXT_MAX])
{
    /* The bound itself is seen after rounding: 9.96 is "10", not "10.0". */
    int decimals = v + 0.05 < decimals_below;
    int n = snprintf(out, UNITS_TEXT_MAX, "%.*f", decimals, v);
    if (decimals && n > 2 && strcmp(out + n - 2, ".0") == 0)
        n -= 2;
    snprintf(out + n, UNITS_TEXT_MAX - (size_t)n, "%s", unit);
}

void units_time(uint64_t ns, char out[UNITS_TEXT_MAX])
{
    static const struct {
        const char *name;
        double ns;
        double limit; /* from here on the next unit is used */
    } units[] = {
        {"ns", 1, 999.5},  {"us", 1e3, 999.5},   {"ms", 1e6, 999.5}, {"s", 1e9, 59.5},
        {"m", 60e9, 59.5}, {"h", 3600e9, 23.95}, {"d", 86400e9, 0},
    };
    const size_t last = sizeof(units) / sizeof(units[0]) - 1;
    size_t i = 0;
    while (i < last && (double)ns / units[i].ns >= units[i].limit)
        i++;
    write_scaled((double)ns / units[i].ns, 10, units[i].name, out);
}

void units_time_us(uint64_t us, char out[UNITS_TEXT_MAX])
{
    units_time(us > UINT64_MAX / NS_PER_US ? UINT64_MAX : us * NS_PER_US, out);
}

/* |n| in powers of 1000 below |exact_below| as it is, with |unit| behind the prefix. */
static void write_si(double n, double exact_below, const char *unit, char out[UNITS_TEXT_MAX])
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z"};
    const size_t last = sizeof(prefixes) / sizeof(prefixes[0]) - 1;
    char suffix[8];
    size_t i = 0;
    if (n >= exact_below) {
        do {
            n /= 1000;
            i++;
        } while (i < last && n >= 999.5);
    }
    snprintf(suffix, sizeof(suffix), "%s%s", prefixes[i], unit);
    write_scaled(n, i ? 100 : 0, suffix, out);
}

void units_bytes(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    write_si((double)bytes, 1000, "B", out);
}

void units_rate(uint64_t bytes_per_s, char out[UNITS_TEXT_MAX])
{
    write_si((double)bytes_per_s * 8, 1000, "bit/s", out);
}

void units_count(uint64_t n, char out[UNITS_TEXT_MAX])
{
    write_si((double)n, 10000, "", out);
}
