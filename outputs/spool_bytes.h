/* Integers in the files of a spool: little endian, at any address. Pure; any thread. */
#ifndef XTCP_OUTPUTS_SPOOL_BYTES_H
#define XTCP_OUTPUTS_SPOOL_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void spool_put_u32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static inline void spool_put_u64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static inline uint32_t spool_get_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static inline uint64_t spool_get_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

#endif
