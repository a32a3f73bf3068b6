/* The base-128 varints and field tags of the protobuf wire format
 * (https://protobuf.dev/programming-guides/encoding/). */
#ifndef XTCP_LIB_VARINT_H
#define XTCP_LIB_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of the longest one, 64 bits */

enum wire_type { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

/* The tag of field |number| with wire type |type|, before its own varint encoding. */
#define WIRE_TAG(number, type) (((uint32_t)(number) << 3) | (uint32_t)(type))

/* Writes |v| at |out|, which has VARINT_MAX bytes of room; returns the place behind it. */
static inline uint8_t *varint_put(uint8_t *out, uint64_t v)
{
    while (v >= 0x80) {
        *out++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *out++ = (uint8_t)v;
    return out;
}

/* Bytes that varint_put writes for |v|. */
static inline size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

/* Reads a varint from |in|, |n| bytes long; returns its length, 0 when it is cut or longer than 64 bits. */
static inline size_t varint_get(const uint8_t *in, size_t n, uint64_t *v)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n && i < VARINT_MAX; i++) {
        if (i == VARINT_MAX - 1 && in[i] > 1)
            return 0;
        sum |= (uint64_t)(in[i] & 0x7f) << (7 * i);
        if (!(in[i] & 0x80)) {
            *v = sum;
            return i + 1;
        }
    }
    return 0;
}

#endif
