#include "lib/duration.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/err.h"

/* The decimals that are looked at: 18, which is as far as uint64_t goes; 1e-18 days are nothing. */
#define DECIMALS_SCALE_MAX 1000000000000000000ULL

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    /* "ms" before "m": the longest name that matches is meant */
    {"ns", 1},
    {"us", NS_PER_US},
    {"ms", NS_PER_MS},
    {"s", NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 86400 * NS_PER_S},
};

static const struct unit *unit_at(const char *text)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
            return &units[i];
    }
    return NULL;
}

/* One "NUMBER UNIT" at *|text|, which moves behind it; its value is added to *|sum|. */
static int parse_part(const char **text, int64_t *sum)
{
    const char *p = *text;
    int64_t whole = 0;
    const char *digits = p;
    for (; ascii_is_digit(*p); p++) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *p - '0', &whole))
            return ERR_RANGE;
    }
    bool any = p > digits;
    const char *fraction = NULL;
    const char *fraction_end = NULL;
    if (*p == '.') {
        fraction = ++p;
        while (ascii_is_digit(*p))
            p++;
        fraction_end = p;
        any = any || fraction_end > fraction;
    }
    const struct unit *unit = unit_at(p);
    if (!any || !unit)
        return ERR_MALFORMED;
    int64_t value;
    if (__builtin_mul_overflow(whole, unit->ns, &value))
        return ERR_RANGE;
    uint64_t decimals = 0;
    uint64_t scale = 1;
    for (const char *f = fraction; f && f < fraction_end && scale < DECIMALS_SCALE_MAX; f++) {
        decimals = 10 * decimals + (uint64_t)(*f - '0');
        scale *= 10;
    }
    /* fractions of a nanosecond are cut */
    if (__builtin_add_overflow(value, (int64_t)((unsigned __int128)decimals * (uint64_t)unit->ns / scale),
                               &value))
        return ERR_RANGE;
    if (__builtin_add_overflow(*sum, value, sum))
        return ERR_RANGE;
    *text = p + strlen(unit->name);
    return 0;
}

int duration_parse(const char *text, int64_t *out)
{
    int64_t sum = 0;
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    if (!*text)
        return ERR_MALFORMED;
    while (*text) {
        int rc = parse_part(&text, &sum);
        if (rc)
            return rc;
    }
    *out = sum;
    return 0;
}

void duration_format(int64_t ns, char out[DURATION_TEXT_MAX])
{
    static const size_t order[] = {6, 5, 4, 3, 2, 1, 0}; /* d h m s ms us ns */
    uint64_t rest = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    size_t n = 0;
    if (ns < 0)
        out[n++] = '-';
    if (rest == 0) {
        snprintf(out, DURATION_TEXT_MAX, "0s");
        return;
    }
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const struct unit *unit = &units[order[i]];
        uint64_t count = rest / (uint64_t)unit->ns;
        if (count)
            n += (size_t)snprintf(out + n, DURATION_TEXT_MAX - n, "%llu%s", (unsigned long long)count,
                                  unit->name);
        rest %= (uint64_t)unit->ns;
    }
}
