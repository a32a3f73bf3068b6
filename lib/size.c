#include "lib/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/decimal.h"
#include "lib/err.h"

static const struct unit {
    const char *name;
    uint64_t bytes;
} units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"", 1},
};

#define UNITS (sizeof(units) / sizeof(units[0]))

int size_parse(const char *text, uint64_t *bytes)
{
    uint64_t number, product;
    size_t digits = strspn(text, "0123456789");
    size_t i = 0;
    while (i < UNITS && strcmp(text + digits, units[i].name) != 0)
        i++;
    if (i == UNITS)
        return ERR_MALFORMED;
    int rc = decimal_read(text, digits, UINT64_MAX, &number);
    if (rc)
        return rc;
    if (__builtin_mul_overflow(number, units[i].bytes, &product))
        return ERR_RANGE;
    *bytes = product;
    return 0;
}

void size_format(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
    const struct unit *unit = units;
    while (bytes == 0 ? unit->bytes > 1 : bytes % unit->bytes != 0)
        unit++;
    snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 "%s", bytes / unit->bytes, unit->name);
}
