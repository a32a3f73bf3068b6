#include "lib/decimal.h"

#include <string.h>

int decimal_read(const char *text, size_t n, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    bool fits = true;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ERR_MALFORMED;
        fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
               !__builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v) && v <= max;
    }
    if (n == 0)
        return ERR_MALFORMED;
    if (!fits)
        return ERR_RANGE;
    *out = v;
    return 0;
}

int decimal_parse(const char *text, uint64_t max, uint64_t *out)
{
    return decimal_read(text, strlen(text), max, out);
}

bool decimal_is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

bool decimal_is(const char *text, uint64_t value)
{
    uint64_t v;
    return decimal_parse(text, UINT64_MAX, &v) == 0 && v == value;
}
