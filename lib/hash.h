/* A hash of bytes for tables in memory: FNV-1a with 64 bits. A peer that chooses the bytes can choose the chain,
 * so the number of entries must have a bound. */
#ifndef XTCP_LIB_HASH_H
#define XTCP_LIB_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t hash = 0xcbf29ce484222325;
    for (; n > 0; n--)
        hash = (hash ^ *p++) * 0x100000001b3;
    return hash;
}

#endif
