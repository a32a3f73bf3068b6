#include "config/internal.h"

int parse_digits(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v <= max)
            v = 10 * v + (uint64_t)(*p - '0');
    }
    if (p == text || *p)
        return ERR_MALFORMED;
    if (v > max)
        return ERR_RANGE;
    *out = (uint32_t)v;
    return 0;
}
