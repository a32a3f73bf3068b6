/* A bounded reader over bytes that came from outside, with a sticky error: read on past the end and every
 * value is 0, then look at |failed| once. Little-endian and host order only, as netlink and pcap files
 * written here are. */
#ifndef XTCP_LIB_CURSOR_H
#define XTCP_LIB_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_over(const void *data, size_t n)
{
    return (struct cursor){.at = data, .end = n ? (const uint8_t *)data + n : data};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* The next |n| bytes in place, or NULL (and the error) when there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
    if (c->failed || n > cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += n;
    return at;
}

/* Copies the next |n| bytes to |to|; zeroes it when there are fewer. */
static inline void cursor_copy(struct cursor *c, void *to, size_t n)
{
    const uint8_t *from = cursor_take(c, n);
    if (from)
        memcpy(to, from, n);
    else
        memset(to, 0, n);
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    uint8_t v;
    cursor_copy(c, &v, sizeof(v));
    return v;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    uint16_t v;
    cursor_copy(c, &v, sizeof(v));
    return v;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    uint32_t v;
    cursor_copy(c, &v, sizeof(v));
    return v;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    uint64_t v;
    cursor_copy(c, &v, sizeof(v));
    return v;
}

/* Moves forward to the next multiple of |align| bytes from |base|, or to the end when that comes first (the
 * last element of a netlink message need not be padded). */
static inline void cursor_align(struct cursor *c, const uint8_t *base, size_t align)
{
    size_t off = (size_t)(c->at - base) % align;
    size_t skip = off ? align - off : 0;
    c->at += skip < cursor_left(c) ? skip : cursor_left(c);
}

#endif
