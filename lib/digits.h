/* Numbers as decimal text at a place that has room: for writers of many numbers, with eight digits at a time and hardly a
 * branch. buf_u64 (lib/buf.h) is made of it. Pure; any thread. */
#ifndef XTCP_LIB_DIGITS_H
#define XTCP_LIB_DIGITS_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are stored as words, the first one lowest");

#define DIGITS_MAX 20 /* of 2^64 - 1 */

#define DIGITS_ZEROS UINT64_C(0x3030303030303030) /* "00000000" */

/* The eight digits of |v| < 10^8, each 0 to 9 in a byte of its own, the first one lowest. A word is halved three times:
 * all numbers in it are divided at once, by a multiplication and a shift that are exact for what is that small. */
static inline uint64_t digits_split(uint32_t v)
{
    uint64_t word = v / 10000 | (uint64_t)(v % 10000) << 32;             /* two numbers of four digits */
    uint64_t high = (word * 10486 >> 20) & UINT64_C(0x0000007f0000007f); /* each / 100 */
    word = high | (word - high * 100) << 16;                             /* four of two */
    high = (word * 103 >> 10) & UINT64_C(0x000f000f000f000f);            /* each / 10 */
    return high | (word - high * 10) << 8;                               /* eight of one */
}

/* Writes |v| < 10^8 with zeros in front, eight digits. Returns the place behind it. */
static inline char *digits_put_eight(char *at, uint32_t v)
{
    uint64_t text = digits_split(v) | DIGITS_ZEROS;
    memcpy(at, &text, sizeof(text));
    return at + sizeof(text);
}

/* Writes |v| < 10^8 without zeros in front; eight bytes are overwritten. Returns the place behind it. */
static inline char *digits_put_short(char *at, uint32_t v)
{
    uint64_t digits = digits_split(v);
    unsigned zeros =
        (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8; /* in front; of 0 all but the last */
    uint64_t text = (digits | DIGITS_ZEROS) >> (8 * zeros);
    memcpy(at, &text, sizeof(text));
    return at + sizeof(text) - zeros;
}

/* Writes |v|; DIGITS_MAX bytes may be overwritten. Returns the place behind it. Most numbers are small. */
static inline char *digits_put(char *at, uint64_t v)
{
    const uint64_t e8 = 100000000;
    if (v < 10) {
        *at = (char)('0' + v);
        return at + 1;
    }
    if (v < e8)
        return digits_put_short(at, (uint32_t)v);
    if (v < e8 * e8)
        return digits_put_eight(digits_put_short(at, (uint32_t)(v / e8)), (uint32_t)(v % e8));
    at = digits_put_short(at, (uint32_t)(v / e8 / e8));
    at = digits_put_eight(at, (uint32_t)(v / e8 % e8));
    return digits_put_eight(at, (uint32_t)(v % e8));
}

/* Writes |v| < 100 as two digits. Returns the place behind it. */
static inline char *digits_put_two(char *at, unsigned v)
{
    at[0] = (char)('0' + v / 10);
    at[1] = (char)('0' + v % 10);
    return at + 2;
}

#endif
