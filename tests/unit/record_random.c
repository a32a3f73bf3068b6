#include "record_random.h"

#include <string.h>

#include "lib/varint.h"
#include "record/fields.h"

static uint64_t next(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return *rng;
}

uint64_t random_below(uint64_t *rng, uint64_t n)
{
    return (next(rng) >> 11) % n;
}

/* |v|, with up to |extra| bytes more than it needs. */
static void put_varint(struct buf *out, uint64_t v, size_t extra)
{
    uint8_t bytes[2 * VARINT_MAX];
    size_t n = (size_t)(varint_put(bytes, v) - bytes);
    for (; extra > 0 && n < VARINT_MAX + 1; extra--) {
        bytes[n - 1] |= 0x80;
        bytes[n++] = 0;
    }
    buf_bytes(out, bytes, n);
}

static size_t extra_bytes(uint64_t *rng, unsigned flags)
{
    return flags & RANDOM_LONG && random_below(rng, 8) == 0 ? 1 + random_below(rng, VARINT_MAX) : 0;
}

static void put_tag(struct buf *out, uint64_t *rng, unsigned flags, uint32_t number, enum wire_type type)
{
    put_varint(out, (uint64_t)number << 3 | type, extra_bytes(rng, flags));
}

/* Numbers of all sizes. */
static uint64_t any_number(uint64_t *rng, unsigned flags)
{
    uint64_t v = next(rng) >> random_below(rng, 64);
    return flags & RANDOM_ORDER && random_below(rng, 6) == 0 ? 0 : v;
}

/* A text with pieces that forms write in other ways. */
static void put_text(struct buf *out, uint64_t *rng, unsigned flags)
{
    static const char *const pieces[] = {"eth0",
                                         "a b",
                                         "\"",
                                         "\\",
                                         ",",
                                         "\t",
                                         "\n",
                                         "\x1b[31m",
                                         "\x7f",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\xc3",
                                         "\xe2\x80\xae",
                                         "<&>",
                                         "\xf0\x9f\x90\xa7",
                                         "\xc2\x9b",
                                         "0123456789abcdef0123456789abcdef0123456789"};
    struct buf text;
    buf_init(&text);
    if (!(flags & RANDOM_ORDER) || random_below(rng, 6))
        do
            buf_str(&text,
                    pieces[random_below(rng, random_below(rng, 4) ? 2 : sizeof(pieces) / sizeof(pieces[0]))]);
        while (random_below(rng, 3) == 0);
    if (random_below(rng, 16) == 0)
        buf_bytes(&text, "\0hidden", 7);
    put_varint(out, text.len, extra_bytes(rng, flags));
    buf_bytes(out, text.data, text.len);
    buf_free(&text);
}

static void put_address(struct buf *out, uint64_t *rng, unsigned flags)
{
    static const uint8_t lengths[] = {4, 4, 16, 16, 16, 0, 1, 5, 40};
    uint8_t bytes[40];
    size_t n = lengths[random_below(rng, sizeof(lengths))];
    for (size_t i = 0; i < n; i++)
        bytes[i] = random_below(rng, 2) ? (uint8_t)next(rng) : 0;
    put_varint(out, n, extra_bytes(rng, flags));
    buf_bytes(out, bytes, n);
}

static void put_value(struct buf *out, uint64_t *rng, unsigned flags, uint32_t number, enum wire_type type)
{
    put_tag(out, rng, flags, number, type);
    if (type == WIRE_VARINT)
        put_varint(out, any_number(rng, flags), extra_bytes(rng, flags));
    else if (type == WIRE_LEN)
        put_text(out, rng, flags);
    else
        for (int i = 0; i < (type == WIRE_I64 ? 8 : 4); i++)
            buf_char(out, (char)next(rng));
}

static void put_unknown(struct buf *out, uint64_t *rng, unsigned flags)
{
    static const enum wire_type types[] = {WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_I32};
    static const uint32_t numbers[] = {3,    15,   16,    63,     999,    2047,     2048,
                                       3007, 3110, 20000, 262143, 262144, 536870911};
    put_value(out, rng, flags, numbers[random_below(rng, sizeof(numbers) / sizeof(numbers[0]))],
              types[random_below(rng, 4)]);
}

/* Numbers of few bits say more about forms: families, states, algorithms. */
static void put_field(struct buf *out, uint64_t *rng, unsigned flags, const struct record_field *f)
{
    static const uint8_t small[] = {1, 2, 4, 6, 10, 11};
    if (flags & RANDOM_TYPES && random_below(rng, 64) == 0) {
        put_value(out, rng, flags, f->number, random_below(rng, 2) ? WIRE_I32 : WIRE_LEN);
    } else if (f->type == TYPE_STRING) {
        put_value(out, rng, flags, f->number, WIRE_LEN);
    } else if (f->type == TYPE_BYTES) {
        put_tag(out, rng, flags, f->number, WIRE_LEN);
        put_address(out, rng, flags);
    } else if (f->print != PRINT_NUMBER && random_below(rng, 4)) {
        put_tag(out, rng, flags, f->number, WIRE_VARINT);
        put_varint(out, small[random_below(rng, sizeof(small))], extra_bytes(rng, flags));
    } else {
        put_value(out, rng, flags, f->number, WIRE_VARINT);
    }
}

static void put_answer(struct buf *out, uint64_t *rng, unsigned flags)
{
    static const uint16_t lengths[] = {0, 104, 192, 231, 232, 248, 280};
    put_tag(out, rng, flags, record_fields[FIELD_diag_attributes].number, WIRE_VARINT);
    put_varint(out, next(rng) >> random_below(rng, 64), extra_bytes(rng, flags));
    put_tag(out, rng, flags, record_fields[FIELD_tcp_info_len].number, WIRE_VARINT);
    put_varint(out, lengths[random_below(rng, sizeof(lengths) / sizeof(lengths[0]))],
               extra_bytes(rng, flags));
}

static void damage(struct buf *out, uint64_t *rng)
{
    if (out->len == 0)
        return;
    if (random_below(rng, 2))
        out->len = random_below(rng, out->len);
    for (uint64_t i = random_below(rng, 3); out->len && i > 0; i--)
        out->data[random_below(rng, out->len)] ^= (char)(1u << random_below(rng, 8));
}

void random_record(struct buf *out, uint64_t *rng, unsigned flags)
{
    uint64_t density = 1 + random_below(rng, 8);
    buf_reset(out);
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (flags & RANDOM_UNKNOWN && random_below(rng, 16) == 0)
            put_unknown(out, rng, flags);
        if (i == FIELD_tcp_info_len || random_below(rng, density))
            continue;
        if (i == FIELD_diag_attributes) {
            if (!(flags & RANDOM_FOREIGN))
                put_answer(out, rng, flags);
            continue;
        }
        put_field(out, rng, flags, &record_fields[flags & RANDOM_ORDER ? random_below(rng, FIELD_COUNT) : i]);
    }
    if (flags & RANDOM_DAMAGED)
        damage(out, rng);
}
