/* The base-128 varints and field tags of the protobuf wire format
 * (https://protobuf.dev/programming-guides/encoding/). */
#ifndef XTCP_LIB_VARINT_H
#define XTCP_LIB_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VARINT_MAX 10 /* bytes of the longest one, 64 bits */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "varint_get_short reads a word");

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

/* Reads a varint of at most eight bytes from |in|, where eight bytes can be read; returns its length, 0 when it is longer.
 * There is no branch on the length, which nobody could foresee: the groups of seven bits are moved together, pairs of them
 * at first. */
static inline size_t varint_get_short(const uint8_t *in, uint64_t *v)
{
    uint64_t word;
    memcpy(&word, in, sizeof(word)); /* the first byte lowest */
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);
    if (!ends)
        return 0;
    word &= (ends ^ (ends - 1)) & UINT64_C(0x7f7f7f7f7f7f7f7f); /* up to the byte that ends it */
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    *v = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    return (size_t)__builtin_ctzll(ends) / 8 + 1;
}

#endif
