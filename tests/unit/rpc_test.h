/* Helpers of the codec tests. */
#ifndef XTCP_TESTS_RPC_TEST_H
#define XTCP_TESTS_RPC_TEST_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/varint.h"

/* Appends a field as it stands in a message. */
static inline void put_tag(struct buf *b, uint32_t number, enum wire_type type)
{
    uint8_t bytes[VARINT_MAX];
    buf_bytes(b, bytes, (size_t)(varint_put(bytes, WIRE_TAG(number, type)) - bytes));
}

static inline void put_number(struct buf *b, uint32_t number, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    put_tag(b, number, WIRE_VARINT);
    buf_bytes(b, bytes, (size_t)(varint_put(bytes, value) - bytes));
}

static inline void put_bytes(struct buf *b, uint32_t number, const void *data, size_t n)
{
    uint8_t bytes[VARINT_MAX];
    put_tag(b, number, WIRE_LEN);
    buf_bytes(b, bytes, (size_t)(varint_put(bytes, n) - bytes));
    buf_bytes(b, data, n);
}

static inline void put_text(struct buf *b, uint32_t number, const char *text)
{
    put_bytes(b, number, text, strlen(text));
}

/* Numbers that look random and are the same in every run (xorshift64*). */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

#define assert_says(error, part)                                                                             \
    do {                                                                                                     \
        if (!strstr((error).text, part))                                                                     \
            fail_msg("\"%s\" does not say \"%s\"", (error).text, part);                                      \
    } while (0)

#endif
