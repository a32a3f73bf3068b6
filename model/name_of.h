/* Names of values that come from a contract: a newer peer may send others. Private to this folder. */
#ifndef XTCP_MODEL_NAME_OF_H
#define XTCP_MODEL_NAME_OF_H

#include <stddef.h>
#include <stdint.h>

/* The name of |value| among the |n| of |names|, or |otherwise|. */
static inline const char *name_of(const char *const *names, size_t n, uint32_t value, const char *otherwise)
{
    return value < n ? names[value] : otherwise;
}

#define NAME_OF(names, value) name_of(names, sizeof(names) / sizeof((names)[0]), value, "unknown")

#endif
